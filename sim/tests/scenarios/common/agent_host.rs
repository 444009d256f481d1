//! A host that runs one ICE agent, signals for it and sends media.

use core::net::SocketAddr;
use core::time::Duration;
use std::collections::VecDeque;

use bytes::Bytes;
use floe_ice::{
    Agent, Candidate, CommandError, Config, Event, FailureCause, GatheringError, IceCredentials,
    LocalAddress, RemoteParameters, Role, SelectedPair, State,
};
use floe_sansio::{Datagram, FiveTuple, HEADROOM, Input, Instant, TAILROOM, Transmit, Transport};
use floe_sim::{Endpoint, HostId, Message};

use super::millis;
use super::packet::{Packet, Unwrapper};

/// Behind this one lie the ports that are bound for servers that call the first one taken.
const FRESH_PORTS: u16 = 60000;

/// One ICE agent, and what it said and heard.
///
/// It signals in lines: `offer`, `answer` or `more`, then `ice` with user name fragment, password,
/// Ta in milliseconds and `renomination`, candidates as SDP has them, and `end`.
#[derive(Debug)]
pub(crate) struct AgentHost {
    pub(crate) agent: Agent,
    pub(crate) config: Config,
    other: HostId,
    trickle: bool,
    /// `offer` or `answer`: to be sent when gathering has ended.
    wanted: Option<&'static str>,
    /// Whether candidates that are found now have to be signalled by themselves.
    described: bool,
    candidates: Vec<String>,
    /// What the offer said, until it is answered.
    offered: Option<String>,
    /// The user name fragment of the other side, in the generation of the moment and in those before.
    remote_ufrag: Option<String>,
    stale_ufrags: Vec<String>,
    /// Ports bound for servers that call the first one taken.
    fresh_ports: u16,
    outbox: VecDeque<Message>,
    transmits: VecDeque<Transmit>,
    media_every: Option<Duration>,
    media_next: Option<Instant>,
    media_sent: u32,
    unwrapper: Unwrapper,

    pub(crate) events: Vec<(Instant, Event)>,
    /// What it has come to, whenever that changed.
    pub(crate) states: Vec<(Instant, State)>,
    /// When it learned the credentials of the other side.
    pub(crate) introduced: Option<Instant>,
    /// All datagrams in the order in which they came and went.
    pub(crate) packets: Vec<Packet>,
    /// Why the agent refused what came from the other side.
    pub(crate) refused: Vec<CommandError>,
    /// The media of the other side, by number, in the order in which it came.
    pub(crate) heard: Vec<(Instant, u32)>,
}

impl AgentHost {
    pub(super) fn new(
        config: Config,
        seed: [u8; 32],
        now: Instant,
        other: HostId,
        trickle: bool,
        media_every: Option<Duration>,
    ) -> Self {
        Self {
            agent: Agent::new(config.clone(), seed, now),
            config,
            other,
            trickle,
            wanted: None,
            described: false,
            candidates: Vec::new(),
            offered: None,
            remote_ufrag: None,
            stale_ufrags: Vec::new(),
            fresh_ports: 0,
            outbox: VecDeque::new(),
            transmits: VecDeque::new(),
            media_every,
            media_next: None,
            media_sent: 0,
            unwrapper: Unwrapper::default(),
            events: Vec::new(),
            states: Vec::new(),
            introduced: None,
            packets: Vec::new(),
            refused: Vec::new(),
            heard: Vec::new(),
        }
    }

    /// Begins: an offer at once, or as soon as candidates are gathered.
    pub(super) fn offer(&mut self, now: Instant) {
        self.describe_when_ready(now, "offer");
    }

    /// Begins a new generation with an offer.
    pub(crate) fn restart(&mut self, now: Instant) {
        self.begin_again(now);
        self.describe_when_ready(now, "offer");
    }

    fn begin_again(&mut self, now: Instant) {
        self.agent.restart(now).unwrap();
        self.candidates.clear();
        self.described = false;
        self.introduced = None;
        self.stale_ufrags.extend(self.remote_ufrag.take());
    }

