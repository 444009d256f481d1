//! What happened to an agent, written down, and the same again.
//!
//! An agent is told everything, and asks nothing: with the same configuration, seed and calls it gives
//! the same outputs, byte for byte. So a session that went wrong in production can be run again on
//! another machine, as often as it takes, from one file.
//!
//! **A trace holds secrets**: the seed, from which the agent's own passwords follow, the peer's
//! password, the passwords of TURN servers, and the data that was received. (Of data that was sent only
//! the length is kept.) Who may read it may take part in the session while it lasts. `Debug` shows
//! nothing of it.
//!
//! # Format
//!
//! The bytes `floe-ice` and [`VERSION`]; seed, time of birth, configuration; then the calls, each with its
//! code, its arguments, and 4 bytes of a running hash of all calls and all answers so far. A recorder
//! that has run out of room ends it with the code 0. Numbers are LEB128.

mod call;
mod wire;

use alloc::vec::Vec;
use core::fmt;
use core::ops::{Deref, Range};

use bytes::Bytes;
use floe_sansio::{Datagram, Input, Instant, Route, Transmit, impl_machine};

use crate::{Agent, CommandError, ComponentId, Config, Event, IceCredentials, Pacer, SendError};
pub use call::Output;
use call::{Call, Digest, MAX_SENT, Room};
use wire::{Reader, Wire};

/// The format that is written, and the only one that is read.
pub const VERSION: u8 = 1;

/// Bytes of a trace that hold a long call without its media.
pub const DEFAULT_LIMIT: usize = 16 << 20;

const MAGIC: &[u8; 8] = b"floe-ice";

/// The code that stands where a trace was cut.
const CUT: u8 = 0;

/// An agent whose calls are written down. It has the verbs of [`Agent`], and costs a copy of each
/// datagram.
///
/// ```
/// use floe_ice::trace::{DEFAULT_LIMIT, Recorder, Trace};
/// use floe_ice::{Config, Role};
/// use floe_sansio::Instant;
///
/// let config = Config::new(Role::Controlling);
/// let mut agent = Recorder::new(config, [1; 32], Instant::ZERO, DEFAULT_LIMIT);
/// agent.gather(Instant::ZERO);
/// while agent.poll_event().is_some() {}
/// let replay = Trace::parse(agent.trace()).unwrap().replay();
/// assert_eq!(replay.difference, None);
/// ```
pub struct Recorder {
    agent: Agent,
    log: Vec<u8>,
    limit: usize,
    full: bool,
    digest: Digest,
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder")
            .field("bytes", &self.log.len())
            .field("full", &self.full)
            .finish_non_exhaustive()
    }
}

/// What is asked without changing anything is not written down.
impl Deref for Recorder {
    type Target = Agent;

    fn deref(&self) -> &Agent {
        &self.agent
    }
}

impl Recorder {
    /// A new agent, see [`Agent::new`], of which no more is written down than `limit` bytes beside the
    /// configuration.
    pub fn new(config: Config, seed: [u8; 32], now: Instant, limit: usize) -> Self {
        let mut log = MAGIC.to_vec();
        log.push(VERSION);
        log.extend_from_slice(&seed);
        now.put(&mut log);
        config.put(&mut log);
        let mut digest = Digest::new();
        digest.take(&log);
        Self {
            agent: Agent::new(config, seed, now),
            limit: limit.saturating_add(log.len()),
            log,
            full: false,
            digest,
        }
    }

    /// What was written down so far.
    pub fn trace(&self) -> &[u8] {
        &self.log
    }

    /// Whether there was no more room: what came later is missing, and the agent goes on.
    pub const fn is_full(&self) -> bool {
        self.full
    }

    fn keep(&mut self, call: &Call, output: &Output) {
        if self.full {
            return;
        }
        let before = self.log.len();
        call.put(&mut self.log);
        self.digest.take(&self.log[before..]);
        self.digest.take_output(output, &self.agent);
        self.log.extend_from_slice(&self.digest.bytes());
        if self.log.len() > self.limit {
            self.log.truncate(before);
            self.log.push(CUT);
            self.full = true;
        }
    }

