//! The virtual-time network in which floe is proven.
//!
//! Worlds of hosts, NATs and firewalls, in which simulated time passes as fast as the machine can
//! compute and every run can be repeated bit for bit. What runs on the hosts is an [`Endpoint`]: the
//! protocol machines of floe, or anything else that speaks datagrams.
//!
//! | part | what it is |
//! |---|---|
//! | [`Topology`], [`Site`], [`Preset`] | the plan of a world: hosts behind NATs behind NATs |
//! | [`NatConfig`], [`Nat`] | NATs as independent axes: mapping × filtering × port allocation × refresh × timers × hairpinning |
//! | [`Link`] | delay, jitter, loss, duplication, corruption |
//! | [`Simulation`], [`Network`], [`Endpoint`] | the world in motion, with a signalling path beside it |
//! | [`Fate`], [`Passing`] | taps: datagrams and signalling messages held back, repeated, rewritten |
//! | [`TcpConfig`], [`StreamCommand`], [`StreamEvent`] | the TCP of its hosts |
//! | [`Log`] | what happened to each packet, where, and why |
//! | [`Oracle`], [`Judgement`] | what must be possible, from the plan alone, and what a run is held against it |
//! | [`SessionConfig`], [`Session`], [`Report`] | one whole negotiation between two real peers, with a real server, and the call that follows |
//! | [`Draw`], [`bound`], [`quantile`] | what connecting is measured with, and against |
//! | [`SurveyConfig`], [`Survey`] | one behaviour discovery (RFC 5780): what kind of NAT a host finds itself behind |
//! | [`probe`] | the simplest hole puncher, the oracle's independent witness |
//! | [`Case`], [`Finding`] | random search: worlds, faults and orders of signalling drawn from a seed, and what no run may show |
//! | [`Random`], [`EventQueue`] | randomness keyed by name and number, events in a defined order |
//!
//! # Example
//!
//! Two hosts behind NATs. One NAT lets in only what was asked for, so the first packet from outside
//! is dropped, and after a packet the other way it passes.
//!
//! ```
//! use std::time::Duration;
//!
//! use floe_sansio::{Datagram, FiveTuple, Input, Instant, Transmit};
//! use floe_sim::{Endpoint, Link, Preset, Simulation, Site, Topology};
//!
//! /// Counts what it gets.
//! struct Counter(u32);
//!
//! impl Endpoint for Counter {
//!     fn receive(&mut self, _now: Instant, _datagram: Datagram<'_>) -> Input {
//!         self.0 += 1;
//!         Input::Handled
//!     }
//!     fn timeout(&mut self, _now: Instant) {}
//!     fn poll_transmit(&mut self) -> Option<Transmit> { None }
//!     fn deadline(&self) -> Option<Instant> { None }
//! }
//!
//! let mut world = Topology::new();
//! let access = Site::public(Link::delay(Duration::from_millis(10)));
//! let home_a = world.preset("home-a", access, Preset::FullCone);
//! let home_b = world.preset("home-b", access, Preset::PortRestricted);
//! let (a, b) = (world.host("a", home_a), world.host("b", home_b));
//!
//! let mut run = Simulation::new(&world, 1)?;
//! run.attach(a, Counter(0));
//! run.attach(b, Counter(0));
//! run.log_mut().record(true);
//!
//! // Both NATs keep the port where they can, so each side's outside address is known here.
//! let outside = |run: &Simulation<Counter>, site: Site| {
//!     (run.network().nat(site.segment).unwrap().external(), 5000).into()
//! };
//! let (outside_a, outside_b) = (outside(&run, home_a), outside(&run, home_b));
//! let mut send = |from, to| {
//!     let path = FiveTuple::udp((world.address(from), 5000).into(), to);
//!     run.send(from, Transmit { path, payload: b"hello".as_slice().into() });
//!     let _ = run.wait(Duration::from_secs(1));
//!     (run.endpoint(a).unwrap().0, run.endpoint(b).unwrap().0)
//! };
//! assert_eq!(send(a, outside_b), (0, 0)); // home-b: no mapping yet
//! assert_eq!(send(b, outside_a), (1, 0)); // passes, and opens home-b for a
//! assert_eq!(send(a, outside_b), (1, 1));
//!
//! let log = run.log().json_lines();
//! assert!(log.lines().nth(2).unwrap().ends_with(r#""cause":"no-mapping","payload":"68656c6c6f"}"#));
//! # Ok::<(), floe_sim::TopologyError>(())
//! ```
//!
//! # A whole negotiation
//!
//! Two real `peer` connections, a real STUN/TURN server, a signalling path:
//!
//! ```
//! use floe_sim::{Path, Preset, SessionConfig};
//!
//! let (report, _log) = SessionConfig::new(Preset::FullCone, Preset::Symmetric).run()?;
//! assert_eq!(report.outcome, Path::Direct);
//! assert_eq!(report.judgement.name(), "agreed");
//! println!("both can send after {:?}", report.valid().unwrap());
//! # Ok::<(), floe_sim::SessionError>(())
//! ```
//!
//! # Determinism
//!
//! Time is an integer, events at one instant have an order, and nothing asks a clock, a thread or a
//! hash map. Random draws are keyed by (seed, entity, purpose, index), where entities are named: adding
//! a host changes nothing for the others, unless they share something, such as a NAT's next port.
//!
//! # What it models, and what not
//!
//! | source | what is left out |
//! |---|---|
//! | RFC 4787 (NAT and UDP) | address pools, port parity and contiguity, overloading beyond [`Mapping::PerFlow`], ICMP, fragments, ALGs |
//! | RFC 6888 (carrier NATs) | port blocks, hold times |
//! | RFC 5382, 7857 (NAT and TCP) | simultaneous open, ICMP for unsolicited SYNs, resets sent by the NAT; a segment that is no SYN makes no mapping |
//! | RFC 9293 (TCP) | windows that change and are scaled, urgent data, simultaneous open, keep-alives, path MTU |
//! | RFC 5681 (congestion control) | all: a connection has a window of a fixed size under way; what is lost is repeated after a timeout (RFC 6298), never after duplicate acknowledgments; each segment is acknowledged at once |
//! | RFC 5508 (ICMP) | all |
//!
//! Links have no rate, queue or MTU yet, and losses are independent of each other.

