//! A host that runs one `peer::Connection`, signals for it and counts what it says.

use core::net::SocketAddr;
use core::time::Duration;
use std::collections::{BTreeSet, VecDeque};

use floe_peer::{
    Config, Connection, DescriptionKind, Error, Event, FailureCause, Framing, IceCandidate,
    SelectedPair, SignalingState, StreamId,
};
use floe_sansio::{Datagram, FiveTuple, HEADROOM, Input, Instant, TAILROOM, Transmit, Transport};
use floe_stun::{Class, MessageType, Method};

use super::SessionConfig;
use super::audit::{Audit, Violation};
use super::report::{ServerFailure, SideReport};
use super::signal::Signal;
use super::streams::Streams;
use crate::{Endpoint, HostId, Message, StreamCommand, StreamEvent};

/// What the application says over the selected pair.
const HELLO: &[u8] = b"\xFFhello over the selected pair";
/// What it answers when it hears that.
const HEARD: &[u8] = b"\xFFheard over the selected pair";
/// How often it says hello until it is answered.
const HELLO_EVERY: Duration = Duration::from_millis(200);
/// How often at most.
const HELLO_COUNT: u32 = 10;
/// What a datagram of media begins with; its number follows, four bytes.
const MEDIA: &[u8] = b"\xFFmedia";

/// Behind this one lie the ports that it binds where a server calls the first one taken.
const FRESH_PORTS: u16 = 60000;

/// What happened when.
#[derive(Clone, Copy, Debug, Default)]
pub struct Timeline {
    /// The own description left.
    pub described: Option<Instant>,
    /// Gathering ended.
    pub gathered: Option<Instant>,
    /// The first pair worked.
    pub connected: Option<Instant>,
}

/// How many messages one side sent or received.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Checks and answers to checks, sent, also through a relay.
    pub checks: u32,
    /// Those of them that went through a relay, of this side or of the other.
    pub relayed: u32,
    /// Checks alone; only counted if the peer is watched ([`SessionConfig::audit`]).
    pub requests: u32,
    /// What went to servers and came from them, other than relayed datagrams.
    pub gathering: u32,
}

/// A connection with a server or the other peer.
#[derive(Debug)]
struct KnownStream {
    id: StreamId,
    framing: Framing,
    /// Once it is open.
    path: Option<FiveTuple>,
}

/// Media that is being sent.
#[derive(Clone, Copy, Debug)]
struct Media {
    every: Duration,
    next: Instant,
}

/// A peer: a connection, its signalling, and an application that says hello, and sends media if it is
/// told to.
///
/// Where both sides offer at the same time, the one that has offered first in this session insists, and
/// the other one takes its own offer back.
#[derive(Debug)]
pub struct PeerHost {
    connection: Connection,
    other: HostId,
    server: SocketAddr,
    trickle: bool,
    /// What is created as soon as gathering has ended.
    wanted: Option<DescriptionKind>,
    outbox: VecDeque<Message>,
    transmits: VecDeque<Transmit>,
    /// The connections that it wanted, the how many-th under its number, and those that it accepted.
    known_streams: Vec<KnownStream>,
    streams: Streams,
    /// How many ports it has bound beside its first one.
    ports: u16,
    commands: VecDeque<StreamCommand>,
    hello_at: Option<Instant>,
    hellos: u32,
    /// What came before the description that it belongs to: whoever signals over a path that does
    /// not keep the order holds it back.
    early: Vec<IceCandidate>,
    /// How many candidates it has signalled, the end apart.
    signalled: usize,
    /// Which ones the other side has, each once, and the end that waits for more of them.
    known: BTreeSet<(Option<String>, String)>,
    end: Option<(IceCandidate, usize)>,
    /// The description of the other side; the same again is a repetition.
    heard: Option<(DescriptionKind, String)>,
    audit: Option<Audit>,
    media: Option<Media>,
    media_sent: u32,
    media_heard: Vec<(Instant, u32)>,
    /// Whether it gives way where both sides offer at the same time.
    polite: bool,
    /// Everything the connection said.
    events: Vec<(Instant, Event)>,
    report: SideReport,
}

