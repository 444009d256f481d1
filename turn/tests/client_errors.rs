//! What the client makes of failures, and what it gets back afterwards.

mod support;

use floe_sansio::*;
use floe_stun::*;
use floe_turn::{AllocateError, ClientEvent, CommandError, Retry, client};
use support::*;

fn from_port(port: u16) -> FiveTuple {
    FiveTuple::udp(std::net::SocketAddr::new(home().ip(), port), listener())
}

fn over(transport: Transport) -> FiveTuple {
    FiveTuple {
        transport,
        ..client_path()
    }
}

/// Answers the challenge of an Allocate on `path`; the one with credentials.
fn asked_on(t: &mut Clients, path: FiveTuple) -> Vec<u8> {
    let first = t.sent_on(path);
    if parse(&first).integrity().is_some() {
        return first;
    }
    let challenge = challenge(&first, 401, "nonce");
    assert_eq!(t.offer_on(path, &challenge), Input::Handled);
    t.sent_on(path)
}

// ---- another path --------------------------------------------------------------------------

/// req: TURN-7.4-8, TURN-7.4-9, TURN-7.4-10
#[test]
fn mismatches_are_met_with_three_local_addresses_and_then_with_silence() {
    let mut t = Clients::new();
    let request = t.asked();
    let mut ids = vec![parse(&request).transaction_id()];
    t.give(&refused(&request, 437));
    for port in [40001, 40002] {
        assert_eq!(t.client.retry(), Some(Retry::FreshPath(t.now)));
        assert_eq!(
            t.client.allocate_from(t.now, t.client.path()),
            Err(CommandError::Path),
            "not the same once more"
        );
        let path = from_port(port);
        t.client.allocate_from(t.now, path).unwrap();
        let request = asked_on(&mut t, path);
        ids.push(parse(&request).transaction_id());
        assert_eq!(t.offer_on(path, &refused(&request, 437)), Input::Handled);
    }
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 3);
    let later = t.now + secs(120);
    assert_eq!(t.client.retry(), Some(Retry::FreshPath(later)));
    let early = later - Instant::from_nanos(1);
    let path = from_port(40003);
    assert_eq!(
        t.client.allocate_from(Instant::ZERO + early, path),
        Err(CommandError::BackOff)
    );
    t.client.allocate_from(later, path).unwrap();
    t.now = later;
    let request = asked_on(&mut t, path);
    assert_eq!(t.offer_on(path, &allocated(&request)), Input::Handled);
    assert!(t.client.is_allocated());
    assert_eq!(t.client.path(), path);
}

/// The server has been restarted in mid-call: it knows nothing of the allocation.
/// req: TURN-5-11, TURN-8.3-1
#[test]
fn permissions_and_channels_come_back_with_the_next_allocation() {
    let mut t = Clients::allocated();
    t.client.bind_channel(t.now, peer()).unwrap();
    t.client
        .create_permission(t.now, other_peer().ip())
        .unwrap();
    for request in t.all_sent() {
        t.give(&granted(&request));
    }
    t.events();
    t.now += secs(240);
    t.client.handle_timeout(t.now);
    let request = t.sent();
    t.give(&refused(&request, 437));
    assert_eq!(t.events(), [ClientEvent::Lost(AllocateError::Mismatch)]);
    assert!(!t.client.has_channel(peer()) && !t.client.has_permission(other_peer().ip()));
    assert_eq!(t.client.retry(), Some(Retry::FreshPath(t.now)));

    let path = from_port(40001);
    t.client.allocate_from(t.now, path).unwrap();
    let request = asked_on(&mut t, path);
    assert_eq!(t.offer_on(path, &allocated(&request)), Input::Handled);
    let requests: Vec<_> = (0..2).map(|_| t.sent_on(path)).collect();
    assert!(t.all_sent().is_empty());
    for request in &requests {
        assert_eq!(t.offer_on(path, &granted(request)), Input::Handled);
    }
    assert!(t.client.has_channel(peer()));
    assert!(t.client.has_permission(peer().ip()) && t.client.has_permission(other_peer().ip()));
    assert_eq!(t.client.wrap(peer(), b"x").unwrap().path, path);
    // The server of before is not heard.
    let old = indication(Method::DATA, |b| {
        b.with(&XorPeerAddress(peer())).with(&Data(b"x"))
    });
    assert_eq!(t.offer(&old), Input::Dropped(DropReason::UnknownLocal));
}

