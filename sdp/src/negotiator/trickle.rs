//! Candidates that come after the description (RFC 8838, RFC 8840, RFC 9429 §4.1.19).

use alloc::collections::BTreeSet;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::ice::{Candidate, CandidateAddress, Fragment, IceCredentials, TrickledCandidate};
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

/// Most candidates of one generation that bodies may bring; the description's do not count.
const MAX_TOLD: usize = 1024;

/// What the other side has told of one generation of a transport.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Told {
    transport: TransportId,
    credentials: Option<IceCredentials>,
    described: usize,
    known: BTreeSet<(u16, String, CandidateAddress, u16)>,
    end: bool,
}

impl Told {
    fn new(transport: TransportId, described: Option<&RemoteTransport>) -> Self {
        let known = described.into_iter().flat_map(|it| &it.candidates);
        let known: BTreeSet<_> = known.map(Self::place).collect();
        Self {
            transport,
            credentials: described.and_then(|it| it.credentials.clone()),
            described: known.len(),
            known,
            end: false,
        }
    }

    fn place(candidate: &Candidate) -> (u16, String, CandidateAddress, u16) {
        let (component, transport, address, port) = candidate.place();
        (component, transport.to_string(), address.clone(), port)
    }

    /// Whether it was not told before; from now on it is.
    fn take(&mut self, told: &TrickledCandidate) -> Result<bool, NegotiationError> {
        match told {
            TrickledCandidate::EndOfCandidates => Ok(!core::mem::replace(&mut self.end, true)),
            TrickledCandidate::Candidate(candidate) => {
                let new = self.known.insert(Self::place(candidate));
                if self.known.len() > self.described + MAX_TOLD {
                    return Err(NegotiationError::TooManyCandidates);
                }
                Ok(new)
            }
        }
    }
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
        self.deliver(remote, parsed, section, &|transport: &RemoteTransport| {
            let known = transport.credentials.as_ref().map(IceCredentials::ufrag);
            ufrag.is_none_or(|ufrag| known == Some(ufrag))
        })
    }

    /// Takes the new candidates out of a [`Fragment`], in its order: those that neither the remote
    /// description in force nor an earlier body of the same generation has (RFC 8840 §4.4).
    ///
    /// As with [`Self::add_remote_candidate_text`], candidates of no use are left out. A body with
    /// other credentials than those of the remote description in force is refused as a whole.
    pub fn take_fragment(&mut self, body: &[u8]) -> Result<Vec<RemoteCandidate>, NegotiationError> {
        let limits = &self.config.limits;
        let body = Fragment::parse_with(body, limits)?;
        let remote = self
            .side(false)
            .ok_or(NegotiationError::State(self.state))?;
        let of_generation = |known: &&Told| {
            let mut transports = remote.transports.iter();
            transports.any(|it| it.id == known.transport && it.credentials == known.credentials)
        };
        let mut told: Vec<Told> = self.told.iter().filter(of_generation).cloned().collect();
        let mut new = Vec::new();
        for section in &body.sections {
            let mid = Some(section.mid.as_str());
            let found = remote
                .sections
                .iter()
                .position(|it| it.mid.as_deref() == mid);
            let found = found.ok_or(NegotiationError::UnknownSection)?;
            let credentials = body.credentials_of(section);
            let same = |transport: &RemoteTransport| {
                credentials.is_none_or(|it| transport.credentials.as_ref() == Some(it))
            };
            let candidates = section.candidates.iter().cloned();
            let end = section.end_of_candidates || body.end_of_candidates;
            let end = end.then_some(TrickledCandidate::EndOfCandidates);
            for parsed in candidates.map(TrickledCandidate::Candidate).chain(end) {
                let delivered = self.deliver(remote, parsed, Some(found), &same)?;
                // A section has one transport.
                let Some((delivered, id)) = delivered.and_then(|it| {
                    let id = *it.transports.first()?;
                    Some((it, id))
                }) else {
                    continue;
                };
                let known = told.iter().position(|known| known.transport == id);
                let known = known.unwrap_or_else(|| {
                    told.push(Told::new(id, remote.transport(id)));
                    told.len() - 1
                });
                if told[known].take(&delivered.candidate)? {
                    new.push(delivered);
                }
            }
        }
        // The end of all, with no sections named.
        if let (true, true, Some(credentials)) = (
            body.end_of_candidates,
            body.sections.is_empty(),
            &body.credentials,
        ) {
            let same = |it: &RemoteTransport| it.credentials.as_ref() == Some(credentials);
            new.extend(self.deliver(remote, TrickledCandidate::EndOfCandidates, None, &same)?);
        }
        self.told = told;
        Ok(new)
    }

    /// Where a candidate of the section belongs, if it is of the generation in force and of use.
    fn deliver(
        &self,
        remote: &Description,
        parsed: TrickledCandidate,
        section: Option<usize>,
        in_generation: &dyn Fn(&RemoteTransport) -> bool,
    ) -> Result<Option<RemoteCandidate>, NegotiationError> {
        let (inner, component) = match &parsed {
            TrickledCandidate::Candidate(candidate) => {
                (candidate.extension("ufrag"), candidate.component)
            }
            TrickledCandidate::EndOfCandidates => (None, 1),
        };
        let in_generation = |transport: &&RemoteTransport| {
            let known = transport.credentials.as_ref().map(IceCredentials::ufrag);
            in_generation(transport) && inner.is_none_or(|ufrag| known == Some(ufrag))
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
