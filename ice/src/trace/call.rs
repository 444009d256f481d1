//! What can be asked of an agent, and what it answers: one table for the recorder and the replay.

use alloc::borrow::ToOwned;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt::{self, Write};
use core::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use floe_sansio::{Datagram, DropReason, FiveTuple, HEADROOM, Input, Instant, TAILROOM, Transmit};

use floe_sdp::ice as sdp;

use super::Fault;
use super::wire::{Reader, Wire};
use crate::{
    Agent, Candidate, CommandError, ComponentId, Event, LocalAddress, NameId, Pacer,
    RemoteParameters, Role, SendError, StreamId,
};

/// What an agent answered to one call.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Output {
    /// To a command.
    Done(Result<(), CommandError>),
    /// To an input: it is data.
    Data(FiveTuple, Bytes),
    /// To an input: it is to be sent on.
    Forward(FiveTuple, Bytes),
    /// To an input: it has been dealt with.
    Handled,
    /// To an input: it is of no use.
    Dropped(DropReason),
    /// To a connection that was accepted: what names it.
    Accepted(Result<StreamId, CommandError>),
    /// To data: where it goes.
    Sent(Result<FiveTuple, SendError>),
    /// To a poll.
    Transmit(Option<Transmit>),
    /// To a poll.
    Event(Option<Event>),
}

impl From<()> for Output {
    fn from((): ()) -> Self {
        Self::Done(Ok(()))
    }
}

impl From<Result<(), CommandError>> for Output {
    fn from(answer: Result<(), CommandError>) -> Self {
        Self::Done(answer)
    }
}

impl From<Result<StreamId, CommandError>> for Output {
    fn from(answer: Result<StreamId, CommandError>) -> Self {
        Self::Accepted(answer)
    }
}

impl Output {
    /// What an input came to, whose bytes are in this buffer.
    pub(super) fn of_input(input: Input, buffer: &[u8]) -> Self {
        let bytes = |range| Bytes::copy_from_slice(buffer.get(range).unwrap_or_default());
        match input {
            Input::Data(route) => Self::Data(route.path, bytes(route.range())),
            Input::Forward(route) => Self::Forward(route.path, bytes(route.range())),
            Input::Handled => Self::Handled,
            Input::Dropped(reason) => Self::Dropped(reason),
        }
    }
}

/// FNV-1a of all calls and answers so far (64 bits): it tells damage and differences, not forgeries.
#[derive(Clone, Debug)]
pub(super) struct Digest(u64);

impl Digest {
    pub(super) const fn new() -> Self {
        Self(0xCBF2_9CE4_8422_2325)
    }

    pub(super) fn take(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3);
        }
    }

    /// Takes what the agent answered, and when it wants to be called next.
    pub(super) fn take_output(&mut self, output: &Output, agent: &Agent) {
        let timeout = agent.poll_timeout();
        // Writing to a digest never fails.
        let _ = match output {
            Output::Data(path, payload) | Output::Forward(path, payload) => {
                self.take(payload);
                write!(self, "{path:?}{timeout:?}")
            }
            Output::Transmit(Some(transmit)) => {
                self.take(&transmit.payload);
                write!(self, "{:?}{timeout:?}", transmit.path)
            }
            output => write!(self, "{output:?}{timeout:?}"),
        };
    }

    /// What is written down of it.
    pub(super) const fn bytes(&self) -> [u8; 4] {
        ((self.0 >> 32) as u32 ^ self.0 as u32).to_le_bytes()
    }
}

impl Write for Digest {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.take(text.as_bytes());
        Ok(())
    }
}

/// All longer data, which fits no datagram, is the same to an agent.
pub(super) const MAX_SENT: u32 = 1 << 16;

/// Room before and behind the bytes in a buffer, as far as it matters.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    before: u8,
    behind: u8,
}

impl Room {
    pub(super) fn of(start: usize, end: usize, length: usize) -> Self {
        Self {
            before: start.min(HEADROOM) as u8,
            behind: length.saturating_sub(end).min(TAILROOM) as u8,
        }
    }

