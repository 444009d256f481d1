//! Two negotiators, and every order of what their owners may do, with messages on the way that cross
//! each other: to depth 8 on one transport, to depth 7 on several.

mod common;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};

use common::{audio, data, video};
use floe_sdp::ice::IceCredentials;
use floe_sdp::{
    BundlePolicy, DescriptionKind, Direction, DtlsIdentity, Effects, Fingerprint, Glare,
    LocalTransport, LocalTransports, Misuse, Negotiated, NegotiationError, Negotiator,
    NegotiatorConfig, Profile, SectionConfig, SectionEffect, Setup, SignalingState,
    TransportEffect, TransportId, check_answer, check_exchange, check_reoffer,
};

/// Acts, from the start and again from behind a first exchange.
const DEPTH: usize = 8;

/// What an owner may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Act {
    Offer,
    Pranswer,
    Answer,
    Rollback,
    /// Takes the next message.
    Receive,
    /// One more section.
    Add,
    /// Ends its first section.
    Stop,
    /// New ICE credentials from the next offer on.
    Restart,
}

const ACTS: [Act; 8] = [
    Act::Offer,
    Act::Pranswer,
    Act::Answer,
    Act::Rollback,
    Act::Receive,
    Act::Add,
    Act::Stop,
    Act::Restart,
];

/// What is on the way to one side. An offer says which exchange it follows, an answer which offer
/// it answers: what belongs to nothing that the other side knows, signalling drops.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Message {
    Offer(String, Option<[String; 2]>),
    Pranswer(String, String),
    Answer(String, String),
    Rollback,
}

/// Credentials of every transport in every generation.
#[derive(Clone)]
struct Identity {
    credentials: Vec<Vec<IceCredentials>>,
    dtls: DtlsIdentity,
}

impl Identity {
    fn new(side: usize) -> Self {
        let one = |generation: usize, id: usize| {
            let pwd = format!("0123456789abcdef0123{side}{generation}{id:02}");
            IceCredentials::new(&format!("uf{side}g{generation}t{id}"), &pwd).unwrap()
        };
        let generation = |generation| (0..40).map(|id| one(generation, id)).collect();
        Self {
            credentials: (0..DEPTH + 2).map(generation).collect(),
            dtls: DtlsIdentity {
                fingerprints: vec![Fingerprint::sha256([side as u8; 32])],
                setup: Setup::Actpass,
                tls_id: None,
            },
        }
    }
}

struct Local<'a>(&'a Identity, usize);

impl<'a> LocalTransports<'a> for Local<'a> {
    fn transport(&self, id: TransportId) -> LocalTransport<'a> {
        LocalTransport {
            credentials: Some(&self.0.credentials[self.1][id.number() as usize]),
            pacing: None,
            candidates: &[],
            end_of_candidates: false,
            dtls: Some(&self.0.dtls),
            lite: false,
            ice_options: &[],
            remote_candidate: None,
            address: None,
        }
    }
}

#[derive(Clone)]
struct Side {
    negotiator: Negotiator,
    /// Credentials of the next offer, and those of the last exchange.
    generation: usize,
    in_force: usize,
    /// Offer and answer of the last exchange, and of the one under way.
    finished: Option<[String; 2]>,
    offer: Option<String>,
    /// Transports, by what effects have said of them.
    transports: BTreeSet<TransportId>,
    /// Sections in use, the same way.
    sections: BTreeSet<u16>,
    spent: BTreeSet<Act>,
    inbox: VecDeque<Message>,
}

#[derive(Clone)]
struct World {
    sides: [Side; 2],
}

/// How often what is to be proven has happened.
type Counts = BTreeMap<&'static str, u64>;

struct Walk<'a> {
    identities: [&'a Identity; 2],
    more: [SectionConfig; 2],
    /// Worlds, and how far from each the walk has gone.
    seen: HashMap<u64, usize>,
    counts: Counts,
}

