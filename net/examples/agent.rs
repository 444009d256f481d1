//! Two ICE agents and a TURN server in one process, on loopback: the agents may use the relay only,
//! and one greets the other.
//!
//! `cargo run -p floe-net --example agent`

use std::io;
use std::net::SocketAddr;

use floe_ice::{Config, Policy, RemoteParameters, Role, TurnServer};
use floe_net::{Agent, Event, Server};
use floe_stun::Credentials;
use floe_turn::ServerConfig;

fn agent(role: Role, server: SocketAddr) -> io::Result<Agent> {
    let mut config = Config::new(role);
    // Without addresses it would take those of the interfaces, and never loopback.
    config.addresses = vec!["127.0.0.1:0".parse().expect("an address")];
    config.turn_servers = vec![TurnServer::new(
        server,
        Credentials::new("alice", "a long password"),
    )];
    config.policy = Policy::Relay;
    Agent::bind(config)
}

fn parameters(agent: &Agent) -> RemoteParameters {
    RemoteParameters {
        credentials: agent.machine().credentials().clone(),
        pacing: Some(agent.machine().pacing()),
        lite: false,
        renomination: false,
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> io::Result<()> {
    let listener = "127.0.0.1:0".parse().expect("an address");
    let config = ServerConfig::new(vec![listener], vec![listener.ip()], "example.org")
        .with_user("alice", "a long password");
    let mut server = Server::bind(config)?;
    let mut a = agent(Role::Controlling, server.local_addr())?;
    let mut b = agent(Role::Controlled, server.local_addr())?;

    // Signalling: here a function call, elsewhere a message.
    let (of_a, of_b) = (parameters(&a), parameters(&b));
    a.command(|agent, now| agent.set_remote_parameters(now, of_b))
        .expect("the first parameters");
    b.command(|agent, now| agent.set_remote_parameters(now, of_a))
        .expect("the first parameters");
    a.command(floe_ice::Agent::gather);
    b.command(floe_ice::Agent::gather);

    loop {
        let (name, event) = tokio::select! {
            event = a.next() => ("a", event),
            event = b.next() => ("b", event),
            event = server.next() => {
                println!("server: {event}");
                continue;
            }
        };
        let (this, other) = match name {
            "a" => (&mut a, &mut b),
            _ => (&mut b, &mut a),
        };
        match event {
            Event::Machine(floe_ice::Event::LocalCandidate(candidate)) => {
                println!("{name}: candidate {}", candidate.address);
                other
                    .command(|agent, now| agent.add_remote_candidate(now, candidate))
                    .expect("a good candidate");
            }
            Event::Machine(floe_ice::Event::Selected(pair)) => {
                println!("{name}: {} to {}", pair.local.address, pair.remote.address);
                this.send(b"hello").expect("a path");
            }
            Event::Data { payload, .. } => {
                println!("{name}: heard {payload:?}");
                break;
            }
            Event::Machine(floe_ice::Event::Failed(cause)) => {
                return Err(io::Error::other(format!("{cause:?}")));
            }
            Event::Machine(_) => {}
        }
    }

    // While the agents let go of their relayed addresses, the server has to answer.
    let close = async {
        a.close().await;
        b.close().await;
    };
    server.run(close, |event| println!("server: {event}")).await;
    Ok(())
}