    /// A buffer with this room around so many bytes.
    fn buffer(self, length: usize) -> (Vec<u8>, core::ops::Range<usize>) {
        let start = usize::from(self.before);
        let buffer = vec![0; start + length + usize::from(self.behind)];
        (buffer, start..start + length)
    }
}

impl Wire for Room {
    fn put(&self, out: &mut Vec<u8>) {
        (self.before, self.behind).put(out);
    }

    fn get(from: &mut Reader<'_>) -> Result<Self, Fault> {
        let (before, behind) = Wire::get(from)?;
        Ok(Self { before, behind })
    }
}

macro_rules! ids {
    ($($type:ident),*) => {$(
        impl Wire for $type {
            fn put(&self, out: &mut Vec<u8>) {
                self.number().put(out);
            }

            fn get(from: &mut Reader<'_>) -> Result<Self, Fault> {
                u32::get(from).map(Self::numbered)
            }
        }
    )*};
}

ids!(StreamId, NameId);

/// The type of an argument: as the agent wants it.
macro_rules! argument {
    ($type:ty) => {
        $type
    };
    ($type:ty, $borrowed:ty) => {
        $borrowed
    };
}

/// The argument itself, from what was written down.
macro_rules! pass {
    ($arg:ident) => {
        $arg.clone()
    };
    ($arg:ident, $borrowed:ty) => {
        $arg
    };
}

macro_rules! calls {
    (
        special { $($special_code:literal $special:ident { $($field:ident: $kept:ty),* };)* }
        commands {
            $($code:literal $variant:ident =
                $verb:ident($($arg:ident: $type:ty $(as $borrowed:ty)?),*) $(-> $answer:ty)?;)*
        }
    ) => {
        /// One call.
        #[derive(Debug)]
        pub(super) enum Call {
            $($special { $($field: $kept),* },)*
            $($variant { $($arg: $type),* },)*
        }

        impl Wire for Call {
            fn put(&self, out: &mut Vec<u8>) {
                match self {
                    $(Self::$special { $($field),* } => {
                        out.push($special_code);
                        $($field.put(out);)*
                    })*
                    $(Self::$variant { $($arg),* } => {
                        out.push($code);
                        $($arg.put(out);)*
                    })*
                }
            }

            fn get(from: &mut Reader<'_>) -> Result<Self, Fault> {
                match from.array()? {
                    $([$special_code] => Ok(Self::$special { $($field: Wire::get(from)?),* }),)*
                    $([$code] => Ok(Self::$variant { $($arg: Wire::get(from)?),* }),)*
                    [code] => Err(Fault::Call(code)),
                }
            }
        }

        impl Call {
            fn command(&self, agent: &mut Agent) -> Output {
                match self {
                    $(Self::$variant { $($arg),* } => {
                        agent.$verb($(pass!($arg $(, $borrowed)?)),*).into()
                    })*
                    _ => Output::Done(Ok(())),
                }
            }
        }

        /// The commands of [`Agent`], each of which is written down.
        impl super::Recorder {
            $(
                #[doc = concat!("See [`Agent::", stringify!($verb), "`].")]
                pub fn $verb(&mut self $(, $arg: argument!($type $(, $borrowed)?))*) $(-> $answer)? {
                    let call = Call::$variant { $($arg: $arg.to_owned()),* };
                    let answer = self.agent.$verb($($arg),*);
                    self.keep(&call, &Output::from(answer));
                    answer
                }
            )*
        }
    };
}