fn count(counts: &mut Counts, what: &'static str) {
    *counts.entry(what).or_default() += 1;
}

/// A text without its version, which grows with every text that is made.
fn hash(text: Option<&str>, key: &mut DefaultHasher) {
    for line in text.unwrap_or_default().lines() {
        match line.strip_prefix("o=") {
            Some(origin) => origin.split(' ').nth(1).hash(key),
            None => line.hash(key),
        }
    }
    text.is_some().hash(key);
}

fn remote_text(negotiator: &Negotiator) -> Option<&str> {
    std::str::from_utf8(negotiator.remote_description()?).ok()
}

impl Side {
    fn new(config: NegotiatorConfig) -> Self {
        Self {
            negotiator: Negotiator::new(config).unwrap(),
            generation: 0,
            in_force: 0,
            finished: None,
            offer: None,
            transports: BTreeSet::new(),
            sections: BTreeSet::new(),
            spent: BTreeSet::new(),
            inbox: VecDeque::new(),
        }
    }

    /// All that matters of it from here on.
    fn hash(&self, key: &mut DefaultHasher) {
        let negotiator = &self.negotiator;
        negotiator.state().to_string().hash(key);
        for text in [negotiator.local_description(), remote_text(negotiator)] {
            hash(text, key);
        }
        for text in self.finished.iter().flatten() {
            hash(Some(text), key);
        }
        (self.generation, self.in_force).hash(key);
        format!("{:?}", self.spent).hash(key);
        for message in &self.inbox {
            std::mem::discriminant(message).hash(key);
            if let Message::Offer(text, _) | Message::Pranswer(text, _) | Message::Answer(text, _) =
                message
            {
                hash(Some(text), key);
            }
        }
    }

    /// What effects say is what is there.
    fn apply(&mut self, effects: &Effects, counts: &mut Counts) {
        for effect in &effects.transports {
            let fits = match effect {
                TransportEffect::Added(transport) => self.transports.insert(transport.id),
                TransportEffect::Removed(id) => self.transports.remove(id),
                TransportEffect::LocalRestart(id) | TransportEffect::RemoteRestart(id) => {
                    count(counts, "restart");
                    self.transports.contains(id)
                }
                TransportEffect::Moved(transport) => {
                    count(counts, "moved");
                    self.transports.contains(&transport.id)
                }
                other => panic!("{other:?}"),
            };
            assert!(fits, "{effect:?} of {:?}", self.transports);
        }
        for effect in &effects.sections {
            let fits = match effect {
                SectionEffect::Started(index) => self.sections.insert(*index),
                SectionEffect::Recycled(index) => {
                    count(counts, "recycled");
                    self.sections.insert(*index)
                }
                SectionEffect::Stopped(index) => {
                    count(counts, "stopped");
                    self.sections.remove(index)
                }
                SectionEffect::Direction(index, _)
                | SectionEffect::Transport(index, _)
                | SectionEffect::Formats(index) => self.sections.contains(index),
                other => panic!("{other:?}"),
            };
            assert!(fits, "{effect:?} of {:?}", self.sections);
        }
        let known: BTreeSet<_> = self
            .negotiator
            .transports()
            .iter()
            .map(|it| it.id)
            .collect();
        assert_eq!(known, self.transports);
        let result = self
            .negotiator
            .provisional()
            .or_else(|| self.negotiator.negotiated());
        let sections = result.map(|result| result.sections).unwrap_or_default();
        let active = sections.iter().filter(|section| section.active);
        let active: BTreeSet<_> = active.map(|section| section.mline_index).collect();
        assert_eq!(active, self.sections);
    }

    fn previous(&self) -> Option<[&[u8]; 2]> {
        let texts = self.finished.as_ref()?;
        Some(texts.each_ref().map(String::as_bytes))
    }

    fn finish(&mut self, answer: &str) {
        self.finished = Some([self.offer.take().unwrap(), answer.to_string()]);
        // What was not negotiated is not in force; what is left of it is a restart to come.
        self.in_force = self.generation;
    }
}

