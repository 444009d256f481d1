//! The frames of a stream (RFC 8489 §6.2.2, RFC 8656 §12.5, RFC 4571 §2).

#[path = "fuzz/stream.rs"]
mod fuzz;

use floe_stun::{
    Builder, Class, Deframer, Framing, MAX_FRAME, Message, MessageType, Method, StreamError,
    StreamErrorKind, TransactionId, channel_header,
};
use fuzz::frames;
use proptest::prelude::*;

const TURN: Framing = Framing::Turn {
    channels: 0x4000..=0x4FFF,
};

/// A STUN message with `words` words of attribute.
fn message(number: u8, words: u16) -> Vec<u8> {
    let mut buffer = vec![0; MAX_FRAME];
    let kind = MessageType::new(Class::Request, Method::BINDING);
    let id = TransactionId([number; 12]);
    let mut builder = Builder::new(&mut buffer, kind, id);
    if words > 0 {
        let value = vec![number; 4 * usize::from(words - 1)];
        builder = builder.with_raw(floe_stun::AttributeType(0x9000), &value);
    }
    let len = builder.finish().unwrap();
    buffer.truncate(len);
    buffer
}

/// A `ChannelData` message without padding.
fn channel_data(channel: u16, data: &[u8]) -> Vec<u8> {
    let length = (data.len() as u16).to_be_bytes();
    [&channel.to_be_bytes()[..], &length, data].concat()
}

fn pad(mut frame: Vec<u8>) -> Vec<u8> {
    frame.resize(frame.len().next_multiple_of(4), 0xEE);
    frame
}

/// What ends a stream that comes byte by byte, and how many frames came before.
fn end(framing: Framing, stream: &[u8]) -> (usize, StreamErrorKind, u64) {
    let (seen, error) = frames(Deframer::new(framing), stream, &[1]);
    let StreamError { kind, offset } = error.expect("an error");
    (seen.len(), kind, offset)
}

/// req: STUN-6.2.2-2
#[test]
fn the_length_field_alone_delimits_messages() {
    let sent: Vec<_> = [0, 3, 25, 0, 300]
        .into_iter()
        .map(|words| message(1, words))
        .collect();
    let stream = sent.concat();
    for lengths in [
        vec![],
        vec![1],
        vec![19],
        vec![21],
        vec![3, 1000],
        vec![stream.len() / 20],
    ] {
        let seen = frames(Deframer::new(Framing::Stun), &stream, &lengths);
        assert_eq!(seen, (sent.clone(), None), "segments of {lengths:?}");
    }
    assert!(sent.iter().all(|frame| Message::parse(frame).is_ok()));
}

#[test]
fn channel_data_comes_between_messages_without_its_padding() {
    let sent = [
        message(1, 2),
        channel_data(0x4000, b"a"),
        channel_data(0x4FFF, b""),
        message(2, 0),
        channel_data(0x4001, b"four"),
        channel_data(0x4001, b"seven b"),
    ];
    let stream: Vec<u8> = sent.iter().cloned().flat_map(pad).collect();
    for lengths in [vec![], vec![1], vec![5], vec![40]] {
        let seen = frames(Deframer::new(TURN), &stream, &lengths);
        assert_eq!(seen, (sent.to_vec(), None));
    }
    assert_eq!(channel_header(&sent[5]), Some((0x4001, 7)));
    // As long as there is padding to come, the frame is not whole.
    let mut deframer = Deframer::new(TURN);
    let mut cut = [message(1, 0), channel_data(0x4000, b"a")].concat();
    let mut input = cut.as_mut_slice();
    assert!(deframer.next_frame(&mut input).unwrap().is_some());
    assert!(deframer.is_between_frames());
    assert_eq!(deframer.next_frame(&mut input), Ok(None));
    assert!(!deframer.is_between_frames());
}

/// req: STUN-6.2.2-1
#[test]
fn stun_among_other_data_is_framed_by_lengths() {
    let sent = [
        message(1, 3),
        b"GET / HTTP/1.1".to_vec(),
        vec![],
        vec![0xFF; 65535],
    ];
    let stream: Vec<u8> = sent
        .iter()
        .flat_map(|frame| [&(frame.len() as u16).to_be_bytes()[..], frame].concat())
        .collect();
    for lengths in [vec![], vec![1], vec![2, 3], vec![1460]] {
        let seen = frames(Deframer::new(Framing::Rfc4571), &stream, &lengths);
        assert_eq!(seen, (sent.to_vec(), None));
    }
}

