//! What holds for any input and any order of calls.

mod common;

use common::*;
use floe_sdp::ice::IceCredentials;
use floe_sdp::{
    BundlePolicy, Direction, DtlsIdentity, Fingerprint, Limits, LocalTransport, Misuse,
    NegotiationError, Negotiator, NegotiatorConfig, Session, Setup, SignalingState, TransportId,
};
use proptest::collection::vec;
use proptest::prelude::*;

const OFFERS: [&[u8]; 5] = [
    include_bytes!("data/data-offer.sdp"),
    include_bytes!("data/audio-video-data-offer.sdp"),
    include_bytes!("data/recvonly-offer.sdp"),
    include_bytes!("data/simulcast-offer.sdp"),
    include_bytes!("data/data-answer.sdp"),
];

/// Reads a text in every way there is.
fn read_all(text: &[u8]) {
    if let Ok(session) = Session::parse(text) {
        assert_eq!(session.to_bytes(), text);
        for media in session.media() {
            for attribute in media.attributes().chain(session.attributes()) {
                let _ = attribute.value();
            }
        }
    }
    let mut negotiator = Negotiator::new(config(1, vec![])).unwrap();
    let before = format!("{negotiator:?}");
    if negotiator.set_remote(Offer, text).is_err() {
        assert_eq!(format!("{negotiator:?}"), before);
        assert!(negotiator.remote_description().is_none());
    } else {
        // Whatever is taken can be answered, and the own answer can be read.
        let mut owner = Owner::new(1, vec![]);
        owner.negotiator = negotiator;
        let answer = owner.answer();
        Session::parse(answer.as_bytes()).unwrap();
    }
}

/// One change of a text: a byte, a line cut out, doubled or moved, or a cut.
#[derive(Clone, Debug)]
enum Edit {
    Byte(prop::sample::Index, u8),
    Remove(prop::sample::Index),
    Double(prop::sample::Index),
    Swap(prop::sample::Index, prop::sample::Index),
    Truncate(prop::sample::Index),
}

fn edit() -> impl Strategy<Value = Edit> {
    use prop::sample::Index;
    prop_oneof![
        (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Edit::Byte(at, byte)),
        (
            any::<Index>(),
            prop::sample::select(b"0129 :/=-\r\nam".to_vec())
        )
            .prop_map(|(at, byte)| Edit::Byte(at, byte)),
        any::<Index>().prop_map(Edit::Remove),
        any::<Index>().prop_map(Edit::Double),
        (any::<Index>(), any::<Index>()).prop_map(|(one, other)| Edit::Swap(one, other)),
        any::<Index>().prop_map(Edit::Truncate),
    ]
}

fn apply(text: &[u8], edits: &[Edit]) -> Vec<u8> {
    let mut text = text.to_vec();
    for edit in edits {
        if text.is_empty() {
            break;
        }
        let mut lines: Vec<Vec<u8>> = text
            .split_inclusive(|&byte| byte == b'\n')
            .map(<[u8]>::to_vec)
            .collect();
        match edit {
            Edit::Byte(at, byte) => {
                let at = at.index(text.len());
                text[at] = *byte;
                continue;
            }
            Edit::Truncate(at) => {
                text.truncate(at.index(text.len()));
                continue;
            }
            Edit::Remove(at) => {
                lines.remove(at.index(lines.len()));
            }
            Edit::Double(at) => {
                let at = at.index(lines.len());
                lines.insert(at, lines[at].clone());
            }
            Edit::Swap(one, other) => {
                let (one, other) = (one.index(lines.len()), other.index(lines.len()));
                lines.swap(one, other);
            }
        }
        text = lines.concat();
    }
    text
}

/// A call on one of two owners.
#[derive(Clone, Copy, Debug)]
enum Call {
    CreateOffer,
    CreateAnswer,
    SetLocal(u8),
    SetRemote(u8),
    Rollback,
    Restart(u8),
    AddSection,
    /// A whole exchange, as far as it goes from where both stand.
    Exchange,
}

fn call() -> impl Strategy<Value = (bool, Call)> {
    let call = prop_oneof![
        4 => Just(Call::CreateOffer),
        4 => Just(Call::CreateAnswer),
        6 => (0..3u8).prop_map(Call::SetLocal),
        6 => (0..3u8).prop_map(Call::SetRemote),
        1 => Just(Call::Rollback),
        1 => any::<u8>().prop_map(Call::Restart),
        1 => Just(Call::AddSection),
        3 => Just(Call::Exchange),
    ];
    (any::<bool>(), call)
}

