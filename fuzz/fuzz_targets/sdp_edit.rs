//! See `sdp/tests/fuzz/edit.rs`.
#![no_main]

#[path = "../../sdp/tests/fuzz/edit.rs"]
mod edit;

libfuzzer_sys::fuzz_target!(|data: &[u8]| edit::run(data));