/// req: FRAME-2-3
#[test]
fn where_all_first_bytes_are_known_another_one_shows_that_the_lengths_are_lost() {
    let good = [vec![0x80; 10], vec![0x80; 5], vec![], vec![22, 254, 253]];
    let framed = |frames: &[Vec<u8>]| -> Vec<u8> {
        let frames = frames.iter();
        frames
            .flat_map(|frame| [&(frame.len() as u16).to_be_bytes()[..], frame].concat())
            .collect()
    };
    let strict = || Deframer::new(Framing::Rfc4571).demultiplexed();
    let stream = framed(&good);
    // One length is one too short: the next is read from the end of a frame.
    let mut lost = stream.clone();
    lost[1] -= 1;
    for lengths in [vec![], vec![1], vec![2, 3]] {
        assert_eq!(frames(strict(), &stream, &lengths), (good.to_vec(), None));
        let (seen, error) = frames(strict(), &lost, &lengths);
        let error = error.unwrap();
        assert_eq!((error.kind, error.offset), (StreamErrorKind::FirstByte, 13));
        assert_eq!(seen, [vec![0x80; 9]]);
        // Who does not know what may come notices nothing.
        let (_, error) = frames(Deframer::new(Framing::Rfc4571), &lost, &lengths);
        assert_eq!(error, None);
    }
}

/// req: STUN-6.2.2-2
#[test]
fn other_protocols_end_the_stream_at_once_and_say_where() {
    use StreamErrorKind::{Channel, ChannelFirst, Cookie, Length, TooLong, TopBits};
    let client_hello = [
        0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xFC, 0x03, 0x03,
    ];
    let hello_of_512 = [
        0x16, 0x03, 0x01, 0x00, 0xF8, 0x01, 0x00, 0x00, 0xF4, 0x03, 0x03,
    ];
    for framing in [Framing::Stun, TURN] {
        let is_turn = framing == TURN;
        let http = if is_turn { ChannelFirst } else { TopBits };
        assert_eq!(end(framing.clone(), b"GET / HTTP/1.1\r\n"), (0, http, 0));
        assert_eq!(
            end(framing.clone(), b"SSH-2.0-OpenSSH_9.9\r\n"),
            (0, http, 0)
        );
        assert_eq!(end(framing.clone(), &client_hello), (0, Length, 2));
        assert_eq!(end(framing.clone(), &hello_of_512), (0, Cookie, 4));
        assert_eq!(end(framing.clone(), &[0x80]), (0, TopBits, 0));
        assert_eq!(end(framing.clone(), &[0xC0]), (0, TopBits, 0));
        // Behind good frames it is found where it begins.
        for (bad, kind, at) in [
            (&[0xFF][..], TopBits, 0),
            (&[0, 1, 0, 2], Length, 2),
            (&[0, 1, 0, 4, 0x20], Cookie, 4),
            (&[0, 1, 0, 4, 0x21, 0x12, 0xA4, 0x43], Cookie, 4),
            (&[0x50, 0], if is_turn { Channel } else { TopBits }, 0),
        ] {
            let good = [message(1, 1), message(2, 7)].concat();
            let stream = [&good, bad].concat();
            let expected = (2, kind, good.len() as u64 + at);
            assert_eq!(end(framing.clone(), &stream), expected);
        }
    }
    let short = Deframer::new(TURN).with_limit(24);
    let (seen, error) = frames(
        short.clone(),
        &[message(1, 1), message(1, 2)].concat(),
        &[1],
    );
    let too_long = |offset| {
        Some(StreamError {
            kind: TooLong,
            offset,
        })
    };
    assert_eq!((seen.len(), error), (1, too_long(24)));
    let fits = pad(channel_data(0x4000, &[0; 20]));
    let over = pad(channel_data(0x4000, &[0; 21]));
    let (seen, error) = frames(short, &[message(1, 1), fits, over].concat(), &[7]);
    assert_eq!((seen.len(), error), (2, too_long(24 + 24)));
}

#[test]
fn the_largest_frames_pass() {
    let message = message(1, 16383);
    assert_eq!(message.len(), MAX_FRAME);
    let data = channel_data(0x4000, &vec![7; 65535]);
    let stream = [message.clone(), pad(data.clone())].concat();
    for lengths in [vec![], vec![1460], vec![65_536]] {
        let seen = frames(Deframer::new(TURN), &stream, &lengths);
        assert_eq!(seen, (vec![message.clone(), data.clone()], None));
    }
}

