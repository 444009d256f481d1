//! What the negotiator's tests share.
#![allow(dead_code, unused_imports, reason = "each test binary uses a part")]

pub(crate) mod phone;

use floe_sdp::ice::{Candidate, IceCredentials};
use floe_sdp::{
    BundlePolicy, Codec, DataChannel, DescriptionKind, Direction, DtlsIdentity, Fingerprint,
    LocalTransport, NegotiationError, Negotiator, NegotiatorConfig, RemoteDescription, Rtp,
    SectionConfig, Setup,
};

pub(crate) use DescriptionKind::{Answer, Offer, Pranswer};

/// The owner of a negotiator: what it hands in.
#[derive(Clone, Debug)]
pub(crate) struct Owner {
    pub(crate) negotiator: Negotiator,
    pub(crate) credentials: IceCredentials,
    pub(crate) dtls: DtlsIdentity,
    pub(crate) candidates: Vec<Candidate>,
    pub(crate) end_of_candidates: bool,
    pub(crate) pacing: Option<std::time::Duration>,
    pub(crate) lite: bool,
}

pub(crate) fn credentials(generation: &str) -> IceCredentials {
    IceCredentials::new(
        &format!("uf{generation}"),
        &format!("0123456789abcdef0123{generation}"),
    )
    .unwrap()
}

/// One transport.
pub(crate) fn config(id: u64, sections: Vec<SectionConfig>) -> NegotiatorConfig {
    NegotiatorConfig {
        bundle: BundlePolicy::MustBundle,
        ..NegotiatorConfig::new(id, sections)
    }
}

impl Owner {
    /// One transport.
    pub(crate) fn new(id: u64, sections: Vec<SectionConfig>) -> Self {
        Self::with(config(id, sections))
    }

    pub(crate) fn with(config: NegotiatorConfig) -> Self {
        let id = config.session_id;
        Self {
            negotiator: Negotiator::new(config).unwrap(),
            credentials: credentials(&format!("{id}a")),
            dtls: DtlsIdentity {
                fingerprints: vec![Fingerprint::sha256([id as u8; 32])],
                setup: Setup::Actpass,
                tls_id: None,
            },
            candidates: Vec::new(),
            end_of_candidates: false,
            pacing: None,
            lite: false,
        }
    }

    pub(crate) fn restart(&mut self, generation: &str) {
        self.credentials = credentials(generation);
    }

    fn transport(&self) -> LocalTransport<'_> {
        LocalTransport {
            credentials: Some(&self.credentials),
            pacing: self.pacing,
            candidates: &self.candidates,
            end_of_candidates: self.end_of_candidates,
            dtls: Some(&self.dtls),
            lite: self.lite,
            ice_options: &[],
            remote_candidate: None,
            address: None,
        }
    }

    pub(crate) fn create_offer(&mut self) -> Result<String, NegotiationError> {
        let mut negotiator = self.negotiator.clone();
        let text = negotiator.create_offer(&self.transport());
        self.negotiator = negotiator;
        text
    }

    pub(crate) fn create_answer(&mut self) -> Result<String, NegotiationError> {
        let mut negotiator = self.negotiator.clone();
        let text = negotiator.create_answer(&self.transport());
        self.negotiator = negotiator;
        text
    }

    /// Creates and sets.
    pub(crate) fn offer(&mut self) -> String {
        let text = self.create_offer().unwrap();
        self.negotiator.set_local(Offer, &text).unwrap();
        text
    }

    /// Creates and sets.
    pub(crate) fn answer(&mut self) -> String {
        let text = self.create_answer().unwrap();
        self.negotiator.set_local(Answer, &text).unwrap();
        text
    }

    pub(crate) fn take(
        &mut self,
        kind: DescriptionKind,
        text: &str,
    ) -> Result<RemoteDescription, NegotiationError> {
        self.negotiator.set_remote(kind, text.as_bytes())
    }
}

/// One whole exchange; offer and answer.
pub(crate) fn exchange(from: &mut Owner, to: &mut Owner) -> (String, String) {
    let offer = from.offer();
    to.take(Offer, &offer).unwrap();
    let answer = to.answer();
    from.take(Answer, &answer).unwrap();
    (offer, answer)
}

pub(crate) fn data() -> SectionConfig {
    SectionConfig::Application(DataChannel::default())
}

pub(crate) fn audio(direction: Direction) -> SectionConfig {
    SectionConfig::Audio(Rtp::new(Codec::audio(), direction))
}

pub(crate) fn video(direction: Direction) -> SectionConfig {
    SectionConfig::Video(Rtp::new(Codec::video(), direction))
}

/// The lines of the section of this index.
pub(crate) fn section(text: &str, index: usize) -> Vec<&str> {
    let mut sections: Vec<Vec<&str>> = Vec::new();
    for line in text.lines() {
        if line.starts_with("m=") {
            sections.push(Vec::new());
        }
        if let Some(section) = sections.last_mut() {
            section.push(line);
        }
    }
    sections.swap_remove(index)
}

/// The lines before the first `m=`.
pub(crate) fn head(text: &str) -> Vec<&str> {
    text.lines()
        .take_while(|line| !line.starts_with("m="))
        .collect()
}
