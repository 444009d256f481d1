//! Watches the packets of a peer for what no agent may do.

use core::fmt;
use core::net::SocketAddr;
use std::collections::{BTreeMap, BTreeSet};

use floe_sansio::FiveTuple;
use floe_stun::{
    CHANNEL_HEADER_LEN, ChannelNumber, Class, Data, Message, MessageType, Method, TransactionId,
    UseCandidate, XorPeerAddress, XorRelayedAddress,
};

/// Packets to one address from which nothing has come, from one base.
const PER_BASE: u32 = 7;
/// The same, from all bases together.
const PER_ADDRESS: u32 = 28;

/// What no agent may do.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Violation {
    /// Application data went where no own check was answered (RFC 8445 §12.1).
    DataToUnproven(SocketAddr),
    /// An address that was silent all along got more packets than any may get, from one base.
    TooManyFromOneBase(SocketAddr, u32),
    /// The same, from all bases together; the strict profile knows no such bound.
    TooManyInAll(SocketAddr, u32),
    /// Nominations of different pairs were answered (RFC 8445 §8.1.1).
    SecondNomination(SocketAddr),
    /// Something was told after the end.
    EventAfterFailure(String),
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DataToUnproven(to) => write!(f, "data to {to}, which answered no check"),
            Self::TooManyFromOneBase(to, count) => {
                write!(f, "{count} packets from one base to {to}, which is silent")
            }
            Self::TooManyInAll(to, count) => write!(f, "{count} packets to {to}, which is silent"),
            Self::SecondNomination(to) => write!(f, "a second nomination, of {to}, was answered"),
            Self::EventAfterFailure(event) => write!(f, "an event after the end: {event}"),
        }
    }
}

/// From where to where: the base, a socket or an address on a relay, and the peer's address.
type Way = (FiveTuple, SocketAddr);

/// What was seen of one peer.
#[derive(Debug)]
pub(super) struct Audit {
    server: SocketAddr,
    /// The relayed address of each conversation with the server: a new allocation is another base.
    relays: BTreeMap<FiveTuple, SocketAddr>,
    channels: BTreeMap<(FiveTuple, u16), SocketAddr>,
    /// Checks under way, and whether they nominate.
    checks: BTreeMap<TransactionId, (Way, bool)>,
    requests: u32,
    proven: BTreeSet<Way>,
    nominated: Option<Way>,
    /// Packets sent, as long as nothing has come from the address.
    silent: BTreeMap<SocketAddr, BTreeMap<FiveTuple, u32>>,
    heard: BTreeSet<SocketAddr>,
    found: Vec<Violation>,
}

impl Audit {
    pub(super) fn new(server: SocketAddr) -> Self {
        Self {
            server,
            relays: BTreeMap::new(),
            channels: BTreeMap::new(),
            checks: BTreeMap::new(),
            requests: 0,
            proven: BTreeSet::new(),
            nominated: None,
            silent: BTreeMap::new(),
            heard: BTreeSet::new(),
            found: Vec::new(),
        }
    }

    /// How many checks were sent.
    pub(super) const fn requests(&self) -> u32 {
        self.requests
    }

    /// What it did against the rules, up to now.
    pub(super) fn violations(&self) -> impl Iterator<Item = Violation> {
        let silent = self.silent.iter().flat_map(|(&to, bases)| {
            let most = bases.values().copied().max().unwrap_or(0);
            let all = bases.values().sum();
            let one = (most > PER_BASE).then_some(Violation::TooManyFromOneBase(to, most));
            let in_all = (all > PER_ADDRESS).then_some(Violation::TooManyInAll(to, all));
            one.into_iter().chain(in_all)
        });
        self.found.iter().cloned().chain(silent)
    }

