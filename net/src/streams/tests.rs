use std::future::poll_fn;
use std::io::{Read, Write};
use std::net::TcpListener as StdListener;
use std::net::TcpStream as StdStream;

use super::connection::{CONTROL_QUEUE, DATA_QUEUE};
use super::*;

const NOW: Instant = Instant::from_secs(1);

fn loopback() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

fn turn() -> Framing {
    Framing::Turn {
        channels: floe_turn::CHANNELS,
    }
}

fn with(limits: StreamLimits) -> Streams {
    Streams::new(turn(), limits)
}

/// Listens, and says where.
fn listening(limits: StreamLimits) -> (Streams, SocketAddr) {
    let mut streams = with(limits);
    let address = streams.listen(loopback()).unwrap();
    (streams, address)
}

/// What arrives next beside new connections, and its bytes if it is a frame.
async fn next(streams: &mut Streams) -> Option<(Arrival, Vec<u8>)> {
    let mut buffer = vec![0; floe_stun::MAX_FRAME];
    let limit = Duration::from_millis(300);
    let arrival = loop {
        let arrived = poll_fn(|cx| streams.poll(cx, NOW, &mut buffer));
        let arrival = tokio::time::timeout(limit, arrived).await.ok()?;
        if !matches!(arrival, Arrival::Accepted(..)) {
            break arrival;
        }
    };
    if let Arrival::Frame(_, len) = arrival {
        buffer.truncate(len);
    }
    Some((arrival, buffer))
}

/// A message, or what looks like one.
fn message(byte: u8, len: usize) -> Vec<u8> {
    let mut message = vec![byte; 20 + len];
    message[..2].copy_from_slice(&[0, 3]);
    message[2..4].copy_from_slice(&u16::try_from(len).unwrap().to_be_bytes());
    message[4..8].copy_from_slice(&[0x21, 0x12, 0xA4, 0x42]);
    message
}

/// A client whose calls end, and its path as the server sees it.
fn client(server: SocketAddr) -> (StdStream, FiveTuple) {
    let stream = StdStream::connect(server).unwrap();
    let limit = Some(Duration::from_secs(2));
    stream.set_read_timeout(limit).unwrap();
    stream.set_write_timeout(limit).unwrap();
    let path = FiveTuple {
        transport: Transport::Tcp,
        local: server,
        remote: stream.local_addr().unwrap(),
    };
    (stream, path)
}

fn is_closed(stream: &mut StdStream) -> bool {
    // In order or by a reset.
    !matches!(stream.read(&mut [0; 100]), Ok(1..))
}

#[tokio::test]
async fn frames_arrive_whole_however_they_were_cut() {
    let (mut streams, address) = listening(StreamLimits::default());
    let (mut stream, path) = client(address);
    stream.set_nodelay(true).unwrap();
    let messages = [message(1, 0), message(2, 400), message(3, 60_000)];
    let all = messages.concat();
    stream.write_all(&all[..450]).unwrap();
    for wanted in &messages[..2] {
        let (arrival, bytes) = next(&mut streams).await.unwrap();
        assert_eq!(arrival, Arrival::Frame(path, wanted.len()));
        assert_eq!(bytes, *wanted);
    }
    assert!(next(&mut streams).await.is_none());
    stream.write_all(&all[450..]).unwrap();
    let (_, bytes) = next(&mut streams).await.unwrap();
    assert!(bytes == messages[2]);
    assert_eq!(streams.counters().received, 3);

    drop(stream);
    let (arrival, _) = next(&mut streams).await.unwrap();
    assert!(matches!(arrival, Arrival::Ended(_, Some(of)) if of == path));
    assert!(next(&mut streams).await.is_none());
}

#[tokio::test]
async fn what_is_no_stun_ends_a_connection() {
    let limits = StreamLimits {
        frame: 100,
        ..StreamLimits::default()
    };
    for bad in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        b"SSH-2.0-x\r\n",
        b"\x16\x03\x01\x00\xA5\x01\x00\x00\xA1\x03\x03",
        &message(1, 84),
    ] {
        let (mut streams, address) = listening(limits);
        let (mut stream, path) = client(address);
        stream.write_all(bad).unwrap();
        let (arrival, _) = next(&mut streams).await.unwrap();
        assert!(matches!(arrival, Arrival::Ended(_, Some(of)) if of == path));
        assert!(is_closed(&mut stream));
        assert!(!streams.send(path, Frame::Control(b"too late")));
    }
}

