//! Allocations that move with their clients (RFC 8016), in the server.

mod support;

use std::net::SocketAddr;

use floe_sansio::*;
use floe_stun::*;
use floe_turn::{Server, ServerConfig, ServerEvent};
use support::*;

fn mobile_config() -> ServerConfig {
    let mut config = server_config_v6();
    config.mobility = true;
    config
}

fn wanted(b: Builder<'_>) -> Builder<'_> {
    b.with(&RequestedTransport::UDP).with(&MobilityTicket(&[]))
}

fn ticket(answer: &Answer) -> Option<Vec<u8>> {
    let ticket = answer.message().get::<MobilityTicket<'_>>().unwrap()?;
    Some(ticket.0.to_vec())
}

fn there() -> SocketAddr {
    addr("198.51.100.99:7000")
}

/// A server with one allocation that can move, and a permission.
struct Test {
    now: Instant,
    server: Server,
    asker: Asker,
    relayed: SocketAddr,
    ticket: Vec<u8>,
}

impl Test {
    fn new() -> Self {
        Self::with(mobile_config())
    }

    fn with(config: ServerConfig) -> Self {
        let (mut server, now) = server_with(config);
        let mut asker = Asker::new();
        let answer = asker.ask(&mut server, now, Method::ALLOCATE, wanted);
        assert_eq!(answer.code(), 0);
        let relayed = answer.relayed();
        let ticket = ticket(&answer).expect("a ticket");
        assert_eq!(asker.permit(&mut server, now, peer()), 0);
        Self {
            now,
            server,
            asker,
            relayed,
            ticket,
        }
    }

    fn refresh(&mut self, asker: &mut Asker, ticket: &[u8]) -> Answer {
        asker.ask(&mut self.server, self.now, Method::REFRESH, |b| {
            b.with(&MobilityTicket(ticket))
        })
    }

    /// Where the client is, as a peer finds it.
    fn client(&mut self) -> Option<FiveTuple> {
        arrive(&mut self.server, self.now, peer(), self.relayed, b"x").map(|(path, _)| path)
    }

    fn moved(&mut self) -> Vec<(FiveTuple, FiveTuple)> {
        let all = std::iter::from_fn(|| self.server.poll_event());
        all.filter_map(|event| match event {
            ServerEvent::ClientMoved { from, to, .. } => Some((from, to)),
            _ => None,
        })
        .collect()
    }
}

/// RFC 8016 §3.1.2.
#[test]
fn a_ticket_is_given_to_who_asks_where_that_is_allowed() {
    let (mut server, now) = server_with(mobile_config());
    let mut asker = Asker::new();
    let full = asker.ask(&mut server, now, Method::ALLOCATE, |b| {
        b.with(&RequestedTransport::UDP)
            .with(&MobilityTicket(b"something"))
    });
    assert_eq!(full.code(), 400);
    let plain = asker.ask(&mut server, now, Method::ALLOCATE, |b| {
        b.with(&RequestedTransport::UDP)
    });
    assert_eq!((plain.code(), ticket(&plain)), (0, None));
    let (mut server, now) = support::server();
    let answer = Asker::new().ask(&mut server, now, Method::ALLOCATE, wanted);
    assert_eq!((answer.code(), server.allocations()), (405, 0));
    let answer = Asker::new().ask(&mut server, now, Method::REFRESH, |b| {
        b.with(&MobilityTicket(&[1; 24]))
    });
    assert_eq!(answer.code(), 405);
}

/// RFC 8016 §3.2.2: the old 5-tuple counts until data comes from the new one.
#[test]
fn a_client_has_moved_once_it_sends_data_from_its_new_address() {
    for by_channel in [true, false] {
        let mut t = Test::new();
        let old = t.asker.path;
        assert_eq!(t.asker.bind(&mut t.server, t.now, 0x4000, peer()), 0);
        let mut new = Asker::at(there());
        let first = t.ticket.clone();
        let answer = t.refresh(&mut new, &first);
        assert_eq!((answer.code(), answer.lifetime()), (0, 600));
        assert_ne!(ticket(&answer).unwrap(), first);
        assert_eq!(t.client(), Some(old), "not yet");
        assert!(
            t.asker
                .push(&mut t.server, t.now, &channel_data(0x4000, b"x"))
                .is_some()
        );
        assert_eq!(new.permit(&mut t.server, t.now, other_peer()), 0);
        assert_eq!(t.client(), Some(old), "a request is no data");
        assert_eq!(t.moved(), []);

        let data = if by_channel {
            channel_data(0x4000, b"hi")
        } else {
            send_indication(peer(), b"hi")
        };
        let out = new.push(&mut t.server, t.now, &data);
        assert_eq!(
            out,
            Some((FiveTuple::udp(t.relayed, peer()), b"hi".to_vec()))
        );
        assert_eq!(t.client(), Some(new.path));
        assert_eq!(t.moved(), [(old, new.path)]);
        assert_eq!(
            t.asker.push(&mut t.server, t.now, &data),
            None,
            "it has left"
        );
        assert_eq!(t.asker.permit(&mut t.server, t.now, peer()), 437);
        assert_eq!(t.server.allocations(), 1);
        // From where it was, it can ask anew.
        t.asker.allocate(&mut t.server, t.now);
    }
}

/// RFC 8016 §3.2.2: a closed connection is as good as data.
#[test]
fn a_client_has_moved_when_its_old_connection_closes() {
    let mut t = Test::new();
    let old = t.asker.path;
    t.server.client_closed(t.now, old);
    assert_eq!(t.server.allocations(), 1, "it waits to be fetched");
    let mut new = Asker::at(there());
    let ticket = t.ticket.clone();
    assert_eq!(t.refresh(&mut new, &ticket).code(), 0);
    t.server.client_closed(t.now, old);
    assert_eq!(t.client(), Some(new.path));
}

/// Both relayed addresses of a dual allocation move, and a deletion of one leaves the ticket good.
#[test]
fn both_families_move_together() {
    let (mut server, now) = server_with(mobile_config());
    let mut asker = Asker::new();
    let answer = asker.ask(&mut server, now, Method::ALLOCATE, |b| {
        wanted(b).with(&AdditionalAddressFamily(AddressFamily::IPV6))
    });
    let key = ticket(&answer).unwrap();
    assert_eq!(asker.permit(&mut server, now, peer6()), 0);
    let v4_away = asker.ask(&mut server, now, Method::REFRESH, |b| {
        b.with(&RequestedAddressFamily(AddressFamily::IPV4))
            .with(&Lifetime(0))
    });
    assert_eq!(v4_away.code(), 0);
    let mut new = Asker::at(there());
    let answer = new.ask(&mut server, now, Method::REFRESH, |b| {
        b.with(&MobilityTicket(&key))
    });
    assert_eq!(answer.code(), 0);
    assert!(
        new.push(&mut server, now, &send_indication(peer6(), b"x"))
            .is_some()
    );
    assert_eq!(
        asker.push(&mut server, now, &send_indication(peer6(), b"x")),
        None
    );
    assert_eq!(new.refresh(&mut server, now, 0).code(), 0);
    assert_eq!((server.allocations(), server.poll_timeout()), (0, None));
}

/// RFC 8016 §3.2.2: the answer was lost, and the Refresh comes again.
#[test]
fn a_repeated_move_gets_the_same_ticket() {
    let mut t = Test::new();
    let mut new = Asker::at(there());
    let old = t.ticket.clone();
    let one = t.refresh(&mut new, &old);
    let two = t.refresh(&mut new, &old);
    assert_eq!((one.code(), two.code()), (0, 0));
    assert_eq!(ticket(&one), ticket(&two));
    assert!(
        new.push(&mut t.server, t.now, &send_indication(peer(), b"x"))
            .is_some()
    );
    let three = t.refresh(&mut new, &old);
    assert_eq!(ticket(&one), ticket(&three), "after the move too");
    t.now += secs(40);
    assert_eq!(t.refresh(&mut new, &old).code(), 400, "not for ever");
}

/// Attack 33: tickets of others, made up, used twice, chained, too late.
#[test]
fn a_ticket_moves_its_own_allocation_of_its_own_user_only() {
    let mut t = Test::new();
    let key = t.ticket.clone();
    let mut bob = Asker::user(there(), "bob", "tr0ub4dor");
    assert_eq!(t.refresh(&mut bob, &key).code(), 441);
    let mut own = Asker::at(home());
    assert_eq!(t.refresh(&mut own, &key).code(), 400, "it is there already");
    let mut new = Asker::at(there());
    let mut changed = key.clone();
    changed[3] ^= 1;
    for wrong in [&changed[..], &[], &key[1..], &[0; 24], &[7; 400]] {
        assert_eq!(t.refresh(&mut new, wrong).code(), 400);
    }
    // A place that is taken.
    let mut taken = Asker::at(addr("198.51.100.98:1"));
    taken.allocate(&mut t.server, t.now);
    assert_eq!(t.refresh(&mut taken, &key).code(), 437);
    assert_eq!(t.client(), Some(t.asker.path));

    // Twice, to two places: the first ticket is used up, and one move at a time is pending.
    let second = ticket(&t.refresh(&mut new, &key)).unwrap();
    let mut elsewhere = Asker::at(addr("198.51.100.97:1"));
    assert_eq!(t.refresh(&mut elsewhere, &key).code(), 400);
    assert_eq!(t.refresh(&mut elsewhere, &second).code(), 0);
    let data = send_indication(peer(), b"x");
    assert_eq!(new.push(&mut t.server, t.now, &data), None, "forgotten");
    assert!(elsewhere.push(&mut t.server, t.now, &data).is_some());
    assert_eq!(t.client(), Some(elsewhere.path));
    assert_eq!(t.moved().len(), 1);

    // After its end.
    let last = {
        let mut third = Asker::at(there());
        let (server, now) = (&mut t.server, t.now);
        let _ = elsewhere.refresh(server, now, 0);
        third.ask(server, now, Method::REFRESH, |b| {
            b.with(&MobilityTicket(&second))
        })
    };
    assert_eq!(last.code(), 437);
}

/// Attack 33: moving is no way around a quota.
#[test]
fn a_move_counts_for_the_network_it_leads_to() {
    let mut config = mobile_config();
    config.limits.per_address = 1;
    let mut t = Test::with(config);
    let mut resident = Asker::at(SocketAddr::new(there().ip(), 1));
    resident.allocate(&mut t.server, t.now);
    let mut new = Asker::at(there());
    let key = t.ticket.clone();
    assert_eq!(t.refresh(&mut new, &key).code(), 486);
    resident.refresh(&mut t.server, t.now, 0);
    assert_eq!(t.refresh(&mut new, &key).code(), 0);
    assert!(
        new.push(&mut t.server, t.now, &send_indication(peer(), b"x"))
            .is_some()
    );
    let full = resident.ask(&mut t.server, t.now, Method::ALLOCATE, |b| {
        b.with(&RequestedTransport::UDP)
    });
    assert_eq!(full.code(), 486);
    // Where it was, there is room again.
    t.asker.allocate(&mut t.server, t.now);
}
