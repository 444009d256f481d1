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

floe_sansio::fuzz_targets!(4000, corpus; client, server);

/// The corpus reaches what it was made for.
#[test]
fn every_mode_of_the_client_is_reached() {
    let reached = corpus("client")
        .iter()
        .map(|input| client::play(input))
        .fold(client::Seen::default(), client::Seen::and);
    assert_eq!(reached, client::Seen::ALL);
}

#[test]
fn all_that_the_server_can_do_is_reached() {
    let reached = corpus("server")
        .iter()
        .map(|input| server::play(input))
        .fold(server::Seen::default(), server::Seen::and);
    assert_eq!(reached, server::Seen::ALL);
}
