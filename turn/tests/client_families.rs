//! The client with relayed addresses of two families.

mod support;

use floe_sansio::*;
use floe_stun::*;
use floe_turn::{
    AllocateError, ClientConfig, ClientEvent, CommandError, RelayPort, Retry, SendError,
};
use support::*;

const V4: AddressFamily = AddressFamily::IPV4;
const V6: AddressFamily = AddressFamily::IPV6;

fn relayed6() -> std::net::SocketAddr {
    addr("[2001:db8:1::1]:50000")
}

fn dual_config() -> ClientConfig {
    let mut config = client_config();
    config.additional_ipv6 = true;
    config
}

fn both(request: &[u8]) -> Vec<u8> {
    success(request, |b| {
        b.with(&XorRelayedAddress(relayed()))
            .with(&XorRelayedAddress(relayed6()))
            .with(&Lifetime(600))
            .with(&XorMappedAddress(home()))
    })
}

/// Only one family, and why not the other.
fn one(request: &[u8], has: std::net::SocketAddr, lacks: AddressFamily, number: u16) -> Vec<u8> {
    let error = code(number);
    success(request, |b| {
        b.with(&XorRelayedAddress(has))
            .with(&Lifetime(600))
            .with(&XorMappedAddress(home()))
            .with(&AddressErrorCode {
                family: lacks,
                error,
            })
    })
}

fn dual() -> Clients {
    let mut t = Clients::with(dual_config());
    let request = t.asked();
    t.give(&both(&request));
    t.event();
    t
}

/// The families that a request names.
fn named(bytes: &[u8]) -> Option<AddressFamily> {
    let family = parse(bytes).get::<RequestedAddressFamily>().unwrap();
    family.map(|RequestedAddressFamily(family)| family)
}

/// req: TURN-7.1-7, TURN-7.1-8, TURN-18.11-1
#[test]
fn two_families_are_asked_for_with_the_additional_one_named() {
    let mut t = Clients::with(dual_config());
    let request = t.asked();
    assert_eq!(
        values_of(&request, AttributeType::ADDITIONAL_ADDRESS_FAMILY),
        [[2, 0, 0, 0]]
    );
    assert_eq!(named(&request), None);
    t.give(&both(&request));
    let Some(ClientEvent::Allocated {
        relayed: first,
        additional,
        ..
    }) = t.event()
    else {
        panic!("not allocated");
    };
    assert_eq!((first, additional), (relayed(), Some(relayed6())));
    assert_eq!(t.client.relayed(), Some(relayed()));
    assert_eq!(t.client.relayed_for(peer6().ip()), Some(relayed6()));
}

/// req: TURN-10.1-2, TURN-10.1-4
#[test]
fn peers_of_both_families_share_one_request_and_get_their_data() {
    let mut t = Clients::with(dual_config());
    for ip in [peer().ip(), peer6().ip()] {
        t.client.create_permission(t.now, ip).unwrap();
    }
    let request = t.asked();
    t.give(&both(&request));
    t.event();
    let request = t.sent();
    assert!(t.all_sent().is_empty());
    let named: Vec<_> = peers_of(&request)
        .iter()
        .map(std::net::SocketAddr::ip)
        .collect();
    assert_eq!(named, [peer().ip(), peer6().ip()]);
    t.give(&granted(&request));
    assert_eq!(
        t.events(),
        [peer().ip(), peer6().ip()].map(ClientEvent::PermissionCreated)
    );
    for (from, at) in [(peer(), relayed()), (peer6(), relayed6())] {
        let data = indication(Method::DATA, |b| {
            b.with(&XorPeerAddress(from)).with(&Data(b"x"))
        });
        let got = routed(feed(&mut t.client, t.now, client_path(), &data));
        assert_eq!(got, Some((FiveTuple::udp(at, from), b"x".to_vec())));
        t.client.wrap(from, b"x").unwrap();
    }
}

/// One request for both, a minute before both expire.
/// req: TURN-8-1
#[test]
fn one_refresh_prolongs_both() {
    let mut t = dual();
    let start = t.now;
    let sent = t.run_granted(start + secs(1200));
    let times: Vec<_> = sent.iter().map(|(at, _)| (*at - start).as_secs()).collect();
    assert_eq!(times, [540, 1080]);
    assert!(sent.iter().all(|(_, bytes)| named(bytes).is_none()));
    assert!(t.client.is_allocated());
}

