//! `floe stun`: what is in a STUN message.

mod args;
mod decode;
pub(crate) mod fact;
mod fault;
mod form;
mod hex;
mod input;
mod proof;
mod report;
mod text;

pub(crate) use args::StunCommand;
pub(crate) use decode::run as decode;