impl Walk<'_> {
    /// Does it; `None` if it is not possible, and then nothing has changed.
    fn act(&mut self, world: &World, me: usize, act: Act) -> Option<World> {
        let mut next = world.clone();
        let [one, two] = &mut next.sides;
        let (side, other) = if me == 0 { (one, two) } else { (two, one) };
        let identity = self.identities[me];
        let counts = &mut self.counts;
        let unchanged = |side: &Side| {
            assert!(
                side.negotiator == world.sides[me].negotiator,
                "{act:?} refused"
            );
        };
        match act {
            Act::Add | Act::Stop | Act::Restart => {
                // Once each, and only where it can show.
                let stable = side.negotiator.state() == SignalingState::Stable;
                if !stable || !side.spent.insert(act) {
                    return None;
                }
                match act {
                    Act::Add => {
                        let section = self.more[me].clone();
                        side.negotiator.add_section(section).unwrap();
                    }
                    Act::Stop => side.negotiator.stop_section(0).unwrap(),
                    _ => side.generation += 1,
                }
            }
            Act::Offer => {
                let local = Local(identity, side.generation);
                let Ok(text) = side.negotiator.create_offer(&local) else {
                    unchanged(side);
                    return None;
                };
                if let Some(previous) = side.previous() {
                    if let Err(error) = check_reoffer(previous, text.as_bytes()) {
                        panic!("{error}\n{text}\nafter\n{:?}", side.finished);
                    }
                    count(counts, "checked reoffers");
                }
                let effects = side
                    .negotiator
                    .set_local(DescriptionKind::Offer, &text)
                    .unwrap();
                side.apply(&effects, counts);
                side.offer = Some(text.clone());
                other
                    .inbox
                    .push_back(Message::Offer(text, side.finished.clone()));
            }
            Act::Pranswer | Act::Answer => {
                let text = loop {
                    let local = Local(identity, side.generation);
                    match side.negotiator.create_answer(&local) {
                        Ok(text) => break text,
                        // The answer follows the offer.
                        Err(NegotiationError::Local(Misuse::RestartNeeded)) => side.generation += 1,
                        Err(NegotiationError::Local(Misuse::RestartNotOffered)) => {
                            side.generation = side.in_force;
                        }
                        Err(NegotiationError::State(_)) => {
                            unchanged(side);
                            return None;
                        }
                        Err(error) => panic!("{error}"),
                    }
                };
                let offer = side.offer.clone().unwrap();
                let checked = match side.previous() {
                    Some(previous) => check_exchange(previous, offer.as_bytes(), text.as_bytes()),
                    None => check_answer(offer.as_bytes(), text.as_bytes()),
                };
                if let Err(error) = checked {
                    panic!("{error}\n{offer}\n{text}\nafter\n{:?}", side.finished);
                }
                count(counts, "checked answers");
                let (kind, message) = if act == Act::Answer {
                    (
                        DescriptionKind::Answer,
                        Message::Answer(text.clone(), offer),
                    )
                } else {
                    count(counts, "provisional");
                    (
                        DescriptionKind::Pranswer,
                        Message::Pranswer(text.clone(), offer),
                    )
                };
                let effects = side.negotiator.set_local(kind, &text).unwrap();
                if act == Act::Answer {
                    side.finish(&text);
                }
                side.apply(&effects, counts);
                other.inbox.push_back(message);
            }
            Act::Rollback => {
                let mine = side.negotiator.state() == SignalingState::HaveLocalOffer;
                let Ok(effects) = side.negotiator.rollback() else {
                    unchanged(side);
                    return None;
                };
                count(counts, "rollback");
                side.offer = None;
                side.generation = side.in_force.max(side.generation);
                side.apply(&effects, counts);
                if mine {
                    other.inbox.push_back(Message::Rollback);
                }
            }
            Act::Receive => {
                let message = side.inbox.pop_front()?;
                self.receive(side, message);
            }
        }
        Some(next)
    }

    fn receive(&mut self, side: &mut Side, message: Message) {
        let before = side.negotiator.clone();
        let counts = &mut self.counts;
        match message {
            Message::Rollback => {
                if side.negotiator.state() == SignalingState::HaveRemoteOffer {
                    let effects = side.negotiator.rollback().unwrap();
                    side.offer = None;
                    side.apply(&effects, counts);
                    count(counts, "rollback by the other side");
                }
            }
            Message::Offer(_, previous) if side.finished != previous => {
                count(counts, "out of step");
            }
            Message::Offer(text, _) => {
                match side
                    .negotiator
                    .set_remote(DescriptionKind::Offer, text.as_bytes())
                {
                    Ok(remote) => {
                        if remote.effects.rolled_back {
                            count(counts, "glare resolved");
                        }
                        side.offer = Some(text);
                        side.apply(&remote.effects, counts);
                    }
                    Err(error) => {
                        if error == NegotiationError::Glare {
                            count(counts, "glare refused");
                        } else {
                            assert!(
                                matches!(error, NegotiationError::State(_)),
                                "{error}\n{text}"
                            );
                        }
                        assert!(side.negotiator == before);
                    }
                }
            }
            Message::Pranswer(text, offer) | Message::Answer(text, offer)
                if side.offer.as_deref() != Some(&offer) =>
            {
                // Of an offer that is gone; signalling drops it.
                let _ = text;
            }
            Message::Pranswer(text, _) => {
                let remote = side
                    .negotiator
                    .set_remote(DescriptionKind::Pranswer, text.as_bytes())
                    .unwrap_or_else(|error| panic!("{error}\n{text}"));
                side.apply(&remote.effects, counts);
            }
            Message::Answer(text, _) => {
                let remote = side
                    .negotiator
                    .set_remote(DescriptionKind::Answer, text.as_bytes())
                    .unwrap_or_else(|error| panic!("{error}\n{text}"));
                side.finish(&text);
                side.apply(&remote.effects, counts);
            }
        }
    }

    fn explore(&mut self, world: &World, depth: usize) {
        self.agree(world);
        if depth == 0 {
            return;
        }
        for me in 0..2 {
            for act in ACTS {
                let Some(next) = self.act(world, me, act) else {
                    continue;
                };
                count(&mut self.counts, "steps");
                let mut key = DefaultHasher::new();
                next.sides.iter().for_each(|side| side.hash(&mut key));
                let gone = self.seen.entry(key.finish()).or_default();
                if *gone < depth {
                    *gone = depth;
                    self.explore(&next, depth - 1);
                }
            }
        }
    }

    /// Where both sides have finished the same exchange, they say the same of it.
    fn agree(&mut self, world: &World) {
        let [one, two] = &world.sides;
        if one.finished.is_none() || one.finished != two.finished {
            return;
        }
        let (one, two) = (one.negotiator.negotiated(), two.negotiator.negotiated());
        let (Some(one), Some(two)) = (one, two) else {
            panic!("finished");
        };
        count(&mut self.counts, "agreements");
        if one.sections.iter().any(|section| !section.active) {
            count(&mut self.counts, "with a refused section");
        }
        mirrors(&one, &two);
    }
}

