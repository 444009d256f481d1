//! Any bytes as a stream, cut in any way: the frames and the error are those of the uncut stream.

use floe_stun::{Deframer, Framing, MAX_FRAME, StreamError};

/// The frames of `stream`, which comes in segments of the lengths given, again and again; and what
/// ended it.
pub(crate) fn frames(
    mut deframer: Deframer,
    stream: &[u8],
    lengths: &[usize],
) -> (Vec<Vec<u8>>, Option<StreamError>) {
    let mut stream = stream.to_vec();
    let mut rest = stream.as_mut_slice();
    let mut frames = Vec::new();
    let mut lengths = lengths.iter().cycle();
    while !rest.is_empty() {
        let length = lengths.next().map_or(rest.len(), |&length| length.max(1));
        let (mut segment, later) = rest.split_at_mut(length.min(rest.len()));
        rest = later;
        loop {
            match deframer.next_frame(&mut segment) {
                Ok(Some(frame)) => frames.push(frame.to_vec()),
                Ok(None) => break,
                Err(error) => {
                    assert_eq!(deframer.next_frame(&mut segment), Err(error), "for ever");
                    assert!(!deframer.is_between_frames());
                    return (frames, Some(error));
                }
            }
        }
        assert!(
            segment.is_empty(),
            "all that is no frame yet has been taken"
        );
    }
    (frames, None)
}

/// The first byte chooses the framing, the second how many of the following are lengths of segments.
pub(crate) fn run(data: &[u8]) {
    let [choice, count, rest @ ..] = data else {
        return;
    };
    let framing = match choice % 5 {
        0 => Framing::Stun,
        1 => Framing::Turn {
            channels: 0x4000..=0x4FFF,
        },
        2 => Framing::Turn {
            channels: 0x4000..=0x7FFF,
        },
        _ => Framing::Rfc4571,
    };
    let limit = if *choice < 128 { MAX_FRAME } else { 64 };
    let mut deframer = Deframer::new(framing).with_limit(limit);
    if choice % 5 == 4 {
        deframer = deframer.demultiplexed();
    }
    let (lengths, stream) = rest.split_at(usize::from(count % 16).min(rest.len()));
    let lengths: Vec<usize> = lengths.iter().map(|&length| length.into()).collect();

    let whole = frames(deframer.clone(), stream, &[]);
    assert_eq!(frames(deframer.clone(), stream, &lengths), whole);
    assert_eq!(frames(deframer, stream, &[1]), whole);
    let total: usize = whole.0.iter().map(Vec::len).sum();
    assert!(total <= stream.len());
    assert!(whole.0.iter().all(|frame| frame.len() <= limit));
    if let Some(error) = whole.1 {
        assert!(error.offset < stream.len() as u64);
    }
}
