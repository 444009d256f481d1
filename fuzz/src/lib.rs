//! What must hold of any input, as one function a target; libFuzzer calls them, and so do the tests.
//!
//! Those of `floe-sdp`, `floe-stun` and `floe-turn` live in the tests of their crates (`sdp/tests/fuzz`
//! and so on).
//!
//! | target | input |
//! |---|---|
//! | [`candidate`] | one candidate as text |
//! | [`ice`], [`peer`] | a script: see [`script`] |

pub mod candidate;
pub mod ice;
pub mod peer;
pub mod samples;
pub mod script;

/// A target.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// As `cargo fuzz` calls it.
    pub name: &'static str,
    /// Panics if something that must hold does not.
    pub run: fn(&[u8]),
    /// Inputs to start from.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

macro_rules! targets {
    ($($name:ident),*) => {
        /// All targets.
        pub const TARGETS: &[Target] = &[$(Target {
            name: stringify!($name),
            run: $name::run,
            seeds: $name::seeds,
        }),*];
    };
}

targets!(candidate, ice, peer);