#[tokio::test]
async fn who_reads_too_slowly_loses_data_and_no_answer() {
    let (mut streams, address) = listening(StreamLimits::default());
    let (mut stream, path) = client(address);
    stream.write_all(&message(1, 0)).unwrap();
    next(&mut streams).await.unwrap();
    let data = message(2, 1000);
    let mut sent = 0;
    while streams.send(path, Frame::Data(&data)) {
        sent += 1;
        // As much as the system holds, too.
        assert!(sent < 100_000);
        tokio::task::yield_now().await;
    }
    assert!(sent > DATA_QUEUE / data.len());
    assert!(!streams.send(path, Frame::Data(&data)));
    let control = message(3, 100);
    assert!(streams.send(path, Frame::Control(&control)));
    assert!(next(&mut streams).await.is_none(), "it still lives");

    let reader = std::thread::spawn(move || {
        let mut bytes = vec![0; sent * data.len() + control.len()];
        stream.read_exact(&mut bytes).unwrap();
        let (all, last) = bytes.split_at(sent * data.len());
        assert!(
            all.chunks(data.len()).all(|chunk| chunk == data),
            "whole frames"
        );
        assert_eq!(last, control);
        stream
    });
    while !reader.is_finished() {
        assert!(next(&mut streams).await.is_none());
    }
    // Then there is room again.
    let _stream = reader.join().unwrap();
    assert!(streams.send(path, Frame::Data(&message(4, 0))));
}

#[tokio::test]
async fn who_leaves_too_many_answers_unread_is_ended() {
    let (mut streams, address) = listening(StreamLimits::default());
    let (mut stream, path) = client(address);
    stream.write_all(&message(1, 0)).unwrap();
    next(&mut streams).await.unwrap();
    let answer = message(2, 1000);
    let mut sent = 0;
    while streams.send(path, Frame::Control(&answer)) {
        sent += 1;
        assert!(sent < 100_000);
    }
    assert!(sent >= (DATA_QUEUE + CONTROL_QUEUE) / answer.len());
    let (arrival, _) = next(&mut streams).await.unwrap();
    assert!(matches!(arrival, Arrival::Ended(_, Some(of)) if of == path));
    drop(stream);
}

#[tokio::test]
async fn what_was_sent_before_the_end_still_goes_out() {
    let listener = StdListener::bind(loopback()).unwrap();
    let remote = listener.local_addr().unwrap();
    let mut streams = with(StreamLimits::default());
    let at = streams
        .connect(NOW, loopback().ip(), remote, turn())
        .unwrap();
    let (arrival, _) = next(&mut streams).await.unwrap();
    let Arrival::Opened(opened, path) = arrival else {
        panic!("{arrival:?}");
    };
    assert_eq!((opened, path.remote), (at, remote));
    let (mut peer, from) = listener.accept().unwrap();
    assert_eq!(from, path.local);
    let mut sent = 0;
    while streams.send(path, Frame::Data(&[7; 1000])) {
        sent += 1000;
    }
    streams.close(NOW, at);
    assert!(!streams.send(path, Frame::Data(&[7; 1000])));
    let reader = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        peer.read_to_end(&mut bytes).unwrap();
        bytes.len()
    });
    while !reader.is_finished() {
        assert!(next(&mut streams).await.is_none(), "nobody wants to know");
    }
    assert_eq!(reader.join().unwrap(), sent);
}

#[tokio::test]
async fn a_connection_that_lingers_too_long_is_dropped() {
    let listener = StdListener::bind(loopback()).unwrap();
    let remote = listener.local_addr().unwrap();
    let mut streams = with(StreamLimits::default());
    let at = streams
        .connect(NOW, loopback().ip(), remote, turn())
        .unwrap();
    let (arrival, _) = next(&mut streams).await.unwrap();
    let Arrival::Opened(_, path) = arrival else {
        panic!("{arrival:?}");
    };
    while streams.send(path, Frame::Data(&[7; 1000])) {}
    streams.close(NOW, at);
    assert_eq!(streams.next_due(), Some(NOW + LINGER));
    assert_eq!(streams.expire(NOW + LINGER), None);
    assert!(streams.slots.iter().all(Option::is_none));
}

