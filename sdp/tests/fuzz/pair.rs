//! Two negotiators, driven by a script; descriptions are changed on the way, line by line and word by
//! word, so that most are still descriptions.

use std::collections::BTreeSet;

use floe_sdp::ice::IceCredentials;
use floe_sdp::{
    BundlePolicy, Codec, DataChannel, DescriptionKind, Direction, DtlsIdentity, Effects,
    Fingerprint, Glare, LocalTransport, LocalTransports, Misuse, NegotiationError, Negotiator,
    NegotiatorConfig, Profile, Rtp, SectionConfig, Setup, SignalingState, Stream, TransportEffect,
    TransportId, Violation, check_answer, check_reoffer,
};

/// Bytes of the script, one for every choice; at its end nothing more happens.
struct Script<'a>(&'a [u8]);

impl Script<'_> {
    fn next(&mut self) -> Option<usize> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some((*first).into())
    }

    /// One of so many.
    fn choose(&mut self, count: usize) -> usize {
        self.next().map_or(0, |byte| byte % count.max(1))
    }
}

struct Local<'a> {
    credentials: &'a [IceCredentials],
    dtls: &'a DtlsIdentity,
}

impl<'a> LocalTransports<'a> for Local<'a> {
    fn transport(&self, id: TransportId) -> LocalTransport<'a> {
        LocalTransport {
            credentials: self
                .credentials
                .get(id.number() as usize % self.credentials.len()),
            pacing: None,
            candidates: &[],
            end_of_candidates: false,
            dtls: Some(self.dtls),
            lite: false,
            ice_options: &[],
            remote_candidate: None,
            address: None,
        }
    }
}

struct Side {
    negotiator: Negotiator,
    dtls: DtlsIdentity,
    generation: usize,
    in_force: usize,
    transports: BTreeSet<TransportId>,
    /// The offer under way, and offer and answer before it, as this side knows them.
    offer: Option<Vec<u8>>,
    finished: Option<[Vec<u8>; 2]>,
    /// What it has said last.
    said: (DescriptionKind, String),
    sections: usize,
    plain: bool,
}

const TRANSPORTS: usize = 64;

fn credentials(generation: usize) -> Vec<IceCredentials> {
    let one = |transport: usize| {
        let pwd = format!("0123456789abcdef{generation:04}{transport:02}");
        IceCredentials::new(&format!("g{generation:04}t{transport:02}"), &pwd).unwrap()
    };
    (0..TRANSPORTS).map(one).collect()
}

fn video() -> SectionConfig {
    let codecs = vec![
        Codec::new(96, "VP8", 90_000, None).with_feedback("nack"),
        Codec::rtx(97, 96, 90_000),
    ];
    let rtp = Rtp::new(codecs, Direction::SendRecv).receiving_simulcast(2);
    SectionConfig::Video(rtp.with_simulcast(vec![Stream::new("hi"), Stream::new("lo")]))
}

fn audio() -> SectionConfig {
    SectionConfig::Audio(Rtp::new(Codec::audio(), Direction::SendRecv))
}

fn data() -> SectionConfig {
    SectionConfig::Application(DataChannel::default())
}

impl Side {
    fn new(number: u64, choice: usize) -> Self {
        use BundlePolicy::{Balanced, MaxCompat, MustBundle};
        let sections = match choice / 8 % 3 {
            0 => vec![audio(), video(), data()],
            1 => vec![data()],
            _ => vec![video(), video()],
        };
        let config = NegotiatorConfig {
            bundle: [Balanced, MaxCompat, MustBundle, Balanced][choice % 4],
            profile: [Profile::Jsep, Profile::Rfc3264][usize::from(choice % 4 == 3)],
            glare: [Glare::Impolite, Glare::Polite][choice / 4 % 2],
            ..NegotiatorConfig::new(number, sections)
        };
        Self {
            negotiator: Negotiator::new(config).unwrap(),
            dtls: DtlsIdentity {
                fingerprints: vec![Fingerprint::sha256([number as u8; 32])],
                setup: Setup::Actpass,
                tls_id: None,
            },
            generation: number as usize * 1000,
            in_force: number as usize * 1000,
            transports: BTreeSet::new(),
            offer: None,
            finished: None,
            said: (DescriptionKind::Offer, String::new()),
            sections: 0,
            plain: choice % 4 == 3,
        }
    }

    fn create(&mut self, kind: DescriptionKind) -> Result<String, NegotiationError> {
        let credentials = credentials(self.generation);
        let local = Local {
            credentials: &credentials,
            dtls: &self.dtls,
        };
        match kind {
            DescriptionKind::Offer => self.negotiator.create_offer(&local),
            _ => self.negotiator.create_answer(&local),
        }
    }

