//! TURN: a relay for those who cannot reach each other directly.

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
pub use client::{AllocateError, Client, ClientConfig, ClientEvent, CommandError, SendError};
pub use frame::{CHANNEL_HEADER_LEN, CHANNELS};
pub use policy::{PeerPolicy, Prefix, PrefixError};
#[doc(inline)]
pub use server::{
    CloseCause, Limits, Server, ServerConfig, ServerEvent, Stats, Traffic,
};
