//! Transports: what the owner says of its own, and what the other side says of its.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::net::SocketAddr;
use core::time::Duration;

use crate::DtlsIdentity;
use crate::ice::{Candidate, CandidateAddress, IceCredentials, SENT_UFRAG};
use crate::negotiator::{Misuse, Profile};

/// A transport of the connection, from the description that brings it to the exchange that ends
/// it; sections that are bundled share one.
///
/// Numbers count from 0. One that a rollback took away may come again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TransportId(pub(crate) u32);

impl TransportId {
    /// Of a transport in a description that is not used.
    pub(crate) const UNUSED: Self = Self(u32::MAX);

    /// The number.
    pub fn number(self) -> u32 {
        self.0
    }
}

impl fmt::Display for TransportId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A transport in use, and the section that speaks for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transport {
    /// Which one.
    pub id: TransportId,
    /// The section that speaks for it, counted from 0.
    pub mline_index: u16,
    /// Its mid.
    pub mid: Option<String>,
}

/// What a local description says of one transport.
#[derive(Clone, Copy, Debug)]
pub struct LocalTransport<'a> {
    /// Credentials of the ICE generation; a ufrag of at most 32 characters. New ones restart ICE.
    /// JSEP needs them; in the plain profile, `None` is no ICE.
    pub credentials: Option<&'a IceCredentials>,
    /// `ice-pacing`, in whole milliseconds (RFC 8839 §5.5), the same on all transports; left out
    /// by a lite agent.
    pub pacing: Option<Duration>,
    /// The candidates known so far, of component 1; after nomination, the nominated one alone.
    pub candidates: &'a [Candidate],
    /// Whether gathering has ended.
    pub end_of_candidates: bool,
    /// The DTLS side. JSEP needs it; in the plain profile, `None` is no DTLS.
    pub dtls: Option<&'a DtlsIdentity>,
    /// Whether this is an ICE-lite agent; the same on all transports. Its candidates are all there
    /// are from the beginning: more of them need new credentials (RFC 8839 §4.4.1.3).
    pub lite: bool,
    /// ICE options beside `trickle` and `ice2`, tokens of RFC 8839 §5.6; the same on all transports.
    pub ice_options: &'a [&'a str],
    /// The remote candidate of the selected pair, once there is one, if this side controls: offers
    /// then have it as `remote-candidates` (RFC 8839 §4.4.1.2.2), answers never.
    pub remote_candidate: Option<SocketAddr>,
    /// Where media is wanted without ICE, if no candidate says so. With ICE that is where a candidate
    /// is or nowhere: anything else would be a mismatch (RFC 8839 §4.2.5).
    pub address: Option<SocketAddr>,
}

/// Where a description in the making finds the local transports.
///
/// A [`LocalTransport`] stands for itself and suits owners with one transport; a closure from
/// [`TransportId`] suits the others.
pub trait LocalTransports<'a> {
    /// The transport of this number. Asked anew for each description.
    fn transport(&self, id: TransportId) -> LocalTransport<'a>;
}

impl<'a> LocalTransports<'a> for LocalTransport<'a> {
    fn transport(&self, _id: TransportId) -> LocalTransport<'a> {
        *self
    }
}

impl<'a, F: Fn(TransportId) -> LocalTransport<'a>> LocalTransports<'a> for F {
    fn transport(&self, id: TransportId) -> LocalTransport<'a> {
        self(id)
    }
}

impl LocalTransport<'_> {
    pub(crate) fn check(&self, profile: Profile) -> Result<(), Misuse> {
        let needed = profile == Profile::Jsep;
        let too_long = |credentials: &IceCredentials| credentials.ufrag().len() > SENT_UFRAG;
        if self.credentials.map_or(needed, too_long) {
            return Err(Misuse::Credentials);
        }
        if self.dtls.map_or(needed, |dtls| !dtls.is_valid()) {
            return Err(Misuse::Dtls);
        }
        if self
            .pacing
            .is_some_and(|pacing| pacing.as_millis() > 9_999_999_999)
        {
            return Err(Misuse::Pacing);
        }
        // RFC 8839 §5.1 allows no names; browsers hide addresses behind mDNS ones nevertheless.
        let named = |candidate: &Candidate| match &candidate.address {
            CandidateAddress::Ip(_) => true,
            CandidateAddress::Name(name) => name.to_ascii_lowercase().ends_with(".local"),
        };
        let good = |candidate: &Candidate| {
            candidate.component == 1 && candidate.is_valid() && named(candidate)
        };
        if self.candidates.iter().all(good) {
            Ok(())
        } else {
            Err(Misuse::Candidate)
        }
    }
}

