//! STUN codec: the request of RFC 5769 §2.1 (108 bytes).
#![allow(missing_docs)] // what criterion_group! makes

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use floe_benches::stun::{self, REQUEST};

fn codec(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("stun");
    group.throughput(Throughput::Elements(1));
    group.bench_function("parse/floor", |b| {
        b.iter(|| stun::floor(black_box(&REQUEST)));
    });
    group.bench_function("parse", |b| b.iter(|| stun::parse(black_box(&REQUEST))));
    group.bench_function("parse and read", |b| {
        b.iter(|| stun::parse_and_read(black_box(&REQUEST)));
    });
    let (key, message) = (stun::key(), stun::parse(&REQUEST));
    group.bench_function("verify fingerprint", |b| {
        b.iter(|| stun::verify_fingerprint(black_box(&message)));
    });
    group.bench_function("verify integrity", |b| {
        b.iter(|| stun::verify_integrity(black_box(&message), black_box(&key)));
    });
    let mut buffer = [0; 128];
    group.bench_function("build", |b| {
        b.iter(|| stun::build(black_box(&mut buffer), black_box(&key)));
    });
    group.finish();
}

criterion_group!(benches, codec);
criterion_main!(benches);
