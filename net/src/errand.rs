//! What a machine wants its driver to do with connections and other ports.

use std::net::{IpAddr, SocketAddr};

use floe_ice::{Framing, StreamId};
use floe_sansio::{Instant, Machine, Transport};

/// Something to do with a connection, or a port.
#[derive(Clone, Debug)]
pub(crate) enum Errand {
    Open {
        id: StreamId,
        transport: Transport,
        framing: Framing,
        local: IpAddr,
        remote: SocketAddr,
    },
    Close(StreamId),
}

/// How a machine asks for connections and is answered.
#[derive(Debug)]
pub(crate) struct Errands<M: Machine> {
    /// What an event asks for, if it does.
    pub(crate) read: fn(&M::Event) -> Option<Errand>,
    /// The connection is open, from this address; whether the machine takes it.
    pub(crate) opened: fn(&mut M, Instant, StreamId, SocketAddr) -> bool,
    /// One was accepted at `local`, from `remote`; what the machine calls it, if it takes it.
    pub(crate) accepted: fn(&mut M, Instant, SocketAddr, SocketAddr) -> Option<StreamId>,
    /// It could not be opened, or has ended.
    pub(crate) failed: fn(&mut M, Instant, StreamId),
}

impl<M: Machine> Clone for Errands<M> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<M: Machine> Copy for Errands<M> {}

/// The two event types ask in the same words.
macro_rules! read {
    ($krate:ident) => {
        |event: &$krate::Event| match *event {
            $krate::Event::StreamWanted {
                id,
                transport,
                ref framing,
                local,
                remote,
            } => Some(Errand::Open {
                id,
                transport,
                framing: framing.clone(),
                local,
                remote,
            }),
            $krate::Event::StreamUnwanted(id) => Some(Errand::Close(id)),
            _ => None,
        }
    };
}

impl Errands<floe_ice::Agent> {
    pub(crate) fn of_agent() -> Self {
        Self {
            read: read!(floe_ice),
            opened: |agent, now, id, local| agent.stream_opened(now, id, local).is_ok(),
            accepted: |agent, now, at, from| agent.stream_accepted(now, at, from).ok(),
            failed: floe_ice::Agent::stream_failed,
        }
    }
}

impl Errands<floe_peer::Connection> {
    pub(crate) fn of_connection() -> Self {
        Self {
            read: read!(floe_peer),
            opened: |peer, now, id, local| peer.stream_opened(now, id, local).is_ok(),
            accepted: |peer, now, at, from| peer.stream_accepted(now, at, from).ok(),
            failed: floe_peer::Connection::stream_failed,
        }
    }
}
