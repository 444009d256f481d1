//! What reaches a client that finds out how NATs behave.
//!
//! The first byte chooses the configuration. Then come steps: a byte for what happens, two bytes of
//! length and a message where one arrives. Whatever happens, the procedure comes to its end.

use std::net::SocketAddr;

use floe_sansio::testing::Driver;
use floe_sansio::{FiveTuple, Instant};
use floe_stun::discovery::{Discovery, DiscoveryConfig, DiscoveryEvent};
use floe_stun::{AddressGrid, BehaviourService, Credentials, Message, Server, ServerConfig};

/// Deadlines until it must have ended: it sends some dozen requests up to seven times, with as many
/// waits for a binding to expire.
const MAX_DEADLINES: usize = 5_000;

fn grid() -> AddressGrid {
    let (primary, alternate) = (([192, 0, 2, 1], 3478), ([192, 0, 2, 2], 3479));
    AddressGrid::new(primary.into(), alternate.into()).expect("two addresses")
}

fn local(port: u16) -> SocketAddr {
    ([198, 51, 100, 7], port).into()
}

/// What must hold of a conversation.
pub(crate) fn run(data: &[u8]) {
    let Some((&choice, mut rest)) = data.split_first() else {
        return;
    };
    let now = Instant::ZERO;
    let mut config = DiscoveryConfig::new(grid().all()[0]);
    config.local = (choice & 1 == 0).then(|| local(50_000));
    config.fingerprint = choice & 2 != 0;
    config.hairpinning = choice & 4 != 0;
    if choice & 8 == 0 {
        config.lifetime = None;
    }
    if choice & 16 == 0 {
        config.mtu = None;
    }
    let mut discovery = Driver::new(Discovery::new(config, [4; 32], now), now);
    discovery.drain();
    let config = ServerConfig {
        behaviour: Some(BehaviourService::udp(grid())),
        ..ServerConfig::default()
    };
    let server = Server::with_config(config, [5; 32], now).expect("a server");
    let mut server = Driver::new(server, now);

    obey(&mut discovery, choice);
    while let Some((&step, tail)) = rest.split_first() {
        rest = tail;
        match step % 4 {
            0 => discovery.timeout(),
            // The server answers what was sent last, and a NAT lets it through or does not.
            1 => answer(&mut discovery, &mut server, step >> 2),
            // Somebody does.
            _ => {
                let Some((&[high, low], tail)) = rest.split_first_chunk() else {
                    break;
                };
                let length = usize::from(u16::from_be_bytes([high, low])).min(tail.len());
                let (bytes, tail) = tail.split_at(length);
                rest = tail;
                arrive(&mut discovery, bytes, step);
            }
        }
        obey(&mut discovery, step);
    }
    let mut deadlines = 0;
    while !discovery.machine.is_finished() {
        discovery.timeout();
        obey(&mut discovery, choice);
        deadlines += 1;
        assert!(deadlines < MAX_DEADLINES, "it has no end");
    }
    assert_eq!(discovery.machine.poll_timeout(), None);
    let _ = format!("{:?}", discovery.machine.report());
}

/// Does what the machine asks its owner for.
fn obey(discovery: &mut Driver<Discovery>, choice: u8) {
    while !discovery.events.is_empty() {
        let event = discovery.events.remove(0);
        let now = discovery.now;
        match event {
            DiscoveryEvent::OpenSocket { role, port } => {
                let machine = &mut discovery.machine;
                let done = if choice & 0x60 == 0x60 {
                    machine.socket_refused(now, role)
                } else {
                    machine.socket_opened(now, role, local(port))
                };
                // A port that another socket has is the only thing that is refused.
                if done.is_err() {
                    machine.socket_refused(now, role).expect("as asked");
                }
            }
            DiscoveryEvent::CredentialsNeeded => {
                let credentials = Credentials::new("alice", "a long password");
                let given = (choice & 0x40 == 0).then_some(credentials);
                let done = discovery.machine.set_credentials(now, given);
                done.expect("as asked");
            }
            _ => {}
        }
        discovery.drain();
    }
    let sockets: Vec<_> = discovery.machine.sockets().collect();
    assert!(sockets.len() <= 4);
}

/// The server answers the last request. `how` may translate the source, and drop what a filter would.
fn answer(discovery: &mut Driver<Discovery>, server: &mut Driver<Server>, how: u8) {
    let Some(sent) = discovery.last().cloned() else {
        return;
    };
    let mut path = sent.path.mirrored();
    if how & 1 != 0 {
        path.remote.set_port(path.remote.port() ^ 0x55);
    }
    server.sent.clear();
    server.now = discovery.now;
    let _ = server.input(path, &sent.payload);
    if let Some(response) = server.sent.pop_front() {
        let asked = response.path.local == sent.path.remote;
        if asked || how & 2 == 0 {
            let path = FiveTuple::udp(sent.path.local, response.path.local);
            let _ = discovery.input(path, &response.payload);
        }
    }
}

/// A datagram from one of the server's addresses; as an answer to the last request, or as it is.
fn arrive(discovery: &mut Driver<Discovery>, bytes: &[u8], step: u8) {
    let from = grid().all()[usize::from(step >> 2) % 4];
    let sent = discovery.last().cloned();
    let to = sent.as_ref().map_or(local(50_000), |sent| sent.path.local);
    let mut bytes = bytes.to_vec();
    if let (Some(sent), 0, true) = (&sent, step & 1, Message::parse(&bytes).is_ok()) {
        bytes[8..20].copy_from_slice(&sent.payload[8..20]);
    }
    let _ = discovery.input(FiveTuple::udp(to, from), &bytes);
}
