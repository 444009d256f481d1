//! SDP: the floor, floe, and with `--features peers` the peers, over the same descriptions.
#![allow(missing_docs)] // what criterion_group! makes

use std::hint::black_box;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main};
use floe_benches::sdp::{self, Floe, ForEach, Operation, Reader, scale};
use floe_benches::stun::Repeat;

/// One operation, of one reader after the other.
struct Bench<'a, 'b> {
    operation: Operation,
    text: &'a str,
    group: &'a mut BenchmarkGroup<'b, WallTime>,
}

struct Case<'a, 'b> {
    name: String,
    group: &'a mut BenchmarkGroup<'b, WallTime>,
}

impl Repeat for Case<'_, '_> {
    fn repeat<T>(&mut self, mut operation: impl FnMut() -> T) {
        self.group
            .bench_function(&self.name, |bencher| bencher.iter(&mut operation));
    }
}

impl ForEach for Bench<'_, '_> {
    fn reader<R: Reader>(&mut self) {
        let mut case = Case {
            name: R::NAME.into(),
            group: self.group,
        };
        sdp::run::<R>(self.operation, self.text, &mut case);
    }
}

fn description(criterion: &mut Criterion) {
    let offer = sdp::large_offer();
    for operation in Operation::ALL {
        let mut group = criterion.benchmark_group(format!("sdp/{}", operation.name()));
        group.throughput(Throughput::Bytes(offer.len() as u64));
        sdp::for_each(&mut Bench {
            operation,
            text: &offer,
            group: &mut group,
        });
        group.finish();
    }
    let document = Floe::parse(&offer);
    let fields = sdp::fields(&document);
    criterion.bench_function("sdp/build/floe", |bencher| {
        bencher.iter(|| sdp::built(black_box(&fields), offer.len()));
    });
}

/// The throughput must not depend on the size.
fn scaling(criterion: &mut Criterion) {
    for (kind, count) in scale::CASES {
        let text = scale::description(kind, count);
        let name = format!("sdp/scale/{}/{count}", kind.name());
        let mut group = criterion.benchmark_group(name);
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.sample_size(10);
        sdp::for_each(&mut Bench {
            operation: Operation::Parse,
            text: &text,
            group: &mut group,
        });
        group.bench_function("floe, typed", |bencher| {
            bencher.iter(|| Floe::typed(&Floe::parse(black_box(&text))));
        });
        group.finish();
    }
}

/// A megabyte, without limits and within them.
fn hostile(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("sdp/hostile");
    group.sample_size(10);
    for (kind, text) in scale::hostile() {
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_function(format!("{kind}/read"), |bencher| {
            bencher.iter(|| Floe::parse(black_box(&text)));
        });
        group.bench_function(format!("{kind}/refused"), |bencher| {
            bencher.iter(|| scale::refuse(black_box(&text)));
        });
    }
    group.finish();
}

criterion_group!(benches, description, scaling, hostile);
criterion_main!(benches);
