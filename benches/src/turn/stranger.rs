//! What strangers make a server do: rows 15 and 17 of the attacks.

use floe_sansio::{Entropy, FiveTuple};
use floe_stun::{
    Builder, Class, Credentials, LongTermClient, Message, MessageType, Method, RequestedTransport,
    TransactionId,
};

use super::{Floe, PASSWORD, Server, USER, client, listener};

/// A request of somebody who may not have an allocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guess {
    /// No credentials.
    None,
    /// A user that there is not.
    User,
    /// A user that there is, with a wrong password.
    Password,
    /// The right code, but for its first byte: what a guesser of codes begins with.
    FirstByte,
    /// The right code, but for its last byte: what he ends with, if he can tell the time.
    LastByte,
}

impl Guess {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::None,
        Self::User,
        Self::Password,
        Self::FirstByte,
        Self::LastByte,
    ];

    /// Its name in tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "no-credentials",
            Self::User => "unknown-user",
            Self::Password => "wrong-password",
            Self::FirstByte => "wrong-first-byte",
            Self::LastByte => "wrong-last-byte",
        }
    }
}

/// How many sources there are, whose requests come in turn.
const SOURCES: u32 = 1024;

/// A server, and requests from strangers.
#[derive(Debug)]
pub struct Strangers<S = Floe> {
    server: S,
    requests: Vec<(FiveTuple, Vec<u8>)>,
    next: usize,
    buffer: Vec<u8>,
}

impl<S: Server> Strangers<S> {
    /// Requests of one kind. The server answers them all.
    #[must_use]
    pub fn new(guess: Guess) -> Self {
        let mut server = S::new(listener(), vec![listener().ip()]);
        let mut entropy = Entropy::new([9; 32]);
        let paths = (0..SOURCES).map(|n| FiveTuple::udp(listener(), client(n * 16)));
        let requests = paths.map(|path| (path, request(&mut server, path, guess, &mut entropy)));
        Self {
            requests: requests.collect(),
            server,
            next: 0,
            buffer: Vec::with_capacity(512),
        }
    }

    /// The next request comes in: the length of the answer.
    pub fn knock(&mut self) -> usize {
        let (path, request) = &self.requests[self.next];
        self.next = (self.next + 1) % self.requests.len();
        self.buffer.clear();
        self.buffer.extend_from_slice(request);
        self.server.ask(*path, &mut self.buffer).len()
    }
}

fn request(
    server: &mut impl Server,
    path: FiveTuple,
    guess: Guess,
    entropy: &mut Entropy,
) -> Vec<u8> {
    let kind = MessageType::new(Class::Request, Method::ALLOCATE);
    let mut first = vec![0; 512];
    let id = TransactionId::random(entropy);
    let builder = Builder::new(&mut first, kind, id).with(&RequestedTransport::UDP);
    let len = builder.finish().expect("room");
    first.truncate(len);
    if guess == Guess::None {
        return first;
    }
    let answer = server.ask(path, &mut first);
    let (user, password) = match guess {
        // As long as the other: only what they are may make a difference.
        Guess::User => ("resu", PASSWORD),
        Guess::Password => (USER, "a wrong password"),
        _ => (USER, PASSWORD),
    };
    let mut auth = LongTermClient::new(Credentials::new(user, password));
    let challenge = Message::parse(&answer).expect("a response");
    auth.challenge(&challenge, false).expect("a challenge");
    let mut buffer = vec![0; 512];
    let id = TransactionId::random(entropy);
    let builder = Builder::new(&mut buffer, kind, id).with(&RequestedTransport::UDP);
    let len = auth.authenticate(builder).finish().expect("room");
    buffer.truncate(len);
    match guess {
        Guess::FirstByte => buffer[len - CODE] ^= 1,
        Guess::LastByte => buffer[len - 1] ^= 1,
        _ => {}
    }
    buffer
}

/// Bytes of MESSAGE-INTEGRITY-SHA256, the last attribute.
const CODE: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;
    use floe_turn::RefuseReason;

    #[test]
    fn every_guess_is_answered_and_refused() {
        for guess in Guess::ALL {
            let mut strangers = Strangers::<Floe>::new(guess);
            let before = strangers
                .server
                .stats()
                .refused(RefuseReason::Unauthenticated);
            for _ in 0..2 * SOURCES {
                assert_ne!(strangers.knock(), 0, "{guess:?}");
            }
            let after = strangers
                .server
                .stats()
                .refused(RefuseReason::Unauthenticated);
            assert_eq!(after - before, 2 * u64::from(SOURCES), "{guess:?}");
        }
    }
}
