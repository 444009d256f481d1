//! A Binding service with behaviour discovery (RFC 5780) and a relay behind the same listeners: one look at
//! the type of a message says whose it is.

mod support;

use std::net::SocketAddr;

use floe_sansio::*;
use floe_stun::discovery::{Dependence, Finding};
use floe_stun::{
    AddressGrid, BehaviourService, Data, Discovery, DiscoveryConfig, MessageType, Method,
};
use floe_turn::ServerConfig;
use support::*;

/// Both servers, and who gets what.
struct Host {
    turn: floe_turn::Server,
    binding: floe_stun::Server,
    listeners: Vec<SocketAddr>,
}

impl Host {
    fn new(listeners: &[SocketAddr], service: floe_stun::ServerConfig, now: Instant) -> Self {
        let mut config: ServerConfig = server_config();
        config.listeners = listeners.to_vec();
        Self {
            turn: floe_turn::Server::new(config, [5; 32], now),
            binding: floe_stun::Server::with_config(service, [6; 32], now).unwrap(),
            listeners: listeners.to_vec(),
        }
    }

    /// One datagram arrives: what is forwarded, and what is answered.
    fn input(
        &mut self,
        now: Instant,
        path: FiveTuple,
        bytes: &[u8],
    ) -> (Option<(FiveTuple, Vec<u8>)>, Vec<Transmit>) {
        // At a relayed address everything is data, whatever it looks like.
        let is_for_us = self.listeners.contains(&path.local);
        let kind = MessageType::peek(bytes).filter(|_| is_for_us);
        let forwarded = if kind.is_some_and(|kind| kind.method == Method::BINDING) {
            routed(feed(&mut self.binding, now, path, bytes))
        } else {
            routed(feed(&mut self.turn, now, path, bytes))
        };
        let turn = std::iter::from_fn(|| self.turn.poll_transmit());
        let binding = std::iter::from_fn(|| self.binding.poll_transmit());
        let answers = turn.chain(binding).collect();
        (forwarded, answers)
    }
}

fn grid() -> AddressGrid {
    AddressGrid::new(listener(), addr("192.0.2.2:3479")).unwrap()
}

fn discovering() -> floe_stun::ServerConfig {
    floe_stun::ServerConfig {
        behaviour: Some(BehaviourService::udp(grid())),
        ..floe_stun::ServerConfig::default()
    }
}

/// Attack 19 and RFC 5780 §6: each request is answered by its own server, from the address that it asks
/// for, and neither service disturbs the other.
#[test]
fn behaviour_is_discovered_through_the_listeners_of_a_relay_that_is_at_work() {
    let mut now = Instant::from_secs(1);
    let listeners = grid().all();
    let mut host = Host::new(&listeners, discovering(), now);

    // Clients at each of the four listeners, with a peer each.
    let mut askers = Vec::new();
    for (n, listener) in (1..).zip(listeners) {
        let mut asker = Asker::at(SocketAddr::new(home().ip(), n));
        asker.path.local = listener;
        let relayed = asker.allocate(&mut host.turn, now);
        assert_eq!(asker.permit(&mut host.turn, now, peer()), 0);
        askers.push((asker, relayed));
    }

    let mut config = DiscoveryConfig::new(listener());
    config.local = Some(home());
    config.lifetime = None;
    config.mtu = None;
    config.hairpinning = false;
    let mut discovery = Discovery::new(config, [2; 32], now);
    let mut exchanged = 0;
    while !discovery.is_finished() {
        while let Some(request) = discovery.poll_transmit() {
            let (_, answers) = host.input(now, request.path.mirrored(), &request.payload);
            for answer in answers {
                exchanged += 1;
                let path = answer.path.mirrored();
                let _ = feed(&mut discovery, now, path, &answer.payload);
            }
            for (asker, relayed) in &askers {
                let out = host.input(now, asker.path, &send_indication(peer(), b"x"));
                let expected = (FiveTuple::udp(*relayed, peer()), b"x".to_vec());
                assert_eq!(out, (Some(expected), vec![]));
                let (back, _) = host.input(now, FiveTuple::udp(*relayed, peer()), b"y");
                assert_eq!(back.unwrap().0, asker.path);
            }
        }
        if let Some(next) = discovery.poll_timeout() {
            now = next;
            discovery.handle_timeout(now);
        }
    }
    let report = discovery.report();
    assert_eq!(report.udp, Finding::Known(true));
    assert_eq!(report.nat, Finding::Known(false));
    assert_eq!(report.mapped, Finding::Known(home()));
    // Answers came from the other address and port.
    let open = Finding::Known(Dependence::EndpointIndependent);
    assert_eq!(report.filtering, open);
    assert!(exchanged >= 2, "{exchanged}");
    let stats = host.turn.stats();
    assert_eq!(stats.dropped(DropReason::Unsupported), 0);
    assert_eq!(host.turn.allocations(), listeners.len());
}

/// A Binding request for a relayed address is data for whoever has it, as from any peer.
#[test]
fn at_a_relayed_address_a_binding_request_is_data() {
    let now = Instant::from_secs(1);
    let mut host = Host::new(&grid().all(), discovering(), now);
    let mut asker = Asker::new();
    let relayed = asker.allocate(&mut host.turn, now);
    let request = Asker::new().message(Method::BINDING, &|b| b);
    let path = FiveTuple::udp(relayed, peer());
    let dropped = host.input(now, path, &request);
    assert_eq!(dropped, (None, vec![]), "no permission, no answer");
    assert_eq!(asker.permit(&mut host.turn, now, peer()), 0);
    let (data, answers) = host.input(now, path, &request);
    let (to, message) = data.unwrap();
    assert_eq!((to, answers), (asker.path, vec![]));
    assert_eq!(parse(&message).get().unwrap(), Some(Data(&request)));
}

/// Attack 46: where the Binding service knows RFC 3489, that is for Binding only.
#[test]
fn a_classic_client_is_served_beside_a_relay_and_not_by_it() {
    let now = Instant::from_secs(1);
    let service = floe_stun::ServerConfig {
        classic: true,
        ..floe_stun::ServerConfig::default()
    };
    let mut host = Host::new(&[listener()], service, now);
    for (method, is_answered) in [
        (Method::BINDING, true),
        (Method::ALLOCATE, false),
        (Method::REFRESH, false),
    ] {
        let mut request = Asker::new().message(method, &|b| b);
        request[4..8].copy_from_slice(b"3489");
        let (_, answers) = host.input(now, Asker::new().path, &request);
        let lengths: Vec<_> = answers.iter().map(|it| it.payload.len()).collect();
        assert_eq!(lengths, vec![32; usize::from(is_answered)], "{method:?}");
    }
}
