//! What JSEP wants of a description beyond RFC 3264 (RFC 9429 §5.8.3), and which sections a bundle
//! policy leaves (§5.3.1).

use alloc::vec::Vec;

use crate::Setup;
use crate::negotiator::config::BundlePolicy;
use crate::negotiator::description::{Description, Section};
use crate::negotiator::error::violation;
use crate::negotiator::transport::Mismatch;
use crate::negotiator::{DescriptionKind, MediaKind, NegotiationError, Violation};

impl Description {
    /// For every section, whether this policy may accept it: the first and what is bundled with
    /// it, the first of each type and what is bundled with those, or any.
    pub(super) fn acceptable(&self, policy: BundlePolicy) -> Vec<bool> {
        let first = |fits: &dyn Fn(&Section) -> bool| {
            let mut live = self.sections.iter().filter(|section| section.live);
            live.find(|section| fits(section))
                .and_then(|section| section.tag)
        };
        let of = |kind: MediaKind| first(&move |section| section.media == kind);
        let (any, audio, video, data) = (
            first(&|_| true),
            of(MediaKind::Audio),
            of(MediaKind::Video),
            of(MediaKind::Application),
        );
        let fits = |section: &Section| {
            let tag = section.tag;
            let wanted = match (policy, section.media) {
                (BundlePolicy::MaxCompat, _) => tag,
                (BundlePolicy::MustBundle, _) => any,
                (BundlePolicy::Balanced, MediaKind::Audio) => audio,
                (BundlePolicy::Balanced, MediaKind::Video) => video,
                (BundlePolicy::Balanced, MediaKind::Application) => data,
                (BundlePolicy::Balanced, MediaKind::Other) => None,
            };
            tag.is_some() && tag == wanted
        };
        self.sections.iter().map(fits).collect()
    }

    /// RFC 9429 §5.1.1, §5.8.3: ICE and DTLS on every transport, one port for RTP and RTCP, no
    /// keying in the text. Sections that the policy refuses anyhow may say what they like.
    pub(super) fn check_jsep(&self, policy: BundlePolicy) -> Result<(), NegotiationError> {
        if let Some(place) = self.forbidden_keying {
            return Err(violation(Violation::ForbiddenKeying, place));
        }
        let acceptable = self.acceptable(policy);
        for (index, section) in self.sections.iter().enumerate() {
            let fail = |rule| Err(violation(rule, section.place));
            if section.is_data && section.live && section.data.is_none() {
                return fail(Violation::MissingSctpPort);
            }
            if section.rtcp_mux_only && !section.rtcp_mux {
                return fail(Violation::MissingRtcpMux);
            }
            if acceptable.get(index) != Some(&true) {
                continue;
            }
            // In a bundle-only section it goes without saying (RFC 9143 §9.3).
            let tag = section.tag.and_then(|tag| self.sections.get(tag));
            let muxed =
                section.rtcp_mux || section.bundle_only || tag.is_some_and(|tag| tag.rtcp_mux);
            if section.is_rtp() && !muxed {
                return fail(Violation::MissingRtcpMux);
            }
            if section.tag != Some(index) {
                continue;
            }
            let transport = self.transport_at(index);
            // Here is no other way than ICE.
            if transport.is_some_and(|it| it.mismatch == Some(Mismatch::Said)) {
                return fail(Violation::IceMismatch);
            }
            if let Some(rule) = section.missing {
                return fail(rule);
            }
            let setup = transport.and_then(|transport| transport.dtls.as_ref());
            let setup = setup.map(|dtls| dtls.setup);
            let fits = match self.kind {
                DescriptionKind::Offer => setup != Some(Setup::Holdconn),
                DescriptionKind::Answer | DescriptionKind::Pranswer => {
                    matches!(setup, Some(Setup::Active | Setup::Passive))
                }
            };
            if !fits {
                return fail(Violation::Setup);
            }
        }
        Ok(())
    }
}
