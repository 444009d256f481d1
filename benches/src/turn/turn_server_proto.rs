use std::net::{IpAddr, SocketAddr};
use std::ops::Range;

use floe_sansio::FiveTuple;
use turn_server_proto::api::{
    DelayedMessageOrChannelSend, Transmit, TurnServerApi, TurnServerPollRet,
};
use turn_server_proto::server::TurnServer;
use turn_server_proto::stun::Instant;
use turn_server_proto::stun::types::TransportType;

use super::{PASSWORD, Server, USER};

/// turn-server-proto 0.7.3. Relayed ports are its driver's to choose: here one after the other.
#[derive(Debug)]
pub struct TurnServerProto {
    server: TurnServer,
    relay_ips: Vec<IpAddr>,
    opened: u32,
    /// What is framed, for it is not framed in place.
    framed: Vec<u8>,
}

const PORTS: u32 = 60_000;

impl Server for TurnServerProto {
    const NAME: &'static str = "turn-server-proto";

    fn new(listener: SocketAddr, relay_ips: Vec<IpAddr>) -> Self {
        let mut server = TurnServer::new(TransportType::Udp, listener, "example.org".into());
        server.add_user(USER.into(), PASSWORD.into());
        Self {
            server,
            relay_ips,
            opened: 0,
            framed: vec![0; 2048],
        }
    }

    fn ask(&mut self, path: FiveTuple, request: &mut [u8]) -> Vec<u8> {
        let transmit = Transmit::new(&*request, TransportType::Udp, path.remote, path.local);
        if let Some(answer) = self.server.recv(transmit, Instant::ZERO) {
            return answer.build().data;
        }
        if let TurnServerPollRet::AllocateSocket {
            transport,
            listen_addr,
            client_addr,
            allocation_transport,
            family,
        } = self.server.poll(Instant::ZERO)
        {
            let ip = self.relay_ips[(self.opened / PORTS) as usize];
            let port = 1024 + (self.opened % PORTS) as u16;
            self.opened += 1;
            self.server.allocated_socket(
                transport,
                listen_addr,
                client_addr,
                allocation_transport,
                family,
                Ok(SocketAddr::new(ip, port)),
                Instant::ZERO,
            );
        }
        let answer = self.server.poll_transmit(Instant::ZERO);
        answer.expect("an answer").data
    }

    /// What needs no header is sent from where it lies; what needs one is written once more.
    #[inline]
    fn relay(&mut self, path: FiveTuple, buffer: &mut [u8], range: Range<usize>) -> (u16, usize) {
        let data = &buffer[range];
        let transmit = Transmit::new(data, TransportType::Udp, path.remote, path.local);
        let relayed = self
            .server
            .recv(transmit, Instant::ZERO)
            .expect("forwarded");
        let port = relayed.to.port();
        match relayed.data {
            DelayedMessageOrChannelSend::Range(_, range) => (port, range.len()),
            _ => (port, relayed.write_into(&mut self.framed).data.len()),
        }
    }
}
