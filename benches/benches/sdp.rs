//! SDP: a browser's offers.
#![allow(missing_docs)] // what criterion_group! makes

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use floe_benches::sdp::{self, DATA_OFFER, OFFER};

fn description(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("sdp");
    for (name, text) in [("audio, video, data", OFFER), ("data", DATA_OFFER)] {
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_with_input(BenchmarkId::new("structural", name), text, |b, text| {
            b.iter(|| sdp::structural(black_box(text)));
        });
        group.bench_with_input(BenchmarkId::new("typed", name), text, |b, text| {
            b.iter(|| sdp::typed(black_box(text)));
        });
        let session = sdp::structural(text);
        group.bench_with_input(BenchmarkId::new("print", name), &session, |b, session| {
            b.iter(|| sdp::print(black_box(session)));
        });
    }
    group.finish();
}

criterion_group!(benches, description);
criterion_main!(benches);