    /// See [`Agent::handle_input`].
    pub fn handle_input(&mut self, now: Instant, mut datagram: Datagram<'_>) -> Input {
        let range = datagram.range();
        let call = Call::HandleInput {
            now,
            path: datagram.path,
            room: Room::of(range.start, range.end, datagram.buffer_mut().len()),
            payload: Bytes::copy_from_slice(datagram.payload()),
        };
        let input = self.agent.handle_input(now, datagram.reborrow());
        let output = Output::of_input(input, datagram.buffer_mut());
        self.keep(&call, &output);
        input
    }

    /// See [`Agent::poll_transmit`].
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        let transmit = self.agent.poll_transmit();
        self.keep(&Call::PollTransmit {}, &Output::Transmit(transmit.clone()));
        transmit
    }

    /// See [`Agent::poll_event`].
    pub fn poll_event(&mut self) -> Option<Event> {
        let event = self.agent.poll_event();
        self.keep(&Call::PollEvent {}, &Output::Event(event.clone()));
        event
    }

    /// See [`Agent::poll_timeout`].
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.agent.poll_timeout()
    }

    /// See [`Agent::prepare_restart`].
    pub fn prepare_restart(&mut self) -> Result<&IceCredentials, CommandError> {
        let answer = self.agent.prepare_restart().map(drop);
        self.keep(&Call::PrepareRestart {}, &Output::Done(answer));
        answer?;
        self.agent.upcoming_credentials().ok_or(CommandError::Ended)
    }

    /// See [`Agent::send`].
    pub fn send(&mut self, buffer: &mut [u8], range: Range<usize>) -> Result<Route, SendError> {
        self.send_some(None, buffer, range)
    }

    /// See [`Agent::send_on`].
    pub fn send_on(
        &mut self,
        component: ComponentId,
        buffer: &mut [u8],
        range: Range<usize>,
    ) -> Result<Route, SendError> {
        self.send_some(Some(component), buffer, range)
    }

    fn send_some(
        &mut self,
        component: Option<ComponentId>,
        buffer: &mut [u8],
        range: Range<usize>,
    ) -> Result<Route, SendError> {
        let length = range.len().min(MAX_SENT as usize) as u32;
        // Otherwise nothing happens.
        let is_inside = range.start <= range.end && range.end <= buffer.len();
        let room = Room::of(range.start, range.end, buffer.len());
        let route = match component {
            None => self.agent.send(buffer, range),
            Some(component) => self.agent.send_on(component, buffer, range),
        };
        if is_inside {
            let call = Call::Send {
                component,
                room,
                length,
            };
            self.keep(&call, &Output::Sent(route.map(|route| route.path)));
        }
        route
    }

    /// Lends the agent a pacer for some calls, see [`Agent::paced`]. What others do to the pacer is
    /// written down too.
    pub fn paced<T>(&mut self, pacer: &mut Pacer, calls: impl FnOnce(&mut Self) -> T) -> T {
        let turn = pacer.next_turn();
        self.agent.swap_pacer(pacer);
        self.keep(&Call::Lend { turn }, &Output::Done(Ok(())));
        let answer = calls(self);
        self.agent.swap_pacer(pacer);
        self.keep(&Call::TakeBack {}, &Output::Done(Ok(())));
        answer
    }
}

impl_machine!(Recorder, Event);

/// What is wrong with a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// It is none.
    NoTrace,
    /// It has another version than [`VERSION`].
    Version(u8),
    /// It ends too soon.
    Truncated,
    /// There is no call of this code.
    Call(u8),
    /// Something is not a value of this type.
    Value(&'static str),
    /// Something comes after the end.
    AfterEnd,
}

/// Why bytes are no trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceError {
    /// Behind which byte it was noticed.
    pub offset: usize,
    /// What it is.
    pub fault: Fault,
}

