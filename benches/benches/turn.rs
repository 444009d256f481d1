//! The relay's data path: 160 bytes in a channel, either way, among more and more allocations; what the
//! memory allows; and what strangers cost.
#![allow(missing_docs)] // what criterion_group! makes

use std::time::Duration;

use allocation_counter::measure;
use criterion::measurement::WallTime;
use criterion::{
    BenchmarkGroup, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main,
};
#[cfg(feature = "peers")]
use floe_benches::turn::TurnServerProto;
use floe_benches::turn::{Floe, Guess, Loads, Relay, SCALE, Server, Strangers, Way};

type Group<'a> = BenchmarkGroup<'a, WallTime>;

/// Packets among so many allocations; the bytes that these take.
fn packets<S: Server>(group: &mut Group<'_>, count: u32) -> usize {
    let mut relay = None;
    let held = measure(|| relay = Some(Relay::<S>::new(count))).bytes_current;
    let mut relay = relay.expect("a relay");
    for (direction, way) in [("to peer", Way::ToPeer), ("to client", Way::ToClient)] {
        for (order, mut walk) in [("hot", relay.hot(way)), ("random", relay.random(way))] {
            let name = format!("{}/{direction}/{order}", S::NAME);
            group.bench_function(BenchmarkId::new(name, count), |b| {
                b.iter(|| relay.packet(way, &mut walk));
            });
        }
    }
    usize::try_from(held).expect("a size")
}

fn scale(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("turn");
    group.throughput(Throughput::Elements(1));
    group.measurement_time(Duration::from_secs(2));
    group.warm_up_time(Duration::from_secs(1));
    for count in SCALE {
        let held = packets::<Floe>(&mut group, count);
        let mut loads = Loads::new(held);
        let id = BenchmarkId::new("two dependent loads", count);
        group.bench_function(id, |b| b.iter(|| loads.two()));
        // It looks at one client after the other: with more, making the allocations takes minutes.
        #[cfg(feature = "peers")]
        if count <= 10_000 {
            packets::<TurnServerProto>(&mut group, count);
        }
    }
    group.finish();
}

/// Attacks 15 and 17: no guess tells by its time how good it was, and none costs much.
fn strangers(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("turn strangers");
    group.throughput(Throughput::Elements(1));
    for guess in Guess::ALL {
        let mut strangers = Strangers::<Floe>::new(guess);
        group.bench_function(guess.name(), |b| b.iter(|| strangers.knock()));
    }
    group.finish();
}

criterion_group!(benches, scale, strangers);
criterion_main!(benches);
