//! Prints, for all pairs of NAT kinds, what the oracle expects, and checks it with packets.
//!
//! `cargo run --release -p floe-sim --example punch`

use std::time::Duration;

use floe_sim::{Link, Oracle, Path, Preset, Site, Topology, TopologyError, probe};

fn main() -> Result<(), TopologyError> {
    let public = Site::public(Link::delay(Duration::from_millis(10)));
    let mut disagreements = 0;
    for ours in Preset::ALL {
        print!("{ours:<20}");
        for theirs in Preset::ALL {
            let mut world = Topology::new();
            let server = world.host("server", public);
            let site_a = world.preset("nat-a", public, ours);
            let site_b = world.preset("nat-b", public, theirs);
            let a = world.host("a", site_a);
            let b = world.host("b", site_b);
            let expected = Oracle::new(&world).expect(a, b, &[server]);
            let found = probe(&world, 1, a, b, server)?;
            disagreements += u32::from(found != (expected.path == Path::Direct));
            print!(" {:<8}", expected.path);
        }
        println!();
    }
    println!("{disagreements} disagreements between oracle and packets");
    Ok(())
}
