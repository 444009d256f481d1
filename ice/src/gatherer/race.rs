//! Which servers are asked from a base, and when.
//!
//! The servers of one kind race for each base. The best one is asked first; the next one when those before
//! it have failed, or have been silent for a while. The first that answers wins: what is still under
//! way is cut off, except that an answer over a stream does not end the attempts over UDP, which
//! would be better and tell more. A winner that is lost later is raced for again.

use core::net::SocketAddr;

use alloc::vec::Vec;
use core::time::Duration;
use floe_sansio::{Instant, Transport};

use super::source::{Client, Kind, Progress, Source, SourceId};
use super::{Gatherer, Origin};
use crate::agent::CommandError;
use crate::config::{Config, Policy, ServerUse};
use crate::preference::MAX_SERVERS;

/// A server that was asked is not asked again sooner than this after a loss: one that grants and
/// forgets does not keep us busy.
const REST: Duration = Duration::from_secs(5);

/// The servers of one kind, asked from one base.
#[derive(Debug, Default)]
pub(super) struct Race {
    /// In the order of preference.
    order: Vec<SourceId>,
    /// It is decided, although no server of its own has answered: a TURN server told how the base is
    /// seen too.
    decided: bool,
}

impl Gatherer {
    /// Races for each base. Where there were races before, what still works stays, what is under way
    /// goes on, and the rest begins anew.
    pub(crate) fn begin(&mut self, config: &Config, bases: &[Origin], pacing: Duration) {
        // With the relay policy nobody wants server-reflexive candidates.
        let stun_servers = match config.policy {
            Policy::All | Policy::NoHost => config.stun_servers.as_slice(),
            Policy::Relay => &[],
        };
        for origin in bases {
            for (named, &server) in stun_servers.iter().enumerate().take(MAX_SERVERS) {
                self.enter(origin, Kind::Binding, named, server, Transport::Udp);
            }
        }
        // First the quick ones, last those that need a stream.
        for over_stream in [false, true] {
            for origin in bases {
                for (named, server) in config.turn_servers.iter().enumerate().take(MAX_SERVERS) {
                    if server.transport.is_reliable() == over_stream {
                        let transport = server.transport;
                        self.enter(origin, Kind::Relay, named, server.address, transport);
                    }
                }
            }
        }
        for origin in bases {
            for kind in [Kind::Binding, Kind::Relay] {
                self.begin_race(origin.address, kind);
            }
        }
        // RFC 8445 §14.3.
        self.retransmission = config.gathering;
        if config.probing.scaled {
            let candidates = u32::try_from(self.unfinished.len()).unwrap_or(u32::MAX);
            let rto = &mut self.retransmission.rto;
            *rto = (*rto).max(pacing.saturating_mul(candidates));
        }
    }

    /// A server takes part, if it can be reached from the base, and does not yet.
    fn enter(
        &mut self,
        origin: &Origin,
        kind: Kind,
        named: usize,
        server: SocketAddr,
        transport: Transport,
    ) {
        let base = origin.address;
        let server = match origin.nat64 {
            Some(prefix) if base.is_ipv6() => prefix.embed_address(server),
            _ => server,
        };
        if base.is_ipv4() != server.is_ipv4() {
            return;
        }
        let race = self.races.entry((base, kind)).or_default();
        let sources = &self.sources;
        let known = race.order.iter().filter_map(|id| sources.get(id));
        if known
            .clone()
            .any(|it| it.named == named && it.server == server)
        {
            return;
        }
        let id = self.next_source;
        self.next_source += 1;
        race.order.push(id);
        let source = Source {
            base,
            server,
            transport,
            kind,
            named,
            path: None,
            listed: None,
            socket: None,
            client: Client::None,
            progress: Progress::Ended,
            since: None,
            not_before: Instant::ZERO,
            fresh_ports: 0,
        };
        self.sources.insert(id, source);
    }

    fn begin_race(&mut self, base: SocketAddr, kind: Kind) {
        let sources = &self.sources;
        let Some(race) = self.races.get_mut(&(base, kind)) else {
            return;
        };
        race.decided = false;
        race.order.sort_by_key(|id| {
            sources
                .get(id)
                .map(|it| (it.transport.is_reliable(), it.named))
        });
        for id in race.order.clone() {
            let again = self.sources.get(&id).is_some_and(|it| match it.progress {
                Progress::Ended => true,
                Progress::Answered => it.relayed().is_none(),
                Progress::Idle | Progress::Opening | Progress::Waiting | Progress::Asked => false,
            });
            if again {
                self.enlist(id, Instant::ZERO);
            }
        }
    }

    /// A source waits for its turn again.
    fn enlist(&mut self, id: SourceId, not_before: Instant) {
        if let Some(source) = self.sources.get_mut(&id) {
            source.since = None;
            source.not_before = not_before;
            if source.socket.is_none() {
                source.fresh_ports = 0;
            }
            let is_leaving = source.is_leaving();
            self.advance(id, Progress::Idle);
            if !is_leaving {
                self.drop_client(id);
            }
        }
    }

