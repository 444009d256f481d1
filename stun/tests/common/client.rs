//! A Binding client under test, and the one who answers it.

use std::time::Duration;

use floe_sansio::{Datagram, FiveTuple, Input, Instant, Transmit, Transport};
use floe_stun::{
    Builder, Class, Client, ClientConfig, ClientEvent, Message, MessageType, Method, Server,
    TransactionId,
};

pub const NOW: Instant = Instant::from_secs(1000);

pub fn after(millis: u64) -> Instant {
    NOW + Duration::from_millis(millis)
}

/// From the client's side.
pub fn over(transport: Transport) -> FiveTuple {
    FiveTuple {
        transport,
        local: "192.0.2.1:5000".parse().unwrap(),
        remote: "198.51.100.1:3478".parse().unwrap(),
    }
}

/// A client, and the last request it has sent.
pub struct Asker {
    pub client: Client,
    pub now: Instant,
    pub sent: Vec<Transmit>,
}

impl Asker {
    /// A client that has not asked yet.
    pub fn new(config: ClientConfig) -> Self {
        Self {
            client: Client::new(config, [7; 32], NOW),
            now: NOW,
            sent: vec![],
        }
    }

    /// A client that has asked.
    pub fn asked(config: ClientConfig) -> Self {
        let mut asker = Self::new(config);
        asker.bind();
        asker
    }

    pub fn bind(&mut self) {
        self.client.bind(self.now);
        self.collect();
    }

    /// Takes what the client sends; how many packets.
    pub fn collect(&mut self) -> usize {
        let before = self.sent.len();
        self.sent
            .extend(std::iter::from_fn(|| self.client.poll_transmit()));
        self.sent.len() - before
    }

    /// The last packet it sent.
    pub fn last(&self) -> &Transmit {
        self.sent.last().expect("a request")
    }

    pub fn request(&self) -> Message<'_> {
        Message::parse(&self.last().payload).expect("a message")
    }

    pub fn id(&self) -> TransactionId {
        self.request().transaction_id()
    }

    /// Answers the last request, on its path, after 30 ms.
    pub fn answer(&mut self, class: Class, fill: impl FnOnce(Builder<'_>) -> Builder<'_>) -> Input {
        self.now += Duration::from_millis(30);
        let mut buffer = vec![0; 2048];
        let kind = MessageType::new(class, Method::BINDING);
        let len = fill(Builder::new(&mut buffer, kind, self.id())).finish();
        let path = self.last().path;
        let mut response = buffer[..len.unwrap()].to_vec();
        let input = self
            .client
            .handle_input(self.now, Datagram::whole(path, &mut response));
        self.collect();
        input
    }

    /// Lets `server` answer until the client has nothing more to ask at once.
    pub fn converse(&mut self, server: &mut Server) {
        for _ in 0..10 {
            let Transmit { path, payload } = self.last().clone();
            let mut bytes = payload.to_vec();
            let _ = server.handle_input(self.now, Datagram::whole(path.mirrored(), &mut bytes));
            let Some(answer) = server.poll_transmit() else {
                return;
            };
            let mut bytes = answer.payload.to_vec();
            let path = answer.path.mirrored();
            let input = self
                .client
                .handle_input(self.now, Datagram::whole(path, &mut bytes));
            assert_eq!(input, Input::Handled);
            if self.collect() == 0 {
                return;
            }
        }
        panic!("a conversation without end");
    }

    /// Acts at every deadline up to `until`, which it has become then.
    pub fn pass(&mut self, until: Instant) {
        while let Some(at) = self.client.poll_timeout().filter(|&at| at <= until) {
            self.now = at;
            self.client.handle_timeout(at);
            self.collect();
        }
        self.now = until;
    }

    pub fn wait(&mut self, duration: Duration) {
        self.pass(self.now + duration);
    }

    pub fn event(&mut self) -> Option<ClientEvent> {
        self.client.poll_event()
    }

    /// The events there are, and there is at least one.
    pub fn events(&mut self) -> Vec<ClientEvent> {
        let events: Vec<_> = std::iter::from_fn(|| self.client.poll_event()).collect();
        assert!(!events.is_empty());
        events
    }
}
