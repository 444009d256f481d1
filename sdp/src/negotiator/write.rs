//! Writing descriptions (RFC 9429 §5.2, §5.3).

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::{self, Write};
use core::net::{IpAddr, Ipv4Addr};

use crate::attribute::StreamDirection;
use crate::ice::{CandidateAddress, CandidateTransport, CandidateType, TcpType};
use crate::negotiator::rtp::{HeaderExtension, Stream};
use crate::negotiator::{DataChannel, LocalTransport};
use crate::{Codec, Direction, Setup};

/// A description in the making. Lines end with CRLF.
#[derive(Default)]
pub(crate) struct Writer {
    out: String,
}

/// What an RTP section says of itself.
pub(crate) struct RtpLines<'a> {
    pub(crate) codecs: &'a [Codec],
    pub(crate) direction: Direction,
    pub(crate) extensions: &'a [HeaderExtension],
    pub(crate) mux: bool,
    pub(crate) mux_only: bool,
    /// Streams of a simulcast that are sent, and that are received.
    pub(crate) rids: [&'a [Stream]; 2],
}

/// Where media is wanted: port and address for `m=` and `c=`.
#[derive(Clone, Copy)]
pub(crate) struct Destination {
    pub(crate) port: u16,
    pub(crate) ip: IpAddr,
}

impl Destination {
    /// RFC 8840 §4.1.1: no candidate known yet.
    pub(crate) const UNKNOWN: Self = Self {
        port: 9,
        ip: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
    };
    /// Refused, or bundle-only.
    pub(crate) const NONE: Self = Self {
        port: 0,
        ip: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
    };

    /// The default candidate: of the transport that `protocol`, on the `m=` line, names, the one most
    /// likely to work, that is relayed before reflexive before host (RFC 8839 §4.2.1.2, §4.3.2,
    /// RFC 8445 §5.1.4). Over TCP that is one that opens the connection, of a lite agent one that waits
    /// for it, and never one for simultaneous open (RFC 6544 §4.3).
    pub(crate) fn default_of(local: &LocalTransport<'_>, protocol: &str) -> Self {
        let tcp = protocol.split('/').next() == Some("TCP");
        let mut best: Option<((u8, bool), Self)> = None;
        let favourite = if local.lite {
            TcpType::Passive
        } else {
            TcpType::Active
        };
        for candidate in local.candidates {
            let fits = match candidate.transport {
                CandidateTransport::Udp => !tcp,
                CandidateTransport::Tcp => tcp,
                CandidateTransport::Other(_) => false,
            };
            let CandidateAddress::Ip(ip) = &candidate.address else {
                continue;
            };
            if !fits || candidate.tcp_type == Some(TcpType::SimultaneousOpen) {
                continue;
            }
            let rank = match candidate.kind {
                CandidateType::Relayed => 3,
                CandidateType::ServerReflexive => 2,
                CandidateType::Host => 1,
                CandidateType::PeerReflexive | CandidateType::Other(_) => 0,
            };
            let rank = (rank, candidate.tcp_type == Some(favourite));
            if best.is_none_or(|(known, _)| rank > known) {
                best = Some((
                    rank,
                    Self {
                        port: candidate.port,
                        ip: *ip,
                    },
                ));
            }
        }
        // With ICE the default destination is a candidate.
        let address = local.address.filter(|_| local.credentials.is_none());
        let address = address.map(|address| Self {
            port: address.port(),
            ip: address.ip(),
        });
        let best = best.map(|(_, destination)| destination);
        best.or(address).unwrap_or(Self::UNKNOWN)
    }
}

impl Writer {
    pub(crate) fn finish(self) -> String {
        self.out
    }

    fn line(&mut self, text: fmt::Arguments<'_>) {
        // Writing to a String does not fail.
        let _ = self.out.write_fmt(text);
        self.out.push_str("\r\n");
    }

    /// Everything before the first `m=`; RFC 9429 §5.2.1 fixes most of it. `ice` is a transport of ICE, if
    /// there is any.
    pub(crate) fn session(
        &mut self,
        id: u64,
        version: u64,
        timing: &[String],
        groups: &[Vec<&str>],
        ice: Option<LocalTransport<'_>>,
    ) {
        self.line(format_args!("v=0"));
        self.line(format_args!("o=- {id} {version} IN IP4 0.0.0.0"));
        self.line(format_args!("s=-"));
        for times in timing {
            self.line(format_args!("t={times}"));
        }
        for mids in groups {
            let mut group = String::from("a=group:BUNDLE");
            for mid in mids {
                group.push(' ');
                group.push_str(mid);
            }
            self.line(format_args!("{group}"));
        }
        let Some(first) = ice else {
            return;
        };
        let mut options = String::from("a=ice-options:trickle ice2");
        for option in first.ice_options {
            options.push(' ');
            options.push_str(option);
        }
        self.line(format_args!("{options}"));
        if first.lite {
            self.line(format_args!("a=ice-lite"));
        } else if let Some(pacing) = first.pacing {
            self.line(format_args!("a=ice-pacing:{}", pacing.as_millis()));
        }
    }

