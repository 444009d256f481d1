//! An ICE agent, a peer that knows the passwords, a server, and strangers.

use std::net::SocketAddr;
use std::time::Duration;

use floe_ice::{
    Agent, Candidate, CandidateKind, ComponentId, Config, Event, Framing, LocalAddress, Network,
    Policy, RemoteParameters, Role, State, StreamId, TcpType, TcpUse, TurnServer,
};
use floe_sansio::testing::Driver;
use floe_sansio::{FiveTuple, HEADROOM, Instant, TAILROOM, Transport};
use floe_sdp::ice::IceCredentials;
use floe_stun::{AttributeType as Type, Credentials, Key, Protocol};

use crate::samples;
use crate::script::{Script, Writer, xor4};

const NOW: Instant = Instant::from_secs(1000);
/// Of the connections to the server.
const SERVER_PORT: u16 = 50_000;
const PEER_PWD: &str = "0123456789abcdef012345";

fn locals() -> [SocketAddr; 2] {
    [
        ([198, 51, 100, 5], 40000).into(),
        ([10, 0, 0, 5], 40000).into(),
    ]
}

fn server() -> SocketAddr {
    ([192, 0, 2, 1], 3478).into()
}

/// The path of the stream to the server in this place, counted from 0.
fn stream(at: u8) -> FiveTuple {
    FiveTuple {
        transport: Transport::Tcp,
        local: SocketAddr::new(locals()[usize::from(at % 2)].ip(), SERVER_PORT),
        remote: server(),
    }
}

fn tcp(local: SocketAddr, remote: SocketAddr) -> FiveTuple {
    FiveTuple {
        transport: Transport::Tcp,
        local,
        remote,
    }
}

/// Peers, the server, a relayed peer.
fn remotes() -> [SocketAddr; 4] {
    [
        ([203, 0, 113, 9], 5000).into(),
        ([203, 0, 113, 9], 5001).into(),
        server(),
        ([192, 0, 2, 1], 50000).into(),
    ]
}

const CHECK: u8 = 0;
const ANSWER: u8 = 1;
const SERVER_ANSWER: u8 = 2;
const RAW: u8 = 3;
const TIMEOUT: u8 = 4;
const WAIT: u8 = 5;
const CANDIDATE: u8 = 6;
const CREDENTIALS: u8 = 7;
const END: u8 = 8;
const SEND: u8 = 9;
const CLOSE: u8 = 10;
const GATHER: u8 = 11;
const OPENED: u8 = 12;
const LOST: u8 = 13;
const STREAM_ANSWER: u8 = 14;
const RESTART: u8 = 15;
const ADDRESS: u8 = 16;
const NO_ADDRESS: u8 = 17;
const NO_STREAM: u8 = 18;
const ATTACH: u8 = 19;
const REVOKE: u8 = 20;
const KNOCK: u8 = 21;
const STREAM_CHECK: u8 = 22;
const FRAME: u8 = 23;

