use alloc::collections::VecDeque;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::net::SocketAddr;
use core::ops::Range;

use floe_ice::{
    Agent, CommandError, RemoteParameters, Role, SelectedPair, SendError, State, StreamId,
};
use floe_sansio::{Datagram, Entropy, Input, Instant, Route, Transmit, impl_machine};
use floe_sdp::ice::{Candidate, IceCredentials, TrickledCandidate};
use floe_sdp::{
    BundlePolicy, DescriptionKind, DtlsIdentity, LocalTransport, Negotiated, NegotiationError,
    Negotiator, NegotiatorConfig, RemoteTransport, SignalingState, Transport,
};

use crate::config::Config;
use crate::error::Error;
use crate::event::{Event, IceCandidate};

/// One peer-to-peer connection. See the [crate documentation](crate) for a run.
///
/// # Trickle or not
///
/// Gathering begins with [`Self::set_local_description`], and candidates that the description does
/// not hold follow as [`Event::Candidate`]. To signal them all at once, call [`Self::gather`] first
/// and create the description after [`Event::GatheringComplete`].
#[derive(Debug)]
pub struct Connection {
    dtls: DtlsIdentity,
    /// The role to begin with, whoever offers.
    role: Option<Role>,
    negotiator: Negotiator,
    agent: Agent,
    /// Local candidates so far, as text signals them.
    candidates: Vec<Candidate>,
    gathered: bool,
    /// How many of them the description created last holds, and whether it says that there are no
    /// more.
    created: Announced,
    /// The same of the description in force and the events after it.
    announced: Announced,
    /// The section that candidates are signalled for; `None` if the description in force has no
    /// transport.
    section: Option<Transport>,
    /// What the other side signalled in an exchange that is not finished.
    pending: Option<Pending>,
    /// What ICE and the owner know of the other side.
    remote: Option<Remote>,
    events: VecDeque<Event>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Announced {
    candidates: usize,
    end: bool,
}

/// The other side, as of the last finished exchange.
#[derive(Clone, Debug)]
struct Remote {
    credentials: IceCredentials,
    dtls: DtlsIdentity,
}

/// A remote transport that ICE does not know yet: the exchange may still be rolled back.
#[derive(Clone, Debug)]
struct Pending {
    transport: RemoteTransport,
    credentials: IceCredentials,
    dtls: DtlsIdentity,
    trickled: Vec<TrickledCandidate>,
}

/// The ICE option of agents that may nominate again.
const RENOMINATION: &str = "renomination";

/// Candidates kept for an exchange that is not finished; more are dropped.
const MAX_PENDING_CANDIDATES: usize = 100;

impl Connection {
    /// A new connection. It sends nothing until a description is set.
    ///
    /// Refused are sections that cannot be described.
    pub fn new(config: Config, seed: [u8; 32], now: Instant) -> Result<Self, Error> {
        let mut entropy = Entropy::new(seed);
        let session_id = entropy.u64() >> 2;
        let ice = config.ice();
        let negotiator = Negotiator::new(NegotiatorConfig {
            // One agent, one transport.
            bundle: BundlePolicy::MustBundle,
            ..NegotiatorConfig::new(session_id, config.sections)
        })?;
        Ok(Self {
            dtls: config.dtls,
            role: config.role,
            negotiator,
            agent: Agent::new(ice, entropy.seed(), now),
            candidates: Vec::new(),
            gathered: false,
            created: Announced::default(),
            announced: Announced::default(),
            section: None,
            pending: None,
            remote: None,
            events: VecDeque::new(),
        })
    }

    /// Begins to gather candidates before a description is set.
    pub fn gather(&mut self, now: Instant) {
        self.agent.gather(now);
        self.drain();
    }

    /// Makes an offer with the candidates known so far; once a pair is selected, with that of the
    /// pair alone (RFC 8839 §4.4.1.2.2).
    pub fn create_offer(&mut self, _now: Instant) -> Result<String, Error> {
        self.create(|negotiator, local| negotiator.create_offer(local))
    }

    /// Makes an answer to the offer that was set, with the same candidates as an offer has.
    pub fn create_answer(&mut self, _now: Instant) -> Result<String, Error> {
        self.create(|negotiator, local| negotiator.create_answer(local))
    }

