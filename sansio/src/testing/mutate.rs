//! Bytes, changed at random: the inputs of fuzz bodies where no fuzzer runs.

use std::panic::{self, AssertUnwindSafe};
use std::string::ToString;
use std::vec::Vec;

use crate::Entropy;

/// Longest part that is removed or doubled at once, in bytes.
const MAX_PART: usize = 64;

/// Changes up to four things in `bytes`: flips a bit, sets a byte, removes or doubles a part, cuts the
/// end off, or takes it from `other`. Each makes them longer by at most 64 bytes or the length of
/// `other`.
pub fn mutate(bytes: &mut Vec<u8>, other: &[u8], entropy: &mut Entropy) {
    for _ in 0..=entropy.below(4) {
        let length = bytes.len();
        let mut place = || entropy.below(length as u32 + 1) as usize;
        let (a, b) = (place(), place());
        let start = a.min(b);
        let part = start..a.max(b).min(start + MAX_PART);
        match entropy.below(7) {
            0 | 1 if a < length => bytes[a] ^= 1 << entropy.below(8),
            2 if a < length => bytes[a] = byte(entropy),
            3 => drop(bytes.drain(part)),
            4 => {
                bytes.extend_from_within(part.clone());
                // From the end to where it belongs.
                bytes[b..].rotate_right(part.len());
            }
            5 => bytes.truncate(a),
            _ => {
                let from = entropy.below(other.len() as u32 + 1) as usize;
                bytes.truncate(a);
                bytes.extend_from_slice(&other[from..]);
            }
        }
    }
}

/// Bytes that matter in texts and lengths come more often.
fn byte(entropy: &mut Entropy) -> u8 {
    const SPECIAL: &[u8] = b"\0\x01\x7f\x80\xff \r\n:=/0129az";
    match entropy.below(2) {
        0 => SPECIAL[entropy.below(SPECIAL.len() as u32) as usize],
        _ => entropy.u32() as u8,
    }
}

/// Runs a fuzz body, which panics where something does not hold that must: over every one of `inputs`,
/// then over as many mutations of them as `mutations` says, always the same ones.
///
/// # Panics
///
/// If the body panics, naming the input, or if there is no input.
pub fn fuzz(body: fn(&[u8]), inputs: &[Vec<u8>], mutations: u64) {
    assert!(!inputs.is_empty(), "nothing to start from");
    for (number, input) in inputs.iter().enumerate() {
        run(body, input, "input", number as u64);
    }
    let mut entropy = Entropy::new([7; 32]);
    let mut mutated = Vec::new();
    for number in 0..mutations {
        let mut pick = || &inputs[entropy.below(inputs.len() as u32) as usize];
        let (input, other) = (pick(), pick());
        mutated.clone_from(input);
        mutate(&mut mutated, other, &mut entropy);
        run(body, &mutated, "mutation", number);
    }
}

fn run(body: fn(&[u8]), input: &[u8], what: &str, number: u64) {
    if let Err(cause) = panic::catch_unwind(AssertUnwindSafe(|| body(input))) {
        let said = cause
            .downcast_ref::<std::string::String>()
            .map(ToString::to_string)
            .or_else(|| cause.downcast_ref::<&str>().map(ToString::to_string))
            .unwrap_or_default();
        panic!("{what} {number}: \"{}\": {said}", input.escape_ascii());
    }
}

/// Tests of a crate's fuzz bodies: each name is a module beside the caller's file with a function `run`,
/// which is run by [`fuzz`](crate::testing::fuzz) over what the caller's `corpus` has under that name,
/// and over so many mutations of it.
///
/// `fuzz_targets!(20_000, corpus; parse, stream)`
#[macro_export]
macro_rules! fuzz_targets {
    ($mutations:expr, $corpus:path; $($name:ident),*) => {$(
        mod $name;

        #[test]
        fn $name() {
            $crate::testing::fuzz($name::run, &$corpus(stringify!($name)), $mutations);
        }
    )*};
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mutations_are_the_same_each_time_and_most_of_them_are_new() {
        let mutations = || {
            let mut entropy = Entropy::new([1; 32]);
            let mutate = |_| {
                let mut bytes = b"0123456789".to_vec();
                mutate(&mut bytes, b"abcdef", &mut entropy);
                bytes
            };
            (0..1000).map(mutate).collect::<Vec<_>>()
        };
        let all = mutations();
        assert_eq!(all, mutations());
        let mut different = all.clone();
        different.sort();
        different.dedup();
        assert!(different.len() > 500, "{}", different.len());
        assert!(all.iter().all(|bytes| bytes.len() <= 10 + 4 * MAX_PART));
    }

    #[test]
    #[should_panic(expected = "input 1: \"bad\": found")]
    fn what_a_body_does_not_stand_is_named() {
        let body = |input: &[u8]| assert!(input != b"bad", "found");
        fuzz(body, &[b"good".to_vec(), b"bad".to_vec()], 0);
    }

    #[test]
    #[should_panic(expected = "mutation ")]
    fn mutations_reach_the_body() {
        let body = |input: &[u8]| assert!(input != b"goof");
        fuzz(body, &[b"good".to_vec()], 100_000);
    }
}