    /// Tells the agent something; what it says to that is taken in.
    pub(crate) fn command<R>(&mut self, now: Instant, command: impl FnOnce(&mut Agent) -> R) -> R {
        let result = command(&mut self.agent);
        self.drain(now);
        result
    }

    /// Hands the agent a datagram, past the network.
    pub(crate) fn hand(&mut self, now: Instant, path: FiveTuple, bytes: &[u8]) -> Input {
        let mut buffer = vec![0; HEADROOM + bytes.len() + TAILROOM];
        let range = HEADROOM..HEADROOM + bytes.len();
        buffer[range.clone()].copy_from_slice(bytes);
        let datagram = Datagram::new(path, &mut buffer, range);
        self.command(now, |agent| agent.handle_input(now, datagram))
    }

    /// Begins to send media, or ends it.
    pub(crate) fn set_media(&mut self, now: Instant, every: Option<Duration>) {
        self.media_every = every;
        self.media_next = every.map(|_| now);
    }

    /// Sends one datagram of media, if it can; whether it could.
    pub(crate) fn say(&mut self, now: Instant) -> bool {
        let number = self.media_sent.to_be_bytes();
        let mut buffer = vec![0; HEADROOM + 5 + TAILROOM];
        buffer[HEADROOM] = 0xFF;
        buffer[HEADROOM + 1..HEADROOM + 5].copy_from_slice(&number);
        let Ok(route) = self.agent.send(&mut buffer, HEADROOM..HEADROOM + 5) else {
            return false;
        };
        self.media_sent += 1;
        let payload = Bytes::copy_from_slice(&buffer[route.range()]);
        let transmit = Transmit {
            path: route.path,
            payload,
        };
        self.keep(now, &transmit);
        self.transmits.push_back(transmit);
        true
    }

    /// How many datagrams of media it has sent.
    pub(crate) const fn said(&self) -> u32 {
        self.media_sent
    }

    /// How many datagrams of media it has heard since then.
    pub(crate) fn heard_since(&self, since: Instant) -> usize {
        self.heard.iter().filter(|(at, _)| *at >= since).count()
    }

    /// The longest time without media, from the first until now.
    pub(crate) fn longest_silence(&self, now: Instant) -> Duration {
        let times = self.heard.iter().map(|&(at, _)| at).chain([now]);
        let times: Vec<_> = times.collect();
        let gaps = times.windows(2).map(|pair| pair[1].since(pair[0]));
        gaps.max().unwrap_or_default()
    }

    pub(crate) fn role(&self) -> Role {
        self.agent.role()
    }

    pub(crate) fn state(&self) -> State {
        self.agent.state()
    }

    pub(crate) fn selected(&self) -> Option<SelectedPair> {
        self.agent.selected()
    }

    /// Whether it has never fallen back: from a pair that works to none.
    pub(crate) fn never_lost_its_pair(&self) -> bool {
        let worked = |state: &State| matches!(state, State::Connected | State::Completed);
        let mut states = self.states.iter().map(|(_, state)| state);
        let _ = states.find(|state| worked(state));
        states.all(worked)
    }

    pub(crate) fn failed(&self) -> Option<(Instant, FailureCause)> {
        self.events.iter().find_map(|(at, event)| match event {
            Event::Failed(cause) => Some((*at, *cause)),
            _ => None,
        })
    }

    /// When the first event of this kind came.
    pub(crate) fn when(&self, is: impl Fn(&Event) -> bool) -> Option<Instant> {
        let found = self.events.iter().find(|(_, event)| is(event));
        found.map(|&(at, _)| at)
    }

    pub(crate) fn connected_at(&self) -> Option<Instant> {
        self.when(|event| matches!(event, Event::Connected(_)))
    }

    pub(crate) fn selected_at(&self) -> Option<Instant> {
        self.when(|event| matches!(event, Event::Selected(_)))
    }

    pub(crate) fn count(&self, is: impl Fn(&Event) -> bool) -> usize {
        self.events.iter().filter(|(_, event)| is(event)).count()
    }

