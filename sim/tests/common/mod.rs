//! A host that sends what it is told to and keeps what it gets.

use std::collections::VecDeque;
use std::net::SocketAddr;

use floe_sansio::{Datagram, FiveTuple, Input, Instant, Transmit};
use floe_sim::{Endpoint, HostId, Link, Message, Simulation, Site, Topology};

/// Keeps what arrives.
#[derive(Debug, Default)]
pub(crate) struct Recorder {
    pub(crate) received: Vec<(Instant, FiveTuple, Vec<u8>)>,
    pub(crate) messages: Vec<(Instant, HostId, String)>,
    pub(crate) to_say: VecDeque<Message>,
}

impl Endpoint for Recorder {
    fn receive(&mut self, now: Instant, datagram: Datagram<'_>) -> Input {
        let payload = datagram.payload().to_vec();
        self.received.push((now, datagram.path, payload));
        Input::Handled
    }

    fn timeout(&mut self, _now: Instant) {}

    fn poll_transmit(&mut self) -> Option<Transmit> {
        None
    }

    fn deadline(&self) -> Option<Instant> {
        None
    }

    fn message(&mut self, now: Instant, from: HostId, text: &str) {
        self.messages.push((now, from, text.into()));
    }

    fn poll_message(&mut self) -> Option<Message> {
        self.to_say.pop_front()
    }
}

/// The core, 10 ms away.
#[allow(dead_code)]
pub(crate) fn public() -> Site {
    Site::public(Link::delay(std::time::Duration::from_millis(10)))
}

/// A world with a recorder on each host.
#[allow(dead_code)]
pub(crate) fn start(world: &Topology, seed: u64) -> Simulation<Recorder> {
    let mut simulation = Simulation::new(world, seed).unwrap();
    for host in world.hosts() {
        simulation.attach(host, Recorder::default());
    }
    simulation
}

/// Sends from a host, waits a second, and says what arrived there and from where.
#[allow(dead_code)]
pub(crate) fn send(
    simulation: &mut Simulation<Recorder>,
    from: (HostId, SocketAddr),
    to: (HostId, SocketAddr),
) -> Option<SocketAddr> {
    let before = simulation.endpoint(to.0).unwrap().received.len();
    let transmit = Transmit {
        path: FiveTuple::udp(from.1, to.1),
        payload: b"probe".as_slice().into(),
    };
    simulation.send(from.0, transmit);
    let _ = simulation.wait(std::time::Duration::from_secs(1));
    let received = &simulation.endpoint(to.0).unwrap().received;
    received.get(before).map(|(_, path, _)| path.remote)
}
