//! Exchanges of offer and answer: one that is finished, and one that is under way.

use alloc::collections::BTreeSet;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::negotiator::description::{Description, Section};
use crate::negotiator::error::violation;
use crate::negotiator::transport::{Mismatch, TransportId};
use crate::negotiator::{NegotiationError, Violation};
use crate::{DtlsRole, Setup};

/// Whose section stands behind an `m=` line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Slot {
    /// One of the owner's, by index.
    Own(usize),
    /// The other side's, accepted by an entry of [`NegotiatorConfig::accept`].
    Accept(usize),
    /// Nobody's: refused.
    None,
}

/// A finished exchange.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Exchange {
    pub(crate) local: Arc<Description>,
    pub(crate) remote: Arc<Description>,
    pub(crate) local_offered: bool,
    pub(crate) slots: Vec<Slot>,
    /// The transport of each section; `None` if it is refused.
    pub(crate) ids: Vec<Option<TransportId>>,
    /// All of them.
    pub(crate) in_use: BTreeSet<TransportId>,
    /// The owner's sections that were refused or stopped at some time: they are not offered again.
    pub(crate) retired: Vec<usize>,
}

impl Exchange {
    pub(crate) fn answer(&self) -> &Description {
        self.side(!self.local_offered)
    }

    pub(crate) fn offer(&self) -> &Description {
        self.side(self.local_offered)
    }

    pub(crate) fn side(&self, local: bool) -> &Description {
        if local { &self.local } else { &self.remote }
    }

    pub(crate) fn is_live(&self, index: usize) -> bool {
        self.ids.get(index).is_some_and(Option::is_some)
    }

    pub(crate) fn remote_has_ice(&self, id: TransportId) -> bool {
        let transport = self.remote.transport(id);
        transport.is_some_and(|transport| transport.credentials.is_some())
    }

    /// Whether ICE runs on a transport (RFC 8839 §4.2.5, §4.3.3): both sides speak of it there and
    /// the answer did not say otherwise. `strict`: an offerer who finds a mismatch in the answer does
    /// without on all.
    pub(crate) fn uses_ice(&self, id: TransportId, strict: bool) -> bool {
        let speaks = |side: &Description| {
            let transport = side.transport(id);
            transport.is_some_and(|transport| {
                transport.credentials.is_some() && transport.mismatch != Some(Mismatch::Said)
            })
        };
        let found = |id: &TransportId| {
            let transport = self.remote.transport(*id);
            transport.is_some_and(|transport| transport.mismatch == Some(Mismatch::Found))
        };
        let found = strict && self.local_offered && self.in_use.iter().any(found);
        speaks(&self.local) && speaks(&self.remote) && !found
    }

    /// The local role: the answer decides (RFC 8842 §5).
    pub(crate) fn dtls_role(&self, id: TransportId) -> Option<DtlsRole> {
        let setup = self.answer().transport(id)?.dtls.as_ref()?.setup;
        match (setup, self.local_offered) {
            (Setup::Active, false) | (Setup::Passive, true) => Some(DtlsRole::Client),
            (Setup::Active, true) | (Setup::Passive, false) => Some(DtlsRole::Server),
            _ => None,
        }
    }
}

/// An exchange that is under way.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Pending {
    pub(crate) offer: Arc<Description>,
    /// The provisional answer.
    pub(crate) answer: Option<Arc<Description>>,
    pub(crate) local_offered: bool,
    pub(crate) slots: Vec<Slot>,
    /// The transports, each in the place of the section that speaks for it in the offer.
    pub(crate) ids: Vec<Option<TransportId>>,
    /// Numbers of transports that are used, counted from 0.
    pub(crate) used: u32,
}

impl Pending {
    /// What this side, or the other, has said in it.
    pub(crate) fn side(&self, local: bool) -> Option<&Description> {
        if local == self.local_offered {
            Some(&self.offer)
        } else {
            self.answer.as_deref()
        }
    }

    /// The transport that the section `tag` of the answer speaks for: its own, else that of its
    /// group in the offer if it is in a group still.
    fn id_at(&self, answer: &Description, tag: usize) -> Option<TransportId> {
        let at = |index: usize| self.ids.get(index).copied().flatten();
        let of_group = || {
            answer.sections.get(tag)?.group?;
            at(self.offer.sections.get(tag)?.tag?)
        };
        at(tag).or_else(of_group)
    }

    /// For every section of an answer the transport that it speaks for. Each speaks for one that
    /// was offered, and no two for the same.
    pub(super) fn answered(
        &self,
        answer: &Description,
    ) -> Result<Vec<Option<TransportId>>, NegotiationError> {
        let mut known = BTreeSet::new();
        let mut ids = Vec::with_capacity(answer.sections.len());
        for (index, section) in answer.sections.iter().enumerate() {
            let mut id = None;
            if section.tag == Some(index) {
                id = self.id_at(answer, index);
                if !id.is_some_and(|id| known.insert(id)) {
                    return Err(violation(Violation::NotOffered, section.place));
                }
            }
            ids.push(id);
        }
        Ok(ids)
    }

    /// What it comes to with this answer.
    pub(super) fn finished(&self, answer: Arc<Description>) -> Exchange {
        let id = |section: &Section| section.tag.and_then(|tag| self.id_at(&answer, tag));
        let ids: Vec<Option<TransportId>> = answer.sections.iter().map(id).collect();
        let in_use = ids.iter().flatten().copied().collect();
        let (local, remote) = if self.local_offered {
            (self.offer.clone(), answer)
        } else {
            (answer, self.offer.clone())
        };
        Exchange {
            local,
            remote,
            local_offered: self.local_offered,
            slots: self.slots.clone(),
            ids,
            in_use,
            retired: Vec::new(),
        }
    }
}