/// req: TURN-8-3, TURN-8.1-2, TURN-8.3-1
#[test]
fn each_family_has_its_own_lifetime() {
    let mut t = dual();
    let start = t.now;
    t.client.refresh(t.now, Some(V6)).unwrap();
    let request = t.sent();
    assert_eq!(named(&request), Some(V6));
    t.give(&success(&request, |b| b.with(&Lifetime(1200))));
    assert_eq!(t.client.expires(), Some(start + secs(600)), "the IPv4 one");
    // Only the one that is due is asked for.
    t.run_until(start + secs(539));
    let sent = t.run_until(start + secs(540));
    assert_eq!(named(&sent[0].1), Some(V4));
    // Without an answer it is gone, and the other lives on.
    t.client.create_permission(t.now, peer().ip()).unwrap();
    t.client.create_permission(t.now, peer6().ip()).unwrap();
    for request in t.all_sent() {
        t.give(&granted(&request));
    }
    t.events();
    t.run_until(start + secs(600));
    assert_eq!(
        t.events(),
        [ClientEvent::FamilyLost(V4, AllocateError::Expired)]
    );
    assert_eq!(t.client.relayed(), Some(relayed6()));
    assert!(!t.client.has_permission(peer().ip()));
    assert!(t.client.has_permission(peer6().ip()));
    assert_eq!(
        t.client.create_permission(t.now, other_peer().ip()),
        Err(CommandError::Family)
    );
    assert_eq!(t.client.refresh(t.now, Some(V4)), Err(CommandError::Family));
}

/// req: TURN-8.1-1, TURN-8.1-2
#[test]
fn one_family_can_be_deleted_alone() {
    let mut t = dual();
    for peer in [peer(), peer6()] {
        t.client.bind_channel(t.now, peer).unwrap();
    }
    for request in t.all_sent() {
        t.give(&granted(&request));
    }
    t.events();
    t.client.release_family(t.now, V4).unwrap();
    let delete = t.sent();
    assert_eq!(parse(&delete).get().unwrap(), Some(Lifetime(0)));
    assert_eq!(named(&delete), Some(V4));
    assert_eq!(t.client.relayed(), Some(relayed6()));
    assert!(!t.client.has_channel(peer()) && t.client.has_channel(peer6()));
    assert_eq!(t.client.wrap(peer(), b"x"), Err(SendError::NoPermission));
    // 437 would be as good an answer.
    t.give(&refused(&delete, 437));
    assert_eq!(t.events(), [ClientEvent::FamilyReleased(V4)]);
    assert!(t.client.is_allocated());
    assert_eq!(
        t.client.release_family(t.now, V4),
        Err(CommandError::Family)
    );
    // Its refresh names nobody that is not there.
    let sent = t.run_granted(t.now + secs(545));
    let refreshes = sent
        .iter()
        .filter(|(_, bytes)| method(bytes) == Method::REFRESH);
    assert!(refreshes.clone().count() == 1 && refreshes.clone().all(|(_, b)| named(b).is_none()));
    // The last one goes as the allocation.
    t.client.release_family(t.now, V6).unwrap();
    let delete = t.sent();
    assert_eq!(named(&delete), None);
    t.give(&success(&delete, |b| b.with(&Lifetime(0))));
    assert_eq!(t.events(), [ClientEvent::Released]);
}

/// 440 is final: the family is never asked for again.
/// req: TURN-7.3-5, TURN-18.12-1
#[test]
fn a_family_that_is_not_supported_is_not_asked_for_again() {
    for (has, lacks, asked) in [
        (relayed(), V6, None),
        (relayed6(), V4, Some(AddressFamily::IPV6)),
    ] {
        let mut t = Clients::with(dual_config());
        let request = t.asked();
        t.give(&one(&request, has, lacks, 440));
        let unsupported = StatusCode::ADDRESS_FAMILY_NOT_SUPPORTED;
        assert_eq!(
            t.events()[1..],
            [ClientEvent::FamilyRefused(lacks, unsupported)]
        );
        assert_eq!(t.client.relayed(), Some(has));
        // The allocation is lost, and there is another one, an hour later.
        t.now += secs(3600);
        t.client.handle_timeout(t.now);
        t.events();
        let request = {
            t.client.allocate(t.now).unwrap();
            t.sent()
        };
        assert!(!has_additional(&request));
        assert_eq!(named(&request), asked);
    }
}

