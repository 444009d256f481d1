//! A TURN client, and a server that knows its password and says what the script wants.

use std::net::SocketAddr;
use std::time::Duration;

use floe_sansio::testing::Driver;
use floe_sansio::{FiveTuple, HEADROOM, Input, Instant, TAILROOM};
use floe_stun::{AttributeType as Type, Credentials, Key, Message};
use floe_turn::{Client, ClientConfig, ClientEvent};

use crate::samples;
use crate::script::{Script, Writer, xor4};

const NOW: Instant = Instant::from_secs(1000);

fn path() -> FiveTuple {
    FiveTuple::udp(
        ([198, 51, 100, 5], 40000).into(),
        ([192, 0, 2, 1], 3478).into(),
    )
}

fn peers() -> [SocketAddr; 3] {
    [
        ([9, 9, 9, 9], 5000).into(),
        ([9, 9, 9, 9], 5001).into(),
        "[2001:db8::9]:5000".parse().expect("an address"),
    ]
}

const MESSAGE: u8 = 0;
const RAW: u8 = 1;
const TIMEOUT: u8 = 2;
const WAIT: u8 = 3;
const ALLOCATE: u8 = 4;
const PERMISSION: u8 = 5;
const CHANNEL: u8 = 6;
const REVOKE: u8 = 7;
const RELEASE: u8 = 8;
const SEND: u8 = 9;
const WRAP: u8 = 10;

/// The life of an allocation, and real packets.
pub fn seeds() -> Vec<Vec<u8>> {
    let (relayed, mapped) = (xor4([192, 0, 2, 1], 50000), xor4([198, 51, 100, 5], 40000));
    let peer = xor4([9, 9, 9, 9], 5000);
    let nonce: [(Type, &[u8]); 2] = [(Type::REALM, b"floe"), (Type::NONCE, b"nonce")];
    let error = |code: &'static [u8; 4]| [&[(Type::ERROR_CODE, &code[..])], &nonce[..]].concat();
    let allocated: [(Type, &[u8]); 3] = [
        (Type::XOR_RELAYED_ADDRESS, &relayed),
        (Type::XOR_MAPPED_ADDRESS, &mapped),
        (Type::LIFETIME, &[0, 0, 2, 88]),
    ];
    let answer = |writer: Writer, signed, kind, attributes: &[(Type, &[u8])]| {
        writer.raw(&[MESSAGE, signed]).message(kind, attributes)
    };
    let mut life = Writer::default().raw(&[ALLOCATE]);
    life = answer(life, 0, 0x113, &error(b"\0\0\x04\x01"));
    life = answer(life, 1, 0x103, &allocated).raw(&[PERMISSION, 0]);
    life = answer(life, 1, 0x108, &[]).raw(&[CHANNEL, 0]);
    life = answer(life, 1, 0x109, &[]).raw(&[SEND, 0]).block(b"hello");
    life = life.raw(&[RAW]).block(b"\x40\x00\x00\x05hello\0\0\0");
    life = life.raw(&[WRAP, 1]).block(b"hello");
    life = answer(
        life,
        0,
        0x017,
        &[(Type::XOR_PEER_ADDRESS, &peer), (Type::DATA, b"hello")],
    );
    life = life.raw(&[TIMEOUT]);
    life = answer(life, 0, 0x114, &error(b"\0\0\x04\x26"));
    life = answer(life, 1, 0x104, &[(Type::LIFETIME, &[0, 0, 2, 88])]);
    life = life.raw(&[WAIT, 200, TIMEOUT, TIMEOUT, REVOKE, 0, RELEASE]);
    life = answer(life, 1, 0x104, &[(Type::LIFETIME, &[0; 4])]);
    let refused = Writer::default().raw(&[ALLOCATE]);
    let refused = answer(refused, 0, 0x113, &error(b"\0\0\x05\x08")).raw(&[TIMEOUT, TIMEOUT]);
    let mut seeds = vec![life.end(), refused.end()];
    for packets in samples::packets().chunks(8) {
        let add = |script: Writer, packet: &Vec<u8>| script.raw(&[RAW]).block(packet);
        let script = Writer::default().raw(&[ALLOCATE]);
        seeds.push(packets.iter().fold(script, add).end());
    }
    seeds
}

