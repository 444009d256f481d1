//! A relay between two clients, in memory: each sends the other one line through the server.
//!
//! `cargo run -p floe-turn --example relay`

use std::error::Error;
use std::net::SocketAddr;

use floe_sansio::{Datagram, FiveTuple, HEADROOM, Input, Instant, TAILROOM};
use floe_stun::Credentials;
use floe_turn::{Client, ClientConfig, Server, ServerConfig};

fn main() -> Result<(), Box<dyn Error>> {
    let now = Instant::ZERO;
    let listener: SocketAddr = "192.0.2.1:3478".parse()?;
    let config = ServerConfig::new(vec![listener], vec![listener.ip()], "example.org")
        .with_user("alice", "one long password")
        .with_user("bob", "another long password");
    let mut server = Server::new(config, [1; 32], now);

    let mut join = |name, password, home: &str, seed| -> Result<Client, Box<dyn Error>> {
        let path = FiveTuple::udp(home.parse()?, listener);
        let config = ClientConfig::new(path, Credentials::new(name, password));
        let mut client = Client::new(config, [seed; 32], now);
        client.allocate(now)?;
        client.create_permission(now, listener.ip())?;
        converse(&mut client, &mut server, now);
        let relayed = client.relayed().ok_or("no allocation")?;
        println!("{name} is reached at {relayed}");
        Ok(client)
    };
    let mut alice = join("alice", "one long password", "198.51.100.1:4000", 2)?;
    let mut bob = join("bob", "another long password", "203.0.113.1:4000", 3)?;

    tell("alice", &mut alice, &mut bob, &mut server, now)?;
    tell("bob", &mut bob, &mut alice, &mut server, now)
}

/// Carries requests to the server and responses back until nobody has anything to say.
fn converse(client: &mut Client, server: &mut Server, now: Instant) {
    while let Some(request) = client.poll_transmit() {
        let mut bytes = request.payload.to_vec();
        let _ = server.handle_input(now, Datagram::whole(request.path.mirrored(), &mut bytes));
        while let Some(response) = server.poll_transmit() {
            let mut bytes = response.payload.to_vec();
            let _ = client.handle_input(now, Datagram::whole(response.path.mirrored(), &mut bytes));
        }
    }
}

/// One datagram's way: client, relayed address, the other's relayed address, the other client. It
/// stays in one buffer.
fn tell(
    name: &str,
    from: &mut Client,
    to: &mut Client,
    server: &mut Server,
    now: Instant,
) -> Result<(), Box<dyn Error>> {
    let text = format!("hello from {name}");
    let mut buffer = vec![0; HEADROOM + text.len() + TAILROOM];
    let range = HEADROOM..HEADROOM + text.len();
    buffer[range.clone()].copy_from_slice(text.as_bytes());

    let peer = to.relayed().ok_or("no allocation")?;
    let mut route = from.encapsulate(peer, &mut buffer, range)?;
    loop {
        println!("  {:?}: {} bytes", route.path, route.range().len());
        let datagram = Datagram::new(route.path.mirrored(), &mut buffer, route.range());
        let input = if route.path.remote == to.path().local {
            to.handle_input(now, datagram)
        } else {
            server.handle_input(now, datagram)
        };
        match input {
            Input::Forward(next) => route = next,
            Input::Data(data) => {
                println!("  {}", String::from_utf8_lossy(&buffer[data.range()]));
                return Ok(());
            }
            other => return Err(format!("lost: {other:?}").into()),
        }
    }
}