fn mirrors(one: &Negotiated, two: &Negotiated) {
    assert_ne!(one.local_offered, two.local_offered);
    assert_eq!(one.sections.len(), two.sections.len());
    for (one, two) in one.sections.iter().zip(&two.sections) {
        assert_eq!(
            (&one.mid, one.media, one.active),
            (&two.mid, two.media, two.active)
        );
        assert_eq!(one.direction, two.direction.reversed());
        let numbers = |codecs: &[floe_sdp::Codec]| -> BTreeSet<u8> {
            codecs.iter().map(|codec| codec.payload_type).collect()
        };
        assert_eq!(numbers(&one.codecs), numbers(&two.receive_codecs));
        assert_eq!(numbers(&two.codecs), numbers(&one.receive_codecs));
    }
    // The transports are the same, whatever numbers each side has for them.
    let places = |all: &Negotiated| -> Vec<u16> {
        let mut places: Vec<_> = all.transports.iter().map(|it| it.mline_index).collect();
        places.sort_unstable();
        places
    };
    assert_eq!(places(one), places(two));
    let role = |all: &Negotiated, place: u16| {
        let found = all.transports.iter().find(|it| it.mline_index == place);
        found.unwrap().dtls_role.unwrap()
    };
    for place in places(one) {
        assert_ne!(role(one, place), role(two, place));
    }
}

