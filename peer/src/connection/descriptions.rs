//! Making and taking descriptions.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;

use floe_ice::{RemoteParameters, Role};
use floe_sansio::Instant;
use floe_sdp::ice::{Candidate, TrickledCandidate};
use floe_sdp::{
    DescriptionKind, LocalTransport, NegotiationError, Negotiator, RemoteTransport, SignalingState,
};

use super::{Connection, Created, Pending, RENOMINATION, Remote};
use crate::error::Error;

impl Connection {
    /// Makes an offer with the candidates known so far; once a pair is selected, with that of the
    /// pair alone, and from the controlling side with the other one of the pair as
    /// `remote-candidates` (RFC 8839 §4.4.1.2.2).
    ///
    /// After [`Self::restart_ice`] it restarts ICE: it has new credentials, and those candidates that
    /// are good in the next generation too.
    pub fn create_offer(&mut self, _now: Instant) -> Result<String, Error> {
        let restarts = self.offer_restarts();
        self.create(DescriptionKind::Offer, restarts, |negotiator, local| {
            negotiator.create_offer(local)
        })
    }

    /// Makes an answer to the offer that was set, with the same candidates as an offer has. It
    /// restarts ICE if the offer does.
    ///
    /// If the offer names a pair (`remote-candidates`), the answer has this side of it, unless the
    /// pair does not work here (see [`Self::may_answer`]).
    pub fn create_answer(&mut self, _now: Instant) -> Result<String, Error> {
        let restarts = self.pending.as_ref().is_some_and(|it| it.restarts);
        self.create(DescriptionKind::Answer, restarts, |negotiator, local| {
            negotiator.create_answer(local)
        })
    }

    fn create(
        &mut self,
        kind: DescriptionKind,
        restarts: bool,
        make: impl FnOnce(&mut Negotiator, &LocalTransport<'_>) -> Result<String, NegotiationError>,
    ) -> Result<String, Error> {
        self.check_open()?;
        // What is refused prepares nothing.
        let state = self.negotiator.state();
        let offers = kind == DescriptionKind::Offer;
        if offers
            && !matches!(
                state,
                SignalingState::Stable | SignalingState::HaveLocalOffer
            )
        {
            return Err(NegotiationError::State(state).into());
        }
        let credentials = if restarts {
            self.agent.prepare_restart()?.clone()
        } else {
            self.agent.credentials().clone()
        };
        let candidates: Cow<'_, [Candidate]> = if restarts {
            Cow::Owned(self.lasting_candidates())
        } else {
            match self.chosen(kind) {
                Some(chosen) => Cow::Owned(Vec::from([chosen])),
                None => Cow::Borrowed(&self.candidates),
            }
        };
        let controls = !restarts && self.agent.role() == Role::Controlling;
        let end = self.gathered && !restarts;
        let transport = LocalTransport {
            credentials: Some(&credentials),
            pacing: Some(self.agent.pacing()),
            candidates: &candidates,
            end_of_candidates: end,
            dtls: Some(&self.dtls),
            lite: self.lite,
            ice_options: if self.agent.offers_renomination() {
                &[RENOMINATION]
            } else {
                &[]
            },
            remote_candidate: self
                .agent
                .selected()
                .filter(|_| controls)
                .map(|pair| pair.remote.address),
            address: None,
        };
        let text = make(&mut self.negotiator, &transport)?;
        self.created = Created {
            known: self.known(),
            restart: restarts.then(|| candidates.into_owned()),
        };
        Ok(text)
    }

    /// The one local candidate that a description has: that of the pair which the offer names, else
    /// that of the selected pair. A peer-reflexive one was never announced.
    fn chosen(&self, kind: DescriptionKind) -> Option<Candidate> {
        let named = self.won().filter(|_| kind == DescriptionKind::Answer);
        let selected = || Some(self.agent.selected()?.local.address);
        let address = named.or_else(selected)?;
        let announced = self
            .candidates
            .iter()
            .find(|known| known.address == address.ip().into() && known.port == address.port());
        let found = self.agent.local_candidates();
        announced.cloned().or_else(|| {
            found
                .filter(|known| known.address == address)
                .map(Candidate::from)
                .next()
        })
    }

