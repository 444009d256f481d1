//! What becomes of the IP headers of relayed datagrams (RFC 8656 §13 to §16): the server's sockets are
//! plain ones, so that what leaves it has the system's defaults, whatever came in.
#![cfg(target_os = "linux")]

mod support;

use std::io::{IoSliceMut, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::os::fd::AsRawFd;

use floe_sansio::{Datagram, FiveTuple, HEADROOM, Input, Instant, TAILROOM, Transport};
use floe_stun::{AddressFamily, Credentials, Deframer, Framing};
use floe_turn::{CHANNELS, Client, ClientConfig};
use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, setsockopt, sockopt,
};
use socket2::SockRef;
use support::*;

/// Expedited forwarding and ECT(0); best effort and Not-ECT would be 0.
const MARKED: u8 = 46 << 2 | 0b10;
const FEW_HOPS: u8 = 7;

/// What the header of a datagram says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Header {
    /// Time to live, or hop limit.
    hops: i32,
    /// DSCP and ECN: type of service, or traffic class.
    class: u8,
}

/// Datagrams leave it with a header of their own.
fn marked_socket(ip: &str) -> UdpSocket {
    let socket = plain_socket(ip).unwrap();
    let options = SockRef::from(&socket);
    if socket.local_addr().unwrap().is_ipv4() {
        options.set_ttl_v4(FEW_HOPS.into()).unwrap();
        options.set_tos_v4(MARKED.into()).unwrap();
        options.set_recv_tos_v4(true).unwrap();
        setsockopt(&socket, sockopt::Ipv4RecvTtl, &true).unwrap();
    } else {
        options.set_unicast_hops_v6(FEW_HOPS.into()).unwrap();
        options.set_tclass_v6(MARKED.into()).unwrap();
        options.set_recv_tclass_v6(true).unwrap();
        options.set_recv_hoplimit_v6(true).unwrap();
    }
    socket
}

/// The header that a socket gives which nobody has told otherwise.
fn default_header(ip: &str) -> Header {
    let socket = UdpSocket::bind(any(ip)).unwrap();
    let options = SockRef::from(&socket);
    let hops = if socket.local_addr().unwrap().is_ipv4() {
        options.ttl_v4()
    } else {
        options.unicast_hops_v6()
    };
    Header {
        hops: hops.unwrap().cast_signed(),
        class: 0,
    }
}

/// The next datagram and its header.
fn receive(socket: &UdpSocket) -> (Vec<u8>, SocketAddr, Header) {
    let mut buffer = [0; 2000];
    let (_, from) = socket.peek_from(&mut buffer).unwrap();
    let mut control = nix::cmsg_space!(i32, i32, i32);
    let mut vectors = [IoSliceMut::new(&mut buffer)];
    let received = recvmsg::<SockaddrStorage>(
        socket.as_raw_fd(),
        &mut vectors,
        Some(&mut control),
        MsgFlags::empty(),
    )
    .unwrap();
    let (mut hops, mut class) = (None, None);
    for message in received.cmsgs().unwrap() {
        match message {
            ControlMessageOwned::Ipv4Ttl(value) | ControlMessageOwned::Ipv6HopLimit(value) => {
                hops = Some(value);
            }
            ControlMessageOwned::Ipv4Tos(value) => class = Some(value),
            ControlMessageOwned::Ipv6TClass(value) => class = u8::try_from(value).ok(),
            _ => {}
        }
    }
    let header = Header {
        hops: hops.expect("asked for"),
        class: class.expect("asked for"),
    };
    let length = received.bytes;
    (buffer[..length].to_vec(), from, header)
}

/// A client with a permission for `peer`, on a socket that marks what it sends.
fn allocate(ip: &str, server: SocketAddr, peer: SocketAddr) -> (UdpSocket, Client) {
    let socket = marked_socket(ip);
    let path = FiveTuple::udp(socket.local_addr().unwrap(), server);
    let mut config = ClientConfig::new(path, Credentials::new(USER, PASSWORD));
    config.family = peer.is_ipv6().then_some(AddressFamily::IPV6);
    let now = Instant::ZERO;
    let mut client = Client::new(config, [1; 32], now);
    client.allocate(now).unwrap();
    client.create_permission(now, peer.ip()).unwrap();
    while !client.has_permission(peer.ip()) {
        while let Some(transmit) = client.poll_transmit() {
            socket
                .send_to(&transmit.payload, transmit.path.remote)
                .unwrap();
        }
        let mut buffer = [0; 2000];
        let (len, from) = socket.recv_from(&mut buffer).unwrap();
        let path = FiveTuple::udp(path.local, from);
        let _ = client.handle_input(now, Datagram::new(path, &mut buffer, 0..len));
    }
    (socket, client)
}