impl PeerHost {
    /// A peer that signals with `other`.
    pub fn new(
        config: Config,
        seed: [u8; 32],
        now: Instant,
        other: HostId,
        server: SocketAddr,
        session: &SessionConfig,
    ) -> Result<Self, Error> {
        let listening = config.ice.tcp_addresses.clone().into_iter();
        Ok(Self {
            connection: Connection::new(config, seed, now)?,
            other,
            server,
            trickle: session.trickle,
            wanted: None,
            outbox: VecDeque::new(),
            transmits: VecDeque::new(),
            known_streams: Vec::new(),
            streams: Streams::default(),
            ports: 0,
            commands: listening.map(StreamCommand::Listen).collect(),
            hello_at: None,
            hellos: 0,
            early: Vec::new(),
            signalled: 0,
            known: BTreeSet::new(),
            end: None,
            heard: None,
            audit: session.audit.then(|| Audit::new(server)),
            media: None,
            media_sent: 0,
            media_heard: Vec::new(),
            polite: true,
            events: Vec::new(),
            report: SideReport::default(),
        })
    }

    /// Gathers candidates before anybody offers.
    pub fn gather(&mut self, now: Instant) {
        self.connection.gather(now);
        self.drain(now);
    }

    /// Whether there are no more candidates to come.
    pub const fn has_gathered(&self) -> bool {
        self.report.timeline.gathered.is_some()
    }

    /// Begins: an offer at once, or as soon as candidates are gathered.
    pub fn offer(&mut self, now: Instant) {
        self.polite = false;
        self.describe_when_ready(now, DescriptionKind::Offer);
    }

    /// Restarts ICE: with an offer at once, unless one of the other side is being answered.
    pub fn restart(&mut self, now: Instant) {
        if let Err(error) = self.connection.restart_ice(now) {
            self.refused(error);
        }
        if self.connection.signaling_state() == SignalingState::Stable {
            self.describe(now, DescriptionKind::Offer);
        }
        self.drain(now);
    }

    /// From now on sends a datagram of media so often, or none any more.
    pub fn set_media(&mut self, now: Instant, every: Option<Duration>) {
        self.media = every.map(|every| Media { every, next: now });
        self.send_media(now);
    }

    /// How many datagrams of media it has sent.
    pub const fn media_sent(&self) -> u32 {
        self.media_sent
    }

    /// The media of the other side, by number from 0, in the order in which it came.
    pub fn media_heard(&self) -> &[(Instant, u32)] {
        &self.media_heard
    }

    /// The connection, to look at.
    pub const fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Tells the connection something; what it says to that is taken in.
    pub fn command<R>(&mut self, now: Instant, command: impl FnOnce(&mut Connection) -> R) -> R {
        let result = command(&mut self.connection);
        self.drain(now);
        result
    }

    /// Everything the connection has said, and when.
    pub fn events(&self) -> &[(Instant, Event)] {
        &self.events
    }

    /// Lets the application say hello as if a pair had just been selected.
    pub fn hail(&mut self, now: Instant) {
        self.report.answered = false;
        self.hellos = 0;
        self.hello_at = Some(now);
        self.say_hello(now);
    }

    /// Whether it has selected a pair or failed.
    pub fn has_decided(&self) -> bool {
        self.report.selected.is_some() || self.report.failed.is_some()
    }

    /// What it has sent and received so far.
    pub const fn tally(&self) -> Tally {
        self.report.tally
    }

    /// Whether nothing more is to be expected: data went over the selected pair and back, or could
    /// not, or there is no pair.
    pub const fn is_settled(&self) -> bool {
        let told = self.hellos >= HELLO_COUNT || self.report.answered;
        self.report.failed.is_some() || (self.report.selected.is_some() && told)
    }

    /// What it has seen so far.
    pub fn report(&self) -> SideReport {
        let mut report = self.report.clone();
        report
            .violations
            .extend(self.audit.iter().flat_map(Audit::violations));
        report
    }

    fn describe_when_ready(&mut self, now: Instant, kind: DescriptionKind) {
        if self.trickle || self.report.timeline.gathered.is_some() {
            self.describe(now, kind);
        } else {
            self.wanted = Some(kind);
            self.connection.gather(now);
        }
        self.drain(now);
    }