    pub(crate) fn role_switches(&self) -> usize {
        self.count(|event| matches!(event, Event::RoleChanged(_)))
    }

    /// What it has sent.
    pub(crate) fn sent(&self) -> impl Iterator<Item = &Packet> {
        self.packets.iter().filter(|packet| packet.sent)
    }

    /// What it has received.
    pub(crate) fn received(&self) -> impl Iterator<Item = &Packet> {
        self.packets.iter().filter(|packet| !packet.sent)
    }

    /// The checks that it has sent.
    pub(crate) fn checks(&self) -> impl Iterator<Item = &Packet> {
        self.sent().filter(|packet| packet.is_check())
    }

    /// The addresses at which its checks have been answered, with where they were sent from, until
    /// then.
    pub(crate) fn is_answered(&self, pair: (SocketAddr, SocketAddr, bool), until: Instant) -> bool {
        let answers = self.received().filter(|packet| packet.is_success());
        let mut answers = answers.filter(|it| it.pair() == pair && it.at <= until);
        answers.any(|answer| {
            let id = answer.stun.map(|stun| stun.id);
            let mut checks = self.checks().filter(|check| check.pair() == pair);
            checks.any(|check| check.stun.map(|stun| stun.id) == id)
        })
    }

    fn keep(&mut self, now: Instant, transmit: &Transmit) {
        let packet = self
            .unwrapper
            .packet(now, true, transmit.path, &transmit.payload);
        self.packets.push(packet);
    }

    fn describe_when_ready(&mut self, now: Instant, kind: &'static str) {
        self.agent.gather(now);
        self.wanted = Some(kind);
        self.drain(now);
    }

    fn drain(&mut self, now: Instant) {
        let mut fresh = Vec::new();
        while let Some(event) = self.agent.poll_event() {
            match &event {
                Event::LocalCandidate(candidate) => {
                    fresh.push(floe_sdp::ice::Candidate::from(candidate).to_string());
                }
                Event::GatheringComplete => fresh.push("end".into()),
                &Event::StreamWanted {
                    id,
                    transport: Transport::Udp,
                    local,
                    ..
                } => {
                    self.fresh_ports += 1;
                    let fresh = SocketAddr::new(local, FRESH_PORTS + self.fresh_ports);
                    self.agent.stream_opened(now, id, fresh).unwrap();
                }
                Event::StreamWanted { id, .. } => self.agent.stream_failed(now, *id),
                Event::Connected(_) if self.media_every.is_some() => {
                    self.media_next.get_or_insert(now);
                }
                _ => {}
            }
            self.events.push((now, event));
        }
        self.candidates.extend(fresh.iter().cloned());
        if self.described {
            for line in fresh {
                let ufrag = self.agent.credentials().ufrag();
                self.signal(format!("more {ufrag}\n{line}"));
            }
        } else if let Some(kind) = self
            .wanted
            .filter(|_| self.trickle || self.agent.is_gathered())
        {
            self.described = true;
            self.describe(kind);
            if let Some(offer) = self.offered.take() {
                self.introduce(now, &offer);
                self.drain(now);
            }
        }
        let state = self.agent.state();
        if self.states.last().is_none_or(|&(_, last)| last != state) {
            self.states.push((now, state));
        }
        while let Some(transmit) = self.agent.poll_transmit() {
            self.keep(now, &transmit);
            self.transmits.push_back(transmit);
        }
    }

    fn describe(&mut self, kind: &str) {
        let credentials = self.agent.credentials();
        let mut text = format!(
            "{kind}\nice {} {} {}",
            credentials.ufrag(),
            credentials.pwd(),
            self.agent.pacing().as_millis()
        );
        if self.config.renomination {
            text.push_str(" renomination");
        }
        for line in &self.candidates {
            text.push('\n');
            text.push_str(line);
        }
        self.signal(text);
    }

    fn signal(&mut self, text: String) {
        let to = self.other;
        self.outbox.push_back(Message { to, text });
    }

