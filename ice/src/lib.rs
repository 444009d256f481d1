//! ICE: two programs behind NATs find a path to each other.
//!
//! Each side gathers *candidates*, addresses at which it may be reached: its own, those that a STUN
//! server sees, those that a TURN server lends. It signals them to the other side by whatever means
//! the two have. Then both send *checks* between all pairs of candidates, agree on one that works,
//! send their data over it, and keep asking whether the other side still wants it.
//!
//! An [`Agent`] does all this for the data streams of one session, and does no I/O: datagrams, time and randomness
//! come in as arguments, what is to be sent and known comes out through polls (see [`floe_sansio`]).
//!
//! | to do | see |
//! |---|---|
//! | say what to gather, and how quick to be | [`Config`], [`Config::strict`] |
//! | signal this side | [`Agent::credentials`], [`Agent::pacing`], [`Event::LocalCandidate`], [`Event::GatheringComplete`] |
//! | take what the other side signalled | [`Agent::set_remote_parameters`], [`Agent::add_remote_candidate`], [`Agent::end_of_remote_candidates`] |
//! | reach a TURN server where UDP is blocked | [`TurnServer::over_tcp`], [`Event::StreamWanted`], [`Agent::stream_opened`], [`Agent::stream_failed`] |
//! | connect to the peer over TCP too | [`Config::tcp`], [`Config::tcp_addresses`], [`Agent::stream_accepted`], [`Event::StreamWanted`] |
//! | begin anew with the same peer | [`Agent::prepare_restart`], [`Agent::restart`] |
//! | have several streams or components | [`LocalAddress::on`], [`Agent::add_address`], [`Agent::send_on`], [`Agent::remove_stream`] |
//! | have many agents in one process | [`Pacer`], [`Agent::paced`] |
//! | send and receive data | [`Agent::send`], [`Input::Data`](floe_sansio::Input::Data) |
//! | resolve names of the peer (mDNS) | [`Agent::add_remote_description`], [`Event::ResolveWanted`], [`Agent::resolved`] |
//! | run a session again that went wrong | [`trace`] |
//! | know how it goes | [`Event`], [`Agent::state`], [`FailureCause`], [`Agent::stats`] |
//! | read and write candidates as SDP | the conversions between [`Candidate`] and `floe_sdp::ice::Candidate` |
//!
//! # Example
//!
//! Two hosts in one network, without servers. The loop at the end is all that a driver does.
//!
//! ```
//! use floe_ice::{Agent, Config, Event, RemoteParameters, Role, State};
//! use floe_sansio::{Datagram, HEADROOM, Input, Instant, TAILROOM};
//!
//! let mut now = Instant::ZERO;
//! let addresses = ["192.0.2.1:1000", "192.0.2.2:2000"].map(|text| text.parse().unwrap());
//! let agent = |role, address, seed| {
//!     let mut config = Config::new(role);
//!     config.addresses = vec![address];
//!     Agent::new(config, seed, now)
//! };
//! let mut agents = [
//!     agent(Role::Controlling, addresses[0], [1; 32]),
//!     agent(Role::Controlled, addresses[1], [2; 32]),
//! ];
//!
//! // Signalling: each side hears the other's credentials, and each candidate as it is found.
//! for side in [0, 1] {
//!     agents[side].gather(now);
//!     let mut parameters = RemoteParameters::new(agents[1 - side].credentials().clone());
//!     parameters.pacing = Some(agents[1 - side].pacing());
//!     agents[side].set_remote_parameters(now, parameters)?;
//! }
//! for side in [0, 1] {
//!     while let Some(event) = agents[side].poll_event() {
//!         match event {
//!             Event::LocalCandidate(candidate) => agents[1 - side].add_remote_candidate(now, candidate)?,
//!             Event::GatheringComplete => agents[1 - side].end_of_remote_candidates(now)?,
//!             _ => {}
//!         }
//!     }
//! }
//!
//! // The network: whatever one sends, the other gets.
//! while agents.iter().any(|agent| agent.state() != State::Completed) {
//!     for side in [0, 1] {
//!         while let Some(transmit) = agents[side].poll_transmit() {
//!             let mut bytes = transmit.payload.to_vec();
//!             let datagram = Datagram::whole(transmit.path.mirrored(), &mut bytes);
//!             let _ = agents[1 - side].handle_input(now, datagram);
//!         }
//!     }
//!     now = agents.iter().filter_map(Agent::poll_timeout).min().unwrap().max(now);
//!     agents.iter_mut().for_each(|agent| agent.handle_timeout(now));
//! }
//!
//! // Data: the agent says where it goes, and where it came from.
//! let mut buffer = [0; HEADROOM + 5 + TAILROOM];
//! let range = HEADROOM..HEADROOM + 5;
//! buffer[range.clone()].copy_from_slice(b"hello");
//! let route = agents[0].send(&mut buffer, range)?;
//! assert_eq!(route.path.remote, addresses[1]);
//! let datagram = Datagram::new(route.path.mirrored(), &mut buffer, route.range());
//! let Input::Data(route) = agents[1].handle_input(now, datagram) else { panic!() };
//! assert_eq!(&buffer[route.range()], b"hello");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # RFCs
//!
//! - RFC 8445 (ICE): full and lite agents, from gathering to consent and restart, with several streams
//!   and components and one pace for all agents of a process ([`Pacer`]). The strict profile,
//!   [`Config::strict`], follows it to the letter. DSCP is left to drivers, who own the sockets; what
//!   ICMP says they tell by [`Agent::unreachable`].
//! - RFC 8838 (trickle): candidates in any order at any time, end-of-candidates, generations. RFC 8840 is
//!   for the `sdp` and `peer` crates.
//! - RFC 8863: the patience with a list that looks hopeless. At its end the peer's silence counts
//!   as end-of-candidates.
//! - RFC 7675 (consent): on the pair that carries data. Requests for it serve as keepalives; a lite
//!   agent, which asks for none, sends Binding indications.
//! - RFC 5245 peers, which nominate aggressively, are followed; its agents are not imitated.
//! - RFC 8421 (dual stack): local preferences, see [`Agent::add_address`].
//! - RFC 8656: relays over UDP, and over TCP and TLS where UDP is blocked; with peers they speak UDP.
//! - RFC 6544 (TCP candidates): host candidates, if [`Config::tcp`] is on; framed as RFC 4571 wants it.
//!   Not here: mapped and relayed candidates over TCP, and simultaneous open but for the connection that
//!   a restart hands over.
//! - mDNS names (draft-ietf-mmusic-mdns-ice-candidates): the owner is asked to resolve those of the
//!   peer ([`Event::ResolveWanted`]); this side tells none. Other names are ignored, as
//!   [`Unusable::Name`].
//!
//! Where the default differs from the RFC, and [`Config::strict`] does not:
//!
//! - A check is repeated sooner than after 500 ms, in transactions of its own, and every third slot goes
//!   to repetitions ([`Probing`]).
//! - Pairs are checked in the order of what is likely to work ([`CheckOrder`]).
//! - A pair through a relay is nominated only after a moment in which a direct one may still come
//!   ([`Config::relay_hold`], and where candidates are late, [`Config::reflexive_hold`]).
//! - The session goes on without a restart after a lost nomination or path, and follows a peer whose NAT
//!   has given it another address ([`Config::recovery`]).
//! - A better class of path takes the place of the selected one where both sides say so
//!   ([`Config::renomination`]).
//! - Addresses that are silent are sent a bounded number of checks ([`Limits`]).

