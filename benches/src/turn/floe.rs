use std::net::{IpAddr, SocketAddr};
use std::ops::Range;
use std::time::Duration;

use floe_sansio::{Datagram, FiveTuple, Input};
use floe_turn::{ServerConfig, Stats};

use super::{PASSWORD, START, Server, USER};

/// The server of floe, without limits that the measurement would reach.
#[derive(Clone, Debug)]
pub struct Floe(floe_turn::Server);

impl Server for Floe {
    const NAME: &'static str = "floe";

    fn new(listener: SocketAddr, relay_ips: Vec<IpAddr>) -> Self {
        let mut config =
            ServerConfig::new(vec![listener], relay_ips, "example.org").with_user(USER, PASSWORD);
        config.ports = 1024..=u16::MAX;
        config.limits.allocations = usize::MAX;
        config.limits.per_user = usize::MAX;
        config.limits.per_address = usize::MAX;
        config.answers = None;
        Self(floe_turn::Server::new(config, [7; 32], START))
    }

    fn ask(&mut self, path: FiveTuple, request: &mut [u8]) -> Vec<u8> {
        let input = self.0.handle_input(START, Datagram::whole(path, request));
        assert_eq!(input, Input::Handled);
        while self.0.poll_event().is_some() {}
        let answer = self.0.poll_transmit().expect("an answer");
        answer.payload.to_vec()
    }

    /// Framed in place; a driver sends it from where it lies.
    #[inline]
    fn relay(&mut self, path: FiveTuple, buffer: &mut [u8], range: Range<usize>) -> (u16, usize) {
        let datagram = Datagram::new(path, buffer, range);
        match self.0.handle_input(START, datagram) {
            Input::Forward(route) => (route.path.remote.port(), route.range().len()),
            other => panic!("not forwarded: {other:?}"),
        }
    }
}

impl Floe {
    /// What it has counted.
    pub const fn stats(&self) -> &Stats {
        self.0.stats()
    }

    /// Lets all allocations expire: how long each call took, and that none is left.
    #[must_use]
    pub fn expire(&mut self) -> Vec<Duration> {
        let mut calls = Vec::new();
        while let Some(at) = self.0.poll_timeout() {
            let began = std::time::Instant::now();
            self.0.handle_timeout(at);
            calls.push(began.elapsed());
            while self.0.poll_event().is_some() {}
        }
        assert_eq!(self.0.allocations(), 0);
        calls
    }
}
