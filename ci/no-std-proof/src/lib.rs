//! Every protocol crate of floe, driven from a library without `std`: one exported function each.
//!
//! The functions return how much came out, so that nothing is optimised away.

#![no_std]

extern crate alloc;

mod runtime;

use alloc::vec::Vec;
use core::net::{Ipv4Addr, SocketAddr};
use core::time::Duration;

use floe_sansio::{Datagram, Entropy, FiveTuple, Instant, Machine};

const NOW: Instant = Instant::ZERO;

fn address(last: u8, port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::new(192, 0, 2, last), port))
}

/// Acts at the first few deadlines, and hands each packet to the machine itself, as a stranger's.
fn drive(machine: &mut impl Machine) -> usize {
    let mut bytes = 0;
    for _ in 0..8 {
        while let Some(transmit) = machine.poll_transmit() {
            bytes += transmit.payload.len();
            let mut buffer = transmit.payload.to_vec();
            let datagram = Datagram::whole(transmit.path, &mut buffer);
            let _ = machine.handle_input(NOW, datagram);
        }
        while machine.poll_event().is_some() {}
        let Some(at) = machine.poll_timeout() else {
            break;
        };
        machine.handle_timeout(at);
    }
    bytes
}

/// `floe-sansio`: entropy.
#[unsafe(no_mangle)]
pub extern "C" fn proof_sansio() -> u64 {
    Entropy::new([1; 32]).u64()
}

/// `floe-stun`: a Binding client and a Binding server, with integrity; text in any script; a URI resolved.
#[unsafe(no_mangle)]
pub extern "C" fn proof_stun() -> usize {
    use floe_stun::{
        Builder, Class, Client, ClientConfig, Key, MessageType, Method, Profile, Server,
    };

    let path = FiveTuple::udp(address(1, 5000), address(2, 3478));
    let mut client = Client::new(ClientConfig::new(path), [1; 32], NOW);
    client.bind(NOW);
    let sent = drive(&mut client);

    let mut buffer = [0; 128];
    let kind = MessageType::new(Class::Request, Method::BINDING);
    let id = floe_stun::TransactionId::random(&mut Entropy::new([2; 32]));
    let length = Builder::new(&mut buffer, kind, id)
        .with_integrity(&Key::long_term("user", "realm", "password"))
        .with_fingerprint()
        .finish()
        .unwrap_or(0);
    let mut server = Server::new([2; 32], NOW);
    let datagram = Datagram::new(path.mirrored(), &mut buffer, 0..length);
    let _ = server.handle_input(NOW, datagram);
    let prepared = |profile: Profile| {
        let text = profile.prepare("l\u{B7}l e\u{301} \u{200C}");
        text.map_or_else(|error| error.offset, |text| text.as_str().len())
    };
    let text = prepared(Profile::OpaqueString) + prepared(Profile::SaslPrepStored);
    sent + drive(&mut server) + text + resolve()
}

/// Servers found for a URI when DNS knows addresses only.
fn resolve() -> usize {
    use floe_stun::resolve::{Answer, NextServer, QueryKind};
    use floe_stun::{Resolution, ResolveConfig, Uri};

    let uri = Uri::parse("stun:example.org");
    let resolution = uri.map(|uri| Resolution::new(&uri, ResolveConfig::default(), [3; 32]));
    let Ok(Ok(mut resolution)) = resolution else {
        return 0;
    };
    let mut servers = 0;
    loop {
        while let Some((id, query)) = resolution.poll_query() {
            let answer = match query.kind {
                QueryKind::A => Answer::Addresses(&[address(3, 0).ip()]),
                _ => Answer::Failed,
            };
            let _ = resolution.answer(id, answer);
        }
        match resolution.next_server() {
            NextServer::Try(_) => servers += 1,
            NextServer::Waiting => {}
            NextServer::Exhausted => return servers,
        }
    }
}

