//! What an exchange has come to.

use alloc::string::String;
use alloc::vec::Vec;
use core::net::SocketAddr;

use crate::negotiator::description::{Description, Section};
use crate::negotiator::exchange::Exchange;
use crate::negotiator::rtp::{HeaderExtension, Stream, simulcast_streams};
use crate::negotiator::transport::TransportId;
use crate::negotiator::{MediaKind, Negotiator, Profile};
use crate::{Codec, Direction, DtlsRole};

/// The result of an exchange.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Negotiated {
    /// One for every `m=`, in order.
    pub sections: Vec<NegotiatedSection>,
    /// The transports of the active sections, by number.
    pub transports: Vec<NegotiatedTransport>,
    /// The data section's association, if one is active.
    pub sctp: Option<Sctp>,
    /// Whether this side made the offer, which makes it the ICE controlling side if both are full
    /// agents (RFC 8445 §6.1.1).
    pub local_offered: bool,
}

impl Negotiated {
    /// The local role in the DTLS handshake on the first transport; `None` if there is none.
    pub fn dtls_role(&self) -> Option<DtlsRole> {
        self.transports.first()?.dtls_role
    }
}

/// A transport of a finished exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NegotiatedTransport {
    /// Which one.
    pub id: TransportId,
    /// The section that speaks for it, counted from 0.
    pub mline_index: u16,
    /// The local role in the DTLS handshake; `None` without DTLS, and where both wait.
    pub dtls_role: Option<DtlsRole>,
    /// Whether ICE finds the path; if not, media goes where `m=` and `c=` want it (RFC 3264). False
    /// if one side does not speak of ICE, or has `ice-mismatch` in its answer; in the plain profile
    /// also if this side has offered and finds a mismatch in any section of the answer (RFC 8839
    /// §4.3.3).
    pub ice: bool,
}

/// SCTP over DTLS, as both sides said (RFC 8841).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sctp {
    /// The local port.
    pub local_port: u16,
    /// The other side's port.
    pub remote_port: u16,
    /// Bytes of the largest message that the other side takes, 0 = no bound.
    pub max_send_size: u64,
    /// Bytes of the largest message that this side takes, 0 = no bound.
    pub max_receive_size: u64,
}

/// One section of a finished exchange.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NegotiatedSection {
    /// Place among the `m=` lines, counted from 0.
    pub mline_index: u16,
    /// Its mid.
    pub mid: Option<String>,
    /// What it carries.
    pub media: MediaKind,
    /// Whether it was accepted.
    pub active: bool,
    /// Its transport, if it is active.
    pub transport: Option<TransportId>,
    /// Which way media flows, as this side sees it. An address that is all zeros takes nothing
    /// (RFC 3264 §8.4).
    pub direction: Direction,
    /// The formats in both descriptions, with the numbers to send them under: the other side's.
    /// The first is the one to use. The parameters are the other side's.
    pub codecs: Vec<Codec>,
    /// The same formats with the numbers and parameters that this side receives them under: its
    /// own.
    pub receive_codecs: Vec<Codec>,
    /// Header extensions in both descriptions, and who sends them, as this side sees it.
    pub extensions: Vec<HeaderExtension>,
    /// The streams of a simulcast that this side sends; none is no simulcast.
    pub send_rids: Vec<Stream>,
    /// The streams of a simulcast that this side receives.
    pub receive_rids: Vec<Stream>,
    /// Whether RTP and RTCP share a port.
    pub rtcp_mux: bool,
}

impl NegotiatedSection {
    pub(super) fn same_formats(&self, other: &Self) -> bool {
        self.codecs == other.codecs
            && self.receive_codecs == other.receive_codecs
            && self.extensions == other.extensions
            && self.send_rids == other.send_rids
            && self.receive_rids == other.receive_rids
            && self.rtcp_mux == other.rtcp_mux
    }
}

impl Negotiator {
    /// The result of the last finished exchange; `None` before the first.
    pub fn negotiated(&self) -> Option<Negotiated> {
        let strict = self.is_plain();
        let current = self.current.as_ref();
        current.map(|current| current.negotiated(strict))
    }

    /// What the exchange under way would come to if its provisional answer were final; `None` if
    /// there is none.
    pub fn provisional(&self) -> Option<Negotiated> {
        let pending = self.pending.as_ref()?;
        let answer = pending.answer.clone()?;
        Some(pending.finished(answer).negotiated(self.is_plain()))
    }

    /// Whether both sides have named this option in `ice-options` of a transport in use: only then it
    /// counts (RFC 8839 §5.6).
    pub fn has_ice_option(&self, id: TransportId, option: &str) -> bool {
        let current = self.current.as_ref();
        let current = current.filter(|current| current.uses_ice(id, self.is_plain()));
        current.is_some_and(|current| {
            let mut sides = [&current.local, &current.remote].into_iter();
            sides.all(|side| side.transport(id).is_some_and(|it| it.has_option(option)))
        })
    }

