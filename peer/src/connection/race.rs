//! An offer that names the selected pair may come before the check that makes it valid here
//! (RFC 8839 §4.4.2, appendix B).

use core::net::SocketAddr;

use floe_ice::{PairState, State};

use super::Connection;
use crate::event::Event;

/// How the pair that an offer names is doing here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Race {
    /// It is valid.
    Won(SocketAddr),
    /// Its checks are under way.
    Running,
    /// They have failed.
    Lost,
}

impl Connection {
    /// Whether the answer is better made now than later: not while the offer names a pair whose checks
    /// are still under way here. [`Event::AnswerReady`] tells when they are over.
    ///
    /// An answer made earlier is good too: it has all candidates, as if the offer had named no pair.
    pub fn may_answer(&self) -> bool {
        self.race() != Some(Race::Running)
    }

    /// `None` if the offer names no pair, or one that is unknown here.
    fn race(&self) -> Option<Race> {
        let pending = self.pending.as_ref().filter(|pending| !pending.restarts)?;
        let here = pending.transport.remote_candidate?;
        let there = pending.transport.address?;
        let stats = self.agent.stats();
        let base = stats.local_candidates.iter();
        let base = base
            .filter(|it| it.address == here)
            .map(|it| it.base)
            .next();
        let mut all = stats
            .pairs
            .iter()
            .filter(|pair| pair.remote == there)
            .peekable();
        all.peek()?;
        let valid = |local: SocketAddr| local == here || Some(local) == base;
        let mut race = None;
        for pair in all {
            match pair.state {
                PairState::Succeeded if valid(pair.local) => return Some(Race::Won(here)),
                PairState::Succeeded => {}
                PairState::Failed => race = race.or(Some(Race::Lost)),
                PairState::Frozen | PairState::Waiting | PairState::InProgress => {
                    race = Some(Race::Running);
                }
            }
        }
        race
    }

    /// The local candidate that the offer names, if its pair works.
    pub(super) fn won(&self) -> Option<SocketAddr> {
        match self.race()? {
            Race::Won(here) => Some(here),
            Race::Running | Race::Lost => None,
        }
    }

    /// Whether the pair that the offer names does not work here.
    pub(super) fn has_lost(&self) -> bool {
        self.race() == Some(Race::Lost)
    }

    /// An offer has come.
    pub(super) fn begin_race(&mut self) {
        self.racing = !self.may_answer();
    }

    /// The checks may be over.
    pub(super) fn follow_race(&mut self) {
        let over = self.racing && self.agent.state() != State::Closed && self.may_answer();
        if over {
            self.racing = false;
            self.events.push_back(Event::AnswerReady);
        }
    }
}
