//! Candidates that come after the description (RFC 8838, RFC 8840, RFC 9429 §4.1.19).

use crate::ice::TrickledCandidate;
use crate::negotiator::description::Description;
use crate::negotiator::{DescriptionKind, NegotiationError, Negotiator};

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
    ) -> Result<Option<TrickledCandidate>, NegotiationError> {
        let remote = self.remote().ok_or(NegotiationError::State(self.state))?;
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
        let Some(transport) = &remote.transport else {
            return Ok(None);
        };
        let inner = match &parsed {
            TrickledCandidate::Candidate(candidate) => candidate.extension("ufrag"),
            TrickledCandidate::EndOfCandidates => None,
        };
        let other = |ufrag: &str| ufrag != transport.credentials.ufrag();
        if ufrag.is_some_and(other) || inner.is_some_and(other) {
            return Err(NegotiationError::WrongGeneration);
        }
        let component = match &parsed {
            TrickledCandidate::Candidate(candidate) => candidate.component,
            TrickledCandidate::EndOfCandidates => 1,
        };
        let useful = section.is_none_or(|section| self.speaks_for_transport(remote, section));
        Ok((useful && component == 1).then_some(parsed))
    }

    /// Before the first answer every section of an offer has candidates of its own, and only those
    /// of the BUNDLE tag will be used; afterwards all bundled sections share theirs.
    fn speaks_for_transport(&self, remote: &Description, section: usize) -> bool {
        let in_force = remote.kind != DescriptionKind::Offer || self.current.is_some();
        let shared = remote
            .sections
            .get(section)
            .is_some_and(|section| section.on_transport);
        remote.is_tag(section) || (in_force && shared)
    }
}
