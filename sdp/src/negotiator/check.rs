//! What a description may say after another one: continuity of the transport, answers that fit offers.

use crate::negotiator::answer::have_common_format;
use crate::negotiator::description::Description;
use crate::negotiator::error::violation;
use crate::negotiator::machine::Exchange;
use crate::negotiator::{
    DescriptionKind, Misuse, NegotiationError, Negotiator, RemoteTransport, SignalingState,
    Violation,
};
use crate::{DtlsRole, Setup};

impl Negotiator {
    /// RFC 8839 §4.4.1.1, RFC 9429 §5.2.2 and §5.3.2: what a later description may change.
    pub(super) fn check_local(
        &self,
        kind: DescriptionKind,
        description: &Description,
    ) -> Result<(), Misuse> {
        let before = self
            .current
            .as_ref()
            .and_then(|current| current.local.transport.as_ref());
        let (Some(before), Some(now)) = (before, &description.transport) else {
            return Ok(());
        };
        let change = Change::between(before, now);
        if change.half_restart {
            return Err(Misuse::HalfRestart);
        }
        let offered = self
            .pending_remote
            .as_ref()
            .and_then(|offer| offer.transport.as_ref());
        let offered = offered.is_some_and(|offer| offer.ice_restart);
        match (kind, offered, change.restart) {
            (DescriptionKind::Answer, true, false) => return Err(Misuse::RestartNeeded),
            (DescriptionKind::Answer, false, true) => return Err(Misuse::RestartNotOffered),
            _ => {}
        }
        if change.parameters && !change.restart {
            return Err(Misuse::IceParametersChanged);
        }
        if change.dtls && !change.restart {
            return Err(Misuse::DtlsChanged);
        }
        Ok(())
    }

    /// RFC 3264 §8: sections are never removed.
    pub(super) fn check_offer(&self, offer: &Description) -> Result<(), NegotiationError> {
        let before = self
            .current
            .as_ref()
            .map_or(0, |current| current.local.sections.len());
        if offer.sections.len() < before {
            return Err(violation(Violation::SectionCount, None));
        }
        Ok(())
    }

    /// Compares the transport with the one in use and notes restarts.
    pub(super) fn check_remote_transport(
        &self,
        kind: DescriptionKind,
        description: &mut Description,
    ) -> Result<(), NegotiationError> {
        let Some(now) = &mut description.transport else {
            return Ok(());
        };
        let index = usize::from(now.mline_index);
        let fail = |rule| Err(violation(rule, index));
        let current = self.current.as_ref();
        let in_use = current.and_then(|current| current.remote.transport.as_ref());
        if let Some(in_use) = in_use {
            let change = Change::between(in_use, now);
            if change.half_restart {
                return fail(Violation::HalfRestart);
            }
            if change.parameters && !change.restart {
                return fail(Violation::IceParametersChanged);
            }
            if change.dtls && !change.restart {
                return fail(Violation::DtlsChanged);
            }
            now.ice_restart = change.restart;
            now.dtls_restart = change.dtls;
            let own = self
                .pending_local
                .as_ref()
                .and_then(|local| local.transport.as_ref());
            let own_before = current.and_then(|current| current.local.transport.as_ref());
            let own_change = own
                .zip(own_before)
                .map(|(own, before)| Change::between(before, own));
            if kind != DescriptionKind::Offer
                && own_change
                    .as_ref()
                    .is_some_and(|own| own.restart != change.restart)
            {
                return fail(Violation::RestartMismatch);
            }
            let goes_on = !change.dtls && own_change.is_none_or(|own| !own.dtls);
            let role = current.and_then(Exchange::dtls_role).filter(|_| goes_on);
            let allowed = match now.dtls.setup {
                Setup::Active => role != Some(DtlsRole::Client),
                Setup::Passive => role != Some(DtlsRole::Server),
                Setup::Actpass | Setup::Holdconn => true,
            };
            if !allowed {
                return fail(Violation::Setup);
            }
        }
        // An answer after a provisional one may restart on its own (RFC 9429 §5.11).
        let provisional = match self.state {
            SignalingState::HaveRemotePranswer => self.pending_remote.as_ref(),
            _ => None,
        };
        if let Some(before) = provisional.and_then(|before| before.transport.as_ref()) {
            let change = Change::between(before, now);
            if change.half_restart {
                return fail(Violation::HalfRestart);
            }
            if change.dtls && !change.restart {
                return fail(Violation::DtlsChanged);
            }
            now.ice_restart = change.restart;
            now.dtls_restart = change.dtls;
        }
        Ok(())
    }
}

/// What differs between two descriptions of one side's transport.
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent facts of a change"
)]
struct Change {
    restart: bool,
    half_restart: bool,
    parameters: bool,
    dtls: bool,
}

impl Change {
    fn between(before: &RemoteTransport, now: &RemoteTransport) -> Self {
        let ufrag = before.credentials.ufrag() != now.credentials.ufrag();
        let pwd = !before.credentials.same_pwd(&now.credentials);
        let sorted = |transport: &RemoteTransport| {
            let mut options = transport.ice_options.clone();
            options.sort();
            options
        };
        Self {
            restart: ufrag && pwd,
            half_restart: ufrag != pwd,
            parameters: before.lite != now.lite
                || before.pacing != now.pacing
                || sorted(before) != sorted(now),
            dtls: !before.dtls.same_association(&now.dtls),
        }
    }
}

/// RFC 3264 §6, RFC 5888 §9, RFC 9143 §7.4, RFC 9429 §5.8.3.
pub(super) fn check_answer(
    offer: &Description,
    answer: &Description,
) -> Result<(), NegotiationError> {
    if answer.sections.len() != offer.sections.len() {
        return Err(violation(Violation::SectionCount, None));
    }
    for (index, (asked, given)) in offer.sections.iter().zip(&answer.sections).enumerate() {
        let fail = |rule| Err(violation(rule, index));
        if asked.media_name != given.media_name || asked.protocol != given.protocol {
            return fail(Violation::SectionType);
        }
        if given.mid.is_some() && given.mid != asked.mid {
            return fail(Violation::Mid);
        }
        if given.grouped && !asked.grouped {
            return fail(Violation::Group);
        }
        if !given.live {
            continue;
        }
        // All own offers bundle: a live section outside of the transport has nowhere to go.
        if !asked.live || !given.on_transport {
            return fail(Violation::NotOffered);
        }
        if !given.direction.may_answer(asked.direction) {
            return fail(Violation::Direction);
        }
        if !have_common_format(asked, given) {
            return fail(Violation::NoCommonFormat);
        }
    }
    Ok(())
}