fn try_exchange(from: &mut Owner, to: &mut Owner) -> Result<(), NegotiationError> {
    let offer = from.create_offer()?;
    from.negotiator.set_local(Offer, &offer)?;
    to.take(Offer, &offer)?;
    // The answerer follows a restart, and keeps what it has otherwise.
    let answer = match to.create_answer() {
        Err(NegotiationError::Local(Misuse::RestartNeeded)) => {
            to.restart(&format!("{:03}r", offer.len() % 1000));
            to.create_answer()?
        }
        other => other?,
    };
    to.negotiator.set_local(Answer, &answer)?;
    from.take(Answer, &answer)?;
    let (here, there) = (from.negotiator.negotiated(), to.negotiator.negotiated());
    let (Some(here), Some(there)) = (here, there) else {
        panic!("finished")
    };
    assert_eq!(here.sections.len(), there.sections.len());
    for (here, there) in here.sections.iter().zip(&there.sections) {
        assert_eq!(
            (&here.mid, here.active, here.media),
            (&there.mid, there.active, there.media)
        );
        assert_eq!(here.direction, there.direction.reversed());
    }
    assert!(here.dtls_role() != there.dtls_role() || here.dtls_role().is_none());
    Ok(())
}

type Shown = (
    SignalingState,
    Option<String>,
    Option<Vec<u8>>,
    Option<floe_sdp::Negotiated>,
);

fn shown(owner: &Owner) -> Shown {
    let negotiator = &owner.negotiator;
    (
        negotiator.state(),
        negotiator.local_description().map(String::from),
        negotiator.remote_description().map(Vec::from),
        negotiator.negotiated(),
    )
}

proptest! {
    /// req: JSEP-8-1, SDP-7-1
    #[test]
    fn any_bytes_are_read_without_panic(text in vec(any::<u8>(), 0..400)) {
        read_all(&text);
    }

    /// req: JSEP-8-1, SDP-7-1
    #[test]
    fn changed_descriptions_are_read_without_panic(which in 0..OFFERS.len(), edits in vec(edit(), 0..4)) {
        read_all(&apply(OFFERS[which], &edits));
    }

    /// req: JSEP-5.9-1, OA-4-1
    #[test]
    fn any_order_of_calls_keeps_the_promises(calls in vec(call(), 0..60)) {
        let mut owners = [
            Owner::new(1, vec![data()]),
            Owner::new(2, vec![audio(Direction::SendRecv), data()]),
        ];
        // What each side has created last, and set last: what the other gets.
        let mut created = [String::new(), String::new()];
        let mut sent = [String::new(), String::new()];
        for (who, call) in calls {
            let (me, other) = (usize::from(who), usize::from(!who));
            let kind = |number: u8| [Offer, Pranswer, Answer][usize::from(number)];
            if let Call::Exchange = call {
                let [one, two] = &mut owners;
                let (from, to) = if who { (two, one) } else { (one, two) };
                let _ = try_exchange(from, to);
                continue;
            }
            let owner = &mut owners[me];
            let before = shown(owner);
            let done = match call {
                Call::CreateOffer => owner.create_offer().map(|text| created[me] = text).is_ok(),
                Call::CreateAnswer => owner.create_answer().map(|text| created[me] = text).is_ok(),
                Call::SetLocal(number) => {
                    let result = owner.negotiator.set_local(kind(number), &created[me]);
                    result.map(|_| sent[me].clone_from(&created[me])).is_ok()
                }
                Call::SetRemote(number) => owner.take(kind(number), &sent[other]).is_ok(),
                Call::Rollback => owner.negotiator.rollback().is_ok(),
                Call::Restart(number) => {
                    owner.restart(&format!("{number:03}"));
                    true
                }
                Call::Exchange => unreachable!("handled above"),
                Call::AddSection => owner.negotiator.add_section(audio(Direction::SendRecv)).is_ok(),
            };
            let after = shown(owner);
            let sets = matches!(call, Call::SetLocal(_) | Call::SetRemote(_) | Call::Rollback);
            if !done || !sets {
                prop_assert_eq!(&before, &after, "a refused call, or one that only creates, changes nothing");
            }
            if let Some(negotiated) = &after.3 {
                let active = negotiated.sections.iter().any(|section| section.active);
                prop_assert_eq!(active, negotiated.dtls_role().is_some());
                let least = before.3.as_ref().map_or(0, |before| before.sections.len());
                prop_assert!(negotiated.sections.len() >= least, "sections are never removed");
            }
            if after.0 != SignalingState::Stable {
                prop_assert_eq!(&before.3, &after.3, "only the end of an exchange has results");
            }
        }
    }
}