    /// Says something, if it can; what it says is right, whatever it was told.
    fn say(&mut self, kind: DescriptionKind) {
        let before = self.negotiator.clone();
        let text = match self.create(kind) {
            Err(NegotiationError::Local(Misuse::RestartNeeded)) => {
                self.generation += 1;
                self.create(kind)
            }
            Err(NegotiationError::Local(Misuse::RestartNotOffered)) => {
                self.generation = self.in_force;
                self.create(kind)
            }
            other => other,
        };
        let text = match text {
            Ok(text) => text,
            // Not now; or so many transports that their names repeat, or the roles of a side that
            // went back behind a restart.
            Err(NegotiationError::State(_) | NegotiationError::Local(_)) => {
                assert!(self.negotiator == before);
                return;
            }
            Err(error) => panic!("{kind:?}: {error}"),
        };
        let checked = match (kind, &self.offer, &self.finished) {
            (DescriptionKind::Offer, _, None) => Ok(()),
            (DescriptionKind::Offer, _, Some([offer, answer])) => {
                check_reoffer([offer, answer], text.as_bytes())
            }
            (_, Some(offer), _) => check_answer(offer, text.as_bytes()),
            (_, None, _) => panic!("an answer without an offer"),
        };
        if let Err(error) = checked {
            assert!(is_of_the_other(error, self.plain), "{error}\n{text}");
        }
        let effects = self.negotiator.set_local(kind, &text).expect("as created");
        if kind == DescriptionKind::Offer {
            self.offer = Some(text.clone().into_bytes());
        }
        self.after(kind, text.as_bytes(), &effects);
        self.said = (kind, text);
    }

    fn hear(&mut self, kind: DescriptionKind, text: &[u8]) {
        let before = self.negotiator.clone();
        match self.negotiator.set_remote(kind, text) {
            Err(error) => {
                let _ = error.to_string();
                assert!(self.negotiator == before, "{error}");
            }
            Ok(remote) => {
                if kind == DescriptionKind::Offer {
                    self.offer = Some(text.to_vec());
                }
                for transport in &remote.transports {
                    assert!(usize::from(transport.mline_index) < remote.sections.len());
                }
                self.after(kind, text, &remote.effects);
            }
        }
    }

    fn after(&mut self, kind: DescriptionKind, text: &[u8], effects: &Effects) {
        for effect in &effects.transports {
            assert!(match effect {
                TransportEffect::Added(transport) => self.transports.insert(transport.id),
                TransportEffect::Removed(id) => self.transports.remove(id),
                TransportEffect::LocalRestart(id) | TransportEffect::RemoteRestart(id) =>
                    self.transports.contains(id),
                TransportEffect::Moved(transport) => self.transports.contains(&transport.id),
                _ => false,
            });
        }
        let known = self.negotiator.transports();
        let known: BTreeSet<TransportId> = known.iter().map(|transport| transport.id).collect();
        assert_eq!(known, self.transports);
        if kind == DescriptionKind::Answer {
            self.finished = self.offer.take().map(|offer| [offer, text.to_vec()]);
            self.in_force = self.generation;
        }
        if let Some(negotiated) = self.negotiator.negotiated() {
            assert!(negotiated.sections.len() >= self.sections, "never removed");
            self.sections = negotiated.sections.len();
            for section in &negotiated.sections {
                assert_eq!(section.active, section.transport.is_some());
                assert!(
                    section
                        .transport
                        .is_none_or(|id| self.transports.contains(&id))
                );
            }
        }
    }

    fn roll_back(&mut self) {
        let before = self.negotiator.clone();
        match self.negotiator.rollback() {
            Ok(effects) => {
                self.offer = None;
                self.after(DescriptionKind::Offer, &[], &effects);
                assert_eq!(self.negotiator.state(), SignalingState::Stable);
            }
            Err(_) => assert!(self.negotiator == before),
        }
    }
}

/// Rules of groups, which the texts of the other side may break without harm: what is refused is in
/// none, and a plain negotiator knows of none.
fn is_of_the_other(error: NegotiationError, plain: bool) -> bool {
    use Violation::{ExtensionId, Group, PayloadType, RefusedInGroup, TwoGroups};
    match error {
        NegotiationError::Remote { rule, .. } if plain => {
            matches!(
                rule,
                RefusedInGroup | TwoGroups | Group | PayloadType | ExtensionId
            )
        }
        NegotiationError::Remote { rule, .. } => rule == RefusedInGroup,
        _ => false,
    }
}

