//! A host that runs the STUN and TURN servers on one port.

use core::net::SocketAddr;
use core::ops::RangeInclusive;

use floe_peer::Credentials;
use floe_sansio::{Datagram, Entropy, Input, Instant, Transmit};
use floe_stun::{MessageType, Method};
use floe_turn::{Server, ServerConfig};

use crate::Endpoint;

/// Where relayed addresses lie: the beginning of the dynamic ports (RFC 8656 §7.2).
const RELAY_PORTS: RangeInclusive<u16> = 49_152..=50_175;

/// The real `stun::Server` and `turn::Server` behind one listener; relayed addresses lie on the
/// listener's IP address.
#[derive(Debug)]
pub struct ServerHost {
    listener: SocketAddr,
    stun: floe_stun::Server,
    turn: Server,
}

impl ServerHost {
    /// A server with one user.
    pub fn new(
        listener: SocketAddr,
        realm: &str,
        user: &Credentials,
        seed: [u8; 32],
        now: Instant,
    ) -> Self {
        let mut entropy = Entropy::new(seed);
        let mut config = ServerConfig::new(vec![listener], vec![listener.ip()], realm);
        config.users.push(user.clone());
        // A server on the internet has sixteen times as many; making them ready is a third of the
        // cost of a short negotiation.
        config.ports = RELAY_PORTS;
        Self {
            listener,
            stun: floe_stun::Server::new(entropy.seed(), now),
            turn: Server::new(config, entropy.seed(), now),
        }
    }

    /// The TURN server, to look at.
    pub const fn turn(&self) -> &Server {
        &self.turn
    }
}

impl Endpoint for ServerHost {
    fn receive(&mut self, now: Instant, datagram: Datagram<'_>) -> Input {
        // On a relayed address everything is data for the client, whatever it looks like.
        let kind = MessageType::peek(datagram.payload());
        let for_stun = datagram.path.local == self.listener
            && kind.is_some_and(|kind| kind.method == Method::BINDING);
        let input = if for_stun {
            self.stun.handle_input(now, datagram)
        } else {
            self.turn.handle_input(now, datagram)
        };
        // Sockets of a simulated host need not be opened and closed.
        while self.turn.poll_event().is_some() {}
        input
    }

    fn timeout(&mut self, now: Instant) {
        self.turn.handle_timeout(now);
        while self.turn.poll_event().is_some() {}
    }

    fn poll_transmit(&mut self) -> Option<Transmit> {
        self.stun
            .poll_transmit()
            .or_else(|| self.turn.poll_transmit())
    }

    fn deadline(&self) -> Option<Instant> {
        self.turn.poll_timeout()
    }
}
