//! `floe sdp`: what is said about a session, and what would be said to it.

mod answer;
mod args;

pub(crate) use answer::run as answer;
pub(crate) use args::SdpCommand;
