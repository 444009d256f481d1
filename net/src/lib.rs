//! The floe state machines on real sockets, with tokio.
//!
//! | for | see |
//! |---|---|
//! | a STUN and TURN server over UDP and TCP | [`Server`] |
//! | an ICE agent: candidates in and out, data over the path it finds | [`Agent`] |
//! | the same with offer and answer as SDP | [`Connection`] |
//! | any other machine that keeps the [contract](floe_sansio) | [`Driver::bind_with`] |
//! | how to write a driver of your own | [`embedding`] |
//!
//! The machines know no socket, clock or random source. A driver gives them all three, and holds
//! nothing else: one loop waits for datagrams on all its sockets and for the machine's next
//! deadline, tells the machine, and sends what it wants sent. There is no task and no thread beside
//! the one that awaits [`Driver::next`] or [`Server::run`].
//!
//! A send that the operating system refuses is the loss of that datagram and nothing more:
//! [`Counters`] count them.
//!
//! # Example
//!
//! A server on loopback, and a client that asks it for an allocation (see `examples/` for whole
//! programs):
//!
//! ```
//! use floe_ice::{Config, Policy, Role, TurnServer};
//! use floe_net::{Agent, Event, Server};
//! use floe_stun::Credentials;
//! use floe_turn::ServerConfig;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> std::io::Result<()> {
//! let listener = "127.0.0.1:0".parse().unwrap();
//! let config = ServerConfig::new(vec![listener], vec![listener.ip()], "example.org")
//!     .with_user("alice", "a long password");
//! let mut server = Server::bind(config)?;
//!
//! let mut config = Config::new(Role::Controlling);
//! config.addresses = vec!["127.0.0.1:0".parse().unwrap()];
//! config.policy = Policy::Relay;
//! config.turn_servers = vec![TurnServer::new(server.local_addr(), Credentials::new("alice", "a long password"))];
//! let mut agent = Agent::bind(config)?;
//! agent.command(|agent, now| agent.gather(now));
//! let candidate = tokio::select! {
//!     event = agent.next() => event,
//!     () = server.run(std::future::pending(), |event| println!("{event}")) => unreachable!(),
//! };
//! assert!(matches!(candidate, Event::Machine(floe_ice::Event::LocalCandidate(_))));
//! # Ok(())
//! # }
//! ```
//!
//! # Not yet
//!
//! TLS and DTLS; relaying TCP (RFC 6062); ICMP errors (sockets that send to many peers are not told of
//! them); segmentation offload; answers from the address that was asked on a listener
//! that is bound to all addresses; a pacer that several agents of one host share (RFC 8445 §14.2);
//! temporary IPv6 addresses told from permanent ones (RFC 8445 §5.1.1.1).

mod addresses;
mod agent;
mod clock;
mod driver;
mod errand;
mod io;
mod rotation;
mod seed;
mod server;
mod sockets;
mod streams;

#[doc = include_str!("../../docs/embedding.md")]
pub mod embedding {}

pub use agent::{Agent, Connection};
pub use clock::Clock;
pub use driver::{Carrier, Driver, Event};
pub use seed::seed;
pub use server::{Server, ServerEvent};
pub use sockets::Counters;
pub use streams::StreamLimits;
