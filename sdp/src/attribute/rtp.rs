//! Payload formats, feedback, header extensions and RTCP.

use alloc::vec::Vec;

use crate::attribute::Words;
use crate::grammar::{self, Parsed, fail, put, put_number};
use crate::{Address, Direction};

/// `rtpmap`: what a payload type means (RFC 8866 §6.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rtpmap<'a> {
    /// 0..=127.
    pub payload_type: u8,
    /// Encoding name, compared without regard to case.
    pub encoding: &'a str,
    /// Hertz, at least 1.
    pub clock_rate: u32,
    /// Audio channels, if given, at least 1; without, one.
    pub channels: Option<u32>,
}

impl Rtpmap<'_> {
    pub(crate) fn read(input: &[u8]) -> Parsed<'_, Rtpmap<'_>> {
        let (rest, payload_type) = grammar::plain_number(0, 127)(input)?;
        let (rest, ()) = grammar::space(rest)?;
        let (rest, encoding) = grammar::token(rest)?;
        let (rest, ()) = grammar::byte(b'/')(rest)?;
        let (rest, clock_rate) = grammar::number32(1, u32::MAX)(rest)?;
        let (rest, channels) = grammar::after(b'/', grammar::number32(1, u32::MAX))(rest)?;
        let map = Rtpmap {
            payload_type: payload_type as u8,
            encoding,
            clock_rate,
            channels,
        };
        Ok((rest, map))
    }

    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        put_number(out, self.payload_type.into());
        put(out, &[b" ", self.encoding.as_bytes(), b"/"]);
        put_number(out, self.clock_rate.into());
        if let Some(channels) = self.channels {
            out.push(b'/');
            put_number(out, channels.into());
        }
    }
}

/// `fmtp`: parameters of a format (RFC 8866 §6.15).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fmtp<'a> {
    /// One of the formats of the `m=` line.
    pub format: &'a str,
    /// Parameters in the format's own grammar.
    pub parameters: &'a [u8],
}

impl<'a> Fmtp<'a> {
    /// The parameters as most formats write them: names, some with a value, and `;` between.
    ///
    /// ```
    /// use floe_sdp::attribute::Fmtp;
    ///
    /// let fmtp = Fmtp { format: "102", parameters: b"profile-level-id=42e01f; packetization-mode=1;x" };
    /// let pairs: Vec<_> = fmtp.pairs().collect();
    /// assert_eq!(pairs[1], (b"packetization-mode".as_slice(), Some(b"1".as_slice())));
    /// assert_eq!(pairs[2], (b"x".as_slice(), None));
    /// assert_eq!(fmtp.get("Profile-Level-Id"), Some(b"42e01f".as_slice()));
    /// ```
    pub fn pairs(&self) -> impl Iterator<Item = (&'a [u8], Option<&'a [u8]>)> + use<'a> {
        let parts = self.parameters.split(|&byte| byte == b';');
        let parts = parts.map(<[u8]>::trim_ascii);
        parts.filter(|part| !part.is_empty()).map(|part| {
            let mut halves = part.splitn(2, |&byte| byte == b'=');
            let name = halves.next().unwrap_or_default();
            (name.trim_ascii(), halves.next().map(<[u8]>::trim_ascii))
        })
    }

    /// The value of the first parameter of this name, whatever its case; empty if it has none.
    pub fn get(&self, name: &str) -> Option<&'a [u8]> {
        self.pairs()
            .find(|(known, _)| known.eq_ignore_ascii_case(name.as_bytes()))
            .map(|(_, value)| value.unwrap_or_default())
    }

    pub(crate) fn read(input: &[u8]) -> Parsed<'_, Fmtp<'_>> {
        let (rest, format) = grammar::token(input)?;
        let (rest, ()) = grammar::space(rest)?;
        let (rest, parameters) = grammar::remainder(rest)?;
        Ok((rest, Fmtp { format, parameters }))
    }

    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        put(out, &[self.format.as_bytes(), b" ", self.parameters]);
    }
}

/// `rtcp-fb`: feedback that a format understands (RFC 4585 §4.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RtcpFb<'a> {
    /// A format of the `m=` line, or `*` for all of them.
    pub format: &'a str,
    /// Such as `nack`, `ccm`, `transport-cc`.
    pub kind: &'a str,
    /// What qualifies it, such as `pli` or `fir`.
    pub parameters: Option<&'a [u8]>,
}

