//! The relay's data path: 160 bytes in a channel, either way, among more and more allocations; and what
//! the memory allows.
#![allow(missing_docs)] // what criterion_group! makes

use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use floe_benches::turn::{Loads, Relay, SCALE, Way};

/// Bytes that the server holds for one allocation, as `examples/turn_scale.rs` counts them.
const BYTES: usize = 300;

fn scale(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("turn");
    group.throughput(Throughput::Elements(1));
    group.measurement_time(Duration::from_secs(2));
    group.warm_up_time(Duration::from_secs(1));
    for count in SCALE {
        let mut relay = Relay::new(count);
        for name in ["hot", "random"] {
            let walk = |relay: &Relay, way| match name {
                "hot" => relay.hot(way),
                _ => relay.random(way),
            };
            let mut out = walk(&relay, Way::ToPeer);
            let id = BenchmarkId::new(format!("to peer/{name}"), count);
            group.bench_function(id, |b| b.iter(|| relay.to_peer(&mut out)));
            let mut back = walk(&relay, Way::ToClient);
            let id = BenchmarkId::new(format!("to client/{name}"), count);
            group.bench_function(id, |b| b.iter(|| relay.to_client(&mut back)));
        }
        drop(relay);
        let mut loads = Loads::new(count as usize * BYTES);
        let id = BenchmarkId::new("two dependent loads", count);
        group.bench_function(id, |b| b.iter(|| loads.two()));
    }
    group.finish();
}

criterion_group!(benches, scale);
criterion_main!(benches);