/// What must hold of a script.
pub fn run(data: &[u8]) {
    play(data);
}

/// How often it was allocated, and data went out and came in.
fn play(data: &[u8]) -> [u32; 3] {
    let mut seen = [0; 3];
    let key = Key::long_term("alice", "floe", "password");
    let config = ClientConfig::new(path(), Credentials::new("alice", "password"));
    let mut client = Driver::new(Client::new(config, [1; 32], NOW), NOW);
    let mut script = Script::new(data);
    while !script.is_empty() {
        match script.byte() {
            MESSAGE => {
                let signed = script.byte() & 1 == 1;
                let bytes = script.message(client.last(), |builder| {
                    if signed {
                        builder.with_integrity(&key)
                    } else {
                        builder
                    }
                });
                let before = client.machine.relayed();
                let _ = client.input(path(), &bytes);
                if !signed && before.is_none() {
                    assert_eq!(client.machine.relayed(), None, "authenticate first");
                }
            }
            RAW => {
                let input = client.input(path(), script.block());
                seen[2] += u32::from(matches!(input, Input::Data(_)));
            }
            TIMEOUT => client.timeout(),
            WAIT => {
                client.now += Duration::from_secs(u64::from(script.byte()));
                client.tell();
            }
            ALLOCATE => {
                let _ = client.command(Client::allocate);
            }
            PERMISSION => {
                let ip = script.choose(&peers()).ip();
                let _ = client.command(|client, now| client.create_permission(now, ip));
            }
            CHANNEL => {
                let peer = script.choose(&peers());
                let _ = client.command(|client, now| client.bind_channel(now, peer));
            }
            REVOKE => {
                client.machine.revoke(script.choose(&peers()).ip());
                client.drain();
            }
            RELEASE => {
                let _ = client.command(Client::release);
            }
            SEND => {
                let peer = script.choose(&peers());
                seen[1] += u32::from(send(&mut client, peer, script.block()));
            }
            WRAP => {
                let peer = script.choose(&peers());
                if let Ok(sent) = client.machine.wrap(peer, script.block()) {
                    assert_eq!(sent.path, path());
                }
            }
            _ => {}
        }
        for event in client.events.drain(..) {
            seen[0] += u32::from(matches!(event, ClientEvent::Allocated { .. }));
        }
        if let Some(sent) = client.last() {
            assert_eq!(sent.path, path(), "it talks to its server alone");
            Message::parse(&sent.payload).expect("the client's own message");
        }
        let relayed = client.machine.relayed();
        assert_eq!(relayed.is_some(), client.machine.is_allocated());
        if client.machine.is_ended() {
            assert_eq!(relayed, None);
        }
    }
    seen
}

/// Whether it can be sent.
fn send(client: &mut Driver<Client>, peer: SocketAddr, payload: &[u8]) -> bool {
    let mut buffer = vec![0; HEADROOM + payload.len() + TAILROOM];
    let range = HEADROOM..HEADROOM + payload.len();
    buffer[range.clone()].copy_from_slice(payload);
    let route = client.machine.encapsulate(peer, &mut buffer, range);
    client.drain();
    let Ok(route) = route else {
        return false;
    };
    assert_eq!(route.path, path());
    let framed = &buffer[route.range()];
    // Behind a header, before the padding.
    let sent = (0..=TAILROOM).any(|padding| {
        let end = framed.len().saturating_sub(padding);
        framed[..end].ends_with(payload)
    });
    assert!(sent, "the payload is in the frame");
    true
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_first_seed_allocates_and_carries_data() {
        assert_eq!(super::play(&super::seeds()[0]), [1, 1, 1]);
    }
}
