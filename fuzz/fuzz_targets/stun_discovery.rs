//! See `stun/tests/fuzz/discovery.rs`.
#![no_main]

#[path = "../../stun/tests/fuzz/discovery.rs"]
mod discovery;

libfuzzer_sys::fuzz_target!(|data: &[u8]| discovery::run(data));