    /// The winner is lost: the others have their chance, the lost one last.
    pub(crate) fn race_again(&mut self, id: SourceId) {
        let Some(source) = self.sources.get(&id) else {
            return;
        };
        let Some(race) = self.races.get_mut(&(source.base, source.kind)) else {
            return;
        };
        race.order.retain(|&other| other != id);
        race.order.push(id);
        for id in race.order.clone() {
            let source = self.sources.get(&id);
            if source.is_some_and(|it| it.progress == Progress::Ended) {
                let asked = source.and_then(|it| it.since);
                self.enlist(id, asked.map_or(Instant::ZERO, |asked| asked + REST));
            }
        }
    }

    /// A server refused to relay for lack of resources: at least it can tell how the base is seen
    /// (RFC 8445 §5.1.1.2).
    pub(crate) fn ask_binding_instead(&mut self, config: &Config, id: SourceId) {
        let Some(source) = self.sources.get(&id) else {
            return;
        };
        if config.policy == Policy::Relay || source.transport != Transport::Udp {
            return;
        }
        let (base, server) = (source.base, source.server);
        // Behind those that were named for it.
        let named = MAX_SERVERS + source.named;
        let sources = &self.sources;
        let race = self.races.get(&(base, Kind::Binding));
        let mut known = race.into_iter().flat_map(|race| &race.order);
        if known.any(|id| sources.get(id).is_some_and(|it| it.server == server)) {
            return;
        }
        let origin = Origin {
            address: base,
            nat64: None,
        };
        let entered = self.next_source;
        self.enter(&origin, Kind::Binding, named, server, Transport::Udp);
        self.enlist(entered, Instant::ZERO);
    }

    /// A TURN server has told how the base is seen.
    pub(super) fn decide_binding(&mut self, base: SocketAddr) {
        if let Some(race) = self.races.get_mut(&(base, Kind::Binding)) {
            race.decided = true;
            self.changed = true;
        }
    }

    /// Lets the races go on: those whose turn it is are asked, those that are not needed any more are
    /// not.
    pub(crate) fn run_races(&mut self, config: &Config, now: Instant) {
        let due = self.due.is_some_and(|due| due <= now);
        if !core::mem::take(&mut self.changed) && !due {
            return;
        }
        self.due = None;
        let open: alloc::collections::BTreeSet<_> = (self.unfinished.iter())
            .filter_map(|id| self.sources.get(id))
            .map(|source| (source.base, source.kind))
            .collect();
        for race in open {
            self.run_race(config, now, race);
        }
        // What was done just now is known.
        self.changed = false;
    }

    fn run_race(&mut self, config: &Config, now: Instant, race: (SocketAddr, Kind)) {
        let Some(race) = self.races.get(&race) else {
            return;
        };
        let (order, decided) = (race.order.clone(), race.decided);
        let in_turn = config.servers == ServerUse::InTurn;
        // The best transport over which somebody has answered; others may only be better.
        let won = (order.iter())
            .filter_map(|id| self.sources.get(id))
            .filter(|source| source.progress == Progress::Answered)
            .map(|source| source.transport.is_reliable())
            .min();
        let won = if decided { Some(false) } else { won };
        // When the next one is asked: not before that, or not at all.
        let mut turn = Some(Instant::ZERO);
        for id in order {
            let Some(source) = self.sources.get(&id) else {
                continue;
            };
            if source.progress.is_done() {
                continue;
            }
            if in_turn && won.is_some_and(|won| won <= source.transport.is_reliable()) {
                self.give_up(id, now);
                continue;
            }
            if source.progress == Progress::Idle {
                if source.is_leaving() {
                    continue;
                }
                // One that rests holds up nobody.
                let rests = source.not_before > now;
                if let Some(due) = turn.map(|turn| turn.max(source.not_before)) {
                    if due <= now {
                        self.take_turn(id, now);
                    } else {
                        self.due = Some(self.due.map_or(due, |known| known.min(due)));
                    }
                }
                if rests {
                    continue;
                }
            }
            let since = self.sources.get(&id).and_then(|source| source.since);
            if in_turn {
                turn = match (turn, since) {
                    (Some(turn), Some(since)) => Some(turn.max(since + config.server_delay)),
                    _ => None,
                };
            }
        }
    }

    fn take_turn(&mut self, id: SourceId, now: Instant) {
        let Some(source) = self.sources.get_mut(&id) else {
            return;
        };
        source.since = Some(now);
        if source.needs_socket() {
            self.want_socket(id);
        } else {
            self.advance(id, Progress::Waiting);
        }
    }

    /// The server has another allocation for the 5-tuple of this source (437): it is asked from another
    /// port, if that has not been tried too often (RFC 8656 §7.4).
    pub(crate) fn take_fresh_port(&mut self, id: SourceId) -> Result<(), CommandError> {
        let source = self.sources.get_mut(&id).ok_or(CommandError::Ended)?;
        if source.progress != Progress::Asked || source.fresh_ports >= super::MAX_FRESH_PORTS {
            return Err(CommandError::Capacity);
        }
        source.fresh_ports += 1;
        self.close_socket(id);
        self.drop_client(id);
        self.want_socket(id);
        Ok(())
    }
}
