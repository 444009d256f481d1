//! Generations of a session: each has credentials of its own, and a restart begins the next
//! (RFC 8445 §9).

use alloc::sync::Arc;
use alloc::vec::Vec;

use floe_sansio::{Entropy, FiveTuple, Instant};
use floe_sdp::ice::IceCredentials;
use floe_stun::Key;

use super::{Agent, AgentTimer, CommandError, EarlyCheck, Gathering, State};
use crate::budget::Budget;
use crate::check_list::CheckLists;
use crate::credentials;
use crate::remotes::Remotes;
use crate::sent::Purpose;

/// Generations before the current one whose checks are answered: one restart may follow another
/// before the first has found a path.
const MAX_ELDERS: usize = 2;

/// What this side answers to.
#[derive(Clone, Debug)]
pub(super) struct Generation {
    pub(super) number: u32,
    pub(super) credentials: IceCredentials,
    /// Shared, so that it is at hand while a request changes the agent.
    pub(super) key: Arc<Key>,
}

impl Generation {
    pub(super) fn new(number: u32, entropy: &mut Entropy) -> Self {
        let credentials = credentials::generate(entropy)
            .expect("48 and 144 bits of ice-chars are valid credentials");
        Self {
            number,
            key: Arc::new(Key::short_term(credentials.pwd())),
            credentials,
        }
    }
}

/// A restart that has been prepared.
#[derive(Clone, Debug)]
pub(super) struct Upcoming {
    pub(super) generation: Generation,
    pub(super) early: Vec<EarlyCheck>,
}

/// Which generation a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Era {
    /// One before the current one: it is answered, and that is all.
    Elder(usize),
    Current,
    /// The one that a restart will make the current one.
    Upcoming,
}

impl Agent {
    /// Prepares a restart: makes the credentials that the next offer or answer has to signal.
    ///
    /// From now on checks to them are answered, and remembered as those before the peer's credentials
    /// are. Everything else goes on as it was until [`Self::restart`]. A second call changes nothing.
    ///
    /// # Errors
    ///
    /// [`CommandError::Ended`] after [`Self::close`].
    pub fn prepare_restart(&mut self) -> Result<&IceCredentials, CommandError> {
        if self.state == State::Closed {
            return Err(CommandError::Ended);
        }
        if self.upcoming.is_none() {
            let generation = Generation::new(self.generation.number + 1, &mut self.entropy);
            self.upcoming = Some(Upcoming {
                generation,
                early: Vec::new(),
            });
        }
        Ok(self
            .upcoming_credentials()
            .unwrap_or(&self.generation.credentials))
    }

    /// The credentials of a restart that has been prepared.
    pub fn upcoming_credentials(&self) -> Option<&IceCredentials> {
        let upcoming = self.upcoming.as_ref();
        upcoming.map(|upcoming| &upcoming.generation.credentials)
    }

    /// Gives up a restart that was prepared: its offer was rolled back. The session goes on as it was.
    pub fn cancel_restart(&mut self) {
        self.upcoming = None;
    }

    /// Restarts ICE (RFC 8445 §9): credentials, check lists and remote candidates are new, roles stay.
    /// Also an agent that has failed begins again.
    ///
    /// Data goes on over the paths of before, whose consent is kept, until the new generation has
    /// selected others; checks to the old credentials are answered as long. Then comes what came in the
    /// beginning: [`Self::gather`], [`Self::set_remote_parameters`], candidates.
    ///
    /// # Errors
    ///
    /// [`CommandError::Ended`] after [`Self::close`].
    pub fn restart(&mut self, now: Instant) -> Result<(), CommandError> {
        self.prepare_restart()?;
        let Some(upcoming) = self.upcoming.take() else {
            return Ok(());
        };
        let now = self.clock.advance(now);
        let elder = core::mem::replace(&mut self.generation, upcoming.generation);
        self.elders.push(elder);
        if self.elders.len() > MAX_ELDERS {
            self.elders.remove(0);
        }
        self.early = upcoming.early;
        self.checks = CheckLists::new(self.config.order);
        self.budget = Budget::default();
        self.sent.retain(|check| check.purpose == Purpose::Consent);
        self.names.clear();
        self.remotes = Remotes::default();
        self.places.clear();
        self.peer_reflexive = 0;
        self.heard = false;
        self.slots = 0;
        self.introduced = None;
        self.nominations = 0;
        for stream in &mut self.streams {
            stream.restart();
        }
        for component in &mut self.components {
            component.restart();
        }
        // `gather` announces them again; others are found again.
        self.lose_dead_relays(now);
        self.keep_bases();
        self.gathering = Gathering::Idle;
        for timer in [
            AgentTimer::PairExpiry,
            AgentTimer::Gathering,
            AgentTimer::Pac,
            AgentTimer::Release,
        ] {
            self.timers.stop(timer);
        }
        self.state = State::New;
        self.settle(now);
        Ok(())
    }

    /// The credentials that a request is for, by the fragment that it names.
    pub(super) fn era_of(&self, ufrag: Option<&str>) -> Era {
        let is = |generation: &Generation| Some(generation.credentials.ufrag()) == ufrag;
        if is(&self.generation) {
            return Era::Current;
        }
        if self.upcoming.as_ref().is_some_and(|it| is(&it.generation)) {
            return Era::Upcoming;
        }
        let elder = self.elders.iter().position(is);
        elder.map_or(Era::Current, Era::Elder)
    }

    pub(super) fn generation_of(&self, era: Era) -> &Generation {
        match era {
            Era::Elder(at) => self.elders.get(at).unwrap_or(&self.generation),
            Era::Current => &self.generation,
            Era::Upcoming => self
                .upcoming
                .as_ref()
                .map_or(&self.generation, |upcoming| &upcoming.generation),
        }
    }

    /// Earlier generations are answered as long as one of their paths carries data, and until the peer
    /// had time to follow.
    pub(super) fn forget_elders(&mut self) {
        let current = self.generation.number;
        let mut actives = self.components.iter().filter_map(|it| it.active.as_ref());
        if actives.all(|active| active.generation == current) {
            self.elders.clear();
        }
    }

    /// A check that cannot be dealt with before the peer's credentials are known.
    pub(super) fn remember_early(&mut self, era: Era, check: EarlyCheck) {
        let early = match (era, &mut self.upcoming) {
            (Era::Upcoming, Some(upcoming)) => &mut upcoming.early,
            _ => &mut self.early,
        };
        match early.iter_mut().find(|early| early.path == check.path) {
            Some(early) => {
                early.nominate |= check.nominate;
                early.nomination = early.nomination.max(check.nomination);
            }
            None => early.push(check),
        }
    }

    pub(super) fn has_room_for_early(&self, era: Era, path: FiveTuple) -> bool {
        let early = match (era, &self.upcoming) {
            (Era::Upcoming, Some(upcoming)) => &upcoming.early,
            _ => &self.early,
        };
        early.len() < self.config.limits.early_checks || early.iter().any(|it| it.path == path)
    }
}
