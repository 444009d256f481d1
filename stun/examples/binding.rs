//! The smallest whole program: a client learns its address from a server, in memory.
//!
//! A real driver does the same with a socket and a clock.

use floe_sansio::{Datagram, FiveTuple, Instant};
use floe_stun::{Client, ClientConfig, Server};

fn main() {
    let now = Instant::ZERO;
    let local = "192.0.2.1:5000".parse().expect("an address");
    let remote = "198.51.100.1:3478".parse().expect("an address");
    let path = FiveTuple::udp(local, remote);

    // Seed machines from the operating system; these seeds are for show.
    let mut client = Client::new(ClientConfig::new(path), [1; 32], now);
    let mut server = Server::new([2; 32], now);

    client.bind(now);
    while let Some(request) = client.poll_transmit() {
        println!("client sends {request:?}");
        let mut bytes = request.payload.to_vec();
        let _ = server.handle_input(now, Datagram::whole(request.path.mirrored(), &mut bytes));
    }
    while let Some(response) = server.poll_transmit() {
        println!("server sends {response:?}");
        let mut bytes = response.payload.to_vec();
        let _ = client.handle_input(now, Datagram::whole(response.path.mirrored(), &mut bytes));
    }
    while let Some(event) = client.poll_event() {
        println!("client knows {event:?}");
    }
}