/// The policy of one side, and the profile and policy of the other.
fn walk(policies: [BundlePolicy; 2], profile: Profile, depth: usize) -> Counts {
    let identities = [Identity::new(0), Identity::new(1)];
    let config = |side: usize, sections, glare| NegotiatorConfig {
        bundle: policies[side],
        glare,
        ..NegotiatorConfig::new(side as u64, sections)
    };
    let impolite = config(
        0,
        vec![
            audio(Direction::SendRecv),
            video(Direction::SendRecv),
            data(),
        ],
        Glare::Impolite,
    );
    // Refuses video.
    let mut polite = config(1, vec![audio(Direction::RecvOnly)], Glare::Polite);
    polite.profile = profile;
    polite
        .accept
        .retain(|section| !matches!(section, SectionConfig::Video(_)));
    let world = World {
        sides: [Side::new(impolite), Side::new(polite)],
    };
    let mut walk = Walk {
        identities: [&identities[0], &identities[1]],
        more: [audio(Direction::SendRecv), video(Direction::SendOnly)],
        seen: HashMap::new(),
        counts: Counts::new(),
    };
    walk.explore(&world, depth);
    // And once more from where an exchange is behind, with a place that is free.
    let steps = [
        (0, Act::Offer),
        (1, Act::Receive),
        (1, Act::Answer),
        (0, Act::Receive),
    ];
    let world = steps.iter().fold(world, |world, (me, act)| {
        walk.act(&world, *me, *act).unwrap()
    });
    walk.explore(&world, depth);
    println!(
        "{policies:?} {profile:?}: {} worlds, {:?}",
        walk.seen.len(),
        walk.counts
    );
    walk.counts
}

fn proves(counts: &Counts, what: &[&str]) {
    for one in what {
        assert!(counts.contains_key(one), "{one} happens");
    }
}

const ALL: [&str; 12] = [
    "agreements",
    "checked answers",
    "checked reoffers",
    "glare refused",
    "glare resolved",
    "provisional",
    "recycled",
    "restart",
    "rollback",
    "rollback by the other side",
    "stopped",
    "with a refused section",
];

/// req: JSEP-3.2-1, JSEP-5.9-1, JSEP-5.7-1, JSEP-5.2.2-2, OA-4-4, BUNDLE-7.5-1
#[test]
fn every_order_of_acts_on_one_transport() {
    proves(
        &walk([BundlePolicy::MustBundle; 2], Profile::Jsep, DEPTH),
        &ALL,
    );
}

/// req: JSEP-4.1.1-4, JSEP-5.11-3, BUNDLE-7.4-1, JSEP-5.2.2-7, OA-8-5, JSEP-3.2-2
#[test]
fn every_order_of_acts_on_several_transports() {
    let policies = [BundlePolicy::MaxCompat, BundlePolicy::Balanced];
    proves(&walk(policies, Profile::Jsep, DEPTH - 1), &ALL);
}

/// The other side knows no bundles.
///
/// req: BUNDLE-7.4-2, GROUP-9.2-3, OA-8-6, OA-8.1-1
#[test]
fn every_order_of_acts_with_one_side_that_bundles_nothing() {
    let policies = [BundlePolicy::MaxCompat, BundlePolicy::Balanced];
    proves(&walk(policies, Profile::Rfc3264, DEPTH - 1), &ALL);
}
