//! See `floe_fuzz::candidate`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| floe_fuzz::candidate::run(data));
