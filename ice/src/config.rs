//! What an agent is told at birth, and its limits.

use alloc::vec::Vec;
use core::net::SocketAddr;
use core::time::Duration;

use floe_sansio::Transport;
use floe_stun::{Credentials as TurnCredentials, Retransmission};

use crate::role::Role;

/// Which candidates an agent gathers and uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Policy {
    /// All of them.
    #[default]
    All,
    /// Relayed ones only: the peer never learns this host's addresses.
    Relay,
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
    /// UDP works no connection is opened, see [`Config::stream_delay`].
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
pub struct Config {
    /// The role to begin with: the side that offers controls.
    pub role: Role,
    /// The transport addresses that the driver has bound for this agent, best first; each becomes a
    /// host candidate.
    pub addresses: Vec<SocketAddr>,
    /// Whether loopback addresses may be host candidates; RFC 8445 §5.1.1.1 says no.
    pub loopback: bool,
    /// Servers to ask for server-reflexive candidates.
    pub stun_servers: Vec<SocketAddr>,
    /// Servers to ask for relayed candidates.
    pub turn_servers: Vec<TurnServer>,
    /// Which candidates to use.
    pub policy: Policy,
    /// Ta: the time between two checks, 5 ms at least. The larger value of both sides counts
    /// (RFC 8445 §14.2); one other than 50 ms has to be signalled.
    pub pacing: Duration,
    /// How a check is repeated until it is answered.
    pub probing: Probing,
    /// How requests to servers are repeated while gathering.
    pub gathering: Retransmission,
    /// How long a relay over UDP is waited for, from when it is asked, before a connection to a TURN
    /// server is opened from the same address. At once where UDP has failed, or no server is
    /// configured for it; never once there is such a relay.
    pub stream_delay: Duration,
    /// When gathering ends, complete or not.
    pub gathering_limit: Duration,
    /// How long a valid pair that goes through a relay waits for a direct one before it is
    /// nominated, beside one round trip.
    pub relay_hold: Duration,
    /// How long, from the beginning of gathering, a valid pair that goes through a relay is not
    /// nominated while a server-reflexive candidate may still come: where this side has reached its
    /// relay over a stream and no server has answered it over UDP yet, or where the peer has told
    /// private addresses and a relay, and not that it has no more. (Of the peer it counts from
    /// [`Agent::set_remote_parameters`](crate::Agent::set_remote_parameters).) Data flows meanwhile.
    ///
    /// It is the time in which the second retransmission of a request is answered.
    pub reflexive_hold: Duration,
    /// Upper bounds on what the other side can make this one hold.
    pub limits: Limits,
}

impl Config {
    /// The default profile, with no addresses and no servers yet.
    pub fn new(role: Role) -> Self {
        Self {
            role,
            addresses: Vec::new(),
            loopback: false,
            stun_servers: Vec::new(),
            turn_servers: Vec::new(),
            policy: Policy::All,
            pacing: MIN_PACING,
            probing: Probing::default(),
            gathering: Retransmission::default(),
            stream_delay: Duration::from_millis(250),
            gathering_limit: Duration::from_secs(5),
            relay_hold: Duration::from_millis(100),
            reflexive_hold: REFLEXIVE_HOLD,
            limits: Limits::default(),
        }
    }

    /// The timing of RFC 8445 to the letter: Ta 50 ms, RTO 500 ms.
    #[must_use]
    pub fn strict(mut self) -> Self {
        self.pacing = DEFAULT_PACING;
        self.probing.interval = Duration::from_millis(500);
        self
    }
}

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
}

impl Default for Probing {
    fn default() -> Self {
        Self {
            interval: Duration::from_millis(100),
            count: 7,
            patience: Duration::from_secs(8),
        }
    }
}

/// Upper bounds on what the other side can make this one hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Candidate pairs (RFC 8445 §6.1.2.5).
    pub pairs: usize,
    /// Remote candidates, signalled and peer-reflexive.
    pub remote_candidates: usize,
    /// Checks remembered that came before the peer's credentials.
    pub early_checks: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            pairs: 100,
            remote_candidates: 100,
            early_checks: 32,
        }
    }
}