    /// The other side has described itself.
    fn described(&mut self, now: Instant, kind: DescriptionKind, sdp: String) -> Result<(), Error> {
        let told = Some((kind, sdp));
        if self.heard == told {
            return Ok(());
        }
        let crossed = kind == DescriptionKind::Offer
            && self.connection.signaling_state() == SignalingState::HaveLocalOffer;
        if crossed && !self.polite {
            return Ok(());
        }
        if crossed {
            self.connection.rollback()?;
        }
        self.heard = told;
        let sdp = self.heard.as_ref().map_or("", |(_, sdp)| sdp);
        self.connection
            .set_remote_description(now, kind, sdp.as_bytes())?;
        if kind == DescriptionKind::Offer {
            self.describe_when_ready(now, DescriptionKind::Answer);
        }
        for candidate in core::mem::take(&mut self.early) {
            self.told(now, candidate)?;
        }
        self.ended(now)
    }

    /// The end of candidates counts once all of them are there.
    fn ended(&mut self, now: Instant) -> Result<(), Error> {
        let all = |end: &mut (_, usize)| self.known.len() >= end.1;
        match self.end.take_if(all) {
            Some((candidate, _)) => self.told(now, candidate),
            None => Ok(()),
        }
    }

    /// The other side has told a candidate, or the end of them. After an end nobody minds what is late.
    fn told(&mut self, now: Instant, candidate: IceCandidate) -> Result<(), Error> {
        if self.heard.is_none() {
            self.early.push(candidate);
            return Ok(());
        }
        match self.connection.add_ice_candidate(now, &candidate) {
            Err(Error::Ice(_)) => Ok(()),
            other => other,
        }
    }

    fn describe(&mut self, now: Instant, kind: DescriptionKind) {
        let created = match kind {
            DescriptionKind::Offer => self.connection.create_offer(now),
            _ => self.connection.create_answer(now),
        };
        let set = created.and_then(|text| {
            self.connection.set_local_description(now, kind, &text)?;
            Ok(text)
        });
        match set {
            Ok(text) => {
                self.report.timeline.described.get_or_insert(now);
                self.signal(&Signal::Description(kind, text));
            }
            Err(error) => self.refused(error),
        }
    }

    fn signal(&mut self, signal: &Signal) {
        self.outbox.push_back(Message {
            to: self.other,
            text: signal.to_text(),
        });
    }

    fn refused(&mut self, error: Error) {
        self.report.error.get_or_insert_with(|| error.to_string());
    }

    fn drain(&mut self, now: Instant) {
        while let Some(event) = self.connection.poll_event() {
            self.mind_the_end(&event);
            self.events.push((now, event.clone()));
            match event {
                Event::Candidate(candidate) if candidate.candidate.is_empty() => {
                    self.signal(&Signal::End(candidate, self.signalled));
                }
                Event::Candidate(candidate) => {
                    self.signalled += 1;
                    self.signal(&Signal::Candidate(candidate));
                }
                Event::GatheringComplete => {
                    self.report.timeline.gathered.get_or_insert(now);
                    if let Some(kind) = self.wanted.take() {
                        self.describe(now, kind);
                    }
                }
                Event::Connected => {
                    self.report.timeline.connected.get_or_insert(now);
                }
                Event::Disconnected => self.report.disconnected.push(now),
                Event::Selected(pair) => self.selected(now, pair),
                Event::Failed(cause) => self.failed(now, cause),
                Event::GatheringFailed {
                    transport, cause, ..
                } => self.report.server_failures.push(ServerFailure {
                    at: now,
                    transport,
                    error: cause,
                }),
                Event::StreamWanted {
                    id,
                    transport: Transport::Tcp,
                    framing,
                    local,
                    remote,
                } => {
                    self.commands.push_back(StreamCommand::Connect {
                        id: self.known_streams.len() as u64,
                        local,
                        remote,
                    });
                    self.known_streams.push(KnownStream {
                        id,
                        framing,
                        path: None,
                    });
                }
                Event::StreamWanted {
                    id,
                    transport: Transport::Udp,
                    local,
                    ..
                } => {
                    // Every port of a host leads to it.
                    self.ports += 1;
                    let port = SocketAddr::new(local, FRESH_PORTS.saturating_add(self.ports));
                    if self.connection.stream_opened(now, id, port).is_err() {
                        self.connection.stream_failed(now, id);
                    }
                }
                // Nothing is encrypted here.
                Event::StreamWanted { id, .. } => self.connection.stream_failed(now, id),
                Event::StreamUnwanted(id) => self.unwanted(id),
                _ => {}
            }
        }
    }

