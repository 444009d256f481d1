//! A stream, cut into segments: the frames do not depend on where.
//!
//! The first byte chooses the framing and the limit, the second how the stream is cut; the rest is the
//! stream.

use floe_stun::{Deframer, Framing, StreamError};

/// Bytes that a frame may take where there is a limit.
const LIMIT: usize = 100;

/// What must hold of a stream.
pub(crate) fn run(data: &[u8]) {
    let [choice, cut, stream @ ..] = data else {
        return;
    };
    let framing = match choice % 3 {
        0 => Framing::Stun,
        1 => Framing::Turn {
            channels: 0x4000..=0x4FFF,
        },
        _ => Framing::Rfc4571,
    };
    let limited = choice & 0x80 != 0;
    let deframer = || match limited {
        true => Deframer::new(framing.clone()).with_limit(LIMIT),
        false => Deframer::new(framing.clone()),
    };
    let whole = read(deframer(), stream, |_| stream.len());
    let mut state = u32::from(*cut);
    let segments = |left: usize| {
        state = state.wrapping_mul(0x9E37_79B1).wrapping_add(1);
        1 + (state >> 16) as usize % left.min(1 + usize::from(*cut))
    };
    assert_eq!(whole, read(deframer(), stream, segments));
    assert_eq!(whole, read(deframer(), stream, |_| 1));

    let (frames, error, _) = whole;
    let taken: usize = frames.iter().map(Vec::len).sum();
    assert!(taken <= stream.len());
    assert!(!limited || frames.iter().all(|frame| frame.len() <= LIMIT));
    if let Some(error) = error {
        assert!(error.offset < stream.len() as u64, "{error}");
        assert!(error.offset >= taken as u64, "{error}");
    }
}

/// The frames, the error, and whether the stream may end there.
fn read(
    mut deframer: Deframer,
    stream: &[u8],
    mut segment: impl FnMut(usize) -> usize,
) -> (Vec<Vec<u8>>, Option<StreamError>, bool) {
    let mut stream = stream.to_vec();
    let mut rest = &mut stream[..];
    let mut frames = Vec::new();
    while !rest.is_empty() {
        let (mut head, tail) = rest.split_at_mut(segment(rest.len()));
        rest = tail;
        loop {
            match deframer.next_frame(&mut head) {
                Ok(Some(frame)) => frames.push(frame.to_vec()),
                Ok(None) => break,
                Err(error) => {
                    assert_eq!(deframer.next_frame(&mut &mut [0; 20][..]), Err(error));
                    assert!(!deframer.is_between_frames());
                    return (frames, Some(error), false);
                }
            }
        }
        assert!(head.is_empty(), "all of it has been taken");
    }
    let may_end = deframer.is_between_frames();
    (frames, None, may_end)
}