/// `floe-turn`: a client and a server, to which somebody else may vouch for clients.
#[unsafe(no_mangle)]
pub extern "C" fn proof_turn() -> usize {
    use floe_turn::{Client, ClientConfig, Server, ServerConfig, ThirdParty, TokenKey};

    let credentials = floe_stun::Credentials::new("user", "password");
    let path = FiveTuple::udp(address(1, 5000), address(2, 3478));
    let mut client = Client::new(ClientConfig::new(path, credentials), [1; 32], NOW);
    let mut config = ServerConfig::new(
        Vec::from([path.remote]),
        Vec::from([path.remote.ip()]),
        "realm",
    );
    config = config.with_user("user", "password");
    config.third_party = Some(ThirdParty {
        server_name: "turn".into(),
        keys: Vec::from([TokenKey {
            kid: "kid".into(),
            key: [3; 32],
            user: 1,
        }]),
        epoch: Duration::ZERO,
    });
    let mut server = Server::new(config, [2; 32], NOW);

    let mut bytes = usize::from(client.allocate(NOW).is_ok());
    while let Some(request) = client.poll_transmit() {
        let mut buffer = request.payload.to_vec();
        let datagram = Datagram::whole(request.path.mirrored(), &mut buffer);
        let _ = server.handle_input(NOW, datagram);
        while let Some(answer) = server.poll_transmit() {
            let mut buffer = answer.payload.to_vec();
            let datagram = Datagram::whole(answer.path.mirrored(), &mut buffer);
            let _ = client.handle_input(NOW, datagram);
            bytes += answer.payload.len();
        }
    }
    bytes + drive(&mut client) + drive(&mut server)
}

/// `floe-ice`: an agent.
#[unsafe(no_mangle)]
pub extern "C" fn proof_ice() -> usize {
    use floe_ice::{Agent, Config, Role};

    let mut config = Config::new(Role::Controlling);
    config.addresses = Vec::from([address(1, 5000)]);
    config.stun_servers = Vec::from([address(2, 3478)]);
    let mut agent = Agent::new(config, [1; 32], NOW);
    agent.gather(NOW);
    drive(&mut agent)
}

/// `floe-sdp`: a description, read.
#[unsafe(no_mangle)]
pub extern "C" fn proof_sdp() -> usize {
    let offer = include_bytes!("../../../sdp/tests/data/audio-video-data-offer.sdp");
    let Ok(session) = floe_sdp::Session::parse(offer) else {
        return 0;
    };
    let attributes = session
        .media()
        .flat_map(|media| media.attributes().collect::<Vec<_>>());
    attributes
        .filter(|attribute| attribute.value().is_ok())
        .count()
}

/// `floe-peer`: two connections, offer and answer.
#[unsafe(no_mangle)]
pub extern "C" fn proof_peer() -> usize {
    exchange().unwrap_or(0)
}

fn exchange() -> Result<usize, floe_peer::Error> {
    use floe_peer::{Config, Connection, DescriptionKind, DtlsIdentity, Fingerprint, Setup};

    let peer = |last| {
        let mut config = Config::data_channel(DtlsIdentity {
            fingerprints: Vec::from([Fingerprint::sha256([last; 32])]),
            setup: Setup::Actpass,
            tls_id: None,
        });
        config.addresses = Vec::from([address(last, 5000)]);
        let mut connection = Connection::new(config, [last; 32], NOW)?;
        connection.gather(NOW);
        Ok::<_, floe_peer::Error>(connection)
    };
    let (mut a, mut b) = (peer(1)?, peer(2)?);
    let offer = a.create_offer(NOW)?;
    a.set_local_description(NOW, DescriptionKind::Offer, &offer)?;
    b.set_remote_description(NOW, DescriptionKind::Offer, offer.as_bytes())?;
    let answer = b.create_answer(NOW)?;
    b.set_local_description(NOW, DescriptionKind::Answer, &answer)?;
    a.set_remote_description(NOW, DescriptionKind::Answer, answer.as_bytes())?;
    Ok(drive(&mut a) + drive(&mut b))
}
