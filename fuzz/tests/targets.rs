//! Every target over its seeds, over what was found before, and over mutations of both.

use std::fs;
use std::panic::catch_unwind;
use std::path::Path;

use floe_fuzz::{TARGETS, Target};
use floe_sansio::Entropy;

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

/// Changes bytes; removes, doubles and moves parts; joins with another input.
fn mutate(input: &[u8], other: &[u8], entropy: &mut Entropy) -> Vec<u8> {
    let mut bytes = input.to_vec();
    for _ in 0..=entropy.below(4) {
        let length = bytes.len();
        let mut place = || entropy.below(length as u32 + 1) as usize;
        let (a, b) = (place(), place());
        let part = a.min(b)..a.max(b).min(a.min(b) + 64);
        match entropy.below(7) {
            0 | 1 if a < length => bytes[a] ^= 1 << entropy.below(8),
            2 if a < length => bytes[a] = entropy.choose_byte(),
            3 => drop(bytes.drain(part)),
            4 => {
                let copy = bytes[part].to_vec();
                bytes.splice(b..b, copy);
            }
            5 => bytes.truncate(a),
            _ => {
                let from = entropy.below(other.len() as u32 + 1) as usize;
                bytes.truncate(a);
                bytes.extend_from_slice(&other[from..]);
            }
        }
    }
    bytes
}

/// Bytes that matter in texts and lengths come more often.
trait ChooseByte {
    fn choose_byte(&mut self) -> u8;
}

impl ChooseByte for Entropy {
    fn choose_byte(&mut self) -> u8 {
        const SPECIAL: &[u8] = b"\0\x01\x7f\x80\xff \r\n:=/0129az";
        match self.below(2) {
            0 => SPECIAL[self.below(SPECIAL.len() as u32) as usize],
            _ => self.u32() as u8,
        }
    }
}

/// Runs one input; a failure shows it.
fn run(target: &Target, input: &[u8], what: &str) {
    let result = catch_unwind(|| (target.run)(input));
    let text = input.escape_ascii();
    assert!(result.is_ok(), "{}, {what}: \"{text}\"", target.name);
}

fn check(name: &str) {
    let target = target(name);
    let inputs = inputs(target);
    for (at, input) in inputs.iter().enumerate() {
        run(target, input, &format!("input {at}"));
    }
    let mut entropy = Entropy::new([7; 32]);
    for number in 0..MUTATIONS {
        let mut pick = || &inputs[entropy.below(inputs.len() as u32) as usize];
        let (input, other) = (pick(), pick());
        let mutated = mutate(input, other, &mut entropy);
        run(target, &mutated, &format!("mutation {number}"));
    }
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

tests!(stun, sdp, candidate, turn_server, turn_client, ice, peer);