    /// Who has failed has nothing more to say, but that it needs its streams no longer.
    fn mind_the_end(&mut self, event: &Event) {
        if self.report.failed.is_some() && !matches!(event, Event::StreamUnwanted(_)) {
            let violation = Violation::EventAfterFailure(format!("{event:?}"));
            self.report.violations.push(violation);
        }
    }

    fn unwanted(&mut self, id: StreamId) {
        let mut wanted = (0..).zip(&self.known_streams);
        if let Some((number, known)) = wanted.find(|(_, known)| known.id == id) {
            let path = known.path;
            self.commands.push_back(match path {
                Some(path) => StreamCommand::Close(path),
                None => StreamCommand::Cancel(number),
            });
            if let Some(path) = path {
                self.streams.close(path);
            }
        }
    }

    fn opened(&mut self, now: Instant, number: u64, path: FiveTuple) {
        let Some(known) = self.known_streams.get_mut(number as usize) else {
            return;
        };
        known.path = Some(path);
        let taken = self.connection.stream_opened(now, known.id, path.local);
        if taken.is_ok() {
            self.streams.open(path, known.framing.clone());
        } else {
            self.commands.push_back(StreamCommand::Close(path));
        }
    }

    fn accepted(&mut self, now: Instant, path: FiveTuple) {
        let (local, remote) = (path.local, path.remote);
        match self.connection.stream_accepted(now, local, remote) {
            Ok(id) => {
                let framing = Framing::Rfc4571;
                self.streams.open(path, framing.clone());
                self.known_streams.push(KnownStream {
                    id,
                    framing,
                    path: Some(path),
                });
            }
            Err(_) => self.commands.push_back(StreamCommand::Reset(path)),
        }
    }

    /// An open connection is gone.
    fn lost(&mut self, now: Instant, path: FiveTuple) {
        // Paths come again; the last is meant.
        let mut known = self.known_streams.iter().rev();
        let known = known.find(|known| known.path == Some(path)).map(|it| it.id);
        if let Some(id) = known.filter(|_| self.streams.close(path)) {
            self.connection.stream_failed(now, id);
        }
    }

    fn read(&mut self, now: Instant, path: FiveTuple, bytes: &mut [u8]) {
        let (frames, end) = self.streams.read(path, bytes);
        for mut frame in frames {
            let _ = self.receive(now, frame.datagram());
        }
        if end.is_err() {
            self.commands.push_back(StreamCommand::Reset(path));
            self.lost(now, path);
        }
    }

    fn selected(&mut self, now: Instant, pair: SelectedPair) {
        // An answerer may follow to a better pair; the first time counts.
        let at = self.report.selected.map_or(now, |(at, _)| at);
        self.report.selected = Some((at, pair));
        self.report.selections.push((now, pair));
        self.hello_at = Some(now);
        self.say_hello(now);
    }

    fn failed(&mut self, now: Instant, cause: FailureCause) {
        self.report.failed = Some((now, cause));
        self.hello_at = None;
    }

    fn say_hello(&mut self, now: Instant) {
        if self.hello_at.is_none_or(|at| at > now) {
            return;
        }
        self.hello_at = (self.hellos < HELLO_COUNT).then(|| now + HELLO_EVERY);
        self.hellos += 1;
        let _ = self.say(HELLO);
    }

    fn send_media(&mut self, now: Instant) {
        let Some(media) = self.media.filter(|media| media.next <= now) else {
            return;
        };
        self.media = Some(Media {
            next: now + media.every.max(Duration::from_micros(1)),
            ..media
        });
        let number = self.media_sent.to_be_bytes();
        if self.say(&[MEDIA, &number].concat()) {
            self.media_sent += 1;
        }
    }

    /// Sends a datagram of the application, if there is a path; whether there is.
    fn say(&mut self, data: &[u8]) -> bool {
        let mut buffer = vec![0; HEADROOM + data.len() + TAILROOM];
        let range = HEADROOM..HEADROOM + data.len();
        buffer[range.clone()].copy_from_slice(data);
        let Ok(route) = self.connection.send(&mut buffer, range) else {
            return false;
        };
        let range = route.range();
        buffer.truncate(range.end);
        let payload = bytes::Bytes::from(buffer).slice(range.start..);
        let transmit = Transmit {
            path: route.path,
            payload,
        };
        if let Some(audit) = &mut self.audit {
            audit.sent(transmit.path, &transmit.payload);
        }
        self.transmits.push_back(transmit);
        true
    }

