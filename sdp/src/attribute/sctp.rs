//! SCTP over DTLS.

use alloc::vec::Vec;

use crate::grammar::{self, Parsed, put, put_number};

/// `sctpmap`: an SCTP association as browsers wrote it before RFC 8841
/// (draft-ietf-mmusic-sctp-sdp-05 §4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sctpmap<'a> {
    /// The SCTP port, which stood among the formats of the `m=` line.
    pub port: u16,
    /// Such as `webrtc-datachannel`.
    pub application: &'a str,
    /// How many streams are wanted.
    pub streams: Option<u32>,
}

impl Sctpmap<'_> {
    pub(crate) fn read(input: &[u8]) -> Parsed<'_, Sctpmap<'_>> {
        let (rest, port) = grammar::port(input)?;
        let (rest, ()) = grammar::space(rest)?;
        let (rest, application) = grammar::token(rest)?;
        let (rest, streams) = grammar::after(b' ', grammar::number32(0, u32::MAX))(rest)?;
        let map = Sctpmap {
            port,
            application,
            streams,
        };
        Ok((rest, map))
    }

    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        put_number(out, self.port.into());
        put(out, &[b" ", self.application.as_bytes()]);
        if let Some(streams) = self.streams {
            out.push(b' ');
            put_number(out, streams.into());
        }
    }
}
