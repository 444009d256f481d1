//! See `turn/tests/fuzz/client.rs`.
#![no_main]

#[path = "../../turn/tests/fuzz/client.rs"]
mod client;

libfuzzer_sys::fuzz_target!(|data: &[u8]| client::run(data));
