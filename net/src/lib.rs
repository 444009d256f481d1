//! tokio drivers for the floe state machines.