/// req: TURN-7.4-2, STUN-10-5, STUN-10-6
#[test]
fn an_alternate_server_is_asked_with_the_same_credentials() {
    let other = addr("192.0.2.2:3478");
    let mut t = Clients::new();
    let request = t.asked();
    t.give(&refused_with(&request, 300, |b| {
        b.with(&AlternateServer(addr("[2001:db8::2]:3478")))
            .with(&AlternateServer(other))
            .with(&AlternateDomain("turn2.example.org"))
    }));
    assert_eq!(
        t.events(),
        [ClientEvent::Failed(AllocateError::Redirected(other))]
    );
    assert_eq!(t.client.retry(), Some(Retry::Elsewhere(other)));
    assert_eq!(t.client.alternate_domain(), Some("turn2.example.org"));
    assert_eq!(t.client.allocate(t.now), Err(CommandError::Closed));
    let path = FiveTuple::udp(home(), other);
    t.client.allocate_from(t.now, path).unwrap();
    let request = asked_on(&mut t, path);
    assert_eq!(parse(&request).get().unwrap(), Some(Username(USER)));
    assert!(parse(&request).verify(&key(), Algorithm::Sha1));
    assert_eq!(t.offer_on(path, &allocated(&request)), Input::Handled);
    assert!(t.client.is_allocated());
}

/// req: STUN-10-8
#[test]
fn servers_that_send_users_in_a_circle_are_left_for_five_minutes() {
    let other = addr("192.0.2.2:3478");
    for (wait, loops) in [(299, true), (300, false)] {
        let mut t = Clients::new();
        let request = t.asked();
        t.give(&refused_with(&request, 300, |b| {
            b.with(&AlternateServer(other))
        }));
        let path = FiveTuple::udp(home(), other);
        t.client.allocate_from(t.now, path).unwrap();
        let request = asked_on(&mut t, path);
        t.now += secs(wait);
        let back = refused_with(&request, 300, |b| b.with(&AlternateServer(listener())));
        // A response that late needs a transaction that is still there.
        let t_response = t.offer_on(path, &back);
        assert_eq!(t_response, Input::Handled);
        t.events().pop();
        let expected = if loops {
            Retry::Never
        } else {
            Retry::Elsewhere(listener())
        };
        assert_eq!(t.client.retry(), Some(expected), "{wait}");
    }
}

/// req: STUN-9.2.5-13
#[test]
fn a_300_without_integrity_leads_nowhere() {
    let mut t = Clients::new();
    t.client.allocate(t.now).unwrap();
    let first = t.sent();
    let forged = |request: &[u8]| {
        response(request, Class::Error, |b| {
            b.with(&code(300))
                .with(&AlternateServer(addr("192.0.2.66:3478")))
        })
    };
    assert_eq!(
        t.offer(&forged(&first)),
        Input::Dropped(DropReason::Unauthenticated)
    );
    t.give(&challenge(&first, 401, "n"));
    let second = t.sent();
    assert_eq!(
        t.offer(&forged(&second)),
        Input::Dropped(DropReason::Unauthenticated)
    );
    t.give(&allocated(&second));
    assert!(t.client.is_allocated());
}

// ---- server errors -------------------------------------------------------------------------

/// req: STUN-6.3.4-5, STUN-6.3.4-6
#[test]
fn server_errors_are_borne_four_times() {
    let mut t = Clients::new();
    let mut request = t.asked();
    for _ in 0..4 {
        t.give(&refused(&request, 500));
        let later = t.now + secs(60);
        assert_eq!(t.client.retry(), Some(Retry::From(later)));
        t.now = later;
        t.client.allocate(t.now).unwrap();
        request = t.sent();
    }
    t.give(&refused(&request, 500));
    assert_eq!(t.client.retry(), Some(Retry::Never));
}

/// How often a request is sent to a server that always answers 500, and how far apart.
fn rounds(t: &mut Clients, kind: Method) -> usize {
    let mut requests = t.all_sent();
    for round in 0.. {
        requests.retain(|request| method(request) == kind);
        let Some(request) = requests.pop() else {
            return round;
        };
        let at = t.now;
        t.give(&refused(&request, 500));
        let next = t.client.poll_timeout().unwrap();
        requests = t.run_until(next).into_iter().map(|(_, b)| b).collect();
        assert!(t.now >= at + secs(5) || method(&request) != kind || round == 4);
    }
    unreachable!()
}

#[test]
fn a_permission_and_a_channel_bear_server_errors_four_times() {
    let error = AllocateError::Rejected(StatusCode::SERVER_ERROR);
    let mut t = Clients::allocated();
    t.client.create_permission(t.now, peer().ip()).unwrap();
    assert_eq!(rounds(&mut t, Method::CREATE_PERMISSION), 5);
    let refused = ClientEvent::PermissionRefused(peer().ip(), error);
    assert_eq!(t.events(), [refused]);

    let mut t = Clients::allocated();
    t.client.bind_channel(t.now, peer()).unwrap();
    assert_eq!(rounds(&mut t, Method::CHANNEL_BIND), 5);
    assert_eq!(t.events(), [ClientEvent::ChannelRefused(peer(), error)]);
    assert!(t.client.is_allocated());
}

