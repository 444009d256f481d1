//! See `stun/tests/fuzz/server.rs`.
#![no_main]

#[path = "../../stun/tests/fuzz/server.rs"]
mod server;

libfuzzer_sys::fuzz_target!(|data: &[u8]| server::run(data));