    /// `m=`, `c=` and `a=mid`.
    pub(crate) fn media<'a>(
        &mut self,
        media: &str,
        to: Destination,
        protocol: &str,
        formats: impl Iterator<Item = impl fmt::Display + 'a>,
        mid: Option<&str>,
    ) {
        let mut line = String::new();
        let _ = write!(line, "m={media} {} {protocol}", to.port);
        for format in formats {
            let _ = write!(line, " {format}");
        }
        self.line(format_args!("{line}"));
        let family = if to.ip.is_ipv4() { "IP4" } else { "IP6" };
        self.line(format_args!("c=IN {family} {}", to.ip));
        if let Some(mid) = mid {
            self.line(format_args!("a=mid:{mid}"));
        }
    }

    pub(crate) fn mismatch(&mut self) {
        self.line(format_args!("a=ice-mismatch"));
    }

    pub(crate) fn bundle_only(&mut self) {
        self.line(format_args!("a=bundle-only"));
    }

    /// What only the section says that speaks for the transport.
    pub(crate) fn transport(
        &mut self,
        local: &LocalTransport<'_>,
        setup: Option<Setup>,
        tls_id: bool,
    ) {
        if let Some(credentials) = local.credentials {
            self.line(format_args!("a=ice-ufrag:{}", credentials.ufrag()));
            self.line(format_args!("a=ice-pwd:{}", credentials.pwd()));
        }
        if let Some((dtls, setup)) = local.dtls.zip(setup) {
            for fingerprint in &dtls.fingerprints {
                self.line(format_args!("a=fingerprint:{fingerprint}"));
            }
            self.line(format_args!("a=setup:{}", setup.name()));
            if let Some(id) = dtls.tls_id.as_ref().filter(|_| tls_id) {
                self.line(format_args!("a=tls-id:{id}"));
            }
        }
        if local.credentials.is_none() {
            return;
        }
        if let Some(address) = local.remote_candidate {
            let (ip, port) = (address.ip(), address.port());
            self.line(format_args!("a=remote-candidates:1 {ip} {port}"));
        }
        for candidate in local.candidates {
            self.line(format_args!("a={candidate}"));
        }
        if local.end_of_candidates {
            self.line(format_args!("a=end-of-candidates"));
        }
    }

    pub(crate) fn data(&mut self, data: DataChannel) {
        self.line(format_args!("a=sctp-port:{}", data.sctp_port));
        self.line(format_args!("a=max-message-size:{}", data.max_message_size));
    }

    /// `rtcp-mux` stands in every RTP section, also where RFC 9143 §7.1.3 would have it in the
    /// tagged one alone: RFC 9429 §5.8.3 has receivers look for it in each, and browsers do.
    pub(crate) fn rtp(&mut self, lines: &RtpLines<'_>) {
        for extension in lines.extensions {
            let HeaderExtension { id, uri, direction } = extension;
            match direction {
                Direction::SendRecv => self.line(format_args!("a=extmap:{id} {uri}")),
                one => self.line(format_args!("a=extmap:{id}/{} {uri}", one.name())),
            }
        }
        self.line(format_args!("a={}", lines.direction.name()));
        if lines.mux {
            self.line(format_args!("a=rtcp-mux"));
        }
        if lines.mux_only {
            self.line(format_args!("a=rtcp-mux-only"));
        }
        for codec in lines.codecs {
            self.codec(codec);
        }
        self.streams(lines.rids);
    }

    fn codec(&mut self, codec: &Codec) {
        let Codec {
            payload_type,
            name,
            clock_rate,
            ..
        } = codec;
        match codec.channels {
            Some(channels) => {
                self.line(format_args!(
                    "a=rtpmap:{payload_type} {name}/{clock_rate}/{channels}"
                ));
            }
            None => self.line(format_args!("a=rtpmap:{payload_type} {name}/{clock_rate}")),
        }
        if let Some(parameters) = &codec.parameters {
            self.line(format_args!("a=fmtp:{payload_type} {parameters}"));
        }
        for feedback in &codec.feedback {
            self.line(format_args!("a=rtcp-fb:{payload_type} {feedback}"));
        }
    }

    /// `rid` for every stream and one `simulcast`, if there is any.
    fn streams(&mut self, rids: [&[Stream]; 2]) {
        let mut simulcast = String::new();
        let directions = [StreamDirection::Send, StreamDirection::Receive];
        for (direction, rids) in directions.into_iter().zip(rids) {
            let name = direction.name();
            for (index, stream) in rids.iter().enumerate() {
                self.line(format_args!("a=rid:{}", stream.line(direction)));
                if index > 0 {
                    simulcast.push(';');
                } else {
                    simulcast.push_str(if simulcast.is_empty() { "" } else { " " });
                    simulcast.push_str(name);
                    simulcast.push(' ');
                }
                simulcast.push_str(&stream.id);
            }
        }
        if !simulcast.is_empty() {
            self.line(format_args!("a=simulcast:{simulcast}"));
        }
    }
}
