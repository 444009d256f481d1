//! What the owner can see of it.

use super::component::Active;
use super::{Agent, FiveTuple, Instant};
use crate::check_list::{Pair, PairId};
use crate::stats::{PairStats, Stats, Timeline};

impl Agent {
    /// All there is to know at this moment.
    pub fn stats(&self) -> Stats {
        Stats {
            role: self.role,
            generation: self.generation.number,
            pairs: self
                .checks
                .iter()
                .map(|(id, pair)| self.stats_of(id, pair))
                .collect(),
            local_candidates: self.locals.values().cloned().collect(),
            remote_candidates: (0..self.remotes.len())
                .map(|at| {
                    let component = &self.components[self.remotes[at].component()];
                    self.remotes.candidate(at, component.id)
                })
                .collect(),
            timeline: self.timeline.clone(),
            drops: self.drops.0.clone(),
        }
    }

    /// When what happened.
    pub const fn timeline(&self) -> &Timeline {
        &self.timeline
    }

    /// The path that the data of each component takes, and until when the peer's consent to it lasts.
    pub fn active_paths(&self) -> impl Iterator<Item = (crate::ComponentId, FiveTuple, Instant)> {
        let components = self.components.iter();
        components.filter_map(|component| {
            let active = component.active.as_ref()?;
            Some((component.id, active.path, active.consent_expires()))
        })
    }

    fn stats_of(&self, id: PairId, pair: &Pair) -> PairStats {
        let component = &self.components[pair.component()];
        let active: Option<&Active> = component.active.as_ref().filter(|it| it.pair == Some(id));
        let counters = &pair.counters.0;
        let before = || counters.traffic.as_deref().copied().unwrap_or_default();
        let traffic = active.map_or_else(before, |active| active.traffic.0);
        PairStats {
            id: id.number(),
            component: component.id,
            transport: pair.path.transport,
            local: pair.path.local,
            remote: pair.path.remote,
            state: pair.state,
            priority: pair.priority,
            nominated: component
                .selected
                .is_some_and(|selection| selection.pair == id),
            active: active.is_some(),
            relayed: pair.relayed,
            packets_sent: traffic.packets_sent,
            packets_received: traffic.packets_received,
            bytes_sent: traffic.bytes_sent,
            bytes_received: traffic.bytes_received,
            last_sent: traffic.last_sent,
            last_received: traffic.last_received,
            current_round_trip: pair.round_trip.get(),
            total_round_trip: counters.total_round_trip.get(),
            requests_sent: counters.requests_sent,
            requests_received: counters.requests_received,
            responses_sent: counters.requests_received,
            responses_received: counters.responses_received,
        }
    }
}