    fn create(
        &mut self,
        make: impl FnOnce(&mut Negotiator, &LocalTransport<'_>) -> Result<String, NegotiationError>,
    ) -> Result<String, Error> {
        self.check_open()?;
        let nominated = self.nominated();
        let transport = LocalTransport {
            credentials: Some(self.agent.credentials()),
            pacing: Some(self.agent.pacing()),
            candidates: nominated
                .as_ref()
                .map_or(&self.candidates, core::slice::from_ref),
            end_of_candidates: self.gathered,
            dtls: Some(&self.dtls),
            lite: false,
            ice_options: if self.agent.offers_renomination() {
                &[RENOMINATION]
            } else {
                &[]
            },
            remote_candidate: None,
            address: None,
        };
        let text = make(&mut self.negotiator, &transport)?;
        self.created = self.known();
        Ok(text)
    }

    /// The local candidate of the selected pair; a peer-reflexive one was never announced.
    fn nominated(&self) -> Option<Candidate> {
        let address = self.agent.selected()?.local.address;
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
        let announced = &mut self.announced;
        announced.candidates = announced.candidates.max(self.created.candidates);
        announced.end |= self.created.end;
        if self.section.is_some() {
            self.agent.gather(now);
        }
        self.finish_exchange(now);
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
        if transport.as_ref().is_some_and(other) {
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
            })
        });
        if kind == DescriptionKind::Offer {
            let _ = self.agent.set_role(self.role.unwrap_or(Role::Controlled));
        }
        self.finish_exchange(now);
        self.drain();
        Ok(())
    }

    /// Gives up the exchange that is under way (RFC 9429 §5.7).
    pub fn rollback(&mut self) -> Result<(), Error> {
        self.check_open()?;
        self.negotiator.rollback()?;
        self.pending = None;
        self.section = self.negotiator.transports().pop();
        Ok(())
    }

    /// Takes a candidate of the other side.
    pub fn add_ice_candidate(
        &mut self,
        now: Instant,
        candidate: &IceCandidate,
    ) -> Result<(), Error> {
        self.check_open()?;
        let trickled = self.negotiator.add_remote_candidate_text(
            &candidate.candidate,
            candidate.sdp_mid.as_deref(),
            candidate.sdp_mline_index,
            candidate.username_fragment.as_deref(),
        )?;
        let Some(trickled) = trickled.map(|trickled| trickled.candidate) else {
            return Ok(());
        };
        if self.remote.is_some() {
            let result = self.take_candidate(now, &trickled);
            self.drain();
            return result;
        }
        // Where nothing is pending, all sections were refused: the candidate is of no use.
        if let Some(pending) = &mut self.pending {
            if pending.trickled.len() >= MAX_PENDING_CANDIDATES {
                return Err(CommandError::Capacity.into());
            }
            pending.trickled.push(trickled);
        }
        Ok(())
    }

    /// Where `buffer[range]`, an application datagram, is to be sent. Leave
    /// [`HEADROOM`](floe_sansio::HEADROOM) and [`TAILROOM`](floe_sansio::TAILROOM) around it:
    /// through a relay it is framed in place.
    pub fn send(&mut self, buffer: &mut [u8], range: Range<usize>) -> Result<Route, SendError> {
        self.agent.send(buffer, range)
    }

    /// The owner opened the connection of [`Event::StreamWanted`], from this address of the host.
    ///
    /// From now on its frames are inputs, and transmits have its 5-tuple.
    ///
    /// # Errors
    ///
    /// Those of [`Agent::stream_opened`].
    pub fn stream_opened(
        &mut self,
        now: Instant,
        id: StreamId,
        local: SocketAddr,
    ) -> Result<(), CommandError> {
        self.agent.stream_opened(now, id, local)?;
        self.drain();
        Ok(())
    }

    /// The connection of [`Event::StreamWanted`] could not be opened, or is gone; with it goes the
    /// allocation that was made over it. Of a stream that is not wanted (any more) this says nothing.
    pub fn stream_failed(&mut self, now: Instant, id: StreamId) {
        self.agent.stream_failed(now, id);
        self.drain();
    }

    /// The owner accepted a connection of `remote` at `local`, where it listens
    /// ([`floe_ice::Config::tcp_addresses`]); what names it from now on.
    ///
    /// # Errors
    ///
    /// Those of [`Agent::stream_accepted`]: close it then.
    pub fn stream_accepted(
        &mut self,
        now: Instant,
        local: SocketAddr,
        remote: SocketAddr,
    ) -> Result<StreamId, CommandError> {
        let id = self.agent.stream_accepted(now, local, remote)?;
        self.drain();
        Ok(id)
    }

    /// Ends the connection; allocations on relays are released.
    pub fn close(&mut self, now: Instant) {
        self.agent.close(now);
        self.negotiator.close();
        self.section = None;
        self.drain();
    }

    /// One datagram arrived on one of the connection's addresses.
    pub fn handle_input(&mut self, now: Instant, datagram: Datagram<'_>) -> Input {
        let input = self.agent.handle_input(now, datagram);
        if matches!(input, Input::Handled) {
            self.drain();
        }
        input
    }

    /// The clock reached [`Self::poll_timeout`].
    pub fn handle_timeout(&mut self, now: Instant) {
        self.agent.handle_timeout(now);
        self.drain();
    }

    /// The next bytes to send.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.agent.poll_transmit()
    }

    /// The next thing to know.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// When to call [`Self::handle_timeout`].
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.agent.poll_timeout()
    }

    /// The state of offer and answer.
    pub fn signaling_state(&self) -> SignalingState {
        self.negotiator.state()
    }

    /// The state of ICE.
    pub const fn ice_state(&self) -> State {
        self.agent.state()
    }

    /// The ICE role of the moment.
    pub const fn role(&self) -> Role {
        self.agent.role()
    }

    /// The pair that ICE selected.
    pub fn selected(&self) -> Option<SelectedPair> {
        self.agent.selected()
    }

    /// What the last finished exchange has come to: sections, DTLS role, SCTP ports.
    pub fn negotiated(&self) -> Option<Negotiated> {
        self.negotiator.negotiated()
    }

    /// The DTLS identity of the other side, as of the last finished exchange: what its certificate
    /// has to match.
    pub fn remote_dtls(&self) -> Option<&DtlsIdentity> {
        self.remote.as_ref().map(|remote| &remote.dtls)
    }

    /// How many things the other side has made this one hold: for tests of its limits.
    pub fn retained(&self) -> usize {
        self.agent.retained() + self.pending.as_ref().map_or(0, |p| p.trickled.len())
    }

    fn check_open(&self) -> Result<(), Error> {
        match self.agent.state() {
            State::Closed => Err(CommandError::Ended.into()),
            _ => Ok(()),
        }
    }

    fn known(&self) -> Announced {
        Announced {
            candidates: self.candidates.len(),
            end: self.gathered,
        }
    }

    /// The exchange may be finished: then ICE learns about the other side.
    fn finish_exchange(&mut self, now: Instant) {
        if self.negotiator.state() != SignalingState::Stable {
            return;
        }
        let Some(Pending {
            transport,
            credentials,
            dtls,
            trickled,
        }) = self.pending.take()
        else {
            return;
        };
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

    fn take_candidate(&mut self, now: Instant, candidate: &TrickledCandidate) -> Result<(), Error> {
        match candidate {
            TrickledCandidate::EndOfCandidates => self.agent.end_of_remote_candidates(now)?,
            TrickledCandidate::Candidate(text) => match floe_ice::Candidate::try_from(text) {
                Ok(candidate) => self.agent.add_remote_candidate(now, candidate)?,
                Err(cause) => self.events.push_back(Event::CandidateIgnored(cause)),
            },
        }
        Ok(())
    }

    /// Takes in what the agent has to say, and announces candidates that no description holds.
    fn drain(&mut self) {
        while let Some(event) = self.agent.poll_event() {
            match event {
                floe_ice::Event::LocalCandidate(candidate) => {
                    self.candidates.push(Candidate::from(&candidate));
                }
                floe_ice::Event::GatheringComplete => {
                    self.gathered = true;
                    // The end is announced after the last candidate.
                    self.announce();
                    self.events.push_back(Event::GatheringComplete);
                }
                floe_ice::Event::GatheringFailed {
                    base,
                    server,
                    transport,
                    cause,
                } => self.events.push_back(Event::GatheringFailed {
                    base,
                    server,
                    transport,
                    cause,
                }),
                floe_ice::Event::StreamWanted {
                    id,
                    transport,
                    framing,
                    local,
                    remote,
                } => self.events.push_back(Event::StreamWanted {
                    id,
                    transport,
                    framing,
                    local,
                    remote,
                }),
                floe_ice::Event::StreamUnwanted(id) => {
                    self.events.push_back(Event::StreamUnwanted(id));
                }
                floe_ice::Event::Connected(_) => self.events.push_back(Event::Connected),
                floe_ice::Event::Disconnected(_) => self.events.push_back(Event::Disconnected),
                floe_ice::Event::Selected(pair) => self.events.push_back(Event::Selected(pair)),
                floe_ice::Event::RoleChanged(role) => {
                    self.events.push_back(Event::RoleChanged(role));
                }
                floe_ice::Event::Failed(cause) => self.events.push_back(Event::Failed(cause)),
                _ => {}
            }
        }
        self.announce();
    }

    fn announce(&mut self) {
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

impl_machine!(Connection, Event);