#[test]
fn a_refresh_bears_server_errors_four_times_and_then_expires() {
    let mut t = Clients::allocated();
    let start = t.now;
    let mut sent = Vec::new();
    while t.client.is_allocated() {
        let at = t.client.poll_timeout().unwrap();
        for (_, request) in t.run_until(at) {
            sent.push(at);
            t.give(&refused(&request, 500));
        }
    }
    assert_eq!(sent.len(), 5);
    assert_eq!(t.now, start + secs(600));
    assert_eq!(t.events(), [ClientEvent::Lost(AllocateError::Expired)]);
}

// ---- one refused peer ----------------------------------------------------------------------

/// All peers wait for the allocation, so that they are asked for together.
fn batch(t: &mut Clients, count: u8) -> Vec<std::net::IpAddr> {
    let ips: Vec<_> = (0..count)
        .map(|i| std::net::Ipv4Addr::new(9, 9, 9, i).into())
        .collect();
    for &ip in &ips {
        t.client.create_permission(t.now, ip).unwrap();
    }
    ips
}

/// req: TURN-10.1-1, TURN-10.1-2
#[test]
fn one_refused_peer_of_a_batch_harms_only_itself() {
    for (bad, number) in [(0, 403), (3, 403), (7, 443), (5, 508), (2, 400)] {
        let mut t = Clients::new();
        let ips = batch(&mut t, 8);
        let request = t.asked();
        t.give(&allocated(&request));
        t.event();
        let mut requests = t.all_sent();
        assert_eq!(requests.len(), 1);
        assert_eq!(peers_of(&requests[0]).len(), client::MAX_BATCH);
        let mut count = 0;
        while let Some(request) = requests.pop() {
            count += 1;
            let named: Vec<_> = peers_of(&request)
                .iter()
                .map(std::net::SocketAddr::ip)
                .collect();
            let answer = if named.contains(&ips[bad]) {
                refused(&request, number)
            } else {
                granted(&request)
            };
            t.give(&answer);
            requests.extend(t.all_sent());
        }
        assert!(count <= 7, "halved, not taken one by one: {count}");
        let error = AllocateError::Rejected(StatusCode::new(number).unwrap());
        let events = t.events();
        let refused = events
            .iter()
            .filter(|event| matches!(event, ClientEvent::PermissionRefused(..)));
        assert_eq!(
            refused.collect::<Vec<_>>(),
            [&ClientEvent::PermissionRefused(ips[bad], error)]
        );
        for (at, &ip) in ips.iter().enumerate() {
            assert_eq!(t.client.has_permission(ip), at != bad);
        }
    }
}

#[test]
fn whoever_is_revoked_meanwhile_is_not_asked_for_again() {
    let mut t = Clients::new();
    let ips = batch(&mut t, 4);
    let request = t.asked();
    t.give(&allocated(&request));
    let request = t.sent();
    t.client.revoke(ips[1]);
    t.client.revoke(ips[2]);
    t.give(&refused(&request, 403));
    let named: Vec<_> = t
        .all_sent()
        .iter()
        .flat_map(|request| peers_of(request))
        .map(|peer| peer.ip())
        .collect();
    assert_eq!(named, [ips[0], ips[3]]);
    // When nobody is left, the request is not repeated.
    for ip in ips {
        t.client.revoke(ip);
    }
    let sent = t.run_until(t.now + secs(40));
    assert_eq!(sent, []);
}

/// A channel that was bound, and that the server no longer knows so: start afresh.
/// req: TURN-12.3-1
#[test]
fn a_channel_out_of_step_ends_the_allocation() {
    let mut t = Clients::allocated();
    t.client.bind_channel(t.now, peer()).unwrap();
    let request = t.sent();
    // A first 400 concerns only the channel.
    let mut other = t.client.clone();
    t.give(&granted(&request));
    t.events();
    t.run_until(t.now + secs(1));
    let start = t.now;
    let mut rebind = None;
    while rebind.is_none() {
        let at = t.client.poll_timeout().unwrap();
        for (_, request) in t.run_until(at) {
            if method(&request) == Method::CHANNEL_BIND {
                rebind = Some(request);
            } else {
                t.give(&granted(&request));
            }
        }
    }
    assert!(t.now < start + secs(600));
    t.give(&refused(&rebind.unwrap(), 400));
    let error = AllocateError::Rejected(StatusCode::BAD_REQUEST);
    assert_eq!(t.events().last(), Some(&ClientEvent::Lost(error)));
    let delete = t
        .all_sent()
        .into_iter()
        .find(|bytes| has::<Lifetime>(bytes))
        .unwrap();
    assert_eq!(parse(&delete).get().unwrap(), Some(Lifetime(0)));
    t.give(&success(&delete, |b| b.with(&Lifetime(0))));
    assert_eq!(t.events(), []);
    t.client.allocate_from(t.now, from_port(40001)).unwrap();

    let refusal = refused(&request, 400);
    let _ = feed(&mut other, start, client_path(), &refusal);
    assert!(other.is_allocated());
}

