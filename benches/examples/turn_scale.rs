//! What a TURN server holds for each allocation with one channel, what a packet costs among them, and
//! how it lets go of them all.
//!
//! ```text
//! cargo run --release --example turn_scale
//! ```
//!
//! Times are for machines that do other things too: of many short batches the fastest quarter counts,
//! and of three expiries the fastest call each.

use std::hint::black_box;
use std::time::{Duration, Instant};

use floe_benches::turn::{Floe, Loads, Relay, SCALE, Way};

const BATCHES: usize = 2000;
const BATCH: u32 = 256;
const RUNS: usize = 3;

/// Nanoseconds that one operation takes.
fn time<T>(mut operation: impl FnMut() -> T) -> f64 {
    let mut batches: Vec<Duration> = (0..BATCHES)
        .map(|_| {
            let began = Instant::now();
            for _ in 0..BATCH {
                black_box(operation());
            }
            began.elapsed()
        })
        .collect();
    batches.sort_unstable();
    batches[BATCHES / 4].as_secs_f64() * 1e9 / f64::from(BATCH)
}

fn main() {
    let mut empty = None;
    let fixed = allocation_counter::measure(|| empty = Some(Relay::<Floe>::new(0))).bytes_current;
    println!("{} kB for a server without allocations", fixed / 1000);
    println!(
        "{:>9} {:>11} {:>10} {:>9} {:>9} {:>9} {:>9} {:>9} {:>21}",
        "",
        "bytes each",
        "open each",
        "to peer",
        "to client",
        "random",
        "random",
        "2 loads",
        "expire: median, max"
    );
    for count in SCALE {
        let mut relay = None;
        let began = Instant::now();
        let held =
            allocation_counter::measure(|| relay = Some(Relay::<Floe>::new(count))).bytes_current;
        let opened = began.elapsed() / count;
        let mut relay = relay.expect("a relay");
        // The list of the bench itself takes 12 bytes an allocation.
        let bytes = (held - fixed) / i64::from(count) - 12;

        let [mut out, mut back] = [Way::ToPeer, Way::ToClient].map(|way| relay.hot(way));
        let relayed = allocation_counter::measure(|| {
            for _ in 0..10_000 {
                black_box((
                    relay.packet(Way::ToPeer, &mut out),
                    relay.packet(Way::ToClient, &mut back),
                ));
            }
        });
        assert_eq!(relayed.count_total, 0, "relaying allocates");
        let hot = [
            time(|| relay.packet(Way::ToPeer, &mut out)),
            time(|| relay.packet(Way::ToClient, &mut back)),
        ];
        out = relay.random(Way::ToPeer);
        let out = time(|| relay.packet(Way::ToPeer, &mut out));
        back = relay.random(Way::ToClient);
        let back = time(|| relay.packet(Way::ToClient, &mut back));
        let mut loads = Loads::new(usize::try_from(held).expect("a size"));
        let floor = time(|| loads.two());
        drop(loads);

        let mut calls = relay.clone().server().expire();
        for _ in 1..RUNS {
            let again = relay.clone().server().expire();
            calls = calls
                .into_iter()
                .zip(again)
                .map(|(a, b)| a.min(b))
                .collect();
        }
        calls.sort_unstable();
        let [a, b] = hot;
        println!(
            "{count:>9} {bytes:>11} {opened:>10.1?} {a:>9.1} {b:>9.1} {out:>9.1} {back:>9.1} {floor:>9.1} \
             {:>10.1?} {:>10.1?}",
            calls[calls.len() / 2],
            calls[calls.len() - 1],
        );
    }
}
