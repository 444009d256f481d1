//! The data path touches no heap.

mod support;

use floe_sansio::*;
use support::*;

#[test]
fn relaying_allocates_nothing() {
    let (mut server, now) = server();
    let mut asker = Asker::new();
    let relayed = asker.allocate(&mut server, now);
    let mut t = Clients::allocated();
    assert_eq!(asker.permit(&mut server, now, other_peer()), 0);
    assert_eq!(asker.bind(&mut server, now, 0x4000, peer()), 0);
    t.client
        .create_permission(t.now, other_peer().ip())
        .unwrap();
    t.client.bind_channel(t.now, peer()).unwrap();
    for request in t.all_sent() {
        t.give(&granted(&request));
    }

    let mut buffer = [7; HEADROOM + 1200 + TAILROOM];
    let range = HEADROOM..HEADROOM + 1200;
    let info = allocation_counter::measure(|| {
        for to in [peer(), other_peer()] {
            // Out: framed by the client, unframed by the server.
            let route = t
                .client
                .encapsulate(to, &mut buffer, range.clone())
                .unwrap();
            let datagram = Datagram::new(asker.path, &mut buffer, route.range());
            let input = server.handle_input(now, datagram);
            assert!(matches!(input, Input::Forward(route) if route.range() == range));
            // Back: framed by the server, unframed by the client.
            let path = FiveTuple::udp(relayed, to);
            let datagram = Datagram::new(path, &mut buffer, range.clone());
            let Input::Forward(route) = server.handle_input(now, datagram) else {
                panic!("not forwarded");
            };
            let datagram = Datagram::new(client_path(), &mut buffer, route.range());
            let input = t.client.handle_input(t.now, datagram);
            assert!(matches!(input, Input::Data(route) if route.range() == range));
        }
        // What is dropped costs nothing either.
        let stranger = FiveTuple::udp(relayed, addr("8.8.8.8:1"));
        let datagram = Datagram::new(stranger, &mut buffer, range.clone());
        assert!(matches!(
            server.handle_input(now, datagram),
            Input::Dropped(_)
        ));
    });
    assert_eq!(info.count_total, 0);
}