/// What the other side says of a transport.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent facts of a transport"
)]
pub struct RemoteTransport {
    /// Which one.
    pub id: TransportId,
    /// The section that speaks for the transport (the BUNDLE tag), counted from 0.
    pub mline_index: u16,
    /// Its mid.
    pub mid: Option<String>,
    /// Where `m=` and `c=` want media: the default destination. `None` if the address is a name.
    pub address: Option<SocketAddr>,
    /// Credentials of the ICE generation; `None` only in the plain profile.
    pub credentials: Option<IceCredentials>,
    /// Whether this is a new generation; false for the first.
    pub ice_restart: bool,
    /// All `ice-options`, in order.
    pub ice_options: Vec<String>,
    /// Whether it is an ICE-lite agent.
    pub lite: bool,
    /// `ice-pacing`; without it 50 ms count (RFC 8839 §5.5).
    pub pacing: Option<Duration>,
    /// Candidates of component 1, in order; names are kept.
    pub candidates: Vec<Candidate>,
    /// `candidate` lines that are malformed or of another component.
    pub ignored_candidates: usize,
    /// Whether there will be no more candidates in this generation.
    pub end_of_candidates: bool,
    /// Whether something between the two sides has changed a description (RFC 8839 §4.2.5).
    pub mismatch: Option<Mismatch>,
    /// Which candidate of this side's the other has selected (`remote-candidates`, component 1): only
    /// in offers of a controlling side that has completed ICE.
    pub remote_candidate: Option<SocketAddr>,
    /// Certificates, DTLS role, association; `None` only in the plain profile.
    pub dtls: Option<DtlsIdentity>,
    /// Whether certificates or `tls-id` differ from those in use; false for the first.
    pub dtls_restart: bool,
}

/// Where a default destination is none of the candidates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mismatch {
    /// In this description, and ICE is spoken of.
    Found,
    /// In the offer that this description answers: it has `ice-mismatch`.
    Said,
}

impl RemoteTransport {
    pub(crate) fn has_option(&self, name: &str) -> bool {
        self.ice_options.iter().any(|option| option == name)
    }

    /// Whether it takes candidates later (RFC 8838).
    pub fn trickle(&self) -> bool {
        self.has_option("trickle")
    }

    /// Whether it follows RFC 8445; an RFC 5245 agent does not say so.
    pub fn ice2(&self) -> bool {
        self.has_option("ice2")
    }
}

/// What differs between two descriptions of one side's transport.
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent facts of a change"
)]
#[derive(Clone, Copy)]
pub(crate) struct Change {
    /// Other credentials than before.
    pub(crate) restart: bool,
    pub(crate) half_restart: bool,
    /// ICE, and none before.
    pub(crate) begins: bool,
    /// No ICE, but before.
    pub(crate) ends: bool,
    pub(crate) parameters: bool,
    pub(crate) dtls: bool,
}

impl Change {
    pub(crate) fn between(before: &RemoteTransport, now: &RemoteTransport) -> Self {
        let (ufrag, pwd) = match (&before.credentials, &now.credentials) {
            (Some(before), Some(now)) => (before.ufrag() != now.ufrag(), !before.same_pwd(now)),
            _ => (false, false),
        };
        let (had, has) = (before.credentials.is_some(), now.credentials.is_some());
        let sorted = |transport: &RemoteTransport| {
            let mut options = transport.ice_options.clone();
            options.sort();
            options
        };
        Self {
            restart: ufrag && pwd,
            half_restart: ufrag != pwd,
            begins: !had && has,
            ends: had && !has,
            parameters: before.lite != now.lite
                || before.pacing != now.pacing
                || sorted(before) != sorted(now),
            dtls: match (&before.dtls, &now.dtls) {
                (Some(before), Some(now)) => !before.same_association(now),
                (before, now) => before.is_some() != now.is_some(),
            },
        }
    }

    /// Whether a generation of candidates begins.
    pub(crate) fn renews(self) -> bool {
        self.restart || self.begins
    }

    /// Whether nothing of ICE goes on.
    pub(crate) fn is_free(self) -> bool {
        self.renews() || self.ends
    }
}