    fn hear(&mut self, now: Instant, data: &[u8]) {
        let number = data.strip_prefix(MEDIA).map(<[u8; 4]>::try_from);
        if let Some(Ok(number)) = number {
            let number = u32::from_be_bytes(number);
            self.media_heard.push((now, number));
        } else if data == HELLO {
            let _ = self.say(HEARD);
        } else if data == HEARD {
            self.report.answered = true;
            self.hello_at = None;
        }
    }

    fn count_sent(&mut self, transmit: &Transmit) {
        if let Some(audit) = &mut self.audit {
            audit.sent(transmit.path, &transmit.payload);
            self.report.tally.requests = audit.requests();
        }
        let remote = transmit.path.remote;
        let is_check = match MessageType::peek(&transmit.payload) {
            _ if remote != self.server => true,
            // A relayed check; application data is not counted, for it does not pass here.
            None => true,
            Some(kind) => kind.method == Method::SEND,
        };
        let tally = &mut self.report.tally;
        if is_check {
            tally.checks += 1;
            tally.relayed += u32::from(remote.ip() == self.server.ip());
        } else {
            tally.gathering += 1;
        }
    }

    fn count_received(&mut self, datagram: &Datagram<'_>) {
        if let Some(audit) = &mut self.audit {
            audit.received(datagram.path, datagram.payload());
        }
        if datagram.path.remote == self.server {
            let answer = MessageType::peek(datagram.payload())
                .is_some_and(|kind| matches!(kind.class, Class::Success | Class::Error));
            self.report.tally.gathering += u32::from(answer);
        }
    }
}

impl Endpoint for PeerHost {
    fn receive(&mut self, now: Instant, mut datagram: Datagram<'_>) -> Input {
        self.count_received(&datagram);
        let input = self.connection.handle_input(now, datagram.reborrow());
        if let Input::Data(route) = input
            && let Some(data) = datagram.buffer_mut().get(route.range())
        {
            self.hear(now, data);
        }
        self.drain(now);
        input
    }

    fn timeout(&mut self, now: Instant) {
        if self.connection.poll_timeout().is_some_and(|at| at <= now) {
            self.connection.handle_timeout(now);
        }
        self.drain(now);
        self.say_hello(now);
        self.send_media(now);
    }

    fn poll_transmit(&mut self) -> Option<Transmit> {
        if let Some(transmit) = self.connection.poll_transmit() {
            self.count_sent(&transmit);
            return Some(transmit);
        }
        self.transmits.pop_front()
    }

    fn deadline(&self) -> Option<Instant> {
        self.connection
            .poll_timeout()
            .into_iter()
            .chain(self.hello_at)
            .chain(self.media.map(|media| media.next))
            .min()
    }

    fn message(&mut self, now: Instant, _from: HostId, text: &str) {
        let result = match Signal::parse(text) {
            Some(Signal::Description(kind, sdp)) => self.described(now, kind, sdp),
            Some(Signal::Candidate(candidate)) => {
                let generation = candidate.username_fragment.clone();
                self.known.insert((generation, candidate.candidate.clone()));
                let told = self.told(now, candidate);
                told.and_then(|()| self.ended(now))
            }
            Some(Signal::End(candidate, after)) => {
                self.end = Some((candidate, after));
                self.ended(now)
            }
            None => Ok(()),
        };
        if let Err(error) = result {
            self.refused(error);
        }
        self.drain(now);
    }

    fn poll_message(&mut self) -> Option<Message> {
        self.outbox.pop_front()
    }

    fn poll_stream(&mut self) -> Option<StreamCommand> {
        self.commands.pop_front()
    }

    fn stream(&mut self, now: Instant, event: StreamEvent) {
        match event {
            StreamEvent::Opened { id, path } => self.opened(now, id, path),
            StreamEvent::Failed { id, .. } => {
                if let Some(known) = self.known_streams.get(id as usize) {
                    self.connection.stream_failed(now, known.id);
                }
            }
            StreamEvent::Data { path, mut bytes } => self.read(now, path, &mut bytes),
            StreamEvent::Ended(path) => {
                self.commands.push_back(StreamCommand::Close(path));
                self.lost(now, path);
            }
            StreamEvent::Lost { path, .. } => self.lost(now, path),
            StreamEvent::Accepted(path) => self.accepted(now, path),
        }
        self.drain(now);
    }
}
