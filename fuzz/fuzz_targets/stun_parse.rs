//! See `stun/tests/fuzz/parse.rs`.
#![no_main]

#[path = "../../stun/tests/fuzz/parse.rs"]
mod parse;

libfuzzer_sys::fuzz_target!(|data: &[u8]| parse::run(data));
