//! What the scenarios share.
//!
//! A scenario is run in many [`Variation`]s, each in a [`World`] of its own: two agents behind what
//! [`Plan`] puts there, a STUN/TURN server, a signalling path, and a stranger in the core. What both
//! agents sent and received is kept, as [`Packet`]s that are already taken out of relays; when a
//! world ends well it is checked that nothing unsafe happened in it.
#![allow(dead_code, unused_imports)] // each scenario uses a part

mod agent_host;
pub(crate) mod forgery;
mod packet;
mod plan;
mod variation;
mod world;

pub(crate) use agent_host::AgentHost;
pub(crate) use packet::{Packet, Stun};
pub(crate) use plan::Plan;
pub(crate) use variation::{Variation, for_each_variation, for_variations};
pub(crate) use world::{Node, Withheld, World};

use core::time::Duration;

pub(crate) const fn millis(n: u64) -> Duration {
    Duration::from_millis(n)
}

pub(crate) const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}
