//! Two agents find each other in memory: one behind a NAT, one in the open.
//!
//! `cargo run -p floe-ice --example two_agents`

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use floe_ice::{Agent, CommandError, Config, Event, RemoteParameters, Role, State};
use floe_sansio::{Datagram, FiveTuple, Instant};

/// One way.
const DELAY: Duration = Duration::from_millis(20);

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let inside: SocketAddr = "192.168.1.7:5000".parse()?;
    let outside: SocketAddr = "203.0.113.7:41000".parse()?;
    let open: SocketAddr = "198.51.100.9:6000".parse()?;

    let mut now = Instant::ZERO;
    let agent = |role, address, seed| {
        let mut config = Config::new(role);
        config.addresses = vec![address];
        Agent::new(config, seed, now)
    };
    let mut agents = [
        agent(Role::Controlling, inside, [1; 32]),
        agent(Role::Controlled, open, [2; 32]),
    ];
    for side in [0, 1] {
        agents[side].gather(now);
        let parameters = RemoteParameters {
            credentials: agents[1 - side].credentials().clone(),
            pacing: Some(agents[1 - side].pacing()),
            lite: false,
            renomination: false,
        };
        agents[side].set_remote_parameters(now, parameters)?;
    }

    // Packets by the time of their arrival.
    let mut flying: BTreeMap<(Instant, u64), (FiveTuple, Vec<u8>)> = BTreeMap::new();
    let mut count = 0;
    while agents.iter().any(|agent| agent.state() != State::Completed) {
        for side in [0, 1] {
            while let Some(event) = agents[side].poll_event() {
                println!("{now:?} {} {event:?}", ["inside", "open"][side]);
                signal(&mut agents[1 - side], now, event)?;
            }
        }
        for agent in &mut agents {
            while let Some(transmit) = agent.poll_transmit() {
                let mut path = transmit.path.mirrored();
                // The NAT: another source on the way out, the way back on the way in.
                if path.remote == inside {
                    path.remote = outside;
                }
                if path.local == outside {
                    path.local = inside;
                } else if path.local == inside {
                    continue; // nobody out there reaches a private address
                }
                count += 1;
                flying.insert((now + DELAY, count), (path, transmit.payload.to_vec()));
            }
        }
        let timers = agents.iter().filter_map(Agent::poll_timeout);
        let arrival = flying.keys().next().map(|&(at, _)| at);
        now = timers
            .chain(arrival)
            .min()
            .ok_or("nothing will ever happen")?;
        for agent in &mut agents {
            agent.handle_timeout(now);
        }
        while let Some(entry) = flying.first_entry().filter(|entry| entry.key().0 <= now) {
            let (path, mut bytes) = entry.remove();
            let agent = &mut agents[usize::from(path.local == open)];
            let _ = agent.handle_input(now, Datagram::whole(path, &mut bytes));
        }
    }
    for agent in &agents {
        println!("{:?}", agent.selected());
    }
    Ok(())
}

/// What one side announces, the other hears.
fn signal(to: &mut Agent, now: Instant, event: Event) -> Result<(), CommandError> {
    match event {
        Event::LocalCandidate(candidate) => to.add_remote_candidate(now, candidate),
        Event::GatheringComplete => to.end_of_remote_candidates(now),
        _ => Ok(()),
    }
}
