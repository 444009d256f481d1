//! The conformance report: writes it, checks, and answers questions about it.

use std::process::ExitCode;
use std::{env, fs};

use floe_conformance::{Audit, FINISHED, Files, REPORT, Row, report, root};

const USAGE: &str = "\
usage: floe-conformance COMMAND

  write                            writes docs/conformance.md
  check                            names what contradicts in tables, citations and decisions
  tests ROW                        names the tests that cite a row
  uncovered SCOPE…                 names rows without test or decision
  draw COUNT --seed N [SCOPE…]     draws rows that have a test, each from all with the same chance

A SCOPE is a table (stun.md) or the prefix of ids (NATDISC); by default what is finished.";

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let files = match Files::read(&root()) {
        Ok(files) => files,
        Err(error) => return fail(&format!("cannot read the repository: {error}")),
    };
    let audit = Audit::of(&files);
    match arguments[..] {
        ["write"] => match fs::write(root().join(REPORT), report(&audit)) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => fail(&format!("cannot write {REPORT}: {error}")),
        },
        ["check"] => {
            for fault in &audit.faults {
                println!("{fault}");
            }
            ExitCode::from(u8::from(!audit.faults.is_empty()))
        }
        ["tests", row] => {
            for test in audit.tests_of(row) {
                println!("{}::{}", test.file, test.name);
            }
            ExitCode::SUCCESS
        }
        ["uncovered", ref scopes @ ..] => with_scope(&audit, scopes, |rows| {
            for row in rows {
                if audit.tests_of(&row.id).next().is_none() && audit.decision_of(&row.id).is_none()
                {
                    println!("{} {}: {}", row.id, row.keyword, row.requirement);
                }
            }
        }),
        ["draw", count, "--seed", seed, ref scopes @ ..] => {
            let (Ok(count), Ok(seed)) = (count.parse(), seed.parse()) else {
                return fail(USAGE);
            };
            with_scope(&audit, scopes, |rows| draw(&audit, rows, count, seed))
        }
        _ => fail(USAGE),
    }
}

fn fail(text: &str) -> ExitCode {
    eprintln!("{text}");
    ExitCode::from(2)
}

fn with_scope<'a>(
    audit: &'a Audit,
    scopes: &[&'a str],
    then: impl FnOnce(Vec<&'a Row>),
) -> ExitCode {
    let finished = || audit.finished.iter().map(String::as_str).collect();
    let scopes: Vec<&str> = if scopes.is_empty() {
        finished()
    } else {
        scopes.to_vec()
    };
    if scopes.is_empty() {
        return fail(&format!("{FINISHED} is empty: name a scope"));
    }
    then(
        scopes
            .into_iter()
            .flat_map(|scope| audit.scope(scope))
            .collect(),
    );
    ExitCode::SUCCESS
}

/// Prints rows, drawn without replacement, and the tests that cite them.
fn draw(audit: &Audit, mut rows: Vec<&Row>, count: usize, mut seed: u64) {
    rows.retain(|row| audit.tests_of(&row.id).next().is_some());
    for at in 0..count.min(rows.len()) {
        let left = (rows.len() - at) as u64;
        rows.swap(at, at + (split_mix(&mut seed) % left) as usize);
        println!(
            "{} {}: {}",
            rows[at].id, rows[at].keyword, rows[at].requirement
        );
        for test in audit.tests_of(&rows[at].id) {
            println!("    {}::{}", test.file, test.name);
        }
    }
}

/// `SplitMix64`: the same draw wherever it is repeated.
fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}
