//! A TURN server, two clients that know its password, strangers, and peers.

use std::net::SocketAddr;
use std::time::Duration;

use floe_sansio::testing::Driver;
use floe_sansio::{FiveTuple, Instant};
use floe_stun::{
    AttributeType as Type, Builder, Credentials, LongTermClient, Message, TransactionId,
};
use floe_turn::{Server, ServerConfig, ServerEvent};

use crate::samples;
use crate::script::{Script, Writer, xor4};

const NOW: Instant = Instant::from_secs(1000);
const CLIENTS: usize = 2;
const LIMIT: usize = 3;

fn address(ip: [u8; 4], port: u16) -> SocketAddr {
    (ip, port).into()
}

fn listener() -> SocketAddr {
    address([192, 0, 2, 1], 3478)
}

/// Clients, a stranger, peers.
fn remotes() -> [SocketAddr; 5] {
    [
        address([198, 51, 100, 5], 40000),
        address([198, 51, 100, 6], 40000),
        address([198, 51, 100, 7], 40000),
        address([9, 9, 9, 9], 5000),
        address([9, 9, 9, 9], 5001),
    ]
}

const MESSAGE: u8 = 0;
const RAW: u8 = 1;
const TO_RELAY: u8 = 2;
const TIMEOUT: u8 = 3;
const WAIT: u8 = 4;
const CLOSE: u8 = 5;

/// The life of an allocation, and real packets.
pub fn seeds() -> Vec<Vec<u8>> {
    let peer = xor4([9, 9, 9, 9], 5000);
    let udp: (Type, &[u8]) = (Type::REQUESTED_TRANSPORT, &[17, 0, 0, 0]);
    let to: (Type, &[u8]) = (Type::XOR_PEER_ADDRESS, &peer);
    let channel: (Type, &[u8]) = (Type::CHANNEL_NUMBER, &[0x40, 0, 0, 0]);
    let client = |writer: Writer, signed, kind, attributes: &[(Type, &[u8])]| {
        writer.raw(&[MESSAGE, 0, signed]).message(kind, attributes)
    };
    let mut life = client(Writer::default(), 0, 0x003, &[udp]);
    life = client(life, 1, 0x003, &[udp]);
    life = client(life, 1, 0x008, &[to]);
    life = client(life, 1, 0x009, &[channel, to]);
    life = client(life, 0, 0x016, &[to, (Type::DATA, b"hello")]);
    life = life.raw(&[RAW, 0]).block(b"\x40\x00\x00\x05hello\0\0\0");
    life = life.raw(&[TO_RELAY, 3, 0]).block(b"answer");
    life = life.raw(&[WAIT, 100, TIMEOUT, TIMEOUT]);
    life = client(life, 1, 0x004, &[(Type::LIFETIME, &[0, 0, 2, 88])]);
    life = life.raw(&[TIMEOUT, WAIT, 255, WAIT, 255, WAIT, 255, TIMEOUT]);
    life = client(life, 1, 0x003, &[udp, (Type::EVEN_PORT, &[0])]);
    life = client(
        life,
        1,
        0x003,
        &[udp, (Type::REQUESTED_ADDRESS_FAMILY, &[1, 0, 0, 0])],
    );
    life = client(life, 1, 0x004, &[(Type::LIFETIME, &[0; 4])]);
    life = life.raw(&[CLOSE, 0]);
    let mut seeds = vec![life.end()];
    for packets in samples::packets().chunks(8) {
        let add = |script: Writer, packet: &Vec<u8>| script.raw(&[RAW, 0]).block(packet);
        seeds.push(packets.iter().fold(Writer::default(), add).end());
    }
    seeds
}

/// What must hold of a script.
pub fn run(data: &[u8]) {
    play(data);
}