mod cause;
mod clock;
mod endpoint;
mod firewall;
mod link;
mod log;
mod measure;
mod nat;
mod network;
mod oracle;
mod preset;
mod prober;
mod queue;
mod random;
mod search;
mod session;
mod simulation;
mod slab;
mod stream;
mod survey;
mod tap;
mod tcp;
mod topology;

pub use cause::DropCause;
pub use endpoint::{Endpoint, Message};
pub use firewall::Firewall;
pub use link::{Delay, Link};
pub use log::{Direction, Entry, Happening, Incident, Log, NodeId, PacketId};
pub use measure::{Bound, Draw, RE_PROBE, bound, quantile};
pub use nat::{
    Allocation, Filtering, Hairpin, Mapping, Nat, NatConfig, NatConfigError, NatLimits, NatTimers,
    Refresh, Verdict,
};
pub use network::{Counters, Network};
pub use oracle::{Expectation, Judgement, Oracle, Path};
pub use preset::Preset;
pub use prober::{Prober, Puncher, Reflector, probe};
pub use queue::EventQueue;
pub use random::{Probability, Purpose, Random, entity};
pub use search::{Case, Control, Examined, Finding};
pub use session::{
    Disorder, PeerHost, Report, ServerFailure, ServerHost, Session, SessionConfig, SessionError,
    SessionHost, SideReport, Tally, Timeline, Violation, World,
};
pub use simulation::{Simulation, Stop};
pub use stream::{StreamCommand, StreamError, StreamEvent};
pub use survey::{DiscoveryHost, Step, Survey, SurveyConfig};
pub use tap::{Fate, Passing};
pub use tcp::{Flags, TcpConfig, TcpHeader};
pub use topology::{HostId, Layer, SegmentId, Site, Subnet, Topology, TopologyError};
