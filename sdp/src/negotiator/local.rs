//! The local transports of a description in the making.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use crate::ice::IceCredentials;
use crate::negotiator::transport::{LocalTransport, LocalTransports, TransportId};
use crate::negotiator::{Misuse, Profile};

/// What the owner says of each, by the section that speaks for it: checked, alone and against each
/// other.
pub(super) struct Locals<'a> {
    all: Vec<Option<LocalTransport<'a>>>,
}

impl<'a> Locals<'a> {
    pub(super) fn new(
        ids: impl Iterator<Item = Option<TransportId>>,
        local: &impl LocalTransports<'a>,
        profile: Profile,
    ) -> Result<Self, Misuse> {
        let all: Vec<_> = ids.map(|id| id.map(|id| local.transport(id))).collect();
        let locals = Self { all };
        let mut ufrags = BTreeSet::new();
        let first = locals.first();
        for transport in locals.all.iter().flatten() {
            transport.check(profile)?;
            let ufrag = transport.credentials.map(IceCredentials::ufrag);
            if ufrag.is_some_and(|ufrag| !ufrags.insert(ufrag)) {
                return Err(Misuse::SharedCredentials);
            }
            let shared = |one: LocalTransport<'a>| {
                (
                    one.pacing,
                    one.lite,
                    one.dtls.map(|dtls| &dtls.fingerprints),
                )
            };
            let alike = |other: LocalTransport<'a>| shared(other) == shared(*transport);
            if !first.is_none_or(alike) {
                return Err(Misuse::UnlikeTransports);
            }
        }
        Ok(locals)
    }

    pub(super) fn of(&self, index: usize) -> Option<LocalTransport<'a>> {
        self.all.get(index).copied().flatten()
    }

    /// The first of all, which speaks for what is said once.
    pub(super) fn first(&self) -> Option<LocalTransport<'a>> {
        self.all.iter().flatten().next().copied()
    }

    /// The same, if there is ICE on any.
    pub(super) fn ice(&self) -> Option<LocalTransport<'a>> {
        let mut all = self.all.iter().flatten();
        let has_ice = all.any(|transport| transport.credentials.is_some());
        self.first().filter(|_| has_ice)
    }
}
