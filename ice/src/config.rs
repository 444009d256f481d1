//! What an agent is told at birth, and its limits.

use alloc::vec::Vec;
use core::net::SocketAddr;
use core::time::Duration;

use floe_sansio::Transport;
use floe_stun::{Credentials as TurnCredentials, Retransmission};

use crate::nat64::Nat64Prefix;
use crate::role::Role;
use crate::tcp::TcpUse;

/// Which candidates an agent gathers and uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Policy {
    /// All of them.
    #[default]
    All,
    /// Relayed ones only: the peer never learns this host's addresses.
    Relay,
    /// All but host candidates, which are neither told nor named as related addresses: the peer learns
    /// only what the outside of the NAT and the relay are.
    NoHost,
}

/// In which order pairs are checked for the first time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum CheckOrder {
    /// By priority (RFC 8445 §6.1.4.2).
    Priority,
    /// First what is likely to work: pairs of the best addresses of both sides in each family, whatever
    /// their kind, then of the second best; every third first check goes to a pair with a relay. A host with many
    /// addresses that lead nowhere is not slowed down by them.
    #[default]
    LikelyFirst,
}

/// How many servers are asked for the same thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum ServerUse {
    /// One answer from each address is enough for each kind of candidate. The others are asked if
    /// those before them fail, or are silent for [`Config::server_delay`]: in the order in which they
    /// are named, but TURN servers over TCP and TLS after all that are reached over UDP. Where one has
    /// answered, the rest is cut off; only an answer over UDP is still waited for where the first
    /// came over a connection.
    #[default]
    InTurn,
    /// All at once; each gives candidates.
    All,
}

/// A TURN server, how to reach it, and who to be there.
#[derive(Clone, Debug)]
pub struct TurnServer {
    /// Its transport address.
    pub address: SocketAddr,
    /// What carries the conversation with it; with peers it speaks UDP. Over TCP and TLS the owner
    /// opens a connection where one is wanted, see
    /// [`Event::StreamWanted`](crate::Event::StreamWanted). Over TLS and DTLS it encrypts.
    pub transport: Transport,
    /// The user.
    pub credentials: TurnCredentials,
}

impl TurnServer {
    /// A server that is reached over UDP.
    ///
    /// Name one that can be reached over TCP too a second time, [`over_tcp`](Self::over_tcp): where
    /// UDP works no connection is opened, see [`Config::server_delay`].
    pub const fn new(address: SocketAddr, credentials: TurnCredentials) -> Self {
        Self {
            address,
            transport: Transport::Udp,
            credentials,
        }
    }

    /// The same server, reached over TCP.
    #[must_use]
    pub fn over_tcp(mut self) -> Self {
        self.transport = Transport::Tcp;
        self
    }

    /// The same server, reached over TLS; the encryption is its owner's.
    #[must_use]
    pub fn over_tls(mut self) -> Self {
        self.transport = Transport::Tls;
        self
    }
}