/// Gathering, checks and nomination, and real packets.
pub fn seeds() -> Vec<Vec<u8>> {
    let (relayed, mapped) = (xor4([192, 0, 2, 1], 50001), xor4([198, 51, 100, 5], 40000));
    let priority: (Type, &[u8]) = (Type::PRIORITY, &[0x6e, 0x7f, 1, 0xff]);
    let controlling: (Type, &[u8]) = (Type::ICE_CONTROLLING, &[1; 8]);
    let controlled: (Type, &[u8]) = (Type::ICE_CONTROLLED, &[1; 8]);
    let seen: (Type, &[u8]) = (Type::XOR_MAPPED_ADDRESS, &mapped);
    let allocated: [(Type, &[u8]); 3] = [
        (Type::XOR_RELAYED_ADDRESS, &relayed),
        seen,
        (Type::LIFETIME, &[0, 0, 2, 88]),
    ];
    let challenge: [(Type, &[u8]); 3] = [
        (Type::ERROR_CODE, b"\0\0\x04\x01"),
        (Type::REALM, b"floe"),
        (Type::NONCE, b"nonce"),
    ];
    let candidate = Writer::default()
        .raw(&[CANDIDATE, 0, 0, 9, 9])
        .raw(&0x6e7f_01ff_u32.to_be_bytes());
    let start = Writer::default()
        .raw(&[GATHER, CREDENTIALS, 0])
        .raw(&candidate.end());
    let life = |role| {
        let checked: &[(Type, &[u8])] = &[priority, role];
        let nominated: &[(Type, &[u8])] = &[priority, role, (Type::USE_CANDIDATE, b"")];
        let conflict: &[(Type, &[u8])] = &[(Type::ERROR_CODE, b"\0\0\x04\x57")];
        let mut life = start.clone();
        life = life.raw(&[SERVER_ANSWER, 0, 0]).message(0x101, &[seen]);
        life = life.raw(&[TIMEOUT, TIMEOUT]);
        // Asking servers and checking take turns.
        life = life.raw(&[TIMEOUT; 8]);
        life = life.raw(&[SERVER_ANSWER, 0, 0]).message(0x113, &challenge);
        life = life.raw(&[SERVER_ANSWER, 0, 1]).message(0x103, &allocated);
        life = life.raw(&[CHECK, 0, 0, 1]).message(0x001, checked);
        for _ in 0..4 {
            life = life.raw(&[TIMEOUT, ANSWER, 0, 1]).message(0x101, &[seen]);
        }
        life = life.raw(&[CHECK, 0, 0, 1]).message(0x001, nominated);
        life = life.raw(&[SEND]).block(b"hello");
        life = life.raw(&[RAW, 0, 0]).block(b"hello");
        life = life.raw(&[TIMEOUT, ANSWER, 0, 1]).message(0x111, conflict);
        let start = life.raw(&[END, TIMEOUT, TIMEOUT, WAIT, 40, TIMEOUT, CLOSE, TIMEOUT]);
        start.end()
    };
    // The server is silent over UDP, and there over TCP.
    let streamed = {
        let asked = [TIMEOUT; 8];
        let mut life = start
            .clone()
            .raw(&asked)
            .raw(&[WAIT, 4, TIMEOUT, OPENED, 0]);
        life = life.raw(&[TIMEOUT; 3]);
        life = life.raw(&[STREAM_ANSWER, 0, 0]).message(0x113, &challenge);
        life = life.raw(&[STREAM_ANSWER, 0, 1]).message(0x103, &allocated);
        life.raw(&[SEND])
            .block(b"hello")
            .raw(&[LOST, 0, TIMEOUT, CLOSE])
            .end()
    };
    let prefix = |role: u8| move |script: Vec<u8>| [vec![role], script].concat();
    let mut seeds = vec![
        prefix(0)(life(controlled)),
        prefix(1)(life(controlling)),
        prefix(0)(life(controlling)),
        prefix(0)(streamed),
    ];
    // Over TCP: one connection is opened, another accepted, selected, used, lost and handed over.
    let wired = {
        let checked: &[(Type, &[u8])] = &[priority, controlling];
        let nominated: &[(Type, &[u8])] = &[priority, controlling, (Type::USE_CANDIDATE, b"")];
        let listening = Writer::default()
            .raw(&[CANDIDATE, 0, 1, 0, 9])
            .raw(&0x5a7f_01ff_u32.to_be_bytes());
        let mut life = start.clone().raw(&listening.end()).raw(&[TIMEOUT; 12]);
        life = life.raw(&[OPENED, 0, TIMEOUT, TIMEOUT]);
        life = life.raw(&[ANSWER, 1, 1]).message(0x101, &[seen]);
        life = life
            .raw(&[KNOCK, 0, 0, STREAM_CHECK, 1])
            .message(0x001, checked);
        life = life.raw(&[TIMEOUT, ANSWER, 0, 1]).message(0x101, &[seen]);
        life = life.raw(&[STREAM_CHECK, 1]).message(0x001, nominated);
        life = life.raw(&[SEND]).block(b"hello");
        life = life.raw(&[FRAME, 1]).block(b"hello");
        life = life.raw(&[RESTART, 2, GATHER, LOST, 1, KNOCK, 1, 1, FRAME, 2]);
        life.block(b"GET /").raw(&[TIMEOUT, CLOSE]).end()
    };
    seeds.push(prefix(17)(wired.clone()));
    seeds.push(prefix(27)(wired));
    // Every profile, with what happens in the middle of a call.
    for profile in 0..16 {
        let life = life(controlled);
        let middle = [
            ADDRESS, 9, 1, ATTACH, 0xC0, 0x57, 0, 1, 7, RESTART, 0, RESTART, 2, NO_ADDRESS, 0,
        ];
        let script = [life.as_slice(), &middle, &life, &[REVOKE, 9, NO_STREAM, 0]].concat();
        seeds.push(prefix(profile)(script));
    }
    for packets in samples::packets().chunks(8) {
        let add = |script: Writer, packet: &Vec<u8>| script.raw(&[RAW, 0, 0]).block(packet);
        seeds.push(prefix(1)(packets.iter().fold(start.clone(), add).end()));
    }
    seeds
}

