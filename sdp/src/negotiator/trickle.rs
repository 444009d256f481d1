//! Candidates that come after the description (RFC 8838, RFC 8840, RFC 9429 §4.1.19).

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use crate::ice::{IceCredentials, TrickledCandidate};
use crate::negotiator::description::Description;
use crate::negotiator::transport::{RemoteTransport, TransportId};
use crate::negotiator::{DescriptionKind, NegotiationError, Negotiator};

/// A candidate of the other side, or the end of them, and where it belongs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteCandidate {
    /// The transport; several only for the end of candidates, which may be that of all.
    pub transports: Vec<TransportId>,
    /// What was signalled.
    pub candidate: TrickledCandidate,
}

impl Negotiator {
    /// Reads a candidate that was signalled with the names browsers give it: `candidate`, `sdpMid`,
    /// `sdpMLineIndex`, `usernameFragment`.
    ///
    /// The mid counts before the index. `Ok(None)`: a good candidate that is of no use, since its
    /// section has no transport of its own or since it is of component 2. A candidate that names no
    /// section is refused; the end of candidates needs none. A ufrag, in the argument or in the
    /// candidate, that is not that of the remote description in force is refused: the candidate is
    /// of another generation.
    pub fn add_remote_candidate_text(
        &self,
        candidate: &str,
        sdp_mid: Option<&str>,
        mline_index: Option<u16>,
        ufrag: Option<&str>,
    ) -> Result<Option<RemoteCandidate>, NegotiationError> {
        let remote = self
            .side(false)
            .ok_or(NegotiationError::State(self.state))?;
        let parsed: TrickledCandidate = candidate.parse()?;
        let section = match (sdp_mid, mline_index) {
            (Some(mid), _) => {
                let found = remote
                    .sections
                    .iter()
                    .position(|section| section.mid.as_deref() == Some(mid));
                Some(found.ok_or(NegotiationError::UnknownSection)?)
            }
            (None, Some(index)) if usize::from(index) < remote.sections.len() => Some(index.into()),
            (None, None) if parsed == TrickledCandidate::EndOfCandidates => None,
            (None, _) => return Err(NegotiationError::UnknownSection),
        };
        let (inner, component) = match &parsed {
            TrickledCandidate::Candidate(candidate) => {
                (candidate.extension("ufrag"), candidate.component)
            }
            TrickledCandidate::EndOfCandidates => (None, 1),
        };
        let in_generation = |transport: &&RemoteTransport| {
            let known = transport.credentials.as_ref().map(IceCredentials::ufrag);
            let same = |ufrag: &str| known == Some(ufrag);
            ufrag.is_none_or(same) && inner.is_none_or(same)
        };
        let of = match section {
            Some(section) => remote.transport_of(section).into_iter().collect(),
            None => self.used_transports(remote).collect::<Vec<_>>(),
        };
        let found: Vec<_> = of.iter().copied().filter(in_generation).collect();
        if found.is_empty() && !of.is_empty() {
            return Err(NegotiationError::WrongGeneration);
        }
        let useful = component == 1
            && section.is_none_or(|section| self.speaks_for_transport(remote, section));
        let used: BTreeSet<_> = self.used_transports(remote).map(|used| used.id).collect();
        let ids = found.into_iter().map(|transport| transport.id);
        let transports: Vec<_> = ids.filter(|id| used.contains(id)).collect();
        Ok(
            (useful && !transports.is_empty()).then_some(RemoteCandidate {
                transports,
                candidate: parsed,
            }),
        )
    }

    /// The transports of a remote description that are in use, or will be if the answer is as it
    /// looks now.
    fn used_transports<'d>(
        &self,
        remote: &'d Description,
    ) -> impl Iterator<Item = &'d RemoteTransport> + use<'d, '_> {
        let pending = self.pending.as_ref();
        let ids = match pending.filter(|pending| pending.side(false).is_some()) {
            Some(pending) if pending.local_offered => None,
            Some(pending) => Some(&pending.ids),
            None => self.current.as_ref().map(|current| &current.ids),
        };
        let used = move |transport: &&RemoteTransport| {
            let index = usize::from(transport.mline_index);
            let section = remote.sections.get(index);
            let in_use =
                |ids: &Vec<Option<TransportId>>| ids.get(index).is_some_and(Option::is_some);
            section.is_some_and(|it| it.tag == Some(index)) && ids.is_none_or(in_use)
        };
        remote.transports.iter().filter(used)
    }

    /// Before the first answer every section of an offer has candidates of its own, and only those
    /// of the BUNDLE tag will be used; afterwards all bundled sections share theirs.
    fn speaks_for_transport(&self, remote: &Description, section: usize) -> bool {
        let in_force = remote.kind != DescriptionKind::Offer || self.current.is_some();
        let tag = remote.sections.get(section).and_then(|section| section.tag);
        tag == Some(section) || (in_force && tag.is_some())
    }
}
