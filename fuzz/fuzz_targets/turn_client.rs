//! See `floe_fuzz::turn_client`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| floe_fuzz::turn_client::run(data));
