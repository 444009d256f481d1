use std::future::poll_fn;
use std::net::UdpSocket as StdSocket;
use std::time::Duration;

use super::*;

fn loopback() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

/// The next datagram: where it arrived, and its bytes.
async fn receive(sockets: &mut Sockets) -> Option<(FiveTuple, Vec<u8>)> {
    let mut buffer = [0; 2000];
    let received = poll_fn(|cx| sockets.poll_receive(cx, &mut buffer));
    let limit = Duration::from_millis(200);
    let (path, len) = tokio::time::timeout(limit, received).await.ok()?;
    Some((path, buffer[..len].to_vec()))
}

#[tokio::test]
async fn every_socket_is_heard_and_a_busy_one_starves_nobody() {
    let mut sockets = Sockets::default();
    let busy = sockets.bind(loopback()).unwrap();
    let quiet = sockets.bind(loopback()).unwrap();
    let peer = StdSocket::bind(loopback()).unwrap();
    // More than tokio lets one task read in one go.
    for _ in 0..200 {
        peer.send_to(b"noise", busy).unwrap();
    }
    peer.send_to(b"word", quiet).unwrap();

    let mut heard = Vec::new();
    while let Some((path, bytes)) = receive(&mut sockets).await {
        assert_eq!(path.remote, peer.local_addr().unwrap());
        heard.push((path.local, bytes));
    }
    assert_eq!(heard.len(), 201);
    let turn = heard.iter().position(|(local, _)| *local == quiet).unwrap();
    assert_eq!(heard[turn].1, b"word");
    assert!(turn <= 2, "the quiet socket had to wait for {turn} others");
}

#[tokio::test]
async fn a_socket_bound_later_is_heard_and_a_closed_one_is_not() {
    let mut sockets = Sockets::default();
    let first = sockets.bind(loopback()).unwrap();
    let peer = StdSocket::bind(loopback()).unwrap();
    peer.send_to(b"lost", first).unwrap();
    assert!(sockets.close(first) && !sockets.close(first));

    let second = sockets.bind(loopback()).unwrap();
    peer.send_to(b"heard", second).unwrap();
    let (path, bytes) = receive(&mut sockets).await.unwrap();
    assert_eq!((path.local, &bytes[..]), (second, &b"heard"[..]));
    assert_eq!(receive(&mut sockets).await, None);
    assert_eq!(sockets.addresses().collect::<Vec<_>>(), [second]);
}

#[tokio::test]
async fn a_datagram_leaves_a_socket_that_was_bound_a_moment_ago() {
    let mut sockets = Sockets::default();
    let local = sockets.bind(loopback()).unwrap();
    let peer = StdSocket::bind(loopback()).unwrap();
    sockets.send(FiveTuple::udp(local, peer.local_addr().unwrap()), b"hi");
    peer.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
    let mut buffer = [0; 8];
    assert_eq!(peer.recv_from(&mut buffer).unwrap(), (2, local));
    assert_eq!(sockets.counters().sent, 1);
}

#[tokio::test]
async fn what_the_system_refuses_is_a_counted_loss() {
    let mut sockets = Sockets::default();
    let local = sockets.bind(loopback()).unwrap();
    let peer = StdSocket::bind(loopback()).unwrap();
    let there = peer.local_addr().unwrap();
    let closed = StdSocket::bind(loopback()).unwrap().local_addr().unwrap();

    // No such socket, another family, no such port, broadcast, too long.
    sockets.send(FiveTuple::udp(there, local), b"x");
    sockets.send(FiveTuple::udp(local, "[::1]:9".parse().unwrap()), b"x");
    sockets.send(FiveTuple::udp(local, "127.0.0.1:0".parse().unwrap()), b"x");
    sockets.send(
        FiveTuple::udp(local, "255.255.255.255:9".parse().unwrap()),
        b"x",
    );
    sockets.send(FiveTuple::udp(local, there), &vec![0; 70_000]);
    assert_eq!(
        (sockets.counters().sent, sockets.counters().refused),
        (0, 5)
    );
    // Nobody listens there; the system says so later, or not at all.
    sockets.send(FiveTuple::udp(local, closed), b"x");

    peer.send_to(b"still here", local).unwrap();
    let (_, bytes) = receive(&mut sockets).await.unwrap();
    assert_eq!(bytes, b"still here");
    sockets.send(FiveTuple::udp(local, there), b"x");
    assert!(sockets.counters().sent >= 1);
}

#[tokio::test]
async fn a_taken_address_cannot_be_bound_twice() {
    let mut sockets = Sockets::default();
    let local = sockets.bind(loopback()).unwrap();
    let error = sockets.bind(local).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
}

#[test]
fn zones_stay_where_they_are_needed() {
    let zoned = SocketAddr::V6(SocketAddrV6::new("fe80::1".parse().unwrap(), 5, 0, 3));
    let bare: SocketAddr = "[fe80::1]:5".parse().unwrap();
    assert_eq!(plain("[fe80::2]:1".parse().unwrap(), zoned), bare);
    assert_eq!(plain("[::]:1".parse().unwrap(), zoned), zoned);
}
