//! Whole negotiations: both peers, the server, the NATs and the network between them, on one thread.
#![allow(missing_docs)] // what criterion_group! makes

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use floe_benches::negotiation::{self, Case};

fn negotiations(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("negotiation");
    group.throughput(Throughput::Elements(1));
    for case in Case::ALL {
        let config = case.config();
        group.bench_function(case.name(), |b| {
            b.iter(|| negotiation::run(black_box(&config)));
        });
    }
    group.throughput(Throughput::Elements(100));
    group.sample_size(10);
    group.bench_function("matrix", |b| b.iter(|| negotiation::matrix(black_box(1))));
    group.finish();
}

criterion_group!(benches, negotiations);
criterion_main!(benches);