/// What must hold of a script.
pub fn run(data: &[u8]) {
    play(data);
}

/// How many local candidates and selected pairs there were.
fn play(data: &[u8]) -> [u32; 2] {
    let mut seen = [0; 2];
    let mut script = Script::new(data);
    let profile = script.byte();
    let config = Config::new(if profile & 1 == 0 {
        Role::Controlling
    } else {
        Role::Controlled
    });
    let mut config = match profile >> 1 & 7 {
        0 | 1 => config,
        2 => config.strict(),
        3 => config.idle(),
        4 => config.server(),
        5 => Config {
            lite: true,
            ..config
        },
        6 => Config {
            continual: true,
            piggyback: vec![0xC057],
            ..config
        },
        _ => Config {
            policy: Policy::NoHost,
            ..config
        },
    };
    if profile >> 4 & 1 == 1 {
        config.tcp = TcpUse::BeforeUdp;
        config.tcp_addresses = locals().into();
    }
    config.addresses = locals().into();
    config.stun_servers = vec![server()];
    let turn = TurnServer::new(server(), Credentials::new("alice", "password"));
    config.turn_servers = vec![turn.clone(), turn.over_tcp()];
    let limits = config.limits;
    let mut agent = Driver::new(Agent::new(config, [1; 32], NOW), NOW);
    let mut username = format!("{}:peer", agent.machine.credentials().ufrag());
    let mut local = Key::short_term(agent.machine.credentials().pwd());
    let remote = Key::short_term(PEER_PWD);
    let relay = Key::long_term("alice", "floe", "password");

    let mut streams: Vec<(StreamId, FiveTuple)> = Vec::new();
    while !script.is_empty() {
        match script.byte() {
            CHECK => {
                let path = FiveTuple::udp(script.choose(&locals()), script.choose(&remotes()));
                let signed = script.byte() & 1 == 1;
                let bytes = script.message(None, |builder| {
                    let builder = builder.with(&floe_stun::Username(&username));
                    if signed {
                        builder.with_integrity(&local).with_fingerprint()
                    } else {
                        builder
                    }
                });
                let before = agent.machine.retained();
                let _ = agent.input(path, &bytes);
                if !signed {
                    assert!(agent.machine.retained() <= before, "authenticate first");
                }
            }
            ANSWER => {
                let mut sent = agent.last_to(script.choose(&remotes())).cloned();
                if let Some(sent) = sent.as_mut().filter(|sent| is_framed(sent.path)) {
                    sent.payload = sent.payload.slice(2..);
                }
                let signed = script.byte() & 1 == 1;
                let bytes = script.message(sent.as_ref(), |builder| {
                    if signed {
                        builder.with_integrity(&remote).with_fingerprint()
                    } else {
                        builder
                    }
                });
                if let Some(sent) = sent {
                    let _ = agent.input(sent.path, &bytes);
                }
            }
            kind @ (SERVER_ANSWER | STREAM_ANSWER) => {
                let at = script.byte();
                let path = if kind == STREAM_ANSWER {
                    let known = streams.get(usize::from(at));
                    known.map_or(stream(at), |&(_, path)| path)
                } else {
                    FiveTuple::udp(locals()[usize::from(at % 2)], server())
                };
                let signed = script.byte() & 1 == 1;
                let sent = agent.sent.iter().rfind(|sent| sent.path == path);
                let bytes = script.message(sent, |builder| {
                    if signed {
                        builder.with_integrity(&relay)
                    } else {
                        builder
                    }
                });
                let _ = agent.input(path, &bytes);
            }
            RAW => {
                let path = FiveTuple::udp(script.choose(&locals()), script.choose(&remotes()));
                let _ = agent.input(path, script.block());
            }
            TIMEOUT => agent.timeout(),
            WAIT => {
                agent.now += Duration::from_millis(u64::from(script.byte()) * 250);
                agent.tell();
            }
            CANDIDATE => {
                let candidate = candidate(&mut script);
                let _ = agent.command(|agent, now| agent.add_remote_candidate(now, candidate));
            }
            CREDENTIALS => {
                let lite = script.byte() & 1 == 1;
                let credentials = IceCredentials::new("peer", PEER_PWD).expect("good credentials");
                let parameters = RemoteParameters {
                    credentials,
                    pacing: None,
                    lite,
                    renomination: !lite,
                };
                let _ = agent.command(|agent, now| agent.set_remote_parameters(now, parameters));
            }
            END => {
                let _ = agent.command(Agent::end_of_remote_candidates);
            }
            SEND => send(&mut agent, &streams, script.block()),
            CLOSE => {
                let now = agent.now;
                agent.machine.close(now);
                agent.drain();
            }
            OPENED => {
                let at = script.byte();
                if let Some(&(id, path)) = streams.get(usize::from(at)) {
                    let local = path.local;
                    let _ = agent.command(|agent, now| agent.stream_opened(now, id, local));
                }
            }
            LOST => {
                if let Some(&(id, _)) = streams.get(usize::from(script.byte())) {
                    let now = agent.now;
                    agent.machine.stream_failed(now, id);
                    agent.drain();
                }
            }
            RESTART => {
                match script.byte() {
                    0 => drop(agent.machine.prepare_restart()),
                    1 => agent.machine.cancel_restart(),
                    _ => {
                        let _ = agent.command(Agent::restart);
                        // The scripts that follow know the new credentials.
                        let credentials = agent.machine.credentials();
                        username = format!("{}:peer", credentials.ufrag());
                        local = Key::short_term(credentials.pwd());
                    }
                }
                agent.drain();
            }
            ADDRESS => {
                let component = component(&mut script);
                let address = LocalAddress::new(script.choose(&locals())).on(component);
                let _ = agent.command(|agent, now| agent.add_address(now, address));
            }
            NO_ADDRESS => {
                let (now, address) = (agent.now, script.choose(&locals()));
                agent.machine.remove_address(now, address);
                agent.drain();
            }
            NO_STREAM => {
                let stream = u16::from(script.byte());
                let _ = agent.command(|agent, now| agent.remove_stream(now, stream));
            }
            ATTACH => {
                let attribute = (script.u16(), script.block().to_vec().into());
                let _ = agent.command(|agent, _| agent.attach(Some(attribute)));
            }
            REVOKE => {
                let component = component(&mut script);
                let _ = agent.command(|agent, now| agent.revoke_consent(now, component));
            }
            KNOCK => {
                let (at, from) = (script.choose(&locals()), script.choose(&remotes()));
                let accepted = agent.command(|agent, now| agent.stream_accepted(now, at, from));
                streams.extend(accepted.ok().map(|id| (id, tcp(at, from))));
            }
            STREAM_CHECK => {
                let at = usize::from(script.byte());
                let bytes = script.message(None, |builder| {
                    let builder = builder.with(&floe_stun::Username(&username));
                    builder.with_integrity(&local).with_fingerprint()
                });
                if let Some(&(_, path)) = streams.get(at) {
                    let _ = agent.input(path, &bytes);
                }
            }
            FRAME => {
                let at = usize::from(script.byte());
                let bytes = script.block();
                if let Some(&(_, path)) = streams.get(at) {
                    let _ = agent.input(path, bytes);
                }
            }
            GATHER => {
                let now = agent.now;
                agent.machine.gather(now);
                agent.drain();
            }
            _ => {}
        }
        for event in agent.events.drain(..) {
            seen[0] += u32::from(matches!(event, Event::LocalCandidate(_)));
            seen[1] += u32::from(matches!(event, Event::Selected(_)));
            if let Event::StreamWanted {
                id,
                transport,
                framing,
                local,
                remote,
            } = event
            {
                // The peer may say that it is where the server is.
                let port = if matches!(framing, Framing::Turn { .. }) {
                    SERVER_PORT
                } else {
                    51_000 + streams.len() as u16
                };
                let path = FiveTuple {
                    transport,
                    local: SocketAddr::new(local, port),
                    remote,
                };
                streams.push((id, path));
            }
        }
        if let Some(sent) = agent.last() {
            assert!(is_own(sent.path, &streams), "it owns no {:?}", sent.path);
        }
        // Pairs, checks on their way, candidates, early checks, transactions of the gatherer.
        let most = 2 * limits.pairs + 2 * limits.remote_candidates + limits.early_checks + 256;
        assert!(
            agent.machine.retained() <= most,
            "{} items",
            agent.machine.retained()
        );
    }
    // Closed and left alone, it has nothing more to do.
    let now = agent.now;
    agent.machine.close(now);
    agent.drain();
    for _ in 0..200 {
        agent.timeout();
    }
    assert_eq!(agent.machine.state(), State::Closed);
    assert_eq!(agent.machine.poll_timeout(), None);
    seen
}