/// req: TURN-18.12-1
#[test]
fn the_reserved_bits_of_an_address_error_code_do_not_count() {
    let mut t = Clients::with(dual_config());
    let request = t.asked();
    // Eight bits of them beside the family, and five before the class.
    let value = [2, 0xFF, 0xF4, 40, b'n', b'o'];
    t.give(&success(&request, |b| {
        b.with(&XorRelayedAddress(relayed()))
            .with(&Lifetime(600))
            .with(&XorMappedAddress(home()))
            .with_raw(AttributeType::ADDRESS_ERROR_CODE, &value)
    }));
    let unsupported = StatusCode::ADDRESS_FAMILY_NOT_SUPPORTED;
    let refused = ClientEvent::FamilyRefused(V6, unsupported);
    assert_eq!(t.events()[1..], [refused]);
}

fn has_additional(bytes: &[u8]) -> bool {
    has::<AdditionalAddressFamily>(bytes)
}

/// req: TURN-7.3-6
#[test]
fn a_family_without_capacity_is_asked_for_again_after_a_minute() {
    for (wait, again) in [(59, false), (60, true)] {
        let mut t = Clients::with(dual_config());
        let request = t.asked();
        t.give(&one(&request, relayed(), V6, 508));
        let delete = {
            t.client.create_permission(t.now, peer().ip()).unwrap();
            t.sent()
        };
        t.now += secs(wait);
        t.give(&refused(&delete, 437));
        let fresh = FiveTuple::udp(addr("198.51.100.5:40001"), listener());
        t.client.allocate_from(t.now, fresh).unwrap();
        assert_eq!(has_additional(&t.sent_on(fresh)), again, "{wait}");
    }
}

/// req: TURN-7.3-1, TURN-7.3-2, TURN-7.3-3
#[test]
fn an_address_of_no_family_asked_for_is_given_back() {
    let mut config = client_config();
    config.family = Some(V6);
    let mut t = Clients::with(config);
    let request = t.asked();
    t.give(&allocated(&request));
    assert_eq!(t.events(), [ClientEvent::Failed(AllocateError::Family)]);
    let delete = t.sent();
    assert_eq!(parse(&delete).get().unwrap(), Some(Lifetime(0)));
    t.give(&refused(&delete, 437));
    assert_eq!(t.client.retry(), Some(Retry::Never));
}

/// What may not be asked for together is not asked for at all.
/// req: TURN-7.1-5, TURN-7.1-6, TURN-7.1-8, TURN-7.1-9, TURN-7.1-10, TURN-7.1-14
#[test]
fn wishes_that_exclude_each_other_are_refused() {
    let token = RelayPort::Reserved(ReservationToken([7; 8]));
    for (family, additional, port) in [
        (Some(V4), true, RelayPort::Any),
        (Some(V6), true, RelayPort::Even),
        (Some(V4), false, token),
        (None, true, token),
        (None, true, RelayPort::EvenAndNext),
    ] {
        let mut config = client_config();
        config.family = family;
        config.additional_ipv6 = additional;
        config.port = port;
        let mut t = Clients::with(config);
        assert_eq!(t.client.allocate(t.now), Err(CommandError::Combination));
        assert!(t.all_sent().is_empty());
    }
    for (family, additional, port) in [
        (Some(V6), false, RelayPort::EvenAndNext),
        (None, true, RelayPort::Even),
        (None, false, token),
    ] {
        let mut config = client_config();
        config.family = family;
        config.additional_ipv6 = additional;
        config.port = port;
        let mut t = Clients::with(config);
        let request = t.asked();
        assert_eq!(has::<EvenPort>(&request), port != token);
        assert_eq!(has::<ReservationToken>(&request), port == token);
    }
}
