mod candidates;
mod descriptions;
mod race;
mod restart;

use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};
use core::ops::Range;

use floe_ice::{Agent, CommandError, NameId, Role, SelectedPair, SendError, State, StreamId};
use floe_sansio::{Datagram, Entropy, Input, Instant, Route, Transmit, impl_machine};
use floe_sdp::ice::{Candidate, IceCredentials, TrickledCandidate};
use floe_sdp::{
    BundlePolicy, DtlsIdentity, Negotiated, Negotiator, NegotiatorConfig, RemoteTransport,
    SignalingState, Transport,
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
///
/// # Generations
///
/// [`Self::restart_ice`] makes the next offer restart ICE, and a restart that is offered is answered
/// with one. Until the exchange is finished nothing changes: the old generation goes on with its
/// credentials and candidates, and a rollback leaves it as it is. Then the next one begins, and data
/// stays on the old path until it has found its own.
#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent facts of a connection"
)]
pub struct Connection {
    dtls: DtlsIdentity,
    /// The role to begin with, whoever offers.
    role: Option<Role>,
    negotiator: Negotiator,
    agent: Agent,
    lite: bool,
    /// Local candidates of this generation so far, as text signals them.
    candidates: Vec<Candidate>,
    gathered: bool,
    created: Created,
    /// The same of the description in force and the events after it.
    announced: Announced,
    /// The section that candidates are signalled for; `None` if the description in force has no
    /// transport.
    section: Option<Transport>,
    /// What the other side signalled in an exchange that is not finished.
    pending: Option<Pending>,
    /// What ICE and the owner know of the other side.
    remote: Option<Remote>,
    /// Whether the next offer is to restart ICE.
    needs_restart: bool,
    /// The candidates of the local description in an exchange that restarts ICE and is not finished.
    restarting: Option<Vec<Candidate>>,
    /// Whether there was a transport and both sides have given it up.
    removed: bool,
    /// Whether the answer waits for the check of a pair that the offer names.
    racing: bool,
    /// Candidates of a generation whose description has not come yet.
    held: Vec<IceCandidate>,
    /// Fragments of the other side's generations that are over.
    past: VecDeque<String>,
    /// Candidates of those.
    stale: u64,
    events: VecDeque<Event>,
}

/// What the description created last says.
#[derive(Clone, Debug, Default)]
struct Created {
    /// How many candidates were known, and whether it says that there are no more.
    known: Announced,
    /// If it restarts ICE, the candidates that it has.
    restart: Option<Vec<Candidate>>,
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
    /// Whether it is of another generation than the one that runs.
    restarts: bool,
}

/// The ICE option of agents that may nominate again.
const RENOMINATION: &str = "renomination";

impl Connection {
    /// A new connection. It sends nothing until a description is set.
    ///
    /// Refused are sections that cannot be described.
    pub fn new(config: Config, seed: [u8; 32], now: Instant) -> Result<Self, Error> {
        let mut entropy = Entropy::new(seed);
        let session_id = entropy.u64() >> 2;
        let ice = config.ice();
        let lite = ice.lite;
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
            lite,
            candidates: Vec::new(),
            gathered: false,
            created: Created::default(),
            announced: Announced::default(),
            section: None,
            pending: None,
            remote: None,
            needs_restart: false,
            restarting: None,
            removed: false,
            racing: false,
            held: Vec::new(),
            past: VecDeque::new(),
            stale: 0,
            events: VecDeque::new(),
        })
    }

    /// Begins to gather candidates before a description is set.
    pub fn gather(&mut self, now: Instant) {
        self.agent.gather(now);
        self.drain();
    }

    /// Where `buffer[range]`, an application datagram, is to be sent. Leave
    /// [`HEADROOM`](floe_sansio::HEADROOM) and [`TAILROOM`](floe_sansio::TAILROOM) around it:
    /// through a relay it is framed in place.
    pub fn send(&mut self, buffer: &mut [u8], range: Range<usize>) -> Result<Route, SendError> {
        self.agent.send(buffer, range)
    }

    /// The owner opened the connection of [`Event::StreamWanted`], or bound the port, at this address of
    /// the host.
    ///
    /// From now on its frames, or datagrams, are inputs, and transmits have its 5-tuple.
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

    /// What [`Event::StreamWanted`] asked for could not be had, or is gone; with it goes the
    /// allocation that was made over it. Of a stream that is not wanted (any more) this says nothing.
    pub fn stream_failed(&mut self, now: Instant, id: StreamId) {
        self.agent.stream_failed(now, id);
        self.drain();
    }

    /// These are the addresses of the name of [`Event::ResolveWanted`], none if it has none; one of them
    /// is used.
    ///
    /// # Errors
    ///
    /// Those of [`Agent::resolved`].
    pub fn resolved(
        &mut self,
        now: Instant,
        id: NameId,
        addresses: &[IpAddr],
    ) -> Result<(), CommandError> {
        self.agent.resolved(now, id, addresses)?;
        self.drain();
        Ok(())
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

    /// The state of ICE; [`State::New`] again while no section needs it.
    pub const fn ice_state(&self) -> State {
        match self.agent.state() {
            State::Closed => State::Closed,
            _ if self.removed => State::New,
            state => state,
        }
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
        let pending = self.pending.as_ref().map_or(0, |p| p.trickled.len());
        self.agent.retained() + pending + self.held.len() + self.past.len()
    }

    fn check_open(&self) -> Result<(), Error> {
        match self.agent.state() {
            State::Closed => Err(CommandError::Ended.into()),
            _ => Ok(()),
        }
    }

    /// Takes in what the agent has to say, and announces candidates that no description holds.
    fn drain(&mut self) {
        while let Some(event) = self.agent.poll_event() {
            match event {
                floe_ice::Event::LocalCandidate(candidate) => {
                    self.found(&candidate);
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
                floe_ice::Event::ResolveWanted { id, name } => {
                    self.events.push_back(Event::ResolveWanted { id, name });
                }
                floe_ice::Event::StreamUnwanted(id) => {
                    self.events.push_back(Event::StreamUnwanted(id));
                }
                floe_ice::Event::Connected(_) => self.events.push_back(Event::Connected),
                floe_ice::Event::Disconnected(_) => self.events.push_back(Event::Disconnected),
                floe_ice::Event::Selected(pair) => {
                    self.events.push_back(Event::Selected(pair));
                    self.align();
                }
                floe_ice::Event::RoleChanged(role) => {
                    self.events.push_back(Event::RoleChanged(role));
                }
                floe_ice::Event::Failed(cause) => self.events.push_back(Event::Failed(cause)),
                _ => {}
            }
        }
        self.announce();
        self.follow_race();
    }
}

impl_machine!(Connection, Event);
