//! The fuzz bodies of this crate: each over the descriptions of `tests/data`, and over some thousand
//! mutations of them, the same ones each time. `fuzz/` gives the same bodies to libFuzzer.

use std::fs;
use std::path::{Path, PathBuf};

/// The descriptions, and what was found before (`tests/corpus/<target>`), by name.
fn corpus(target: &str) -> Vec<Vec<u8>> {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let files = |directory: PathBuf| {
        let entries = fs::read_dir(directory).into_iter().flatten();
        let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        paths.retain(|path| path.is_file() && path.extension().is_none_or(|name| name == "sdp"));
        paths.sort();
        paths
    };
    let mut paths = files(tests.join("data"));
    paths.extend(files(tests.join("data/manner")));
    assert!(paths.len() > 10, "the descriptions are found");
    paths.extend(files(tests.join("corpus").join(target)));
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

floe_sansio::fuzz_targets!(3_000, corpus; document, edit, negotiate, pair);