    /// The peer sends this.
    pub(super) fn sent(&mut self, path: FiveTuple, payload: &[u8]) {
        if path.remote == self.server {
            self.learn_channel(path, payload);
        }
        let Some((way, inner)) = self.unwrap(path, payload) else {
            return;
        };
        let (base, to) = way;
        if !self.heard.contains(&to) {
            let bases = self.silent.entry(to).or_default();
            *bases.entry(base).or_default() += 1;
        }
        match MessageType::peek(inner) {
            None if !self.proven.contains(&way) => {
                self.found.push(Violation::DataToUnproven(to));
            }
            Some(kind) if kind == MessageType::new(Class::Request, Method::BINDING) => {
                self.requests += 1;
                if let Ok(message) = Message::parse(inner) {
                    let nominates = matches!(message.get::<UseCandidate>(), Ok(Some(_)));
                    self.checks
                        .insert(message.transaction_id(), (way, nominates));
                }
            }
            _ => {}
        }
    }

    /// The peer receives this.
    pub(super) fn received(&mut self, path: FiveTuple, payload: &[u8]) {
        if path.remote == self.server {
            self.learn_relay(path, payload);
        }
        let Some((way, inner)) = self.unwrap(path, payload) else {
            return;
        };
        self.heard.insert(way.1);
        self.silent.remove(&way.1);
        let success = MessageType::new(Class::Success, Method::BINDING);
        if MessageType::peek(inner) != Some(success) {
            return;
        }
        // What was damaged on the way is no answer.
        let answered = Message::parse(inner)
            .ok()
            .filter(Message::verify_fingerprint)
            .and_then(|message| self.checks.remove(&message.transaction_id()));
        // An answer from elsewhere proves nothing (RFC 8445 §7.2.5.2.1).
        let Some((_, nominates)) = answered.filter(|&(asked, _)| asked == way) else {
            return;
        };
        self.proven.insert(way);
        if nominates && *self.nominated.get_or_insert(way) != way {
            self.found.push(Violation::SecondNomination(way.1));
        }
    }

    /// Takes what is relayed out of its frame; nothing of what is between peer and server.
    fn unwrap<'a>(&self, path: FiveTuple, payload: &'a [u8]) -> Option<(Way, &'a [u8])> {
        if path.remote != self.server {
            let base = FiveTuple {
                remote: path.local,
                ..path
            };
            return Some(((base, path.remote), payload));
        }
        if let Some((number, length)) = channel_header(payload) {
            let peer = *self.channels.get(&(path, number))?;
            let end = CHANNEL_HEADER_LEN + usize::from(length);
            return Some((
                (self.base(path), peer),
                payload.get(CHANNEL_HEADER_LEN..end)?,
            ));
        }
        let kind = MessageType::peek(payload)?;
        if kind.class != Class::Indication {
            return None;
        }
        let message = Message::parse(payload).ok()?;
        let peer = message.get::<XorPeerAddress>().ok()??.0;
        let data = message.get::<Data<'a>>().ok()??.0;
        Some(((self.base(path), peer), data))
    }

    /// Where packets of a conversation with the server leave from.
    fn base(&self, path: FiveTuple) -> FiveTuple {
        let relayed = self.relays.get(&path);
        relayed.map_or(path, |&local| FiveTuple { local, ..path })
    }

    fn learn_relay(&mut self, path: FiveTuple, payload: &[u8]) {
        let success = MessageType::new(Class::Success, Method::ALLOCATE);
        if MessageType::peek(payload) != Some(success) {
            return;
        }
        let message = Message::parse(payload).ok();
        if let Some(Ok(Some(XorRelayedAddress(relayed)))) = message.map(|message| message.get()) {
            self.relays.insert(path, relayed);
        }
    }

    fn learn_channel(&mut self, path: FiveTuple, payload: &[u8]) {
        let request = MessageType::new(Class::Request, Method::CHANNEL_BIND);
        if MessageType::peek(payload) != Some(request) {
            return;
        }
        let Ok(message) = Message::parse(payload) else {
            return;
        };
        if let (Ok(Some(number)), Ok(Some(peer))) = (
            message.get::<ChannelNumber>(),
            message.get::<XorPeerAddress>(),
        ) {
            self.channels.insert((path, number.0), peer.0);
        }
    }
}

