//! What is measured: one function an operation, for the criterion benches (`benches/`) and for the
//! instruction counts (`examples/count.rs`).

pub mod ice;
pub mod negotiation;
pub mod sdp;
pub mod stun;
pub mod turn;
