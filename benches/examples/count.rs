//! Runs one operation N times: for instruction counts, and for CPU time.
//!
//! ```text
//! cargo build --release --example count
//! valgrind --tool=callgrind --callgrind-out-file=/dev/null target/release/examples/count stun-parse 1000
//! ```
//!
//! Counts repeat exactly. What one operation costs is the difference between two counts, divided by
//! the difference of their Ns: start and preparation drop out.

use std::hint::black_box;
use std::process::ExitCode;

use floe_benches::negotiation::{self, Case};
use floe_benches::{sdp, stun};

const OPERATIONS: &str = "stun-floor stun-parse stun-read stun-fingerprint stun-integrity stun-build \
                          sdp-structural sdp-typed sdp-print cone-without-relay cone symmetric matrix";

fn repeat<T>(count: u64, mut operation: impl FnMut(u64) -> T) {
    for number in 0..count {
        black_box(operation(number));
    }
}

fn run(operation: &str, count: u64) -> Option<()> {
    let request = &stun::REQUEST;
    let (message, key) = (stun::parse(request), stun::key());
    let session = sdp::structural(sdp::OFFER);
    let mut buffer = [0; 128];
    match operation {
        "stun-floor" => repeat(count, |_| stun::floor(black_box(request))),
        "stun-parse" => repeat(count, |_| stun::parse(black_box(request))),
        "stun-read" => repeat(count, |_| {
            black_box(stun::parse_and_read(black_box(request)));
        }),
        "stun-fingerprint" => repeat(count, |_| stun::verify_fingerprint(black_box(&message))),
        "stun-integrity" => repeat(count, |_| stun::verify_integrity(black_box(&message), &key)),
        "stun-build" => repeat(count, |_| stun::build(black_box(&mut buffer), &key)),
        "sdp-structural" => repeat(count, |_| {
            black_box(sdp::structural(black_box(sdp::OFFER)));
        }),
        "sdp-typed" => repeat(count, |_| sdp::typed(black_box(sdp::OFFER))),
        "sdp-print" => repeat(count, |_| sdp::print(black_box(&session))),
        "matrix" => repeat(count, |number| negotiation::matrix(number + 1)),
        name => {
            let case = Case::ALL.into_iter().find(|case| case.name() == name)?;
            repeat(count, |number| {
                let mut config = case.config();
                config.seed = number + 1;
                negotiation::run(&config)
            });
        }
    }
    Some(())
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [operation, count] = &arguments[..]
        && let Ok(count) = count.parse()
        && run(operation, count).is_some()
    {
        return ExitCode::SUCCESS;
    }
    eprintln!("usage: count OPERATION N\noperations: {OPERATIONS}");
    ExitCode::FAILURE
}