/// What an [`Agent`](crate::Agent) is told at birth.
#[derive(Clone, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent features, each with a name of its own"
)]
pub struct Config {
    /// The role to begin with: the side that offers controls.
    pub role: Role,
    /// Whether this is a lite agent (RFC 8445 §2.5): with host candidates alone, on an address that
    /// everybody reaches. It sends no checks, answers those of the peer, and is controlled by a full
    /// peer.
    pub lite: bool,
    /// The transport addresses that the driver has bound for the first component of the first stream,
    /// best first; each becomes a host candidate. Others, and more about them, are for
    /// [`Agent::add_address`](crate::Agent::add_address).
    pub addresses: Vec<SocketAddr>,
    /// Whether candidates over TCP are used beside those over UDP (RFC 6544).
    pub tcp: TcpUse,
    /// The transport addresses at which the driver listens for TCP connections of the peer, for the first
    /// component of the first stream, best first; each becomes a passive candidate if
    /// [`tcp`](Self::tcp) is on. Others are for [`Agent::add_address`](crate::Agent::add_address), see
    /// [`LocalAddress::listening`](crate::LocalAddress::listening).
    pub tcp_addresses: Vec<SocketAddr>,
    /// Whether loopback addresses may be host candidates; RFC 8445 §5.1.1.1 says no.
    pub loopback: bool,
    /// Servers to ask for server-reflexive candidates, best first; more than 128 are not asked.
    pub stun_servers: Vec<SocketAddr>,
    /// Servers to ask for relayed candidates, best first; more than 128 are not asked.
    pub turn_servers: Vec<TurnServer>,
    /// Which candidates to use.
    pub policy: Policy,
    /// Ta: the time between two checks, 5 ms at least. The larger value of both sides counts
    /// (RFC 8445 §14.2); one other than 50 ms has to be signalled.
    pub pacing: Duration,
    /// How many slots are Ta apart. Later ones are [`settled_pacing`](Self::settled_pacing) apart,
    /// but for triggered checks and nominations.
    pub burst: u32,
    /// See [`burst`](Self::burst); Ta where that is longer.
    pub settled_pacing: Duration,
    /// In which order pairs are checked.
    pub order: CheckOrder,
    /// How a check is repeated until it is answered.
    pub probing: Probing,
    /// How long after a nominating check a second one follows at the latest, if it has not been answered: all
    /// waits for this one, and where packets are lost at random, two get through more often. Others
    /// follow as [`probing`](Self::probing) says.
    pub nomination_repeat: Duration,
    /// How requests to servers are repeated. With [`Probing::scaled`] the RTO is Ta times the number
    /// of servers to be asked where that is longer (RFC 8445 §14.3).
    pub gathering: Retransmission,
    /// How many servers of a kind are asked from each address.
    pub servers: ServerUse,
    /// How long a server is waited for, from when it is asked or a connection to it is wanted, before
    /// the next one of its kind is asked from the same address as well. At once where it has failed.
    pub server_delay: Duration,
    /// How a host with IPv6 alone reaches IPv4 servers: through a NAT64 with this prefix
    /// (RFC 8445 §5.1.1.2). They are asked from addresses of networks that have no IPv4 address. Where
    /// there is no IPv4 address at all, the public IPv4 candidates of the peer are checked through it.
    pub nat64_prefix: Option<Nat64Prefix>,
    /// When gathering ends, complete or not. It may take twice as long where no server has answered and
    /// one is asked over a connection: a system repeats the first packet of a connection after 1, 3 and
    /// 7 s only.
    pub gathering_limit: Duration,
    /// How long a valid pair that goes through a relay waits for a direct one before it is
    /// nominated, beside one round trip.
    pub relay_hold: Duration,
    /// How long in all it waits while a direct pair has not been checked even once, because there are
    /// many.
    pub untested_hold: Duration,
    /// How long, from the beginning of gathering, a valid pair that goes through a relay is not
    /// nominated while a server-reflexive candidate may still come: where this side has reached its
    /// relay over a stream and no server has answered it over UDP yet, or where the peer has told
    /// private addresses and a relay, and not that it has no more. (Of the peer it counts from
    /// [`Agent::set_remote_parameters`](crate::Agent::set_remote_parameters).) Data flows meanwhile.
    ///
    /// It is the time in which the second retransmission of a request is answered.
    pub reflexive_hold: Duration,
    /// The mean time between two requests for consent while the peer answers, 5 s at least
    /// (RFC 7675 §5.1). A request that was not answered is followed after 4 to 6 s, whatever this is.
    pub consent_interval: Duration,
    /// Tr: a lite agent, which asks for no consent, sends a keepalive after so long without a packet. 15 s
    /// at least (RFC 8445 §11). Where all NATs on the way are known, their longest.
    pub keepalive: Duration,
    /// Whether the session goes on without a restart when a nomination was not answered, or the
    /// selected pair is lost: over another pair that works, or after checking all of them again.
    /// RFC 8445 has only the restart for it (§7.2.5.3.4, §8.1.1).
    pub recovery: bool,
    /// Without a path for so long, [`Event::Disconnected`](crate::Event::Disconnected) says so.
    pub outage_notice: Duration,
    /// Whether to offer the peer renomination: that the controlling agent may nominate another pair
    /// later, where a better class of path has turned up or the selected one is lost. It is done if
    /// both sides signalled it (`a=ice-options:renomination`).
    pub renomination: bool,
    /// How long a selected pair is kept before renomination changes it for a better one.
    pub dwell: Duration,
    /// Whether the best relay is kept for bad days when the selected pair needs none. Others are
    /// released 3 s after completion (RFC 8445 §8.3.1).
    pub backup_relay: bool,
    /// Whether gathering never ends: candidates of interfaces that come later are signalled too, and
    /// end-of-candidates never is.
    pub continual: bool,
    /// Comprehension-optional attributes (0x8000 and up) of the peer's checks and answers that the
    /// owner wants to read, see [`Event::Piggyback`](crate::Event::Piggyback).
    pub piggyback: Vec<u16>,
    /// Upper bounds on what the other side can make this one hold.
    pub limits: Limits,
}

impl Config {
    /// The default profile, with no addresses and no servers yet.
    pub fn new(role: Role) -> Self {
        Self {
            role,
            lite: false,
            addresses: Vec::new(),
            tcp: TcpUse::Off,
            tcp_addresses: Vec::new(),
            loopback: false,
            stun_servers: Vec::new(),
            turn_servers: Vec::new(),
            policy: Policy::All,
            pacing: MIN_PACING,
            burst: 20,
            settled_pacing: Duration::from_millis(20),
            order: CheckOrder::LikelyFirst,
            probing: Probing::default(),
            nomination_repeat: Duration::from_millis(25),
            gathering: Retransmission::default(),
            servers: ServerUse::InTurn,
            server_delay: Duration::from_millis(250),
            nat64_prefix: None,
            gathering_limit: Duration::from_secs(5),
            relay_hold: Duration::from_millis(100),
            untested_hold: Duration::from_secs(1),
            reflexive_hold: REFLEXIVE_HOLD,
            consent_interval: MIN_CONSENT_INTERVAL,
            keepalive: MIN_KEEPALIVE,
            recovery: true,
            outage_notice: Duration::from_secs(1),
            renomination: true,
            dwell: Duration::from_secs(1),
            backup_relay: true,
            continual: false,
            piggyback: Vec::new(),
            limits: Limits::default(),
        }
    }

