//! Attributes: `a=name` and `a=name:value` (RFC 8866 §5.13, §6), read when asked for.

mod image;
mod keying;
mod rtp;
mod rtsp;
mod sctp;
mod simulcast;
mod source;
mod words;

use alloc::vec::Vec;
use core::fmt;

pub use image::{ImageAttr, ImageRange, ImageSize, ImageSizes};
pub use keying::{Crypto, Identity, KeyMgmt};
pub use rtp::{Extmap, Fmtp, Group, Rtcp, RtcpAddress, RtcpFb, Rtpmap};
pub use rtsp::Range;
pub use sctp::Sctpmap;
pub use simulcast::{Rid, Simulcast, SimulcastFormat, SimulcastStreams, StreamDirection};
pub use source::{Msid, Ssrc, SsrcGroup};
pub use words::{Decimal, Password, Words};

use crate::dtls::{FingerprintRef, Setup};
use crate::grammar::{self, put, put_number};
use crate::ice::{self, CandidateRef, RemoteCandidates};
use crate::{Direction, Error, ErrorKind, Line};

/// The meaning of an attribute.
///
/// [`AttributeValue::read`] and [`AttributeValue::write`] are each other's inverse: what is written and
/// read again is the same value.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum AttributeValue<'a> {
    /// `sendrecv`, `sendonly`, `recvonly`, `inactive` (RFC 8866 §6.7).
    Direction(Direction),
    /// `group` (RFC 5888 §5), session level.
    Group(Group<'a>),
    /// `mid` (RFC 5888 §4), media level.
    Mid(&'a str),
    /// `bundle-only` (RFC 9143 §6), media level.
    BundleOnly,
    /// `ice-ufrag`: 4 to 256 ice-chars (RFC 8839 §5.4).
    IceUfrag(&'a str),
    /// `ice-pwd`: 22 to 256 ice-chars (RFC 8839 §5.4).
    IcePwd(Password<'a>),
    /// `ice-options` (RFC 8839 §5.6).
    IceOptions(Words<'a>),
    /// `ice-pacing` in milliseconds (RFC 8839 §5.5).
    IcePacing(u64),
    /// `ice-lite` (RFC 8839 §5.3), session level.
    IceLite,
    /// `ice-mismatch` (RFC 8839 §5.3), media level of answers.
    IceMismatch,
    /// `candidate` (RFC 8839 §5.1), media level.
    Candidate(CandidateRef<'a>),
    /// `remote-candidates` (RFC 8839 §5.2), media level of offers.
    RemoteCandidates(RemoteCandidates<'a>),
    /// `end-of-candidates` (RFC 8840 §8.1).
    EndOfCandidates,
    /// `fingerprint` (RFC 8122 §5).
    Fingerprint(FingerprintRef<'a>),
    /// `setup` (RFC 4145 §4).
    Setup(Setup),
    /// `tls-id` (RFC 8842 §4).
    TlsId(&'a str),
    /// `identity` (RFC 8827 §5), session level.
    Identity(Identity<'a>),
    /// `sctp-port` (RFC 8841 §5).
    SctpPort(u16),
    /// `max-message-size` in bytes, 0 = no bound (RFC 8841 §6).
    MaxMessageSize(u64),
    /// `sctpmap`, as it was before RFC 8841.
    Sctpmap(Sctpmap<'a>),
    /// `rtpmap` (RFC 8866 §6.6).
    Rtpmap(Rtpmap<'a>),
    /// `fmtp` (RFC 8866 §6.15).
    Fmtp(Fmtp<'a>),
    /// `rtcp-fb` (RFC 4585 §4.2).
    RtcpFb(RtcpFb<'a>),
    /// `extmap` (RFC 8285 §8).
    Extmap(Extmap<'a>),
    /// `extmap-allow-mixed` (RFC 8285 §6).
    ExtmapAllowMixed,
    /// `rtcp` (RFC 3605 §2.1).
    Rtcp(Rtcp<'a>),
    /// `rtcp-mux` (RFC 5761 §5.1.1).
    RtcpMux,
    /// `rtcp-mux-only` (RFC 8858 §3).
    RtcpMuxOnly,
    /// `rtcp-rsize` (RFC 5506 §5).
    RtcpRsize,
    /// `msid` (RFC 8830 §2).
    Msid(Msid<'a>),
    /// `ssrc` (RFC 5576 §4.1).
    Ssrc(Ssrc<'a>),
    /// `ssrc-group` (RFC 5576 §4.2).
    SsrcGroup(SsrcGroup<'a>),
    /// `rid` (RFC 8851 §10).
    Rid(Rid<'a>),
    /// `simulcast` (RFC 8853 §5.1).
    Simulcast(Simulcast<'a>),
    /// `imageattr` (RFC 6236 §3.1).
    ImageAttr(ImageAttr<'a>),
    /// `crypto` (RFC 4568 §9.1).
    Crypto(Crypto<'a>),
    /// `key-mgmt` (RFC 4567 §3.1).
    KeyMgmt(KeyMgmt<'a>),
    /// `ptime` in milliseconds (RFC 8866 §6.4).
    Ptime(Decimal<'a>),
    /// `maxptime` in milliseconds (RFC 8866 §6.5).
    MaxPtime(Decimal<'a>),
    /// `framerate` in frames a second (RFC 8866 §6.13).
    Framerate(Decimal<'a>),
    /// `quality`; 0 (worst) to 10 have a meaning (RFC 8866 §6.14).
    Quality(u64),
    /// `tool`: name and version of what made the description (RFC 8866 §6.3), session level.
    Tool(&'a [u8]),
    /// `charset` of `s=`, `i=` and others, without regard to case (RFC 8866 §6.10), session level.
    Charset(&'a str),
    /// `lang`: language tag of the media (RFC 8866 §6.12).
    Lang(&'a str),
    /// `sdplang`: language tag of the description (RFC 8866 §6.11).
    SdpLang(&'a str),
    /// `control`: where RTSP controls it, `*` for all (RFC 2326 §C.1.1).
    Control(&'a str),
    /// `range` (RFC 2326 §C.1.5).
    Range(Range<'a>),
    /// Any other attribute: to be ignored, and to be kept.
    Other,
}

impl<'a> AttributeValue<'a> {
    /// Reads what stands behind the name and the colon; the error is the byte of `text` where reading
    /// stopped.
    ///
    /// ```
    /// use floe_sdp::attribute::{AttributeValue, Rtpmap};
    ///
    /// let map = Rtpmap { payload_type: 111, encoding: "opus", clock_rate: 48_000, channels: Some(2) };
    /// assert_eq!(AttributeValue::read("rtpmap", Some(b"111 opus/48000/2")), Ok(AttributeValue::Rtpmap(map)));
    /// assert_eq!(AttributeValue::read("rtpmap", Some(b"111 opus")), Err(8));
    /// ```
    pub fn read(name: &str, text: Option<&'a [u8]>) -> Result<Self, usize> {
        use AttributeValue as Value;
        if let Some(property) = Self::property(name) {
            return if text.is_some() { Err(0) } else { Ok(property) };
        }
        // Without a value: nothing to read, which only an attribute without a meaning allows.
        let text = text.unwrap_or_default();
        Ok(match name {
            "group" => Value::Group(grammar::whole(text, Group::read)?),
            "mid" => Value::Mid(grammar::whole(text, grammar::token)?),
            "ice-ufrag" => Value::IceUfrag(grammar::whole(
                text,
                grammar::text_of(grammar::ICE, ice::UFRAG.0, ice::UFRAG.1),
            )?),
            "ice-pwd" => {
                let read = grammar::text_of(grammar::ICE, ice::PWD.0, ice::PWD.1);
                Value::IcePwd(Password(grammar::whole(text, read)?))
            }
            "ice-options" => Value::IceOptions(grammar::whole(text, words::tokens)?),
            "ice-pacing" => {
                Value::IcePacing(grammar::whole(text, grammar::number(0, 9_999_999_999))?)
            }
            "candidate" => Value::Candidate(grammar::whole(text, CandidateRef::read)?),
            "remote-candidates" => {
                Value::RemoteCandidates(grammar::whole(text, RemoteCandidates::read)?)
            }
            "fingerprint" => Value::Fingerprint(grammar::whole(text, FingerprintRef::read)?),
            "setup" => Value::Setup(grammar::whole(text, Setup::read)?),
            "tls-id" => Value::TlsId(grammar::whole(
                text,
                grammar::text_of(grammar::TLS_ID, 20, 255),
            )?),
            "identity" => Value::Identity(grammar::whole(text, Identity::read)?),
            "sctp-port" => {
                Value::SctpPort(grammar::whole(text, grammar::plain_number(0, 65_535))? as u16)
            }
            "max-message-size" => {
                Value::MaxMessageSize(grammar::whole(text, grammar::plain_number(0, u64::MAX))?)
            }
            "sctpmap" => Value::Sctpmap(grammar::whole(text, Sctpmap::read)?),
            "rtpmap" => Value::Rtpmap(grammar::whole(text, Rtpmap::read)?),
            "fmtp" => Value::Fmtp(grammar::whole(text, Fmtp::read)?),
            "rtcp-fb" => Value::RtcpFb(grammar::whole(text, RtcpFb::read)?),
            "extmap" => Value::Extmap(grammar::whole(text, Extmap::read)?),
            "rtcp" => Value::Rtcp(grammar::whole(text, Rtcp::read)?),
            "msid" => Value::Msid(grammar::whole(text, Msid::read)?),
            "ssrc" => Value::Ssrc(grammar::whole(text, Ssrc::read)?),
            "ssrc-group" => Value::SsrcGroup(grammar::whole(text, SsrcGroup::read)?),
            "rid" => Value::Rid(grammar::whole(text, Rid::read)?),
            "simulcast" => Value::Simulcast(grammar::whole(text, Simulcast::read)?),
            "imageattr" => Value::ImageAttr(grammar::whole(text, ImageAttr::read)?),
            "crypto" => Value::Crypto(grammar::whole(text, Crypto::read)?),
            "key-mgmt" => Value::KeyMgmt(grammar::whole(text, KeyMgmt::read)?),
            "ptime" => Value::Ptime(grammar::whole(text, Decimal::read)?),
            "maxptime" => Value::MaxPtime(grammar::whole(text, Decimal::read)?),
            "framerate" => Value::Framerate(grammar::whole(text, Decimal::read)?),
            "quality" => Value::Quality(grammar::whole(text, grammar::plain_number(0, u64::MAX))?),
            "tool" => Value::Tool(grammar::whole(text, grammar::remainder)?),
            "charset" => Value::Charset(grammar::whole(text, grammar::token)?),
            "lang" => Value::Lang(grammar::whole(text, grammar::visible)?),
            "sdplang" => Value::SdpLang(grammar::whole(text, grammar::visible)?),
            "control" => Value::Control(grammar::whole(text, grammar::visible)?),
            "range" => Value::Range(grammar::whole(text, Range::read)?),
            _ => Value::Other,
        })
    }

    /// What has a meaning by its name alone.
    fn property(name: &str) -> Option<Self> {
        Some(match name {
            "bundle-only" => Self::BundleOnly,
            "ice-lite" => Self::IceLite,
            "ice-mismatch" => Self::IceMismatch,
            "end-of-candidates" => Self::EndOfCandidates,
            "extmap-allow-mixed" => Self::ExtmapAllowMixed,
            "rtcp-mux" => Self::RtcpMux,
            "rtcp-mux-only" => Self::RtcpMuxOnly,
            "rtcp-rsize" => Self::RtcpRsize,
            _ => Self::Direction(Direction::from_name(name)?),
        })
    }

    /// The name of the attribute; empty for [`AttributeValue::Other`].
    pub fn name(&self) -> &'static str {
        match self {
            Self::Direction(direction) => direction.name(),
            Self::Group(_) => "group",
            Self::Mid(_) => "mid",
            Self::BundleOnly => "bundle-only",
            Self::IceUfrag(_) => "ice-ufrag",
            Self::IcePwd(_) => "ice-pwd",
            Self::IceOptions(_) => "ice-options",
            Self::IcePacing(_) => "ice-pacing",
            Self::IceLite => "ice-lite",
            Self::IceMismatch => "ice-mismatch",
            Self::Candidate(_) => "candidate",
            Self::RemoteCandidates(_) => "remote-candidates",
            Self::EndOfCandidates => "end-of-candidates",
            Self::Fingerprint(_) => "fingerprint",
            Self::Setup(_) => "setup",
            Self::TlsId(_) => "tls-id",
            Self::Identity(_) => "identity",
            Self::SctpPort(_) => "sctp-port",
            Self::MaxMessageSize(_) => "max-message-size",
            Self::Sctpmap(_) => "sctpmap",
            Self::Rtpmap(_) => "rtpmap",
            Self::Fmtp(_) => "fmtp",
            Self::RtcpFb(_) => "rtcp-fb",
            Self::Extmap(_) => "extmap",
            Self::ExtmapAllowMixed => "extmap-allow-mixed",
            Self::Rtcp(_) => "rtcp",
            Self::RtcpMux => "rtcp-mux",
            Self::RtcpMuxOnly => "rtcp-mux-only",
            Self::RtcpRsize => "rtcp-rsize",
            Self::Msid(_) => "msid",
            Self::Ssrc(_) => "ssrc",
            Self::SsrcGroup(_) => "ssrc-group",
            Self::Rid(_) => "rid",
            Self::Simulcast(_) => "simulcast",
            Self::ImageAttr(_) => "imageattr",
            Self::Crypto(_) => "crypto",
            Self::KeyMgmt(_) => "key-mgmt",
            Self::Ptime(_) => "ptime",
            Self::MaxPtime(_) => "maxptime",
            Self::Framerate(_) => "framerate",
            Self::Quality(_) => "quality",
            Self::Tool(_) => "tool",
            Self::Charset(_) => "charset",
            Self::Lang(_) => "lang",
            Self::SdpLang(_) => "sdplang",
            Self::Control(_) => "control",
            Self::Range(_) => "range",
            Self::Other => "",
        }
    }

    /// Appends what stands behind `a=`: the name, and a colon and the value if it has one.
    ///
    /// A field that holds what its grammar does not allow is written as it is, and refused by
    /// whoever reads it.
    ///
    /// ```
    /// use floe_sdp::attribute::{AttributeValue, Msid};
    ///
    /// let mut line = Vec::new();
    /// AttributeValue::Msid(Msid { stream: "-", track: Some("camera") }).write(&mut line);
    /// assert_eq!(line, b"msid:- camera");
    /// ```
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.name().as_bytes());
        if !self.has_value() {
            return;
        }
        out.push(b':');
        match self {
            Self::Mid(text)
            | Self::IceUfrag(text)
            | Self::TlsId(text)
            | Self::Charset(text)
            | Self::Lang(text)
            | Self::SdpLang(text)
            | Self::Control(text) => out.extend_from_slice(text.as_bytes()),
            Self::IcePacing(number) | Self::MaxMessageSize(number) | Self::Quality(number) => {
                put_number(out, *number);
            }
            Self::Ptime(number) | Self::MaxPtime(number) | Self::Framerate(number) => {
                number.write(out);
            }
            Self::SctpPort(port) => put_number(out, (*port).into()),
            Self::IcePwd(password) => put(out, &[password.0.as_bytes()]),
            Self::IceOptions(words) => put(out, &[words.0.as_bytes()]),
            Self::Tool(bytes) => put(out, &[bytes]),
            Self::Setup(setup) => put(out, &[setup.name().as_bytes()]),
            Self::Group(value) => value.write(out),
            Self::Candidate(value) => value.write(out),
            Self::RemoteCandidates(value) => value.write(out),
            Self::Fingerprint(value) => value.write(out),
            Self::Identity(value) => value.write(out),
            Self::Sctpmap(value) => value.write(out),
            Self::Rtpmap(value) => value.write(out),
            Self::Fmtp(value) => value.write(out),
            Self::RtcpFb(value) => value.write(out),
            Self::Extmap(value) => value.write(out),
            Self::Rtcp(value) => value.write(out),
            Self::Msid(value) => value.write(out),
            Self::Ssrc(value) => value.write(out),
            Self::SsrcGroup(value) => value.write(out),
            Self::Rid(value) => value.write(out),
            Self::Simulcast(value) => value.write(out),
            Self::ImageAttr(value) => value.write(out),
            Self::Crypto(value) => value.write(out),
            Self::KeyMgmt(value) => value.write(out),
            Self::Range(value) => value.write(out),
            _ => {}
        }
    }

    fn has_value(&self) -> bool {
        !matches!(
            self,
            Self::Direction(_)
                | Self::Other
                | Self::BundleOnly
                | Self::IceLite
                | Self::IceMismatch
                | Self::EndOfCandidates
                | Self::ExtmapAllowMixed
                | Self::RtcpMux
                | Self::RtcpMuxOnly
                | Self::RtcpRsize
        )
    }
}

/// An attribute as it stands in the text.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Attribute<'a> {
    line: Line<'a>,
    name: &'a str,
    text: Option<&'a [u8]>,
}

impl fmt::Debug for Attribute<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Attribute({} {})", self.line.number(), self.name)
    }
}

impl<'a> Attribute<'a> {
    pub(crate) fn new(line: Line<'a>, name: &'a str, text: Option<&'a [u8]>) -> Self {
        Self { line, name, text }
    }

    /// What stands before the colon; compared with regard to case.
    pub fn name(&self) -> &'a str {
        self.name
    }

    /// What stands behind the colon; `None` for a property attribute.
    pub fn text(&self) -> Option<&'a [u8]> {
        self.text
    }

    /// The line it stands on.
    pub fn line(&self) -> Line<'a> {
        self.line
    }

    /// Reads the value by the grammar that belongs to the name.
    ///
    /// ```
    /// use floe_sdp::{AttributeValue, Session};
    ///
    /// let text = b"v=0\no=- 1 1 IN IP4 0.0.0.0\ns=-\nt=0 0\na=group:BUNDLE 0 1\n";
    /// let session = Session::parse(text)?;
    /// let AttributeValue::Group(group) = session.attribute("group").unwrap().value()? else { panic!() };
    /// assert_eq!(group.mids.iter().collect::<Vec<_>>(), ["0", "1"]);
    /// # Ok::<(), floe_sdp::Error>(())
    /// ```
    pub fn value(&self) -> Result<AttributeValue<'a>, Error> {
        match AttributeValue::read(self.name, self.text) {
            Ok(value) => Ok(value),
            Err(at) => self.value_without_blanks().ok_or_else(|| {
                let colon = usize::from(self.text.is_some());
                let at = self.name.len() + colon + at;
                self.line.error(ErrorKind::AttributeValue, at)
            }),
        }
    }

    /// Lenient reading forgives blanks around a value that has no meaning with them.
    fn value_without_blanks(&self) -> Option<AttributeValue<'a>> {
        let text = self.text.filter(|_| self.line.lenient)?.trim_ascii();
        AttributeValue::read(self.name, Some(text).filter(|text| !text.is_empty())).ok()
    }
}