/// The headers with which a datagram arrives at the peer, and one of the peer at the client.
async fn relayed_headers(client_ip: &'static str, peer_ip: String) -> [Header; 2] {
    let mut config = server_config(client_ip);
    let is_ipv4 = peer_ip.parse::<IpAddr>().unwrap().is_ipv4();
    config.relay_ips = vec![(if is_ipv4 { V4 } else { V6 }).parse().unwrap()];
    config.peers = config.peers.allow("::/0".parse().unwrap());
    let server = Running::start(config);
    let address = server.address;
    let talk = move || {
        let peer = marked_socket(&peer_ip);
        let peer_address = peer.local_addr().unwrap();
        let (socket, mut client) = allocate(client_ip, address, peer_address);
        let out = client.wrap(peer_address, b"out").unwrap();
        socket.send_to(&out.payload, out.path.remote).unwrap();
        let (data, relayed, at_peer) = receive(&peer);
        assert_eq!(data, b"out");
        assert_eq!(Some(relayed), client.relayed());

        peer.send_to(b"back", relayed).unwrap();
        let (data, from, at_client) = receive(&socket);
        let mut buffer = vec![0; HEADROOM + data.len() + TAILROOM];
        let range = HEADROOM..HEADROOM + data.len();
        buffer[range.clone()].copy_from_slice(&data);
        let path = FiveTuple::udp(socket.local_addr().unwrap(), from);
        let input = client.handle_input(Instant::ZERO, Datagram::new(path, &mut buffer, range));
        let Input::Data(route) = input else {
            panic!("{input:?}");
        };
        assert_eq!(buffer[route.range()], *b"back");
        [at_peer, at_client]
    };
    let headers = tokio::task::spawn_blocking(talk).await.unwrap();
    server.stop().await;
    headers
}

const V4: &str = "127.0.0.1";
const V6: &str = "::1";

/// A host of its own, as the server sees it: it relays to no port of its own address.
const PEER: &str = "127.0.0.2";

/// The same for IPv6, if this host has an address besides that of the loopback.
fn peer_v6() -> Option<String> {
    let all = if_addrs::get_if_addrs().unwrap().into_iter();
    let mut ips = all.map(|it| it.ip()).filter(|ip| match ip {
        IpAddr::V6(ip) => !ip.is_loopback() && !ip.is_unicast_link_local(),
        IpAddr::V4(_) => false,
    });
    ips.next().map(|ip| ip.to_string())
}

/// The sockets of this test show headers as they are: what is expected below is no accident.
#[test]
fn marks_are_seen_where_nothing_relays() {
    for ip in [V4, V6] {
        let (one, two) = (marked_socket(ip), marked_socket(ip));
        one.send_to(b"x", two.local_addr().unwrap()).unwrap();
        let marked = Header {
            hops: FEW_HOPS.into(),
            class: MARKED,
        };
        assert_eq!(receive(&two).2, marked);
        assert_ne!(marked, default_header(ip));
    }
}

/// The alternate behaviour, and nothing in between: not copied, not counted down. Towards IPv6 only where
/// the host has it.
/// req: TURN-13-2, TURN-13-3, TURN-13.1-1, TURN-13.2-2, TURN-13.3-1
#[tokio::test]
async fn a_translated_datagram_has_the_systems_header() {
    let mut ways = vec![(V6, PEER.to_owned())];
    if let Some(peer) = peer_v6() {
        ways.extend([(V4, peer.clone()), (V6, peer)]);
    } else {
        eprintln!("no IPv6 address but the loopback's: only IPv6 to IPv4 was looked at");
    }
    for (client, peer) in ways {
        let expected = [default_header(&peer), default_header(client)];
        let headers = within(10, relayed_headers(client, peer)).await;
        assert_eq!(headers, expected);
    }
}

/// What comes over TCP leaves as what comes over UDP: one mark of the connection does not spread.
/// req: TURN-15-1
#[tokio::test]
async fn from_tcp_to_udp_too() {
    let server = Running::start(server_config(V4));
    let address = server.address;
    let talk = move || {
        let peer = marked_socket(PEER);
        let to = peer.local_addr().unwrap();
        let mut stream = TcpStream::connect(address).unwrap();
        let options = SockRef::from(&stream);
        options.set_ttl_v4(FEW_HOPS.into()).unwrap();
        // ECN is TCP's own.
        options.set_tos_v4((MARKED & !0b11).into()).unwrap();
        let path = FiveTuple {
            transport: Transport::Tcp,
            ..FiveTuple::udp(stream.local_addr().unwrap(), address)
        };
        let config = ClientConfig::new(path, Credentials::new(USER, PASSWORD));
        let now = Instant::ZERO;
        let mut client = Client::new(config, [1; 32], now);
        client.allocate(now).unwrap();
        client.create_permission(now, to.ip()).unwrap();
        let mut deframer = Deframer::new(Framing::Turn { channels: CHANNELS });
        while !client.has_permission(to.ip()) {
            while let Some(transmit) = client.poll_transmit() {
                stream.write_all(&transmit.payload).unwrap();
            }
            let mut buffer = [0; 2000];
            let length = stream.read(&mut buffer).unwrap();
            let mut bytes = &mut buffer[..length];
            while let Some(frame) = deframer.next_frame(&mut bytes).unwrap() {
                let _ = client.handle_input(now, Datagram::whole(path, frame));
            }
        }
        let out = client.wrap(to, b"out").unwrap();
        stream.write_all(&out.payload).unwrap();
        let (data, _, header) = receive(&peer);
        assert_eq!(data, b"out");
        header
    };
    let header = within(10, tokio::task::spawn_blocking(talk)).await.unwrap();
    assert_eq!(header, default_header(V4));
    server.stop().await;
}

/// Best effort, and Not-ECT.
/// req: TURN-14-1, TURN-14-3
#[tokio::test]
async fn between_ipv4_and_ipv4_too() {
    let headers = within(10, relayed_headers(V4, PEER.into())).await;
    assert_eq!(headers, [default_header(V4); 2]);
}