// ---- streams -------------------------------------------------------------------------------

/// req: TURN-3.1-1, STUN-6.2.2-3
#[test]
fn nothing_is_retransmitted_over_a_reliable_transport() {
    for transport in [
        Transport::Udp,
        Transport::Tcp,
        Transport::Tls,
        Transport::Dtls,
    ] {
        let mut config = client_config();
        config.path = over(transport);
        let path = config.path;
        let mut t = Clients::with(config);
        t.client.allocate(t.now).unwrap();
        t.sent_on(path);
        let sends = t.run_until(t.now + secs(40)).len();
        assert_eq!(sends, if transport.is_reliable() { 0 } else { 6 });
        assert_eq!(t.events(), [ClientEvent::Failed(AllocateError::Timeout)]);
    }
}

fn allocated_over(transport: Transport) -> Clients {
    let mut config = client_config();
    config.path = over(transport);
    let path = config.path;
    let mut t = Clients::with(config);
    t.client.allocate(t.now).unwrap();
    let request = asked_on(&mut t, path);
    assert_eq!(t.offer_on(path, &allocated(&request)), Input::Handled);
    t.event();
    t
}

/// req: TURN-12.5-3, TURN-12.6-7
#[test]
fn channel_data_is_padded_on_streams_only() {
    for transport in [
        Transport::Udp,
        Transport::Tcp,
        Transport::Tls,
        Transport::Dtls,
    ] {
        let mut t = allocated_over(transport);
        t.client.bind_channel(t.now, peer()).unwrap();
        let request = t.sent_on(over(transport));
        assert_eq!(
            t.offer_on(over(transport), &granted(&request)),
            Input::Handled
        );
        let sent = t.client.wrap(peer(), b"hello").unwrap();
        let mut expected = channel_data(0x4000, b"hello");
        if transport.is_reliable() {
            expected.extend([0; 3]);
        }
        assert_eq!(sent.payload, expected);
    }
}

/// Nothing gets lost on a stream: what is not genuine ends the request.
/// req: STUN-9.2.5-15
#[test]
fn a_forged_response_on_a_stream_ends_the_request() {
    let path = over(Transport::Tcp);
    let mut config = client_config();
    config.path = path;
    let mut t = Clients::with(config);
    t.client.allocate(t.now).unwrap();
    let request = asked_on(&mut t, path);
    let mut forged = allocated(&request);
    let last = forged.len() - 1;
    forged[last] ^= 1;
    assert_eq!(t.offer_on(path, &forged), Input::Handled);
    t.client.handle_timeout(t.now);
    assert_eq!(t.events(), [ClientEvent::Failed(AllocateError::Integrity)]);
}

#[test]
fn an_allocation_ends_with_its_connection() {
    let path = over(Transport::Tls);
    let mut t = allocated_over(Transport::Tls);
    t.client.create_permission(t.now, peer().ip()).unwrap();
    t.sent_on(path);
    t.client.path_failed(t.now, path);
    assert_eq!(t.events(), [ClientEvent::Lost(AllocateError::Disconnected)]);
    assert_eq!(t.client.poll_timeout(), None);
    assert_eq!(t.client.retry(), Some(Retry::FreshPath(t.now)));
}

/// req: TURN-7.4-1
#[test]
fn an_unreachable_server_may_be_tried_over_another_transport() {
    let mut t = Clients::new();
    t.client.allocate(t.now).unwrap();
    t.sent();
    t.client.path_failed(t.now, client_path());
    t.client.handle_timeout(t.now);
    assert_eq!(
        t.events(),
        [ClientEvent::Failed(AllocateError::Unreachable)]
    );
    let path = over(Transport::Tcp);
    t.client.allocate_from(t.now, path).unwrap();
    assert_eq!(method(&t.sent_on(path)), Method::ALLOCATE);
}