/// How many relays were opened, and packets went to peers and to clients.
fn play(data: &[u8]) -> [u64; 3] {
    let mut opened = 0;
    let mut config = ServerConfig::new(vec![listener()], vec![listener().ip()], "floe");
    config = config.with_user("alice", "password");
    config.ports = 50000..=50007;
    config.limits.allocations = LIMIT;
    config.limits.permissions = 4;
    config.limits.channels = 4;
    let machine = Server::new(config, [1; 32], NOW);
    let mut server = Driver::new(machine, NOW);
    let mut clients: [LongTermClient; CLIENTS] =
        [(); CLIENTS].map(|()| LongTermClient::new(Credentials::new("alice", "password")));
    let mut relays: Vec<SocketAddr> = Vec::new();

    let mut script = Script::new(data);
    while !script.is_empty() {
        match script.byte() {
            MESSAGE => {
                let who = usize::from(script.byte()) % remotes().len();
                let signed = script.byte() & 1 == 1 && who < CLIENTS;
                let bytes = script.message(None, |builder: Builder<'_>| {
                    if signed {
                        clients[who].authenticate(builder)
                    } else {
                        builder
                    }
                });
                let path = FiveTuple::udp(listener(), remotes()[who]);
                server.sent.clear();
                let before = server.machine.allocations();
                let _ = server.input(path, &bytes);
                if !signed {
                    assert!(server.machine.allocations() <= before, "authenticate first");
                }
                learn(&server, clients.get_mut(who), signed);
            }
            RAW => {
                let path = FiveTuple::udp(listener(), script.choose(&remotes()));
                let before = server.machine.allocations();
                let _ = server.input(path, script.block());
                assert!(server.machine.allocations() <= before, "nobody signed this");
            }
            TO_RELAY => {
                let remote = script.choose(&remotes());
                let at = usize::from(script.byte());
                let local = relays
                    .get(at)
                    .copied()
                    .unwrap_or(address([192, 0, 2, 1], 50000));
                let _ = server.input(FiveTuple::udp(local, remote), script.block());
            }
            TIMEOUT => server.timeout(),
            WAIT => {
                server.now += Duration::from_secs(u64::from(script.byte()) * 4);
                server.tell();
            }
            CLOSE => {
                let at = usize::from(script.byte());
                if let Some(&relayed) = relays.get(at) {
                    server.machine.close(relayed);
                    server.drain();
                }
            }
            _ => {}
        }
        for event in server.events.drain(..) {
            match event {
                ServerEvent::RelayOpened { relayed, .. } => {
                    assert!(!relays.contains(&relayed), "{relayed} opened twice");
                    opened += 1;
                    relays.push(relayed);
                }
                ServerEvent::RelayClosed { relayed, .. } => {
                    assert!(relays.contains(&relayed), "{relayed} closed, but not open");
                    relays.retain(|&open| open != relayed);
                }
                _ => {}
            }
        }
        assert!(server.machine.allocations() <= LIMIT);
        assert_eq!(relays.len(), server.machine.allocations());
        if let Some(sent) = server.last() {
            Message::parse(&sent.payload).expect("the server's own message");
        }
    }
    // Left alone, it forgets all.
    for _ in 0..100 {
        server.now += Duration::from_hours(1);
        server.tell();
    }
    assert_eq!(
        (server.machine.allocations(), server.machine.held()),
        (0, 0)
    );
    assert_eq!(server.machine.poll_timeout(), None);
    let stats = server.machine.stats();
    [opened, stats.to_peers.packets, stats.to_clients.packets]
}

/// Takes the challenge out of an answer.
fn learn(server: &Driver<Server>, client: Option<&mut LongTermClient>, signed: bool) {
    if let (Some(sent), Some(client)) = (server.last(), client)
        && let Ok(answer) = Message::parse(&sent.payload)
        && answer.transaction_id() == TransactionId([7; 12])
    {
        let _ = client.challenge(&answer, signed);
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_first_seed_allocates_and_relays() {
        assert_eq!(super::play(&super::seeds()[0]), [2, 2, 1]);
    }
}