#![no_std]

extern crate alloc;
#[cfg(any(test, feature = "std"))]
extern crate std;

mod address;
mod agent;
mod budget;
mod candidate;
mod check;
mod check_list;
mod component;
mod config;
mod connections;
mod credentials;
mod event;
mod framing;
mod gatherer;
mod nat64;
mod order;
mod pacer;
mod preference;
mod remotes;
mod role;
mod sent;
mod stats;
mod tcp;
mod text;
pub mod trace;

pub use address::{LocalAddress, Network};
pub use agent::{Agent, CommandError, Paced, RemoteParameters, SendError, State};
pub use candidate::{Candidate, CandidateKind, candidate_priority, pair_priority};
pub use check_list::PairState;
pub use component::ComponentId;
pub use config::{
    CheckOrder, Config, DEFAULT_PACING, Limits, MIN_CONSENT_INTERVAL, MIN_KEEPALIVE, MIN_PACING,
    Policy, Probing, ServerUse, TurnServer,
};
#[doc(inline)]
pub use floe_sdp::ice::IceCredentials;

pub use event::{Endpoint, Event, FailureCause, GatheringError, NameId, SelectedPair};
pub use floe_stun::Framing;
pub use framing::frame_len;
pub use gatherer::StreamId;
pub use nat64::Nat64Prefix;
pub use pacer::Pacer;
pub use role::Role;
pub use stats::{Drops, PairStats, Stats, Switch, SwitchCause, Timeline};
pub use tcp::{TcpType, TcpUse, tcp_local_preference};
pub use text::Unusable;