impl RtcpFb<'_> {
    pub(crate) fn read(input: &[u8]) -> Parsed<'_, RtcpFb<'_>> {
        let (rest, format) = grammar::token(input)?;
        let (rest, ()) = grammar::space(rest)?;
        let (rest, kind) = grammar::text_of(grammar::RID, 1, usize::MAX)(rest)?;
        let (rest, parameters) = match grammar::byte(b' ')(rest) {
            Ok((rest, ())) if kind == "trr-int" => {
                let (rest, number) = grammar::digits(rest)?;
                (rest, Some(number.as_bytes()))
            }
            Ok((rest, ())) => {
                grammar::token(rest)?;
                let (rest, all) = grammar::remainder(rest)?;
                (rest, Some(all))
            }
            Err(_) if kind == "trr-int" => return fail(rest),
            Err(_) => (rest, None),
        };
        let feedback = RtcpFb {
            format,
            kind,
            parameters,
        };
        Ok((rest, feedback))
    }

    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        put(out, &[self.format.as_bytes(), b" ", self.kind.as_bytes()]);
        if let Some(parameters) = self.parameters {
            put(out, &[b" ", parameters]);
        }
    }
}

/// `extmap`: what an RTP header extension id means (RFC 8285 §8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extmap<'a> {
    /// Identifier, 1..=65535 as the grammar has it.
    pub id: u16,
    /// Direction, if it is restricted.
    pub direction: Option<Direction>,
    /// Name of the extension.
    pub uri: &'a str,
    /// Parameters, if any.
    pub parameters: Option<&'a [u8]>,
}

impl Extmap<'_> {
    pub(crate) fn read(input: &[u8]) -> Parsed<'_, Extmap<'_>> {
        let (rest, id) = grammar::number16(1, u16::MAX)(input)?;
        let direction = |input| {
            let (rest, name) = grammar::token(input)?;
            match Direction::from_name(name) {
                Some(direction) => Ok((rest, direction)),
                None => fail(input),
            }
        };
        let (rest, direction) = grammar::after(b'/', direction)(rest)?;
        let (rest, ()) = grammar::space(rest)?;
        let (rest, uri) = grammar::visible(rest)?;
        let (rest, parameters) = grammar::after(b' ', grammar::remainder)(rest)?;
        let map = Extmap {
            id,
            direction,
            uri,
            parameters,
        };
        Ok((rest, map))
    }

    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        put_number(out, self.id.into());
        if let Some(direction) = self.direction {
            put(out, &[b"/", direction.name().as_bytes()]);
        }
        put(out, &[b" ", self.uri.as_bytes()]);
        if let Some(parameters) = self.parameters {
            put(out, &[b" ", parameters]);
        }
    }
}

/// `rtcp`: where RTCP is wanted, if not at the next port (RFC 3605 §2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rtcp<'a> {
    /// Port.
    pub port: u16,
    /// Network type, address type and address; without, those of `c=`.
    pub address: Option<RtcpAddress<'a>>,
}

/// The address in an [`Rtcp`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RtcpAddress<'a> {
    /// `IN`.
    pub network: &'a str,
    /// `IP4` or `IP6`.
    pub address_type: &'a str,
    /// The address.
    pub address: Address<'a>,
}

impl Rtcp<'_> {
    pub(crate) fn read(input: &[u8]) -> Parsed<'_, Rtcp<'_>> {
        let (rest, port) = grammar::port(input)?;
        let address = |input| {
            let (rest, network) = grammar::token(input)?;
            let (rest, ()) = grammar::space(rest)?;
            let (rest, address_type) = grammar::token(rest)?;
            let (rest, ()) = grammar::space(rest)?;
            let (after, address) = grammar::nonws(rest)?;
            match Address::unicast(address_type, address) {
                Some(address) => {
                    let address = RtcpAddress {
                        network,
                        address_type,
                        address,
                    };
                    Ok((after, address))
                }
                None => fail(rest),
            }
        };
        let (rest, address) = grammar::after(b' ', address)(rest)?;
        Ok((rest, Rtcp { port, address }))
    }

    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        put_number(out, self.port.into());
        if let Some(to) = self.address {
            put(out, &[b" ", to.network.as_bytes(), b" "]);
            put(out, &[to.address_type.as_bytes(), b" "]);
            to.address.write(out);
        }
    }
}

/// `group`: sections that belong together (RFC 5888 §5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Group<'a> {
    /// Such as `BUNDLE` or `LS`.
    pub semantics: &'a str,
    /// The mids of the sections; may be none.
    pub mids: Words<'a>,
}

impl Group<'_> {
    pub(crate) fn read(input: &[u8]) -> Parsed<'_, Group<'_>> {
        let (rest, semantics) = grammar::token(input)?;
        let (rest, mids) = grammar::after(b' ', super::words::tokens)(rest)?;
        let mids = mids.unwrap_or_default();
        Ok((rest, Group { semantics, mids }))
    }

    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.semantics.as_bytes());
        if !self.mids.0.is_empty() {
            put(out, &[b" ", self.mids.0.as_bytes()]);
        }
    }
}
