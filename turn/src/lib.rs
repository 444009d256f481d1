//! TURN: a relay for those who cannot reach each other directly.
//!
//! A host behind a NAT that lets nothing in asks a server on the open Internet for an address there, a
//! *relayed address*. What peers send to it, the server hands on to the host, and the other way round.
//! This crate holds both sides as state machines that keep the [contract](floe_sansio): time,
//! randomness and bytes come in as arguments, there is no socket, clock or thread.
//!
//! - [`Client`] gets one allocation and keeps it alive, with its permissions and channels.
//! - [`Server`] serves any number of clients. [`PeerPolicy`] says whom it relays to: by default public
//!   addresses only, so that it opens no way into the network it stands in.
//!
//! Relayed bytes are never copied and never queued: they are framed in the buffer they came in. Leave
//! [`HEADROOM`](floe_sansio::HEADROOM) and [`TAILROOM`](floe_sansio::TAILROOM) around them.
//!
//! # Example
//!
//! Client and server in one memory, with nothing between them:
//!
//! ```
//! use floe_sansio::{Datagram, FiveTuple, HEADROOM, Input, Instant, TAILROOM};
//! use floe_stun::Credentials;
//! use floe_turn::{Client, ClientConfig, Server, ServerConfig};
//!
//! let now = Instant::ZERO;
//! let listener = "192.0.2.1:3478".parse().unwrap();
//! let config = ServerConfig::new(vec![listener], vec![listener.ip()], "example.org")
//!     .with_user("alice", "a long password");
//! let mut server = Server::new(config, [1; 32], now);
//!
//! let path = FiveTuple::udp("198.51.100.5:40000".parse().unwrap(), listener);
//! let credentials = Credentials::new("alice", "a long password");
//! let mut client = Client::new(ClientConfig::new(path, credentials), [2; 32], now);
//!
//! // Ask for an allocation, and for a peer. A driver would use sockets.
//! let peer = "9.9.9.9:5000".parse().unwrap();
//! client.allocate(now).unwrap();
//! client.bind_channel(now, peer).unwrap();
//! while let Some(request) = client.poll_transmit() {
//!     let mut bytes = request.payload.to_vec();
//!     let _ = server.handle_input(now, Datagram::whole(request.path.mirrored(), &mut bytes));
//!     let response = server.poll_transmit().unwrap();
//!     let mut bytes = response.payload.to_vec();
//!     let _ = client.handle_input(now, Datagram::whole(response.path.mirrored(), &mut bytes));
//! }
//! let relayed = client.relayed().unwrap();
//! assert!(client.has_channel(peer));
//!
//! // Data from the client to the peer: four bytes of header in front of it, then none.
//! let mut buffer = [0; HEADROOM + 5 + TAILROOM];
//! buffer[HEADROOM..HEADROOM + 5].copy_from_slice(b"hello");
//! let route = client.encapsulate(peer, &mut buffer, HEADROOM..HEADROOM + 5).unwrap();
//! assert_eq!(route.range().len(), 4 + 5);
//! let datagram = Datagram::new(route.path.mirrored(), &mut buffer, route.range());
//! let Input::Forward(route) = server.handle_input(now, datagram) else { panic!() };
//! assert_eq!(route.path, FiveTuple::udp(relayed, peer));
//! assert_eq!(&buffer[route.range()], b"hello");
//! ```
//!
//! # Where to look
//!
//! | for | see |
//! |---|---|
//! | getting a relayed address | [`Client`], [`ClientConfig`], [`ClientEvent`] |
//! | why it failed, and when to try again | [`AllocateError`] |
//! | running a relay | [`Server`], [`ServerConfig`], [`ServerEvent`], [`Limits`], [`Stats`] |
//! | whom a relay talks to | [`PeerPolicy`], [`Prefix`], [`AddressRange`] |
//! | the URI of a server, and the way from it to addresses | [`Uri`], [`Resolution`] |
//!
//! # RFCs
//!
//! - RFC 8656 (TURN), the client: whole, over UDP, TCP, TLS and DTLS; the driver encrypts, and cuts
//!   streams into frames with [`floe_stun::Deframer`]. SOFTWARE is sent if configured only: it tells
//!   attackers more than it helps.
//! - RFC 8656, the server: whole, over UDP, TCP, TLS and DTLS likewise, users being found at once or later
//!   ([`UserBase`]). What touches IP headers is the driver's: it sets the DF bit where a
//!   [`Route`](floe_sansio::Route) asks for it, hands ICMP errors to [`Server::icmp_error`], and copies
//!   TTL, DSCP and ECN or takes the alternate behaviour (§13 to §16). SOFTWARE as in the client; never
//!   to strangers.
//! - RFC 6062 (TCP to peers): client and server; the drivers open and join the connections, and hold
//!   what arrives before that by not reading it.
//! - RFC 8016 (mobility): client and server.
//! - RFC 7635 (tokens): the client; the server with the feature `third-party`, which is on by default,
//!   with A256GCM. Not A256CBC-HS512, which is optional.
//! - RFC 7065: [`Uri`], [`Resolution`].
//! - RFC 8489: see [`floe_stun`].

#![no_std]

extern crate alloc;
#[cfg(any(test, feature = "std"))]
extern crate std;

mod agenda;
pub mod client;
mod frame;
mod policy;
pub mod server;

#[doc(inline)]
pub use client::{
    AllocateError, Client, ClientConfig, ClientEvent, CommandError, PeerTransport, RelayPort,
    Retry, SendError, Token,
};
#[doc(inline)]
pub use floe_stun::CHANNEL_HEADER_LEN;
#[doc(no_inline)]
pub use floe_stun::{Resolution, Uri};
pub use frame::{CHANNELS, RFC5766_CHANNELS};
pub use policy::{AddressRange, AddressRangeError, PeerPolicy, PeerRefusal, Prefix, PrefixError};
#[doc(inline)]
pub use server::{
    CloseCause, Limits, RefuseReason, Server, ServerConfig, ServerEvent, Stats, Traffic,
    TrafficBudget, UserBase,
};
#[cfg(feature = "third-party")]
#[doc(inline)]
pub use server::{ThirdParty, TokenKey};