impl fmt::Display for TraceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.fault {
            Fault::NoTrace => f.write_str("not a trace"),
            Fault::Version(version) => write!(f, "version {version} of a trace"),
            Fault::Truncated => f.write_str("the trace ends too soon"),
            Fault::Call(code) => write!(f, "no call has the code {code}"),
            Fault::Value(kind) => write!(f, "no {kind}"),
            Fault::AfterEnd => f.write_str("more than a trace"),
        }?;
        write!(f, ", at byte {}", self.offset)
    }
}

impl core::error::Error for TraceError {}

/// A session that was written down.
pub struct Trace<'a> {
    bytes: &'a [u8],
    seed: [u8; 32],
    now: Instant,
    config: Config,
    /// Where the calls begin.
    start: usize,
    calls: usize,
    cut: bool,
}

impl fmt::Debug for Trace<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trace")
            .field("bytes", &self.bytes.len())
            .field("calls", &self.calls)
            .field("cut", &self.cut)
            .finish_non_exhaustive()
    }
}

/// The first call that did not have the answer that was written down, or was not the call itself: then
/// the trace is damaged, or this is not the same agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Its number, from 0.
    pub call: usize,
    /// Where it begins in the trace.
    pub offset: usize,
}

/// What came out when a trace was run again.
#[derive(Clone, Debug)]
pub struct Replay {
    /// The answer to each call.
    pub outputs: Vec<Output>,
    /// Where it was another one for the first time.
    pub difference: Option<Difference>,
}

impl<'a> Trace<'a> {
    /// Reads the whole of it, and runs nothing.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, TraceError> {
        let mut reader = Reader::new(bytes, 0);
        Self::read(bytes, &mut reader).map_err(|fault| TraceError {
            offset: reader.at(),
            fault,
        })
    }

    fn read(bytes: &'a [u8], reader: &mut Reader<'a>) -> Result<Self, Fault> {
        if reader.array().ok().as_ref() != Some(MAGIC) {
            return Err(Fault::NoTrace);
        }
        match reader.array()? {
            [VERSION] => {}
            [version] => return Err(Fault::Version(version)),
        }
        let seed = reader.array()?;
        let now = Wire::get(reader)?;
        let config = Wire::get(reader)?;
        let mut trace = Self {
            bytes,
            seed,
            now,
            config,
            start: reader.at(),
            calls: 0,
            cut: false,
        };
        while !reader.is_at_end() {
            if bytes[reader.at()] == CUT {
                reader.take(1)?;
                trace.cut = true;
                if !reader.is_at_end() {
                    return Err(Fault::AfterEnd);
                }
                break;
            }
            Call::get(reader)?;
            reader.array::<4>()?;
            trace.calls += 1;
        }
        Ok(trace)
    }

    /// How many calls there are.
    pub const fn calls(&self) -> usize {
        self.calls
    }

    /// Whether the recorder had no room for more calls that came.
    pub const fn is_cut(&self) -> bool {
        self.cut
    }

    /// Does everything again with a new agent.
    pub fn replay(&self) -> Replay {
        let mut agent = Agent::new(self.config.clone(), self.seed, self.now);
        let mut own = None;
        let mut digest = Digest::new();
        digest.take(&self.bytes[..self.start]);
        let mut replay = Replay {
            outputs: Vec::new(),
            difference: None,
        };
        let mut reader = Reader::new(self.bytes, self.start);
        for number in 0..self.calls {
            let offset = reader.at();
            // All were read before.
            let Ok(call) = Call::get(&mut reader) else {
                break;
            };
            digest.take(&self.bytes[offset..reader.at()]);
            let output = call.run(&mut agent, &mut own);
            digest.take_output(&output, &agent);
            if reader.array() != Ok(digest.bytes()) {
                replay.difference.get_or_insert(Difference {
                    call: number,
                    offset,
                });
            }
            replay.outputs.push(output);
        }
        replay
    }
}