/// The index holds every line once, however lines fall into sections.
#[test]
fn the_index_holds_every_line_once() {
    let head = "v=0\no=- 1 1 IN IP4 0.0.0.0\ns=-\nc=IN IP4 192.0.2.1\nt=0 0\n";
    for sections in [1, 10, 200] {
        let text = head.to_string() + &"m=a 9 b c\na=x\na=sendrecv\n".repeat(sections);
        let session = Session::parse(text.as_bytes()).unwrap();
        assert_eq!(
            session.lines().map(|line| line.raw().len()).sum::<usize>(),
            text.len()
        );
        let in_sections: usize = session.media().map(|media| media.lines().len()).sum();
        assert_eq!(
            (session.lines().len(), in_sections),
            (5 + 3 * sections, 3 * sections)
        );
    }
}

/// Far beyond the default limits, in the places where quadratic readers hide: many sections that
/// inherit from a long session level, a long group, many formats with many maps. Work that grew
/// with the square of any of these would be tens of billions of steps.
#[test]
fn a_huge_offer_is_read_and_answered_as_any_other() {
    let count = 60_000;
    let mut text = String::from(
        "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\na=group:BUNDLE",
    );
    let mids = |start: usize, line: fn(usize) -> String| {
        (start..count).map(line).collect::<Vec<_>>().concat()
    };
    text += &mids(0, |mid| format!(" {mid}"));
    text += "\r\na=ice-ufrag:abcd\r\na=ice-pwd:0123456789012345678901\r\na=setup:actpass\r\na=fingerprint:sha-256 ";
    text += &vec!["00"; 32].join(":");
    text += "\r\n";
    text += &"a=x:y\r\n".repeat(count);
    text += "m=audio 9 UDP/TLS/RTP/SAVPF";
    text += &" 111".repeat(count);
    text += "\r\na=mid:0\r\na=rtcp-mux\r\n";
    text += &"a=rtpmap:111 opus/48000/2\r\na=fmtp:111 x=y\r\n".repeat(count);
    text += &mids(1, |mid| {
        let line = "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=sctp-port:5000\r\na=mid:";
        format!("{line}{mid}\r\n")
    });
    let mut config = config(1, vec![]);
    assert!(
        Negotiator::new(config.clone())
            .unwrap()
            .set_remote(Offer, text.as_bytes())
            .is_err()
    );
    config.limits = Limits::NONE;
    let mut owner = Owner::with(config);
    let remote = owner.take(Offer, &text).unwrap();
    assert_eq!(remote.sections.len(), count);
    assert_eq!(remote.sections[0].codecs.len(), 1);
    owner.answer();
    assert!(
        owner
            .negotiator
            .negotiated()
            .unwrap()
            .sections
            .iter()
            .all(|section| section.active)
    );
}

/// The same where every section has a transport of its own, which no default limit would let through.
#[test]
fn a_huge_offer_of_as_many_transports_is_answered_too() {
    let count = 20_000;
    let pwd = "0123456789abcdef012345";
    let known: Vec<IceCredentials> = (0..count)
        .map(|number| IceCredentials::new(&format!("uf{number:05}"), pwd).unwrap())
        .collect();
    let dtls = DtlsIdentity {
        fingerprints: vec![Fingerprint::sha256([7; 32])],
        setup: Setup::Actpass,
        tls_id: None,
    };
    let transport = |id: TransportId| LocalTransport {
        credentials: known.get(id.number() as usize),
        pacing: None,
        candidates: &[],
        end_of_candidates: false,
        dtls: Some(&dtls),
        lite: false,
        ice_options: &[],
        remote_candidate: None,
        address: None,
    };
    let negotiator = |id, sections| {
        Negotiator::new(NegotiatorConfig {
            bundle: BundlePolicy::MaxCompat,
            limits: Limits::NONE,
            ..NegotiatorConfig::new(id, sections)
        })
        .unwrap()
    };
    let mut alice = negotiator(1, vec![data(); count]);
    let mut bob = negotiator(2, vec![]);
    let offer = alice.create_offer(&transport).unwrap();
    let added = alice.set_local(Offer, &offer).unwrap();
    assert_eq!(added.transports.len(), count);
    // Once in one bundle, and once as if there were none.
    let apart: String = offer
        .split_inclusive('\n')
        .filter(|line| !line.contains("BUNDLE"))
        .collect();
    for (text, transports) in [(&offer, 1), (&apart, count)] {
        let mut bob = bob.clone();
        let remote = bob.set_remote(Offer, text.as_bytes()).unwrap();
        assert_eq!(remote.transports.len(), transports);
        let answer = bob.create_answer(&transport).unwrap();
        bob.set_local(Answer, &answer).unwrap();
        let mut alice = alice.clone();
        let remote = alice.set_remote(Answer, answer.as_bytes()).unwrap();
        assert_eq!(remote.effects.sections.len(), count);
        assert_eq!(alice.transports().len(), transports);
        alice.create_offer(&transport).unwrap();
    }
    let refused = bob.set_remote(Answer, offer.as_bytes());
    assert!(refused.is_err());
}
