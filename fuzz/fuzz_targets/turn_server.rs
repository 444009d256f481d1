//! See `turn/tests/fuzz/server.rs`.
#![no_main]

#[path = "../../turn/tests/fuzz/server.rs"]
mod server;

libfuzzer_sys::fuzz_target!(|data: &[u8]| server::run(data));
