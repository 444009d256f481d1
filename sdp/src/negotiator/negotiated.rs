//! What an exchange has come to.

use alloc::string::String;
use alloc::vec::Vec;

use crate::negotiator::{MediaKind, Negotiator};
use crate::{Codec, Direction, DtlsRole};

/// The result of the last finished exchange.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Negotiated {
    /// One for every `m=`, in order.
    pub sections: Vec<NegotiatedSection>,
    /// The local role in the DTLS handshake; `None` if no section is active.
    pub dtls_role: Option<DtlsRole>,
    /// The data section's association, if one is active.
    pub sctp: Option<Sctp>,
    /// Whether this side made the offer, which makes it the ICE controlling side if both are full
    /// agents (RFC 8445 §6.1.1).
    pub local_offered: bool,
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
    /// Which way media flows, as this side sees it.
    pub direction: Direction,
    /// The formats in both descriptions, with the numbers to send them under: the other side's.
    /// The first is the one to use. The parameters are the other side's.
    pub codecs: Vec<Codec>,
}

impl Negotiator {
    /// The result of the last finished exchange; `None` before the first.
    pub fn negotiated(&self) -> Option<Negotiated> {
        let current = self.current.as_ref()?;
        let answer = current.answer();
        let mut sections = Vec::with_capacity(answer.sections.len());
        let mut sctp = None;
        for (index, (local, remote)) in current
            .local
            .sections
            .iter()
            .zip(&current.remote.sections)
            .enumerate()
        {
            let active = current.is_live(index);
            let common = |codec: &&Codec| local.codecs.iter().any(|own| own.matches(codec));
            if let (
                Some((local_port, max_receive_size)),
                Some((remote_port, max_send_size)),
                true,
                None,
            ) = (local.data, remote.data, active, sctp)
            {
                sctp = Some(Sctp {
                    local_port,
                    remote_port,
                    max_send_size,
                    max_receive_size,
                });
            }
            sections.push(NegotiatedSection {
                mline_index: index as u16,
                mid: local.mid.clone(),
                media: local.media,
                active,
                direction: if active {
                    local.direction.intersection(remote.direction.reversed())
                } else {
                    Direction::Inactive
                },
                codecs: remote
                    .codecs
                    .iter()
                    .filter(|_| active)
                    .filter(common)
                    .cloned()
                    .collect(),
            });
        }
        let dtls_role = current.dtls_role();
        Some(Negotiated {
            sections,
            dtls_role,
            sctp,
            local_offered: current.local_offered,
        })
    }
}
