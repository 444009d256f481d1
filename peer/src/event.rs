use alloc::string::String;
use core::net::{IpAddr, SocketAddr};

use floe_ice::{
    FailureCause, Framing, GatheringError, NameId, Role, SelectedPair, StreamId, Unusable,
};
use floe_sansio::Transport;

/// A candidate on its way between two connections, with the fields of `RTCIceCandidateInit`.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct IceCandidate {
    /// `candidate:…`; empty at the end of candidates.
    pub candidate: String,
    /// The media section it belongs to, by name.
    pub sdp_mid: Option<String>,
    /// The same by place, counted from 0.
    pub sdp_mline_index: Option<u16>,
    /// The generation it belongs to.
    pub username_fragment: Option<String>,
}

/// What an offer is needed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OfferReason {
    /// The selected pair is not the one in the descriptions, and the other side is an agent of
    /// RFC 5245, which may look there (RFC 8839 §4.3.4). Browsers do well without.
    Alignment,
    /// The pair that the other side has selected does not work here: ICE is to be restarted
    /// (RFC 8839 §4.4.2). The offer does it.
    Restart,
}

/// Something the owner must know.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// To be signalled to the other side; the last one is empty.
    Candidate(IceCandidate),
    /// There will be no more local candidates: a description made now is complete.
    GatheringComplete,
    /// A server gave no candidate; others go on.
    GatheringFailed {
        /// The local address.
        base: SocketAddr,
        /// The server.
        server: SocketAddr,
        /// What carried, or should have carried, the conversation with it.
        transport: Transport,
        /// Why.
        cause: GatheringError,
    },
    /// Open a connection to a TURN server or to the other side; or over UDP, bind another port, because
    /// the server still has an allocation for the one that was used first. Then call
    /// [`Connection::stream_opened`](crate::Connection::stream_opened) or
    /// [`Connection::stream_failed`](crate::Connection::stream_failed).
    StreamWanted {
        /// Names it.
        id: StreamId,
        /// [`Transport::Tcp`] or [`Transport::Tls`]; [`Transport::Udp`] or [`Transport::Dtls`] for a
        /// port.
        transport: Transport,
        /// How what comes over it is cut into inputs, see
        /// [`floe_ice::Event::StreamWanted`].
        framing: Framing,
        /// The address of this host to open it from, on any port.
        local: IpAddr,
        /// The server, or where the other side listens.
        remote: SocketAddr,
    },
    /// Close this connection or port, or do not open it: what was to be sent on it has been given out.
    StreamUnwanted(StreamId),
    /// Find out the addresses of this mDNS name, `….local`, by multicast in the networks of this host,
    /// then call [`Connection::resolved`](crate::Connection::resolved). Whoever cannot calls it with
    /// none; nothing waits for it.
    ResolveWanted {
        /// Names the question.
        id: NameId,
        /// The name, in lower case.
        name: String,
    },
    /// A candidate of the other side is of no use here.
    CandidateIgnored(Unusable),
    /// A path works, or one works again: data can be sent.
    Connected,
    /// The path is lost, and none has taken its place yet. [`Connected`](Self::Connected) follows if
    /// one does, [`Failed`](Self::Failed) if none does.
    Disconnected,
    /// This pair is used from now on.
    Selected(SelectedPair),
    /// Make an offer, and signal it.
    OfferNeeded(OfferReason),
    /// The checks that the answer waited for are over, see
    /// [`Connection::may_answer`](crate::Connection::may_answer).
    AnswerReady,
    /// The roles collided and this side changed its own.
    RoleChanged(Role),
    /// It is over.
    Failed(FailureCause),
}
