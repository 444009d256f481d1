//! Offer and answer on real sockets, loopback only.

mod support;

use floe_net::{Connection, Event};
use floe_peer::{
    Config, Credentials, DescriptionKind, DtlsIdentity, Event as Peer, Fingerprint, Policy, Setup,
    TcpUse, TurnServer,
};
use support::*;

fn config() -> Config {
    let mut config = Config::data_channel(DtlsIdentity {
        fingerprints: vec![Fingerprint::sha256([7; 32])],
        setup: Setup::Actpass,
        tls_id: None,
    });
    config.addresses = vec![any("127.0.0.1")];
    config
}

/// Exchanges descriptions and candidates until both sides have selected a pair and heard the other.
async fn connect(a: &mut Connection, b: &mut Connection) {
    let offer = a.command(|a, now| {
        let offer = a.create_offer(now).unwrap();
        a.set_local_description(now, DescriptionKind::Offer, &offer)
            .unwrap();
        offer
    });
    let answer = b.command(|b, now| {
        b.set_remote_description(now, DescriptionKind::Offer, offer.as_bytes())
            .unwrap();
        let answer = b.create_answer(now).unwrap();
        b.set_local_description(now, DescriptionKind::Answer, &answer)
            .unwrap();
        answer
    });
    a.command(|a, now| {
        a.set_remote_description(now, DescriptionKind::Answer, answer.as_bytes())
            .unwrap();
    });
    let mut heard = [false; 2];
    while heard != [true; 2] {
        let (at, event) = tokio::select! {
            event = a.next() => (0, event),
            event = b.next() => (1, event),
        };
        let (this, other) = if at == 0 {
            (&mut *a, &mut *b)
        } else {
            (&mut *b, &mut *a)
        };
        match event {
            Event::Machine(Peer::Candidate(candidate)) => {
                other
                    .command(|peer, now| peer.add_ice_candidate(now, &candidate))
                    .unwrap();
            }
            Event::Machine(Peer::Selected(_)) => {
                this.send(b"hello").unwrap();
            }
            Event::Machine(Peer::Failed(cause)) => panic!("{cause:?}"),
            Event::Data { payload, .. } => {
                assert_eq!(&payload[..], b"hello");
                // The other side may have sent before this one listened.
                if !std::mem::replace(&mut heard[at], true) {
                    this.send(b"hello").unwrap();
                }
            }
            Event::Machine(_) => {}
        }
    }
}

#[tokio::test]
async fn offer_and_answer_connect_two_hosts() {
    let (mut a, mut b) = (
        Connection::bind(config()).unwrap(),
        Connection::bind(config()).unwrap(),
    );
    within(10, connect(&mut a, &mut b)).await;
    let pair = a.machine().selected().unwrap();
    assert_eq!(pair.remote.address, b.addresses()[0]);
    within(1, a.close()).await;
}

#[tokio::test]
async fn candidates_over_tcp_are_signalled_and_used() {
    let bind = || {
        let mut config = config();
        config.ice.tcp = TcpUse::BeforeUdp;
        Connection::bind(config).unwrap()
    };
    let (mut a, mut b) = (bind(), bind());
    within(10, connect(&mut a, &mut b)).await;
    let udp = [&a, &b].map(|side| side.addresses()[0]);
    let pair = a.machine().selected().unwrap();
    assert!(!udp.contains(&pair.local.address) && !udp.contains(&pair.remote.address));
    within(1, a.close()).await;
}

#[tokio::test]
async fn offer_and_answer_connect_through_relays() {
    let server = Running::start(server_config("127.0.0.1"));
    let relay = || {
        let mut config = config();
        config.policy = Policy::Relay;
        config.turn_servers = vec![TurnServer::new(
            server.address,
            Credentials::new(USER, PASSWORD),
        )];
        Connection::bind(config).unwrap()
    };
    let (mut a, mut b) = (relay(), relay());
    within(10, connect(&mut a, &mut b)).await;
    let pair = a.machine().selected().unwrap();
    assert!(server.relayed().contains(&pair.local.address));
    assert!(server.relayed().contains(&pair.remote.address));
}
