//! See `floe_fuzz::stun`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| floe_fuzz::stun::run(data));
