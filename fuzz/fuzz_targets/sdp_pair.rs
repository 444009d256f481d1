//! See `sdp/tests/fuzz/pair.rs`.
#![no_main]

#[path = "../../sdp/tests/fuzz/pair.rs"]
mod pair;

libfuzzer_sys::fuzz_target!(|data: &[u8]| pair::run(data));
