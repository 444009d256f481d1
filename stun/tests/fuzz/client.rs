//! One datagram, given to a Binding client that waits for an answer.

use floe_sansio::testing::Driver;
use floe_sansio::{FiveTuple, Instant, Transport};
use floe_stun::{Client, ClientConfig};

/// What must hold of a datagram.
pub(crate) fn run(data: &[u8]) {
    let now = Instant::ZERO;
    for transport in [Transport::Udp, Transport::Tcp] {
        let path = FiveTuple {
            transport,
            ..FiveTuple::udp(
                ([198, 51, 100, 7], 4000).into(),
                ([192, 0, 2, 1], 3478).into(),
            )
        };
        let mut client = Driver::new(Client::new(ClientConfig::new(path), [2; 32], now), now);
        client.machine.bind(now);
        client.drain();
        let _ = client.input(path, data);
        // The same as an answer to the request.
        let id = client.last().and_then(|sent| sent.payload.get(8..20));
        if let (Some(id), true) = (id, data.len() >= 20) {
            let mut answer = data.to_vec();
            answer[8..20].copy_from_slice(id);
            let _ = client.input(path, &answer);
        }
        client.timeout();
    }
}
