//! STUN codec: floors, floe, and with `--features peers` the peers, over the same bytes.
#![allow(missing_docs)] // what criterion_group! makes

use std::hint::black_box;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main};
use floe_benches::stun::{self, Codec, ForEach, Operation, Repeat, hostile};

/// One operation, of one codec after the other.
struct Bench<'a, 'b> {
    operation: Operation,
    group: &'a mut BenchmarkGroup<'b, WallTime>,
}

struct Case<'a, 'b> {
    name: &'static str,
    group: &'a mut BenchmarkGroup<'b, WallTime>,
}

impl Repeat for Case<'_, '_> {
    fn repeat<T>(&mut self, mut operation: impl FnMut() -> T) {
        self.group
            .bench_function(self.name, |bencher| bencher.iter(&mut operation));
    }
}

impl ForEach for Bench<'_, '_> {
    fn codec<C: Codec>(&mut self) {
        let name = C::NAME;
        stun::run::<C>(
            self.operation,
            &mut Case {
                name,
                group: self.group,
            },
        );
    }
}

fn codec(criterion: &mut Criterion) {
    for operation in Operation::ALL {
        let mut group = criterion.benchmark_group(format!("stun/{}", operation.name()));
        stun::for_each(&mut Bench {
            operation,
            group: &mut group,
        });
        group.finish();
    }
}

/// The throughput must not depend on the size.
fn hostile(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("stun/hostile");
    for size in hostile::SIZES {
        group.throughput(Throughput::Bytes(size as u64));
        let bytes = hostile::message(size);
        let message = hostile::parse(&bytes);
        group.bench_function(format!("parse/{size}"), |bencher| {
            bencher.iter(|| hostile::parse(black_box(&bytes)));
        });
        group.bench_function(format!("get/{size}"), |bencher| {
            bencher.iter(|| hostile::get(black_box(&message)));
        });
        group.bench_function(format!("unknown/{size}"), |bencher| {
            bencher.iter(|| hostile::unknown(black_box(&message)));
        });
    }
    group.finish();
}

criterion_group!(benches, codec, hostile);
criterion_main!(benches);
