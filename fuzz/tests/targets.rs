//! Every target over its seeds, over what was found before, and over mutations of both.

use std::fs;
use std::path::Path;

use floe_fuzz::{TARGETS, Target};
use floe_sansio::testing::fuzz;

/// Mutations of each target.
const MUTATIONS: u64 = 4000;

fn target(name: &str) -> &'static Target {
    TARGETS.iter().find(|target| target.name == name).unwrap()
}

/// Seeds and regressions.
fn inputs(target: &Target) -> Vec<Vec<u8>> {
    let mut inputs = (target.seeds)();
    assert!(!inputs.is_empty());
    let directory = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("regressions")
        .join(target.name);
    if let Ok(entries) = fs::read_dir(directory) {
        let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        inputs.extend(paths.iter().map(|path| fs::read(path).unwrap()));
    }
    inputs
}

fn check(name: &str) {
    let target = target(name);
    fuzz(target.run, &inputs(target), MUTATIONS);
}

macro_rules! tests {
    ($($name:ident),*) => {
        $(#[test]
        fn $name() {
            check(stringify!($name));
        })*

        #[test]
        fn every_target_is_tested() {
            let names: Vec<_> = TARGETS.iter().map(|target| target.name).collect();
            assert_eq!(names, [$(stringify!($name)),*]);
        }
    };
}

tests!(candidate, ice, peer);