const WORDS: [&str; 24] = [
    "0",
    "1",
    "2",
    "9",
    "96",
    "97",
    "111",
    "active",
    "passive",
    "actpass",
    "holdconn",
    "sendrecv",
    "sendonly",
    "recvonly",
    "inactive",
    "BUNDLE",
    "BUNDLE 0 1",
    "BUNDLE 1",
    "UDP/TLS/RTP/SAVPF",
    "RTP/AVP",
    "video",
    "audio",
    "application",
    "send",
];

const LINES: [&str; 16] = [
    "a=bundle-only",
    "a=rtcp-mux",
    "a=inactive",
    "a=ice-lite",
    "a=group:BUNDLE 0 1 2",
    "a=mid:0",
    "a=mid:3",
    "a=setup:active",
    "a=setup:passive",
    "a=ice-ufrag:other",
    "a=extmap:1 urn:x",
    "a=rtpmap:96 opus/48000/2",
    "a=simulcast:send hi",
    "a=rid:hi recv",
    "a=crypto:1 x y",
    "a=tls-id:abcdefghijklmnopqrstuvwxyz",
];

/// Changes a description as somebody on the way might.
fn mutate(text: &str, script: &mut Script<'_>) -> String {
    let mut lines: Vec<String> = text.lines().map(String::from).collect();
    for _ in 0..script.choose(4) {
        let at = script.choose(lines.len().min(255));
        match script.choose(7) {
            0 => drop(lines.remove(at)),
            1 => lines.insert(at, lines[at].clone()),
            2 => {
                let other = script.choose(lines.len());
                lines.swap(at, other);
            }
            3 => lines.insert(at, LINES[script.choose(LINES.len())].into()),
            // A section is lost, or stands twice.
            4 | 5 => {
                let is_section = |line: &&String| line.starts_with("m=");
                let starts: Vec<usize> = (0..lines.len())
                    .filter(|at| is_section(&&lines[*at]))
                    .collect();
                let which = script.choose(starts.len());
                if let Some(start) = starts.get(which) {
                    let end = starts.get(which + 1).copied().unwrap_or(lines.len());
                    let section: Vec<String> = lines[*start..end].to_vec();
                    if script.choose(2) == 0 {
                        lines.drain(*start..end);
                    } else {
                        lines.extend(section);
                    }
                }
            }
            _ => {
                let mut words: Vec<&str> =
                    lines[at].split_inclusive([' ', ':', '/', '=']).collect();
                let which = script.choose(words.len());
                let word = WORDS[script.choose(WORDS.len())];
                let end = words[which]
                    .chars()
                    .last()
                    .filter(|end| !end.is_alphanumeric());
                let word = format!("{word}{}", end.map(String::from).unwrap_or_default());
                words[which] = &word;
                lines[at] = words.concat();
            }
        }
        if lines.is_empty() {
            break;
        }
    }
    lines.push(String::new());
    lines.join("\r\n")
}

/// What must hold of two negotiators, whatever happens between them.
pub(crate) fn run(script: &[u8]) {
    use DescriptionKind::{Answer, Offer, Pranswer};
    let mut script = Script(script);
    let choices = [script.choose(24), script.choose(24)];
    let mut sides = [Side::new(1, choices[0]), Side::new(2, choices[1])];
    for _ in 0..40 {
        let Some(choice) = script.next() else {
            break;
        };
        let (me, other) = (choice % 2, 1 - choice % 2);
        match choice / 2 % 16 {
            0..=2 => sides[me].say(Offer),
            3..=5 => sides[me].say(Answer),
            6 => sides[me].say(Pranswer),
            7..=9 => {
                let (kind, text) = sides[other].said.clone();
                sides[me].hear(kind, text.as_bytes());
            }
            10..=12 if !sides[other].said.1.is_empty() => {
                let (kind, text) = sides[other].said.clone();
                let text = mutate(&text, &mut script);
                sides[me].hear(kind, text.as_bytes());
            }
            13 => sides[me].roll_back(),
            14 => {
                let section = [audio, video, data][script.choose(3)]();
                if sides[me].sections < 12 {
                    let _ = sides[me].negotiator.add_section(section);
                }
                let which = script.choose(6);
                let _ = sides[me].negotiator.stop_section(which);
            }
            15 => sides[me].generation += 1,
            // A whole exchange, with a text that somebody has changed.
            _ => {
                sides[me].say(Offer);
                for _ in 0..2 {
                    let (kind, text) = sides[me].said.clone();
                    let text = mutate(&text, &mut script);
                    sides[other].hear(kind, text.as_bytes());
                    sides[other].say(Answer);
                    let (kind, text) = sides[other].said.clone();
                    sides[me].hear(kind, text.as_bytes());
                }
            }
        }
    }
}
