//! What a call to the negotiator has changed: the difference between two views of it.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::Direction;
use crate::ice::IceCredentials;
use crate::negotiator::exchange::Exchange;
use crate::negotiator::transport::{Transport, TransportId};
use crate::negotiator::{Negotiated, Negotiator};

/// What a call has changed, for those who run transports and media.
///
/// Effects follow from the states before and after a call, whatever the call: those of a rollback
/// undo those of what it gives up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Effects {
    /// Whether an own offer was given up for one of the other side's
    /// ([`Glare::Polite`](crate::Glare::Polite)).
    pub rolled_back: bool,
    /// By number of the transport.
    pub transports: Vec<TransportEffect>,
    /// By place of the section. What both descriptions say now, [`Negotiated`] has.
    pub sections: Vec<SectionEffect>,
}

/// What became of a transport.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TransportEffect {
    /// It is new: candidates are to be gathered for it once a local description has it.
    Added(Transport),
    /// It goes on, with other local credentials: candidates are to be gathered anew.
    LocalRestart(TransportId),
    /// It goes on, with other remote credentials: candidates of the old ones are void.
    RemoteRestart(TransportId),
    /// Another section speaks for it: candidates are signalled under its name.
    Moved(Transport),
    /// It is not used any more. Nothing is removed by a provisional answer (RFC 9429 §4.1.10).
    Removed(TransportId),
}

/// What became of a section, by place among the `m=` lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SectionEffect {
    /// It is in use, and was not.
    Started(u16),
    /// It is in use, in a place where another one was before.
    Recycled(u16),
    /// It is not in use any more.
    Stopped(u16),
    /// Media flows another way, as this side sees it.
    Direction(u16, Direction),
    /// It is on another transport.
    Transport(u16, TransportId),
    /// Formats, header extensions or streams are others.
    Formats(u16),
}

/// What effects are about.
pub(super) struct View<'a> {
    transports: BTreeMap<TransportId, Sides<'a>>,
    negotiated: Option<Negotiated>,
}

struct Sides<'a> {
    speaker: usize,
    transport: Transport,
    local: Option<&'a IceCredentials>,
    remote: Option<&'a IceCredentials>,
}

impl Negotiator {
    /// The transports in use and those of the exchange that is under way, by number.
    pub fn transports(&self) -> Vec<Transport> {
        let view = self.view_transports();
        view.into_values().map(|sides| sides.transport).collect()
    }

    pub(super) fn view(&self) -> View<'_> {
        View {
            transports: self.view_transports(),
            negotiated: self.provisional().or_else(|| self.negotiated()),
        }
    }

    fn view_transports(&self) -> BTreeMap<TransportId, Sides<'_>> {
        let mut speakers: BTreeMap<TransportId, usize> = BTreeMap::new();
        if let Some(current) = &self.current {
            let tags = current.answer().sections.iter().map(|section| section.tag);
            for (id, tag) in current.ids.iter().zip(tags) {
                if let (Some(id), Some(tag)) = (id, tag) {
                    speakers.insert(*id, tag);
                }
            }
        }
        if let Some(pending) = &self.pending {
            for (index, id) in pending.ids.iter().enumerate() {
                if let Some(id) = id {
                    speakers.insert(*id, index);
                }
            }
        }
        let credentials = |local: bool, id: TransportId| {
            let pending = self
                .pending
                .as_ref()
                .and_then(|pending| pending.side(local));
            let current = self.current.as_ref().map(|current| current.side(local));
            let pending = pending.and_then(|description| description.transport(id));
            let transport = pending.or_else(|| current?.transport(id));
            transport?.credentials.as_ref()
        };
        let sides = |(id, speaker): (TransportId, usize)| {
            let sides = Sides {
                speaker,
                transport: Transport {
                    id,
                    mline_index: speaker as u16,
                    mid: self.mid_of(speaker),
                },
                local: credentials(true, id),
                remote: credentials(false, id),
            };
            (id, sides)
        };
        speakers.into_iter().map(sides).collect()
    }

    fn mid_of(&self, index: usize) -> Option<alloc::string::String> {
        let offer = match (&self.pending, &self.current) {
            (Some(pending), _) => &pending.offer,
            (None, Some(current)) => Exchange::offer(current),
            (None, None) => return None,
        };
        offer.sections.get(index)?.mid.clone()
    }
}

impl View<'_> {
    pub(super) fn changes(&self, after: &View<'_>, rolled_back: bool) -> Effects {
        Effects {
            rolled_back,
            transports: self.transport_changes(after),
            sections: self.section_changes(after),
        }
    }

    fn transport_changes(&self, after: &View<'_>) -> Vec<TransportEffect> {
        let mut effects = Vec::new();
        let differ = |before: Option<&IceCredentials>, now: Option<&IceCredentials>| {
            before.is_some_and(|before| now.is_some_and(|now| before != now))
        };
        for (id, now) in &after.transports {
            let Some(before) = self.transports.get(id) else {
                effects.push(TransportEffect::Added(now.transport.clone()));
                continue;
            };
            if before.speaker != now.speaker {
                effects.push(TransportEffect::Moved(now.transport.clone()));
            }
            if differ(before.local, now.local) {
                effects.push(TransportEffect::LocalRestart(*id));
            }
            if differ(before.remote, now.remote) {
                effects.push(TransportEffect::RemoteRestart(*id));
            }
        }
        let gone = self
            .transports
            .keys()
            .filter(|id| !after.transports.contains_key(id));
        effects.extend(gone.map(|id| TransportEffect::Removed(*id)));
        effects
    }

    fn section_changes(&self, after: &View<'_>) -> Vec<SectionEffect> {
        let mut effects = Vec::new();
        let before = self
            .negotiated
            .as_ref()
            .map_or(&[][..], |all| all.sections.as_slice());
        let now = after
            .negotiated
            .as_ref()
            .map_or(&[][..], |all| all.sections.as_slice());
        for index in 0..before.len().max(now.len()) {
            let (before, now) = (before.get(index), now.get(index));
            let place = index as u16;
            let was = before.filter(|section| section.active);
            match (was, now.filter(|section| section.active)) {
                (None, Some(section)) => {
                    let other = before.is_some_and(|before| before.mid != section.mid);
                    effects.push(if other {
                        SectionEffect::Recycled(place)
                    } else {
                        SectionEffect::Started(place)
                    });
                }
                (Some(_), None) => effects.push(SectionEffect::Stopped(place)),
                (Some(before), Some(section)) => {
                    if before.direction != section.direction {
                        effects.push(SectionEffect::Direction(place, section.direction));
                    }
                    if let (true, Some(id)) =
                        (before.transport != section.transport, section.transport)
                    {
                        effects.push(SectionEffect::Transport(place, id));
                    }
                    if !before.same_formats(section) {
                        effects.push(SectionEffect::Formats(place));
                    }
                }
                (None, None) => {}
            }
        }
        effects
    }
}