/// Whether what is sent on this path stands behind its length.
fn is_framed(path: FiveTuple) -> bool {
    path.transport == Transport::Tcp && path.local.port() != SERVER_PORT
}

/// Whether the agent may send on this path: from one of its sockets, or on a stream.
fn is_own(path: FiveTuple, streams: &[(StreamId, FiveTuple)]) -> bool {
    let is_socket = path.transport == Transport::Udp && locals().contains(&path.local);
    is_socket || streams.iter().any(|&(_, stream)| stream == path)
}

/// Nearly always the first one.
fn component(script: &mut Script<'_>) -> ComponentId {
    match script.byte() {
        0 => ComponentId::new(0, 2),
        1 => ComponentId::new(1, 1),
        2 => ComponentId::new(1, 300),
        _ => ComponentId::default(),
    }
}

fn candidate(script: &mut Script<'_>) -> Candidate {
    let kinds = [
        CandidateKind::Host,
        CandidateKind::ServerReflexive,
        CandidateKind::Relayed,
        CandidateKind::PeerReflexive,
    ];
    let kind = script.choose(&kinds);
    let address = match script.byte() {
        at @ 0..=3 => remotes()[usize::from(at)],
        4 => ([0, 0, 0, 0], 1).into(),
        5 => "[2001:db8::9]:5000".parse().expect("an address"),
        other => ([203, 0, 113, other], script.u16()).into(),
    };
    let (transport, tcp_type) = match script.byte() {
        0 => (Transport::Tcp, Some(TcpType::Passive)),
        1 => (Transport::Tcp, Some(TcpType::Active)),
        2 => (Transport::Tcp, Some(TcpType::SimultaneousOpen)),
        3 => (Transport::Tcp, None),
        _ => (Transport::Udp, None),
    };
    Candidate {
        component: component(script),
        network: Network::default(),
        kind,
        transport,
        tcp_type,
        address,
        base: address,
        priority: u32::from_be_bytes([script.byte(), script.byte(), script.byte(), script.byte()]),
        foundation: "1".into(),
        related: None,
    }
}

fn send(agent: &mut Driver<Agent>, streams: &[(StreamId, FiveTuple)], payload: &[u8]) {
    let mut buffer = vec![0; HEADROOM + payload.len() + TAILROOM];
    let range = HEADROOM..HEADROOM + payload.len();
    buffer[range.clone()].copy_from_slice(payload);
    if let Ok(route) = agent.machine.send(&mut buffer, range) {
        assert!(is_own(route.path, streams));
        let sent = &buffer[route.range()];
        if is_framed(route.path) {
            assert_eq!(&sent[2..], payload);
            agent.drain();
            return;
        }
        let is_framed = || matches!(Protocol::of(sent), Protocol::Stun | Protocol::Channel);
        assert!(sent == payload || (route.path.remote == server() && is_framed()));
    }
    agent.drain();
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_first_seeds_gather_and_select() {
        let seeds = super::seeds();
        assert_eq!(super::play(&seeds[0]), [3, 1]);
        assert_eq!(super::play(&seeds[1]), [3, 1]);
        // Two host candidates, and the relayed one of the stream.
        assert_eq!(super::play(&seeds[3]), [3, 0]);
    }
}
