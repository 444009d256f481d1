//! Datagrams over the selected pair: `PING n`, answered with `PONG n`.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

/// Between two pings, and between a ping and its repetition.
const INTERVAL: Duration = Duration::from_millis(50);
/// How often one ping is sent at most.
const SENDS: u32 = 20;

/// What a datagram says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Word {
    Ping(u32),
    Pong(u32),
}

impl Word {
    pub(crate) fn parse(datagram: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(datagram).ok()?;
        let (word, number) = text.trim_end().split_once(' ')?;
        let number = number.parse().ok()?;
        match word {
            "PING" => Some(Self::Ping(number)),
            "PONG" => Some(Self::Pong(number)),
            _ => None,
        }
    }

    pub(crate) fn to_text(self) -> String {
        match self {
            Self::Ping(number) => format!("PING {number}"),
            Self::Pong(number) => format!("PONG {number}"),
        }
    }
}

/// The pings of one side.
#[derive(Debug)]
pub(crate) struct Pings {
    count: u32,
    /// The next to be sent for the first time, and when.
    next: (u32, Instant),
    /// Those without an answer: how often they were sent, and when they are sent again.
    open: BTreeMap<u32, (u32, Instant)>,
    pongs: u32,
    unanswered: u32,
}

impl Pings {
    pub(crate) const fn new(count: u32, now: Instant) -> Self {
        Self {
            count,
            next: (1, now),
            open: BTreeMap::new(),
            pongs: 0,
            unanswered: 0,
        }
    }

    /// Distinct pings sent.
    pub(crate) const fn sent(&self) -> u32 {
        self.next.0 - 1
    }

    /// Distinct pings answered.
    pub(crate) const fn pongs(&self) -> u32 {
        self.pongs
    }

    /// Whether all have been answered or given up.
    pub(crate) const fn is_done(&self) -> bool {
        self.pongs + self.unanswered == self.count
    }

    pub(crate) fn pong(&mut self, number: u32) {
        if self.open.remove(&number).is_some() {
            self.pongs += 1;
        }
    }

    /// When something is to be sent.
    pub(crate) fn due(&self) -> Option<Instant> {
        let first = (self.next.0 <= self.count).then_some(self.next.1);
        let again = self.open.values().map(|&(_, at)| at);
        again.chain(first).min()
    }

    /// What is to be sent at `now`.
    pub(crate) fn take(&mut self, now: Instant) -> Vec<u32> {
        let mut due = Vec::new();
        let unanswered = &mut self.unanswered;
        self.open.retain(|&number, (sends, at)| {
            if *at > now {
                return true;
            }
            if *sends >= SENDS {
                *unanswered += 1;
                return false;
            }
            *sends += 1;
            *at = now + INTERVAL;
            due.push(number);
            true
        });
        let (number, at) = self.next;
        if number <= self.count && at <= now {
            self.next = (number + 1, now + INTERVAL);
            self.open.insert(number, (1, now + INTERVAL));
            due.push(number);
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_ping_is_repeated_until_it_is_answered_or_given_up() {
        let mut now = Instant::now();
        let mut pings = Pings::new(2, now);
        let mut sends = [0; 2];
        while !pings.is_done() {
            for number in pings.take(now) {
                sends[number as usize - 1] += 1;
                if number == 1 && sends[0] == 3 {
                    pings.pong(1);
                    pings.pong(1);
                }
            }
            now = pings.due().unwrap_or(now);
        }
        assert_eq!(sends, [3, SENDS]);
        assert_eq!((pings.sent(), pings.pongs()), (2, 1));
        assert_eq!(pings.due(), None);
    }

    #[test]
    fn words_are_read_back_and_anything_else_is_none() {
        for word in [Word::Ping(1), Word::Pong(4_000_000_000)] {
            assert_eq!(Word::parse(word.to_text().as_bytes()), Some(word));
        }
        for other in [&b"PING"[..], b"PING x", b"HELLO 1", b"", b"\xFF\xFE 1"] {
            assert_eq!(Word::parse(other), None);
        }
    }
}
