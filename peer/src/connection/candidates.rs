//! Candidates beside descriptions, both ways (RFC 8838, RFC 8840, RFC 9429 §3.5.2).

use alloc::string::{String, ToString};

use floe_ice::CommandError;
use floe_sansio::Instant;
use floe_sdp::NegotiationError;
use floe_sdp::ice::{Candidate, Fragment, TrickledCandidate};

use super::{Announced, Connection};
use crate::error::Error;
use crate::event::{Event, IceCandidate};

/// Candidates kept for an exchange that is not finished; more are refused.
const MAX_PENDING_CANDIDATES: usize = 100;

/// Candidates kept of a generation whose description has not come yet; more are refused.
const MAX_HELD_CANDIDATES: usize = 100;

/// Bytes of such a candidate; a longer one is refused. Browsers write some 150.
const MAX_HELD_BYTES: usize = 1024;

/// Generations of the other side that are remembered to be over.
const MAX_PAST_GENERATIONS: usize = 8;

impl Connection {
    /// Takes a candidate of the other side.
    ///
    /// One of a generation that is not known yet is held until its description has come; one of a
    /// generation that is over is dropped and counted ([`Self::stale_candidates`]).
    pub fn add_ice_candidate(
        &mut self,
        now: Instant,
        candidate: &IceCandidate,
    ) -> Result<(), Error> {
        self.check_open()?;
        let found = self.negotiator.add_remote_candidate_text(
            &candidate.candidate,
            candidate.sdp_mid.as_deref(),
            candidate.sdp_mline_index,
            candidate.username_fragment.as_deref(),
        );
        match found {
            Ok(None) => Ok(()),
            Ok(Some(found)) => {
                let result = self.deliver(now, found.candidate);
                self.drain();
                result
            }
            Err(NegotiationError::WrongGeneration) => self.add_of_another(now, candidate),
            Err(error) => Err(error.into()),
        }
    }

    /// Takes the candidates that are new in a body of type `application/trickle-ice-sdpfrag`
    /// (RFC 8840), but for those that [`Self::add_ice_candidate`] would refuse. A body of another
    /// generation is refused as a whole.
    pub fn add_fragment(&mut self, now: Instant, body: &[u8]) -> Result<(), Error> {
        self.check_open()?;
        for found in self.negotiator.take_fragment(body)? {
            let _ = self.deliver(now, found.candidate);
        }
        self.drain();
        Ok(())
    }

    /// All local candidates so far as such a body, for who signals by SIP; `None` without a local
    /// description that has a transport. It holds the password.
    pub fn fragment(&self) -> Option<String> {
        let section = self.section.as_ref()?;
        let mut body = Fragment::default();
        let part = body.section(section.mid.as_deref()?);
        part.credentials = Some(self.agent.credentials().clone());
        part.candidates.clone_from(&self.candidates);
        part.end_of_candidates = self.gathered;
        Some(body.to_text())
    }

    /// How many candidates of generations that were over have come.
    pub const fn stale_candidates(&self) -> u64 {
        self.stale
    }

    /// A candidate of the description in force.
    fn deliver(&mut self, now: Instant, candidate: TrickledCandidate) -> Result<(), Error> {
        match &mut self.pending {
            // ICE is to know of it when the exchange is finished.
            Some(pending) if self.remote.is_none() || pending.restarts => {
                if pending.trickled.len() >= MAX_PENDING_CANDIDATES {
                    return Err(CommandError::Capacity.into());
                }
                pending.trickled.push(candidate);
                Ok(())
            }
            _ if self.remote.is_some() => self.take_candidate(now, &candidate),
            // Where nothing is pending, all sections were refused: the candidate is of no use.
            _ => Ok(()),
        }
    }

    /// A candidate of another generation than that of the description in force.
    fn add_of_another(&mut self, now: Instant, candidate: &IceCandidate) -> Result<(), Error> {
        let parsed: TrickledCandidate = candidate
            .candidate
            .parse()
            .map_err(NegotiationError::Candidate)?;
        let inner = match &parsed {
            TrickledCandidate::Candidate(parsed) => parsed.extension("ufrag"),
            TrickledCandidate::EndOfCandidates => None,
        };
        let ufrag = match (candidate.username_fragment.as_deref(), inner) {
            (Some(one), Some(other)) if one != other => {
                return Err(NegotiationError::WrongGeneration.into());
            }
            (Some(ufrag), _) | (None, Some(ufrag)) => ufrag,
            (None, None) => return Err(NegotiationError::WrongGeneration.into()),
        };
        let current = self.remote.as_ref();
        if current.is_some_and(|current| current.credentials.ufrag() == ufrag) {
            // A restart is being negotiated; until then this generation counts.
            let result = self.take_candidate(now, &parsed);
            self.drain();
            return result;
        }
        if self.past.iter().any(|past| past == ufrag) {
            self.stale += 1;
            return Ok(());
        }
        let long = candidate.candidate.len() + ufrag.len() > MAX_HELD_BYTES;
        if long || self.held.len() >= MAX_HELD_CANDIDATES {
            return Err(CommandError::Capacity.into());
        }
        self.held.push(candidate.clone());
        Ok(())
    }

    /// A description has come: what was held for it is taken, the rest is held on.
    pub(super) fn take_held(&mut self, now: Instant) {
        for candidate in core::mem::take(&mut self.held) {
            let _ = self.add_ice_candidate(now, &candidate);
        }
    }

    /// The generation of the other side is over.
    pub(super) fn outlive(&mut self, ufrag: &str) {
        if self.past.len() == MAX_PAST_GENERATIONS {
            self.past.pop_front();
        }
        self.past.push_back(ufrag.to_string());
    }

    pub(super) fn take_candidate(
        &mut self,
        now: Instant,
        candidate: &TrickledCandidate,
    ) -> Result<(), Error> {
        match candidate {
            TrickledCandidate::EndOfCandidates => self.agent.end_of_remote_candidates(now)?,
            TrickledCandidate::Candidate(text) => match floe_ice::Candidate::try_from(text) {
                Ok(candidate) => self.agent.add_remote_candidate(now, candidate)?,
                Err(cause) => self.events.push_back(Event::CandidateIgnored(cause)),
            },
        }
        Ok(())
    }

    /// A local candidate was found.
    pub(super) fn found(&mut self, candidate: &floe_ice::Candidate) {
        let candidate = Candidate::from(candidate);
        // The description that began a generation may have had it already.
        if !self.candidates.iter().any(|known| known.is_at(&candidate)) {
            self.candidates.push(candidate);
        }
    }

    pub(super) fn known(&self) -> Announced {
        Announced {
            candidates: self.candidates.len(),
            end: self.gathered,
        }
    }

    pub(super) fn announce(&mut self) {
        let Some(section) = &self.section else {
            return;
        };
        let announced = self.announced;
        let known = self.known();
        if announced.candidates == known.candidates && announced.end == known.end {
            return;
        }
        let ufrag = self.agent.credentials().ufrag();
        let last = (known.end && !announced.end).then(String::new);
        let fresh = self.candidates[announced.candidates..].iter();
        for candidate in fresh.map(Candidate::to_string).chain(last) {
            self.events.push_back(Event::Candidate(IceCandidate {
                candidate,
                sdp_mid: section.mid.clone(),
                sdp_mline_index: Some(section.mline_index),
                username_fragment: Some(ufrag.into()),
            }));
        }
        self.announced = known;
    }
}