// The codes are the format: none is ever used for something else.
calls! {
    special {
        1 HandleInput { now: Instant, path: FiveTuple, room: Room, payload: Bytes };
        2 Send { component: Option<ComponentId>, room: Room, length: u32 };
        3 PrepareRestart {};
        4 PollTransmit {};
        5 PollEvent {};
        6 Lend { turn: Instant };
        7 TakeBack {};
    }
    commands {
        16 HandleTimeout = handle_timeout(now: Instant);
        17 Gather = gather(now: Instant);
        18 Close = close(now: Instant);
        19 Restart = restart(now: Instant) -> Result<(), CommandError>;
        20 CancelRestart = cancel_restart();
        21 SetRole = set_role(role: Role) -> Result<(), CommandError>;
        22 SetLite = set_lite(now: Instant, lite: bool) -> Result<(), CommandError>;
        23 Concede = concede(now: Instant) -> Result<(), CommandError>;
        24 AddAddress = add_address(now: Instant, address: LocalAddress) -> Result<(), CommandError>;
        25 RemoveAddress = remove_address(now: Instant, address: SocketAddr);
        26 SetRemoteParameters = set_remote_parameters(now: Instant, parameters: RemoteParameters)
            -> Result<(), CommandError>;
        27 SetStreamParameters = set_stream_parameters(
            now: Instant, stream: u16, parameters: RemoteParameters
        ) -> Result<(), CommandError>;
        28 AddRemoteCandidate = add_remote_candidate(now: Instant, candidate: Candidate)
            -> Result<(), CommandError>;
        29 EndOfRemoteCandidates = end_of_remote_candidates(now: Instant) -> Result<(), CommandError>;
        30 EndOfStreamCandidates = end_of_stream_candidates(now: Instant, stream: u16)
            -> Result<(), CommandError>;
        31 RemoveStream = remove_stream(now: Instant, stream: u16) -> Result<(), CommandError>;
        32 RestoreStream = restore_stream(stream: u16) -> Result<(), CommandError>;
        33 StreamOpened = stream_opened(now: Instant, id: StreamId, local: SocketAddr)
            -> Result<(), CommandError>;
        34 StreamFailed = stream_failed(now: Instant, id: StreamId);
        35 Unreachable = unreachable(now: Instant, path: FiveTuple) -> Result<(), CommandError>;
        36 RevokeConsent = revoke_consent(now: Instant, component: ComponentId)
            -> Result<(), CommandError>;
        37 Reconcile = reconcile(
            now: Instant, component: ComponentId, local: SocketAddr, remote: SocketAddr
        ) -> Result<(), CommandError>;
        38 Attach = attach(attribute: Option<(u16, Bytes)>) -> Result<(), CommandError>;
        39 AddRemoteDescription = add_remote_description(
            now: Instant, stream: u16, description: sdp::Candidate as &sdp::Candidate
        ) -> Result<(), CommandError>;
        40 Resolved = resolved(now: Instant, id: NameId, addresses: Vec<IpAddr> as &[IpAddr])
            -> Result<(), CommandError>;
        41 StreamAccepted = stream_accepted(
            now: Instant, local: SocketAddr, remote: SocketAddr
        ) -> Result<StreamId, CommandError>;
    }
}

impl Call {
    /// Does it again; `own` keeps the agent's own pacer while another is lent.
    pub(super) fn run(&self, agent: &mut Agent, own: &mut Option<Pacer>) -> Output {
        match self {
            Self::HandleInput {
                now,
                path,
                room,
                payload,
            } => {
                let (mut buffer, range) = room.buffer(payload.len());
                buffer[range.clone()].copy_from_slice(payload);
                let input = agent.handle_input(*now, Datagram::new(*path, &mut buffer, range));
                Output::of_input(input, &buffer)
            }
            Self::Send {
                component,
                room,
                length,
            } => {
                let (mut buffer, range) = room.buffer((*length).min(MAX_SENT) as usize);
                let route = match component {
                    None => agent.send(&mut buffer, range),
                    Some(component) => agent.send_on(*component, &mut buffer, range),
                };
                Output::Sent(route.map(|route| route.path))
            }
            Self::PrepareRestart {} => Output::Done(agent.prepare_restart().map(drop)),
            Self::PollTransmit {} => Output::Transmit(agent.poll_transmit()),
            Self::PollEvent {} => Output::Event(agent.poll_event()),
            Self::Lend { turn } => {
                let mut pacer = Pacer::at(*turn);
                agent.swap_pacer(&mut pacer);
                own.get_or_insert(pacer);
                Output::Done(Ok(()))
            }
            Self::TakeBack {} => {
                if let Some(mut pacer) = own.take() {
                    agent.swap_pacer(&mut pacer);
                }
                Output::Done(Ok(()))
            }
            command => command.command(agent),
        }
    }
}