    /// Puts the description that was created last into force, and begins to gather.
    ///
    /// An offer that restarts ICE changes nothing of the session that runs: that goes on until the
    /// answer begins the next generation, or a rollback gives it up.
    pub fn set_local_description(
        &mut self,
        now: Instant,
        kind: DescriptionKind,
        text: &str,
    ) -> Result<(), Error> {
        self.check_open()?;
        self.negotiator.set_local(kind, text)?;
        if kind == DescriptionKind::Offer {
            // An error says that the peer is known already: then the roles stay (RFC 8445 §6.1.1).
            let _ = self.agent.set_role(self.role.unwrap_or(Role::Controlling));
        }
        self.section = self.negotiator.transports().pop();
        self.restarting.clone_from(&self.created.restart);
        if self.restarting.is_none() {
            let (announced, known) = (&mut self.announced, self.created.known);
            announced.candidates = announced.candidates.max(known.candidates);
            announced.end |= known.end;
        }
        if self.section.is_some() && !self.removed {
            self.agent.gather(now);
        }
        let lost = self.has_lost();
        self.finish_exchange(now);
        if lost && kind == DescriptionKind::Answer {
            self.want_restart();
        }
        self.drain();
        Ok(())
    }

    /// Takes a description of the other side.
    pub fn set_remote_description(
        &mut self,
        now: Instant,
        kind: DescriptionKind,
        text: &[u8],
    ) -> Result<(), Error> {
        self.check_open()?;
        // A description may be refused after the negotiator has taken it.
        let mut negotiator = self.negotiator.clone();
        let transport = negotiator.set_remote(kind, text)?.transports.pop();
        let other = |transport: &RemoteTransport| {
            let known = self.remote.as_ref();
            known.is_some_and(|known| Some(&known.credentials) != transport.credentials.as_ref())
        };
        let restarts = self.removed || transport.as_ref().is_some_and(other);
        let answers = kind != DescriptionKind::Offer;
        if transport.is_some() && answers && restarts != self.restarting.is_some() {
            return Err(Error::Restart);
        }
        self.negotiator = negotiator;
        let before = self.pending.take();
        // JSEP has both on every transport.
        self.pending = transport.and_then(|transport| {
            let (credentials, dtls) = transport.credentials.clone().zip(transport.dtls.clone())?;
            Some(Pending {
                // What came for a description that this one replaces, if it is of the same
                // generation.
                trickled: before
                    .filter(|before| before.credentials == credentials)
                    .map(|before| before.trickled)
                    .unwrap_or_default(),
                transport,
                credentials,
                dtls,
                restarts,
            })
        });
        if kind == DescriptionKind::Offer {
            let _ = self.agent.set_role(self.role.unwrap_or(Role::Controlled));
            self.begin_race();
            let pending = self.pending.as_ref().map(|it| &it.transport);
            // RFC 8839 §4.4.2.2: lite agents have no checks to find out who controls.
            if self.lite && pending.is_some_and(|it| it.lite && it.remote_candidate.is_some()) {
                let _ = self.agent.concede(now);
            }
        }
        self.take_held(now);
        self.finish_exchange(now);
        self.drain();
        Ok(())
    }

    /// Gives up the exchange that is under way (RFC 9429 §5.7). If it was to restart ICE, the session
    /// of before goes on, and [`Self::restart_ice`] still holds for the next offer.
    pub fn rollback(&mut self) -> Result<(), Error> {
        self.check_open()?;
        self.negotiator.rollback()?;
        self.pending = None;
        self.restarting = None;
        self.created = Created::default();
        self.racing = false;
        self.agent.cancel_restart();
        self.section = self.negotiator.transports().pop();
        Ok(())
    }

    /// The exchange may be finished: then ICE learns about the other side.
    fn finish_exchange(&mut self, now: Instant) {
        if self.negotiator.state() != SignalingState::Stable {
            return;
        }
        self.racing = false;
        let restarting = self.restarting.take();
        let Some(Pending {
            transport,
            credentials,
            dtls,
            trickled,
            restarts: _,
        }) = self.pending.take()
        else {
            self.agent.cancel_restart();
            if self.negotiator.transports().is_empty() {
                self.remove_transport(now);
            }
            return;
        };
        if let Some(listed) = restarting {
            self.begin_generation(now, listed);
        }
        self.remote = Some(Remote {
            credentials: credentials.clone(),
            dtls,
        });
        let parameters = RemoteParameters {
            credentials,
            pacing: transport.pacing,
            lite: transport.lite,
            renomination: transport.ice_options.iter().any(|it| it == RENOMINATION),
        };
        // Candidates first: the check list is ordered when the first check leaves.
        for candidate in transport.candidates {
            let candidate = TrickledCandidate::Candidate(candidate);
            let _ = self.take_candidate(now, &candidate);
        }
        let _ = self.agent.set_remote_parameters(now, parameters);
        for candidate in trickled {
            let _ = self.take_candidate(now, &candidate);
        }
        if transport.end_of_candidates {
            let _ = self.take_candidate(now, &TrickledCandidate::EndOfCandidates);
        }
    }
}
