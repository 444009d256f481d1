//! What a stranger costs a relay: answers to requests that nobody has signed, or not with a user's key.

use std::net::{Ipv4Addr, SocketAddr};

use floe_sansio::{Datagram, FiveTuple, Input, Instant, Transmit};
use floe_stun::{
    Builder, Class, Credentials, ErrorCode, LongTermClient, Message, MessageType, Method,
    RequestedTransport, TransactionId,
};
use floe_turn::{Server, ServerConfig};

const NOW: Instant = Instant::from_secs(1);
const USER: &str = "alice";
const PASSWORD: &str = "a long password";

/// What a stranger sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An Allocate without credentials: it gets a nonce (401).
    Bare,
    /// A nonce that is not the server's (438).
    Stale,
    /// A user whom there is not, with a good nonce (401).
    UnknownUser,
    /// A user whom there is, with a good nonce and a wrong password (401). Nobody may see by the time it
    /// takes that it is not the one before.
    WrongPassword,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::Bare,
        Self::Stale,
        Self::UnknownUser,
        Self::WrongPassword,
    ];

    /// As it is shown.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bare => "bare",
            Self::Stale => "stale nonce",
            Self::UnknownUser => "unknown user",
            Self::WrongPassword => "wrong password",
        }
    }
}

/// A server with a thousand users, and one datagram.
#[derive(Debug)]
pub struct Stranger {
    server: Server,
    path: FiveTuple,
    request: Vec<u8>,
    buffer: Vec<u8>,
}

impl Stranger {
    /// Who sends this.
    #[must_use]
    pub fn new(kind: Kind) -> Self {
        let at = |last, port| SocketAddr::new(Ipv4Addr::new(192, 0, 2, last).into(), port);
        let mut config = ServerConfig::new(vec![at(1, 3478)], vec![at(1, 0).ip()], "example.org")
            .with_user(USER, PASSWORD);
        for n in 0..999 {
            config = config.with_user(&format!("user{n:03}"), PASSWORD);
        }
        // So that each is answered.
        config.answers = None;
        let mut this = Self {
            server: Server::new(config, [1; 32], NOW),
            path: FiveTuple::udp(at(1, 3478), at(9, 40_000)),
            request: Vec::new(),
            buffer: vec![0; 1024],
        };
        // Names and passwords of one length: only what they say differs.
        let (user, password) = match kind {
            Kind::UnknownUser => ("alicf", PASSWORD),
            Kind::WrongPassword => (USER, "a long passwore"),
            Kind::Bare | Kind::Stale => (USER, PASSWORD),
        };
        let mut auth = LongTermClient::new(Credentials::new(user, password));
        this.request = ask(&auth);
        if kind == Kind::Bare {
            return this;
        }
        let answer = this.exchange();
        let answer = Message::parse(&answer.payload).expect("an answer");
        auth.challenge(&answer, false).expect("a challenge");
        this.request = ask(&auth);
        if kind == Kind::Stale {
            // Another port: the nonce is not for it.
            this.path.remote.set_port(40_001);
        }
        this
    }

    /// The server answers once; the code.
    pub fn answer(&mut self) -> u16 {
        let answer = self.exchange();
        let message = Message::parse(&answer.payload).expect("an answer");
        let error = message.get::<ErrorCode<'_>>().ok().flatten();
        error.map_or(0, |it| it.code.number())
    }

    fn exchange(&mut self) -> Transmit {
        let length = self.request.len();
        self.buffer[..length].copy_from_slice(&self.request);
        let datagram = Datagram::new(self.path, &mut self.buffer, 0..length);
        assert_eq!(self.server.handle_input(NOW, datagram), Input::Handled);
        self.server.poll_transmit().expect("an answer")
    }
}

fn ask(auth: &LongTermClient) -> Vec<u8> {
    let mut buffer = vec![0; 512];
    let kind = MessageType::new(Class::Request, Method::ALLOCATE);
    let builder = Builder::new(&mut buffer, kind, TransactionId([7; 12]));
    let builder = builder.with(&RequestedTransport::UDP);
    let length = auth.authenticate(builder).finish().expect("room");
    buffer.truncate(length);
    buffer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_refused_for_what_it_is() {
        for (kind, code) in Kind::ALL.into_iter().zip([401, 438, 401, 401]) {
            let mut stranger = Stranger::new(kind);
            for _ in 0..3 {
                assert_eq!(stranger.answer(), code, "{kind:?}");
            }
            assert_eq!(stranger.server.allocations(), 0);
        }
        let length = |kind| Stranger::new(kind).request.len();
        assert_eq!(length(Kind::UnknownUser), length(Kind::WrongPassword));
    }
}