/// Number and length of a `ChannelData` message (RFC 8656 §12.4).
fn channel_header(payload: &[u8]) -> Option<(u16, u16)> {
    let &[a, b, c, d, ..] = payload else {
        return None;
    };
    (0x40..=0x4f)
        .contains(&a)
        .then(|| (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])))
}

#[cfg(test)]
mod tests {
    use floe_stun::{Builder, Key, XorMappedAddress};

    use super::*;

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn own() -> SocketAddr {
        address("192.168.1.2:50000")
    }

    fn peer() -> SocketAddr {
        address("62.0.2.1:50000")
    }

    fn path(to: SocketAddr) -> FiveTuple {
        FiveTuple::udp(own(), to)
    }

    fn audit() -> Audit {
        Audit::new(address("62.0.1.1:3478"))
    }

    fn binding(class: Class, id: u8, nominates: bool) -> Vec<u8> {
        let mut buffer = [0; 256];
        let kind = MessageType::new(class, Method::BINDING);
        let builder = Builder::new(&mut buffer, kind, TransactionId([id; 12]))
            .with_some(nominates.then_some(&UseCandidate))
            .with(&XorMappedAddress(own()))
            .with_integrity(&Key::short_term("password"));
        let length = builder.with_fingerprint().finish().unwrap();
        buffer[..length].to_vec()
    }

    fn found(audit: &Audit) -> Vec<Violation> {
        audit.violations().collect()
    }

    fn check(audit: &mut Audit, to: SocketAddr, id: u8, nominates: bool) {
        audit.sent(path(to), &binding(Class::Request, id, nominates));
    }

    fn answer(audit: &mut Audit, from: SocketAddr, id: u8) {
        audit.received(path(from), &binding(Class::Success, id, false));
    }

    #[test]
    fn data_goes_where_a_check_was_answered() {
        let mut audit = audit();
        check(&mut audit, peer(), 1, false);
        audit.sent(path(peer()), b"\xFFtoo early");
        assert_eq!(found(&audit), [Violation::DataToUnproven(peer())]);
        answer(&mut audit, peer(), 1);
        audit.sent(path(peer()), b"\xFFnow it may");
        assert_eq!(found(&audit).len(), 1);
    }

    #[test]
    fn an_answer_from_elsewhere_proves_nothing() {
        let mut audit = audit();
        let other = address("62.0.9.1:50000");
        check(&mut audit, peer(), 1, false);
        answer(&mut audit, other, 1);
        audit.sent(path(other), b"\xFFdata");
        assert_eq!(found(&audit), [Violation::DataToUnproven(other)]);
    }

    #[test]
    fn a_damaged_answer_proves_nothing() {
        let mut audit = audit();
        check(&mut audit, peer(), 1, false);
        let mut damaged = binding(Class::Success, 1, false);
        *damaged.last_mut().unwrap() ^= 1;
        audit.received(path(peer()), &damaged);
        audit.sent(path(peer()), b"\xFFdata");
        assert_eq!(found(&audit), [Violation::DataToUnproven(peer())]);
    }

    #[test]
    fn a_silent_address_gets_seven_packets_from_one_base() {
        let mut audit = audit();
        for id in 0..7 {
            check(&mut audit, peer(), id, false);
        }
        assert_eq!(found(&audit), []);
        check(&mut audit, peer(), 7, false);
        assert_eq!(found(&audit), [Violation::TooManyFromOneBase(peer(), 8)]);
        answer(&mut audit, peer(), 0);
        assert_eq!(found(&audit), [], "it is not silent");
        assert_eq!(audit.requests(), 8);
    }

    #[test]
    fn two_nominations_may_not_both_be_answered() {
        let mut audit = audit();
        let other = address("62.0.9.1:50000");
        for (to, id) in [(peer(), 1), (peer(), 2), (other, 3)] {
            assert_eq!(found(&audit), []);
            check(&mut audit, to, id, true);
            answer(&mut audit, to, id);
        }
        assert_eq!(found(&audit), [Violation::SecondNomination(other)]);
    }
}
