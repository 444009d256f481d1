//! See `stun/tests/fuzz/stream.rs`.
#![no_main]

#[path = "../../stun/tests/fuzz/stream.rs"]
mod stream;

libfuzzer_sys::fuzz_target!(|data: &[u8]| stream::run(data));