    /// Takes what a description or a candidate says: candidates first, so that the list is ordered
    /// when the first check leaves.
    fn introduce(&mut self, now: Instant, text: &str) {
        let mut results = Vec::new();
        for line in text.lines().filter(|it| it.starts_with("candidate:")) {
            let candidate: floe_sdp::ice::Candidate = line.parse().unwrap();
            let candidate = Candidate::try_from(&candidate).unwrap();
            results.push(self.agent.add_remote_candidate(now, candidate));
        }
        if let Some(parameters) = text.lines().find_map(parameters) {
            self.remote_ufrag = Some(parameters.credentials.ufrag().into());
            results.push(self.agent.set_remote_parameters(now, parameters));
            self.introduced.get_or_insert(now);
        }
        if text.lines().any(|line| line == "end") {
            results.push(self.agent.end_of_remote_candidates(now));
        }
        self.refused
            .extend(results.into_iter().filter_map(Result::err));
    }
}

/// What a line says of the other agent.
fn parameters(line: &str) -> Option<RemoteParameters> {
    let mut words = line.strip_prefix("ice ")?.split(' ');
    let mut next = || words.next();
    let credentials = IceCredentials::new(next()?, next()?).ok()?;
    Some(RemoteParameters {
        pacing: Some(millis(next()?.parse().ok()?)),
        renomination: next() == Some("renomination"),
        ..RemoteParameters::new(credentials)
    })
}

impl Endpoint for AgentHost {
    fn receive(&mut self, now: Instant, mut datagram: Datagram<'_>) -> Input {
        let payload = Bytes::copy_from_slice(datagram.payload());
        let packet = self.unwrapper.packet(now, false, datagram.path, &payload);
        self.packets.push(packet);
        let input = self.agent.handle_input(now, datagram.reborrow());
        if let Input::Data(route) = input
            && let Some(&[0xFF, a, b, c, d]) = datagram.buffer_mut().get(route.range())
        {
            self.heard.push((now, u32::from_be_bytes([a, b, c, d])));
        }
        self.drain(now);
        input
    }

    fn timeout(&mut self, now: Instant) {
        if self.agent.poll_timeout().is_some_and(|at| at <= now) {
            self.agent.handle_timeout(now);
        }
        if self.media_next.is_some_and(|at| at <= now) {
            self.say(now);
            let alive = !matches!(self.state(), State::Failed(_) | State::Closed);
            self.media_next = self.media_every.filter(|_| alive).map(|every| now + every);
        }
        self.drain(now);
    }

    fn poll_transmit(&mut self) -> Option<Transmit> {
        self.transmits.pop_front()
    }

    fn deadline(&self) -> Option<Instant> {
        let timers = self.agent.poll_timeout().into_iter();
        timers.chain(self.media_next).min()
    }

    fn message(&mut self, now: Instant, _from: HostId, text: &str) {
        let told = text.lines().find_map(parameters);
        let is_offer = text.starts_with("offer");
        let stale = text.lines().next().and_then(|it| it.strip_prefix("more "));
        let known = self.remote_ufrag.is_some();
        if stale.is_some_and(|ufrag| self.stale_ufrags.iter().any(|it| it == ufrag)) {
            return;
        }
        if is_offer
            && known
            && told.is_some_and(|it| Some(it.credentials.ufrag()) != self.remote_ufrag.as_deref())
        {
            self.begin_again(now);
        }
        // Where both sides offer at the same time, neither answers.
        let crossed =
            is_offer && self.wanted == Some("offer") && self.remote_ufrag.is_none() && !known;
        if is_offer && !crossed {
            self.offered = Some(text.into());
            self.describe_when_ready(now, "answer");
        } else if let Some(offered) = &mut self.offered {
            // Nothing is known of an offer before it is answered.
            offered.push('\n');
            offered.push_str(text);
        } else {
            self.introduce(now, text);
            self.drain(now);
        }
    }

    fn poll_message(&mut self) -> Option<Message> {
        self.outbox.pop_front()
    }
}
