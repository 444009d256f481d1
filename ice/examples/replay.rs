//! Runs a session again that was written down, and tells what came out.
//!
//! `cargo run -p floe-ice --example replay -- FILE`, where FILE holds the bytes of
//! [`Recorder::trace`](floe_ice::trace::Recorder::trace). Without a file it writes one itself.

use std::error::Error;
use std::process::ExitCode;

use floe_ice::trace::{DEFAULT_LIMIT, Output, Recorder, Trace};
use floe_ice::{Config, Role};
use floe_sansio::Instant;

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let bytes = match std::env::args_os().nth(1) {
        Some(path) => std::fs::read(path)?,
        None => record()?,
    };
    let trace = Trace::parse(&bytes)?;
    let replay = trace.replay();
    for (number, output) in replay.outputs.iter().enumerate() {
        match output {
            Output::Transmit(None) | Output::Event(None) => {}
            output => println!("{number:6} {output:?}"),
        }
    }
    if trace.is_cut() {
        println!("the recorder had no room for what came then");
    }
    Ok(match replay.difference {
        None => {
            println!("{} calls, the same as they were", trace.calls());
            ExitCode::SUCCESS
        }
        Some(difference) => {
            let (call, offset) = (difference.call, difference.offset);
            println!("not the same from call {call} on, at byte {offset}");
            ExitCode::FAILURE
        }
    })
}

/// A host that asks a server which does not answer.
fn record() -> Result<Vec<u8>, Box<dyn Error>> {
    let mut config = Config::new(Role::Controlling);
    config.addresses = vec!["192.0.2.1:1000".parse()?];
    config.stun_servers = vec!["192.0.2.100:3478".parse()?];
    let mut agent = Recorder::new(config, [1; 32], Instant::ZERO, DEFAULT_LIMIT);
    agent.gather(Instant::ZERO);
    while !agent.is_gathered() {
        while agent.poll_transmit().is_some() {}
        let Some(now) = agent.poll_timeout() else {
            break;
        };
        agent.handle_timeout(now);
    }
    while agent.poll_event().is_some() {}
    Ok(agent.trace().to_vec())
}
