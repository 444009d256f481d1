//! See `sdp/tests/fuzz/negotiate.rs`.
#![no_main]

#[path = "../../sdp/tests/fuzz/negotiate.rs"]
mod negotiate;

libfuzzer_sys::fuzz_target!(|data: &[u8]| negotiate::run(data));
