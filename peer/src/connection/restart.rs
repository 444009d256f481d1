//! Restarts of ICE, and the end of its transport (RFC 8839 §4.4, RFC 9429 §3.5.1, §5.2.3.1).

use alloc::vec::Vec;

use floe_ice::Role;
use floe_sansio::Instant;
use floe_sdp::SectionConfig;
use floe_sdp::ice::Candidate;

use super::{Announced, Connection};
use crate::error::Error;
use crate::event::{Event, OfferReason};

impl Connection {
    /// The next offer restarts ICE: it has new credentials, and with the answer a new generation
    /// begins. Data goes on over the old path until the new generation has found one.
    ///
    /// It holds until an exchange has restarted ICE, whichever side offered. Before the first exchange
    /// it has no effect (RFC 9429 §5.2.3.1). Also a connection that has failed can be restarted.
    pub fn restart_ice(&mut self, _now: Instant) -> Result<(), Error> {
        self.check_open()?;
        self.needs_restart |= self.remote.is_some();
        Ok(())
    }

    /// One more section for the next offer; it takes the place of a refused one if there is any.
    /// Returns its index among this side's sections.
    pub fn add_section(&mut self, section: SectionConfig) -> Result<usize, Error> {
        self.check_open()?;
        Ok(self.negotiator.add_section(section)?)
    }

    /// Ends one of this side's sections, by index: the next offer or answer refuses it. With the last
    /// one of both sides ICE ends; a section that is added later begins it anew.
    pub fn stop_section(&mut self, index: usize) -> Result<(), Error> {
        self.check_open()?;
        Ok(self.negotiator.stop_section(index)?)
    }

    /// Whether the next offer restarts ICE.
    pub const fn offer_restarts(&self) -> bool {
        self.needs_restart || self.removed
    }

    /// How often ICE was restarted.
    pub const fn generation(&self) -> u32 {
        self.agent.generation()
    }

    /// Local candidates that are good in the next generation too.
    pub(super) fn lasting_candidates(&self) -> Vec<Candidate> {
        if self.removed {
            return Vec::new();
        }
        let lasting = |known: &&Candidate| {
            let mut all = self.agent.local_candidates().map(Candidate::from);
            all.any(|one| one.is_at(known))
        };
        self.candidates.iter().filter(lasting).cloned().collect()
    }

    /// Both sides have agreed to restart: the description of this side had these candidates.
    pub(super) fn begin_generation(&mut self, now: Instant, listed: Vec<Candidate>) {
        if let Some(before) = self.remote.take() {
            self.outlive(before.credentials.ufrag());
        }
        if self.removed {
            let _ = self.agent.restore_stream(0);
        }
        let _ = self.agent.restart(now);
        self.needs_restart = false;
        self.removed = false;
        // What waited for this one has been taken.
        self.held.clear();
        self.announced = Announced {
            candidates: listed.len(),
            end: false,
        };
        self.candidates = listed;
        self.gathered = false;
        self.agent.gather(now);
    }

    /// Nothing needs ICE any more: all sections were refused or stopped.
    pub(super) fn remove_transport(&mut self, now: Instant) {
        let Some(before) = self.remote.take() else {
            return;
        };
        self.outlive(before.credentials.ufrag());
        let _ = self.agent.remove_stream(now, 0);
        self.removed = true;
        self.section = None;
    }

    /// The owner is to restart.
    pub(super) fn want_restart(&mut self) {
        self.needs_restart = true;
        self.events
            .push_back(Event::OfferNeeded(OfferReason::Restart));
    }

    /// A pair was selected. A peer of RFC 5245 is told by an offer if it is not what the descriptions
    /// have; others learn it from the next one (RFC 8839 §4.3.4).
    pub(super) fn align(&mut self) {
        let Some(selected) = self.agent.selected() else {
            return;
        };
        let Some(id) = self.section.as_ref().map(|section| section.id) else {
            return;
        };
        if self.agent.role() != Role::Controlling || self.negotiator.has_ice_option(id, "ice2") {
            return;
        }
        let ends = [selected.local.address, selected.remote.address].map(Some);
        if self.negotiator.default_destinations(id) != Some(ends) {
            self.events
                .push_back(Event::OfferNeeded(OfferReason::Alignment));
        }
    }
}
