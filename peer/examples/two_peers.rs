//! Two peers in one program: offer, answer, candidates, checks, data.
//!
//! The program is the driver: it carries texts and packets from one side to the other, and it alone
//! knows the time.
//!
//! `cargo run -p floe-peer --example two_peers`

use std::collections::BTreeMap;
use std::time::Duration;

use floe_peer::{
    Config, Connection, DescriptionKind, DtlsIdentity, Error, Event, Fingerprint, Setup,
};
use floe_sansio::{Datagram, Input, Instant};

const NAMES: [&str; 2] = ["alice", "bob"];
/// From one side to the other.
const DELAY: Duration = Duration::from_millis(20);

fn main() -> Result<(), Error> {
    let mut now = Instant::ZERO;
    let mut peers = [
        connection("192.0.2.1:1000", 1, now)?,
        connection("192.0.2.2:2000", 2, now)?,
    ];

    let [alice, bob] = &mut peers;
    let offer = alice.create_offer(now)?;
    alice.set_local_description(now, DescriptionKind::Offer, &offer)?;
    bob.set_remote_description(now, DescriptionKind::Offer, offer.as_bytes())?;
    println!("alice offers:\n{offer}");

    let answer = bob.create_answer(now)?;
    bob.set_local_description(now, DescriptionKind::Answer, &answer)?;
    alice.set_remote_description(now, DescriptionKind::Answer, answer.as_bytes())?;
    println!("bob answers:\n{answer}");

    // Packets under way, by the time of their arrival and their number.
    let mut packets = BTreeMap::new();
    let mut sent = 0;
    let mut greeted = [false; 2];
    let mut heard = 0;
    while heard < 2 {
        for side in 0..2 {
            while let Some(event) = peers[side].poll_event() {
                println!("{now:?} {}: {event:?}", NAMES[side]);
                if let Event::Candidate(candidate) = event {
                    peers[1 - side].add_ice_candidate(now, &candidate)?;
                }
            }
            if peers[side].selected().is_some() && !greeted[side] {
                greeted[side] = true;
                let mut buffer = format!("hello from {}", NAMES[side]).into_bytes();
                let range = 0..buffer.len();
                let route = peers[side]
                    .send(&mut buffer, range)
                    .expect("a pair is selected");
                sent += 1;
                packets.insert((now + DELAY, sent), (side, route.path, buffer));
            }
            while let Some(transmit) = peers[side].poll_transmit() {
                let packet = (side, transmit.path, transmit.payload.to_vec());
                sent += 1;
                packets.insert((now + DELAY, sent), packet);
            }
        }

        // On to whatever happens next.
        let deadlines = peers.iter().filter_map(Connection::poll_timeout);
        let arrival = packets.keys().next().map(|(at, _)| *at);
        now = deadlines
            .chain(arrival)
            .min()
            .expect("they have not met yet");
        for peer in &mut peers {
            if peer.poll_timeout().is_some_and(|at| at <= now) {
                peer.handle_timeout(now);
            }
        }
        while let Some(packet) = packets.first_entry().filter(|packet| packet.key().0 <= now) {
            let (from, path, mut bytes) = packet.remove();
            let datagram = Datagram::whole(path.mirrored(), &mut bytes);
            if let Input::Data(route) = peers[1 - from].handle_input(now, datagram) {
                let text = String::from_utf8_lossy(&bytes[route.range()]);
                println!("{now:?} {} hears: {text}", NAMES[1 - from]);
                heard += 1;
            }
        }
    }
    Ok(())
}

fn connection(address: &str, seed: u8, now: Instant) -> Result<Connection, Error> {
    // Of the certificate that a real owner would use for DTLS.
    let mut config = Config::data_channel(DtlsIdentity {
        fingerprints: vec![Fingerprint::sha256([seed; 32])],
        setup: Setup::Actpass,
        tls_id: None,
    });
    config.addresses = vec![address.parse().expect("an address and a port")];
    Connection::new(config, [seed; 32], now)
}