    /// Where the descriptions of the last finished exchange want the media of a transport, by its `m=`
    /// and `c=`: this side, the other side; `None` for a name.
    pub fn default_destinations(&self, id: TransportId) -> Option<[Option<SocketAddr>; 2]> {
        let current = self.current.as_ref()?;
        let of = |side: &Description| side.transport(id).map(|it| it.address);
        Some([of(&current.local)?, of(&current.remote)?])
    }

    fn is_plain(&self) -> bool {
        self.config.profile == Profile::Rfc3264
    }
}

impl Exchange {
    /// For `strict` see [`Self::uses_ice`].
    fn negotiated(&self, strict: bool) -> Negotiated {
        let mut transports: Vec<NegotiatedTransport> = Vec::new();
        let mut sections = Vec::with_capacity(self.ids.len());
        let mut sctp = None;
        let both = self.local.sections.iter().zip(&self.remote.sections);
        for (index, (local, remote)) in both.enumerate() {
            let id = self.ids.get(index).copied().flatten();
            let tag = self
                .answer()
                .sections
                .get(index)
                .and_then(|section| section.tag);
            if let (Some(id), true) = (id, tag == Some(index)) {
                transports.push(NegotiatedTransport {
                    id,
                    mline_index: index as u16,
                    dtls_role: self.dtls_role(id),
                    ice: self.uses_ice(id, strict),
                });
            }
            if let (
                Some((local_port, max_receive_size)),
                Some((remote_port, max_send_size)),
                true,
                None,
            ) = (local.data, remote.data, id.is_some(), sctp)
            {
                sctp = Some(Sctp {
                    local_port,
                    remote_port,
                    max_send_size,
                    max_receive_size,
                });
            }
            sections.push(self.section(index, local, remote));
        }
        transports.sort_by_key(|transport| transport.id);
        Negotiated {
            sections,
            transports,
            sctp,
            local_offered: self.local_offered,
        }
    }

    fn section(&self, index: usize, local: &Section, remote: &Section) -> NegotiatedSection {
        let transport = self.ids.get(index).copied().flatten();
        let mut section = NegotiatedSection {
            mline_index: index as u16,
            mid: local.mid.clone(),
            media: local.media,
            active: transport.is_some(),
            transport,
            direction: Direction::Inactive,
            codecs: Vec::new(),
            receive_codecs: Vec::new(),
            extensions: Vec::new(),
            send_rids: Vec::new(),
            receive_rids: Vec::new(),
            rtcp_mux: false,
        };
        let Some(id) = transport else {
            return section;
        };
        let direction = local.direction.intersection(remote.direction.reversed());
        let held = is_held(&self.remote, id);
        section.direction = Direction::new(direction.sends() && !held, direction.receives());
        section.codecs = in_both(&remote.codecs, &local.codecs);
        section.receive_codecs = in_both(&local.codecs, &remote.codecs);
        section.extensions = local
            .extensions
            .iter()
            .filter_map(|own| {
                let known = |other: &&HeaderExtension| other.uri == own.uri && other.id == own.id;
                let other = remote.extensions.iter().find(known)?;
                let direction = own.direction.intersection(other.direction.reversed());
                Some(HeaderExtension {
                    direction,
                    ..own.clone()
                })
            })
            .collect();
        if let (Some([send, receive]), Some([their_send, their_receive])) =
            (&local.simulcast, &remote.simulcast)
        {
            let [own_send, own_receive] = &local.rids;
            let [other_send, other_receive] = &remote.rids;
            let sent = simulcast_streams(send, own_send, &section.receive_codecs);
            let theirs = simulcast_streams(their_receive, other_receive, &section.codecs);
            section.send_rids = named_by(sent, &theirs);
            let wanted = simulcast_streams(receive, own_receive, &section.receive_codecs);
            let theirs = simulcast_streams(their_send, other_send, &section.codecs);
            section.receive_rids = named_by(theirs, &wanted);
        }
        let muxed = |description: &Description, section: &Section| {
            let tag = section.tag.and_then(|tag| description.sections.get(tag));
            section.rtcp_mux || section.bundle_only || tag.is_some_and(|tag| tag.rtcp_mux)
        };
        section.rtcp_mux =
            local.is_rtp() && muxed(&self.local, local) && muxed(&self.remote, remote);
        section
    }
}

/// The formats of one side that the other has too.
fn in_both(side: &[Codec], other: &[Codec]) -> Vec<Codec> {
    let known = |codec: &&Codec| other.iter().any(|one| one.matches(codec));
    side.iter().filter(known).cloned().collect()
}

/// Those streams that the others name too.
fn named_by(mut rids: Vec<Stream>, others: &[Stream]) -> Vec<Stream> {
    rids.retain(|rid| others.iter().any(|other| other.id == rid.id));
    rids
}

/// RFC 3264 §8.4: the address of old for streams on hold. With ICE, candidates say where media goes.
fn is_held(description: &Description, id: TransportId) -> bool {
    let transport = description.transport(id);
    transport.is_some_and(|transport| {
        transport.credentials.is_none()
            && transport
                .address
                .is_some_and(|address| address.ip().is_unspecified())
    })
}
