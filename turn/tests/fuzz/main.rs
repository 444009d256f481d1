//! The fuzz bodies of this crate: each over its corpus, and over some thousand mutations of it, the same
//! ones each time. `fuzz/` gives the same bodies to libFuzzer.

floe_sansio::fuzz_targets!(4000; client);

/// The corpus reaches what it was made for.
#[test]
fn every_mode_of_the_client_is_reached() {
    let reached = corpus("client")
        .iter()
        .map(|input| client::play(input))
        .fold(client::Seen::default(), client::Seen::and);
    assert_eq!(reached, client::Seen::ALL);
}
