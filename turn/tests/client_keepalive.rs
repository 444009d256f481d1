//! The 5-tuple is kept alive while nothing else keeps it.

mod support;

use floe_stun::*;
use floe_turn::ClientConfig;
use support::*;

fn is_keepalive(bytes: &[u8]) -> bool {
    let message = parse(bytes);
    (message.class(), message.method()) == (Class::Indication, Method::BINDING)
}

fn with_keepalive() -> Clients {
    let mut config = client_config();
    config.keepalive = ClientConfig::new(client_path(), Credentials::new(USER, PASSWORD)).keepalive;
    let mut t = Clients::with(config);
    t.allocate();
    t.event();
    t
}

#[test]
fn a_silent_5_tuple_is_kept_alive_every_25_seconds() {
    let mut t = with_keepalive();
    let start = t.now;
    let sent = t.run_until(start + secs(200));
    let times: Vec<_> = sent.iter().map(|(at, _)| (*at - start).as_secs()).collect();
    assert_eq!(times, [25, 50, 75, 100, 125, 150, 175, 200]);
    assert!(sent.iter().all(|(_, bytes)| is_keepalive(bytes)));
    assert!(
        sent.iter()
            .all(|(_, bytes)| bytes.len() == 28 && parse(bytes).verify_fingerprint())
    );
}

#[test]
fn data_and_requests_take_the_place_of_keepalives() {
    let mut t = with_keepalive();
    t.client.create_permission(t.now, peer().ip()).unwrap();
    let request = t.sent();
    t.give(&granted(&request));
    let start = t.now;
    for i in 1..20 {
        assert_eq!(t.run_until(start + secs(10 * i)), []);
        t.client.wrap(peer(), b"x").unwrap();
    }
    // The gap after the last data is no longer than the interval.
    let sent = t.run_until(t.now + secs(25));
    assert_eq!(sent.len(), 1);
}

#[test]
fn nothing_is_kept_alive_without_an_allocation_or_if_so_configured() {
    let mut t = with_keepalive();
    t.client.release(t.now).unwrap();
    let delete = t.sent();
    t.give(&refused(&delete, 437));
    assert_eq!(t.client.poll_timeout(), None);

    let mut t = Clients::allocated();
    assert_eq!(t.run_until(t.now + secs(500)), []);
}