#[tokio::test]
async fn a_connection_that_cannot_be_opened_is_told() {
    let held = StdListener::bind(loopback()).unwrap();
    let remote = held.local_addr().unwrap();
    drop(held);
    let mut streams = with(StreamLimits::default());
    let at = streams
        .connect(NOW, loopback().ip(), remote, turn())
        .unwrap();
    assert_eq!(
        next(&mut streams).await.unwrap().0,
        Arrival::Ended(at, None)
    );

    // Nor one that takes too long, or is not wanted any more.
    let slow = streams
        .connect(NOW, loopback().ip(), remote, turn())
        .unwrap();
    assert_eq!(streams.next_due(), Some(NOW + CONNECT_LIMIT));
    let ended = streams.expire(NOW + CONNECT_LIMIT);
    assert_eq!(ended, Some(Arrival::Ended(slow, None)));
    let unwanted = streams
        .connect(NOW, loopback().ip(), remote, turn())
        .unwrap();
    streams.close(NOW, unwanted);
    assert!(next(&mut streams).await.is_none());
    assert_eq!(streams.next_due(), None);

    let foreign = "192.0.2.77".parse().unwrap();
    assert!(streams.connect(NOW, foreign, remote, turn()).is_err());
}

#[tokio::test]
async fn who_comes_beyond_the_limits_is_turned_away() {
    let limits = StreamLimits {
        per_address: 2,
        ..StreamLimits::default()
    };
    let (mut streams, address) = listening(limits);
    let mut clients: Vec<_> = (0..3).map(|_| client(address).0).collect();
    assert!(next(&mut streams).await.is_none());
    assert_eq!(streams.counters().turned_away, 1);
    assert!(is_closed(&mut clients[2]));
    // Where one has left there is room for another.
    clients.remove(0);
    next(&mut streams).await.unwrap();
    let (mut stream, path) = client(address);
    stream.write_all(&message(1, 0)).unwrap();
    let (arrival, _) = next(&mut streams).await.unwrap();
    assert_eq!(arrival, Arrival::Frame(path, 20));
    assert_eq!(streams.counters().turned_away, 1);
}

#[tokio::test]
async fn a_connection_on_which_nothing_depends_has_its_time() {
    let limits = StreamLimits::default();
    let (mut streams, address) = listening(limits);
    let (mut stream, path) = client(address);
    stream.write_all(&message(1, 0)).unwrap();
    next(&mut streams).await.unwrap();
    let due = NOW + limits.unproven;
    assert_eq!(streams.next_due(), Some(due));
    // A dual allocation, say.
    streams.hold(path);
    streams.hold(path);
    streams.release(NOW, path);
    assert_eq!(streams.next_due(), None);
    let later = NOW + Duration::from_secs(1000);
    streams.release(later, path);
    assert_eq!(streams.next_due(), Some(later + limits.unproven));
    let ended = streams.expire(later + limits.unproven);
    assert!(matches!(ended, Some(Arrival::Ended(_, Some(of))) if of == path));
    assert!(is_closed(&mut stream));
}

#[tokio::test]
async fn a_busy_connection_starves_no_other() {
    let (mut streams, address) = listening(StreamLimits::default());
    let (mut busy, of_busy) = client(address);
    let (mut quiet, of_quiet) = client(address);
    // Two reads' worth.
    for _ in 0..=2 * READ / 20 {
        busy.write_all(&message(1, 0)).unwrap();
    }
    quiet.write_all(&message(2, 0)).unwrap();
    let mut heard = Vec::new();
    while let Some((arrival, _)) = next(&mut streams).await {
        heard.push(arrival);
    }
    assert_eq!(heard.len(), 2 * READ / 20 + 2);
    let turn = heard
        .iter()
        .position(|it| *it == Arrival::Frame(of_quiet, 20));
    assert!(turn.unwrap() <= READ / 20 + 1, "{turn:?}");
    assert!(heard.contains(&Arrival::Frame(of_busy, 20)));
}