    /// RFC 8445 to the letter: its times (Ta 50 ms, RTO 500 ms and more where there is much to check),
    /// its order of checks, one nomination, and a session that is over when its path is.
    #[must_use]
    pub fn strict(mut self) -> Self {
        self.pacing = DEFAULT_PACING;
        self.burst = u32::MAX;
        self.order = CheckOrder::Priority;
        self.probing.interval = Duration::from_millis(500);
        self.probing.scaled = true;
        self.nomination_repeat = Duration::MAX;
        self.recovery = false;
        self.renomination = false;
        self.backup_relay = false;
        self.limits.checks_to_silent_address = usize::MAX;
        self.limits.checks_to_silent_host = usize::MAX;
        self
    }

    /// For devices that sleep: consent is asked for every 15.5 s, less than 240 times an hour whatever the
    /// dice say; no relay is kept in reserve.
    #[must_use]
    pub fn idle(mut self) -> Self {
        self.consent_interval = Duration::from_millis(15_500);
        self.backup_relay = false;
        self
    }

    /// The time between keepalives, whatever was configured.
    pub(crate) fn keepalive(&self) -> Duration {
        self.keepalive.max(MIN_KEEPALIVE)
    }

    /// For a server with a public address and many sessions: it asks no servers, uses what its peers
    /// do, and keeps little for each.
    #[must_use]
    pub fn server(mut self) -> Self {
        self.stun_servers = Vec::new();
        self.turn_servers = Vec::new();
        self.backup_relay = false;
        self.probing.count = 4;
        self.limits.pairs = 32;
        self.limits.remote_candidates = 32;
        self
    }
}

/// The time between two requests for consent that nobody may go below on average (RFC 7675 §5.1).
pub const MIN_CONSENT_INTERVAL: Duration = Duration::from_secs(5);

/// The time between two keepalives that nobody may go below (RFC 8445 §11: Tr).
pub const MIN_KEEPALIVE: Duration = Duration::from_secs(15);

/// RTO 500 ms, once more the double (RFC 8489 §6.2.1), and 100 ms for the round trip.
const REFLEXIVE_HOLD: Duration = Duration::from_millis(500 + 1000 + 100);

/// The time between two transactions that nobody may go below (RFC 8445 §14.2).
pub const MIN_PACING: Duration = Duration::from_millis(5);

/// The Ta of a peer that says nothing about it (RFC 8445 §14.2).
pub const DEFAULT_PACING: Duration = Duration::from_millis(50);

/// How a check is repeated.
///
/// Each repetition is a transaction of its own, so that the answer to any of them counts and says
/// how long the round trip took. With an interval of 500 ms the times are those of RFC 8489
/// retransmissions. (The default is quicker than the RTO of 500 ms that RFC 8445 §14.3 sets for the
/// retransmissions *within* a transaction.)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probing {
    /// From the first to the second; it doubles each time.
    pub interval: Duration,
    /// How many are sent in all, from one base to one address.
    pub count: u8,
    /// How long after the last one the pair fails.
    pub patience: Duration,
    /// Whether the interval is Ta times the number of checks to be performed where that is longer
    /// (RFC 8445 §14.3).
    pub scaled: bool,
}

impl Default for Probing {
    fn default() -> Self {
        Self {
            interval: Duration::from_millis(100),
            count: 7,
            patience: Duration::from_secs(8),
            scaled: false,
        }
    }
}

/// Upper bounds on what the other side can make this one hold, and send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Candidate pairs of all streams together (RFC 8445 §6.1.2.5).
    pub pairs: usize,
    /// Remote candidates, signalled and peer-reflexive.
    pub remote_candidates: usize,
    /// Those of them that are peer-reflexive, on either side.
    pub peer_reflexive: usize,
    /// Names of the peer that are resolved, until the next restart.
    pub names: usize,
    /// Checks remembered that came before the peer's credentials.
    pub early_checks: usize,
    /// Components of all streams together.
    pub components: usize,
    /// TCP connections that were accepted.
    pub accepted_streams: usize,
    /// Checks, of all bases together and until the next restart, to one transport address that has not
    /// answered any (RFC 8445 §19.5.1).
    pub checks_to_silent_address: usize,
    /// The same to all ports of one IP address together.
    pub checks_to_silent_host: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            pairs: 100,
            remote_candidates: 100,
            names: 16,
            peer_reflexive: 50,
            early_checks: 32,
            components: 64,
            accepted_streams: 32,
            checks_to_silent_address: 28,
            checks_to_silent_host: 112,
        }
    }
}
