//! What an ICE agent costs: a request for consent, data, noise, as many candidates again where the list is
//! full, and a second of ten thousand agents that are quiet.
#![allow(missing_docs)] // what criterion_group! makes

use std::time::Duration;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use floe_benches::ice::{Crowd, Full, Steady};

fn steady(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("ice");
    group.throughput(Throughput::Elements(1));
    let mut agent = Steady::default();
    group.bench_function("consent", |b| b.iter(|| agent.consent()));
    group.bench_function("its HMACs", |b| b.iter(|| agent.hmacs()));
    group.bench_function("data in", |b| b.iter(|| agent.data_in()));
    group.bench_function("data out", |b| b.iter(|| agent.data_out()));
    group.bench_function("noise", |b| b.iter(|| agent.noise()));
    for pairs in [10, 100, 1000, 10_000] {
        group.throughput(Throughput::Elements(pairs as u64));
        group.bench_function(BenchmarkId::new("candidates", pairs), |b| {
            b.iter_batched_ref(
                || Full::new(pairs),
                |full| (0..pairs).for_each(|_| full.add()),
                BatchSize::LargeInput,
            );
        });
    }
    group.finish();
}

fn idle(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("ice idle");
    group.sample_size(10);
    let mut crowd = Crowd::new(10_000);
    group.bench_function("a second of 10,000 agents", |b| {
        b.iter(|| crowd.idle(Duration::from_secs(1)));
    });
    group.finish();
}

criterion_group!(benches, steady, idle);
criterion_main!(benches);
