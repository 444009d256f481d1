//! See `sdp/tests/fuzz/document.rs`.
#![no_main]

#[path = "../../sdp/tests/fuzz/document.rs"]
mod document;

libfuzzer_sys::fuzz_target!(|data: &[u8]| document::run(data));
