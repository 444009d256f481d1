//! What a stranger costs a relay, and that an unknown user takes as long as a wrong password.
#![allow(missing_docs)] // what criterion_group! makes

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use floe_benches::strangers::{Kind, Stranger};

fn strangers(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("turn/stranger");
    group.throughput(Throughput::Elements(1));
    for kind in Kind::ALL {
        let mut stranger = Stranger::new(kind);
        group.bench_function(kind.name(), |b| b.iter(|| stranger.answer()));
    }
    group.finish();
}

criterion_group!(benches, strangers);
criterion_main!(benches);
