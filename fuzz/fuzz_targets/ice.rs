//! See `floe_fuzz::ice`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| floe_fuzz::ice::run(data));
