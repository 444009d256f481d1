//! The fuzz bodies of this crate: each over its corpus, and over some thousand mutations of it, the same
//! ones each time. `fuzz/` gives the same bodies to libFuzzer.

floe_sansio::fuzz_targets!(20_000; client, discovery, parse, server, stream);
