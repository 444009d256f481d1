//! The fuzz bodies of this crate: each over its corpus, and over some thousand mutations of it, the same
//! ones each time. `fuzz/` gives the same bodies to libFuzzer.

use std::fs;
use std::path::Path;

/// The files of `tests/corpus/<target>`, by name.
fn corpus(target: &str) -> Vec<Vec<u8>> {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/corpus");
    let entries = fs::read_dir(Path::new(directory).join(target)).unwrap();
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

floe_sansio::fuzz_targets!(20_000, corpus; client, discovery, parse, server, stream);
