//! What a later description may change of what is in use: sections, transports, DTLS roles.

use crate::ice::Candidate;
use crate::negotiator::check::{check_change, follows};
use crate::negotiator::description::Description;
use crate::negotiator::error::{Place, violation};
use crate::negotiator::exchange::Exchange;
use crate::negotiator::transport::{Change, RemoteTransport};
use crate::negotiator::{
    DescriptionKind, Misuse, NegotiationError, Negotiator, SignalingState, Violation,
};
use crate::{DtlsRole, Setup};

impl Negotiator {
    /// RFC 8839 §4.4.1.1, RFC 9429 §5.2.2 and §5.3.2: what the owner may change.
    pub(super) fn check_local(
        &self,
        kind: DescriptionKind,
        description: &Description,
    ) -> Result<(), Misuse> {
        let Some(current) = &self.current else {
            return Ok(());
        };
        for now in &description.transports {
            let Some(before) = current.local.transport(now.id) else {
                continue;
            };
            if !current.in_use.contains(&now.id) {
                continue;
            }
            let change = check_change(before, now).map_err(|rule| match rule {
                Violation::HalfRestart => Misuse::HalfRestart,
                Violation::IceParametersChanged => Misuse::IceParametersChanged,
                _ => Misuse::DtlsChanged,
            })?;
            let offer = self.pending.as_ref().map(|pending| &pending.offer);
            let offered = offer.and_then(|offer| offer.transport(now.id));
            let offered = offered.is_some_and(|offer| offer.ice_restart);
            let goes_on = before.credentials.is_some() && before.credentials == now.credentials;
            match (kind, offered) {
                (DescriptionKind::Answer, true) if goes_on => return Err(Misuse::RestartNeeded),
                (DescriptionKind::Answer, false) if change.restart => {
                    return Err(Misuse::RestartNotOffered);
                }
                // RFC 8839 §4.4.3.1: ICE was offered and not answered, which ended it.
                (DescriptionKind::Offer, _) if goes_on && !current.remote_has_ice(now.id) => {
                    return Err(Misuse::RestartNeeded);
                }
                _ => {}
            }
            // RFC 8839 §4.4.1.3: what a lite agent has, it has said.
            let known =
                |candidate: &Candidate| before.candidates.iter().any(|one| one.is_at(candidate));
            if now.lite && !change.is_free() && !now.candidates.iter().all(known) {
                return Err(Misuse::LiteCandidate);
            }
        }
        Ok(())
    }

    /// RFC 3264 §8 and what extends it.
    pub(super) fn check_offer(&self, offer: &Description) -> Result<(), NegotiationError> {
        match &self.current {
            Some(current) => follows(&current.remote, &current.local, offer),
            None => Ok(()),
        }
    }

    /// Compares the transports with those in use and notes restarts.
    pub(super) fn check_remote_transports(
        &self,
        kind: DescriptionKind,
        description: &mut Description,
        used: &dyn Fn(u16) -> bool,
    ) -> Result<(), NegotiationError> {
        let Description {
            sections,
            transports,
            ..
        } = description;
        for now in transports {
            if !used(now.mline_index) {
                continue;
            }
            let section = sections.get(usize::from(now.mline_index));
            let place = section.map_or(Place::NONE, |section| section.place);
            self.check_remote_transport(kind, now)
                .map_err(|rule| violation(rule, place))?;
        }
        Ok(())
    }

    fn check_remote_transport(
        &self,
        kind: DescriptionKind,
        now: &mut RemoteTransport,
    ) -> Result<(), Violation> {
        let id = now.id;
        let current = self.current.as_ref();
        let current = current.filter(|current| current.in_use.contains(&id));
        if let Some(in_use) = current.and_then(|current| current.remote.transport(id)) {
            let change = check_change(in_use, now)?;
            now.ice_restart = change.renews();
            now.dtls_restart = change.dtls;
            let own = self.pending.as_ref().and_then(|pending| pending.side(true));
            let own = own.and_then(|own| own.transport(id));
            let own_before = current.and_then(|current| current.local.transport(id));
            let own = own.zip(own_before);
            let own = own.map(|(own, before)| Change::between(before, own));
            let answers = kind != DescriptionKind::Offer;
            // An answer may give up ICE at any time (RFC 8839 §4.4.3.1).
            let answers = answers && now.credentials.is_some();
            if answers && own.is_some_and(|own| own.renews() != change.renews()) {
                return Err(Violation::RestartMismatch);
            }
            let goes_on = !change.dtls && own.is_none_or(|own| !own.dtls);
            let role = current.and_then(|current| Exchange::dtls_role(current, id));
            let allowed = match (&now.dtls, role.filter(|_| goes_on)) {
                (Some(dtls), Some(role)) => match dtls.setup {
                    Setup::Active => role != DtlsRole::Client,
                    Setup::Passive => role != DtlsRole::Server,
                    Setup::Actpass | Setup::Holdconn => true,
                },
                _ => true,
            };
            if !allowed {
                return Err(Violation::Setup);
            }
        }
        // An answer after a provisional one may restart on its own (RFC 9429 §5.11).
        let provisional = match self.state {
            SignalingState::HaveRemotePranswer => self.pending.as_ref(),
            _ => None,
        };
        let provisional = provisional.and_then(|pending| pending.answer.as_ref());
        if let Some(before) = provisional.and_then(|answer| answer.transport(id)) {
            let change = Change::between(before, now);
            if change.half_restart {
                return Err(Violation::HalfRestart);
            }
            if change.dtls && !change.is_free() {
                return Err(Violation::DtlsChanged);
            }
            now.ice_restart = change.renews();
            now.dtls_restart = change.dtls;
        }
        Ok(())
    }
}
