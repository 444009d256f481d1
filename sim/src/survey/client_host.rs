//! A host that finds out what kind of NAT it is behind.

use core::net::{IpAddr, SocketAddr};

use floe_sansio::{Datagram, Input, Instant, Transmit};
use floe_stun::discovery::Report;
use floe_stun::{Discovery, DiscoveryConfig, DiscoveryEvent};

use super::Step;
use crate::Endpoint;

/// The real [`Discovery`], on a host whose sockets open as they are asked for.
#[derive(Debug)]
pub struct DiscoveryHost {
    ip: IpAddr,
    machine: Discovery,
    steps: Vec<Step>,
    finished: Option<Instant>,
}

impl DiscoveryHost {
    /// Begins at once, on a host with this address.
    pub fn new(ip: IpAddr, config: DiscoveryConfig, seed: [u8; 32], now: Instant) -> Self {
        let mut host = Self {
            ip,
            machine: Discovery::new(config, seed, now),
            steps: Vec::new(),
            finished: None,
        };
        host.drain(now);
        host
    }

    /// What it has found out so far.
    pub const fn report(&self) -> &Report {
        self.machine.report()
    }

    /// The tests that have ended.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// When all of them had.
    pub const fn finished(&self) -> Option<Instant> {
        self.finished
    }

    fn drain(&mut self, now: Instant) {
        while let Some(event) = self.machine.poll_event() {
            match event {
                DiscoveryEvent::OpenSocket { role, port } => {
                    // Every port of a simulated host is free, but for its own: then another is tried.
                    let local = SocketAddr::new(self.ip, port);
                    if self.machine.socket_opened(now, role, local).is_err() {
                        let _ = self.machine.socket_refused(now, role);
                    }
                }
                DiscoveryEvent::Tested(test, answer) => self.steps.push(Step {
                    at: now,
                    test,
                    answer,
                }),
                DiscoveryEvent::Finished(_) => self.finished = Some(now),
                // Servers of the simulator want none, and closed sockets are silent.
                _ => {}
            }
        }
    }
}

impl Endpoint for DiscoveryHost {
    fn receive(&mut self, now: Instant, datagram: Datagram<'_>) -> Input {
        let input = self.machine.handle_input(now, datagram);
        self.drain(now);
        input
    }

    fn timeout(&mut self, now: Instant) {
        self.machine.handle_timeout(now);
        self.drain(now);
    }

    fn poll_transmit(&mut self) -> Option<Transmit> {
        self.machine.poll_transmit()
    }

    fn deadline(&self) -> Option<Instant> {
        self.machine.poll_timeout()
    }
}