/// A whole frame is handed out where it lies; one in parts is copied, into a buffer that is kept.
#[test]
fn whole_frames_are_not_copied_and_parts_allocate_once() {
    let frame = message(1, 100);
    let mut stream = frame.repeat(50);
    let range = stream.as_ptr_range();
    let mut deframer = Deframer::new(Framing::Stun);
    let mut input = stream.as_mut_slice();
    let info = allocation_counter::measure(|| {
        while let Some(frame) = deframer.next_frame(&mut input).unwrap() {
            assert!(range.contains(&frame.as_ptr()));
        }
    });
    assert_eq!(info.count_total, 0);

    let pass = |deframer: &mut Deframer| {
        let mut stream = frame.repeat(50);
        let info = allocation_counter::measure(|| {
            let mut seen = 0;
            for mut segment in stream.chunks_mut(37) {
                while deframer.next_frame(&mut segment).unwrap().is_some() {
                    seen += 1;
                }
            }
            assert_eq!(seen, 50);
        });
        info.count_total
    };
    assert!(pass(&mut deframer) > 0);
    assert_eq!(pass(&mut deframer), 0, "the buffer is used again");
}

/// What a header promises costs nothing before it comes.
#[test]
fn memory_follows_the_bytes_that_came_not_the_length_field() {
    let frame = message(1, 16383);
    let mut deframer = Deframer::new(Framing::Stun);
    let mut header = frame[..20].to_vec();
    let info = allocation_counter::measure(|| {
        assert_eq!(deframer.next_frame(&mut header.as_mut_slice()), Ok(None));
    });
    assert!(info.bytes_max <= 64, "{info:?}");
    // And all of it, byte by byte: each byte is moved a bounded number of times.
    let mut rest = frame[20..].to_vec();
    let info = allocation_counter::measure(|| {
        for mut byte in rest.chunks_mut(1) {
            let _ = deframer.next_frame(&mut byte).unwrap();
        }
    });
    assert!(info.count_total < 20, "{info:?}");
    assert!(info.bytes_total < 3 * MAX_FRAME as u64, "{info:?}");
}

/// A frame, as it stands in the stream and as it is handed out.
fn frame() -> impl Strategy<Value = (Vec<u8>, Vec<u8>)> {
    prop_oneof![
        (any::<u8>(), 0..40u16).prop_map(|(number, words)| {
            let message = message(number, words);
            (message.clone(), message)
        }),
        (
            0x4000..=0x4FFFu16,
            proptest::collection::vec(any::<u8>(), 0..150)
        )
            .prop_map(|(channel, data)| {
                let message = channel_data(channel, &data);
                (pad(message.clone()), message)
            }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// req: STUN-6.2.2-2
    #[test]
    fn any_segmentation_of_any_frames_gives_the_same_frames(
        sent in proptest::collection::vec(frame(), 0..12),
        lengths in proptest::collection::vec(1..200usize, 0..8),
    ) {
        let first = (message(0, 0), message(0, 0));
        let (stream, expected): (Vec<_>, Vec<_>) = [first].into_iter().chain(sent).unzip();
        let seen = frames(Deframer::new(TURN), &stream.concat(), &lengths);
        prop_assert_eq!(seen, (expected, None));
    }

    /// req: FRAME-2-1, FRAME-2-2, FRAME-2-4
    #[test]
    fn any_segmentation_of_frames_behind_lengths_gives_the_same_frames(
        sent in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..150), 0..12),
        lengths in proptest::collection::vec(1..200usize, 0..8),
    ) {
        let framed = sent.iter().map(|frame| {
            [&(frame.len() as u16).to_be_bytes()[..], frame].concat()
        });
        let stream: Vec<Vec<u8>> = framed.collect();
        let seen = frames(Deframer::new(Framing::Rfc4571), &stream.concat(), &lengths);
        prop_assert_eq!(seen, (sent, None));
    }

    #[test]
    fn any_bytes_end_in_the_same_way_however_they_are_cut(
        data in proptest::collection::vec(any::<u8>(), 0..300)
    ) {
        fuzz::run(&data);
    }

    /// As above, where most of the stream is good.
    #[test]
    fn a_damaged_stream_ends_in_the_same_way_however_it_is_cut(
        choice in any::<[u8; 8]>(),
        sent in proptest::collection::vec(frame(), 1..6),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let mut stream: Vec<u8> = sent.into_iter().flat_map(|(bytes, _)| bytes).collect();
        let at = at.index(stream.len());
        stream[at] = byte;
        fuzz::run(&[&choice[..], &stream].concat());
    }
}
