//! Any text, any candidate, any datagram: an answer or a typed refusal, never a panic, and what is
//! refused has no effect.

mod common;

use common::*;
use floe_peer::{Connection, DescriptionKind, Event, IceCandidate, State};
use floe_sansio::{FiveTuple, HEADROOM, Input, Instant, TAILROOM};
use floe_sdp::{Session, SignalingState};
use proptest::prelude::*;
use proptest::sample::Index;

const PARTS: [&str; 4] = [
    "offer.sdp",
    "offer-trickle.sdp",
    "restart-offer.sdp",
    "answer.sdp",
];

/// When the connections have done what they could.
const LATER: Instant = Instant::from_secs(1003);

/// One change of a text; indexes count from its beginning and wrap around.
#[derive(Clone, Debug)]
enum Change {
    FlipBit(Index, u8),
    SetByte(Index, u8),
    Truncate(Index),
    DropLine(Index),
    RepeatLine(Index),
    SwapLines(Index, Index),
    /// The digits at this place or behind it become another number.
    Number(Index, u64),
    Insert(Index, String),
}

impl Change {
    fn any() -> impl Strategy<Value = Self> {
        let at = any::<Index>;
        let numbers = prop_oneof![
            Just(0),
            Just(9),
            Just(65_535),
            Just(65_536),
            Just(u64::from(u32::MAX)),
            Just(u64::MAX),
            any::<u64>()
        ];
        let lines = prop_oneof![
            Just("a=ice-lite\r\n".to_string()),
            Just("a=bundle-only\r\n".to_string()),
            Just("a=end-of-candidates\r\n".to_string()),
            Just("a=ice-pacing:0\r\n".to_string()),
            Just("a=ice-pacing:9999999999\r\n".to_string()),
            Just("a=inactive\r\n".to_string()),
            Just("a=setup:holdconn\r\n".to_string()),
            Just("a=group:BUNDLE\r\n".to_string()),
            Just("a=group:BUNDLE 0\r\n".to_string()),
            Just("a=candidate:1 1 udp 2130706431 192.0.2.2 2000 typ host\r\n".to_string()),
            Just("a=candidate:1 1 UDP 0 :: 0 typ host\r\n".to_string()),
            Just("m=audio 9 UDP/TLS/RTP/SAVPF 0\r\n".to_string()),
            Just("m=application 0 UDP/DTLS/SCTP webrtc-datachannel\r\n".to_string()),
            "\\PC{0,20}",
        ];
        prop_oneof![
            1 => (at(), 0..8_u8).prop_map(|(at, bit)| Self::FlipBit(at, bit)),
            1 => (at(), any::<u8>()).prop_map(|(at, byte)| Self::SetByte(at, byte)),
            1 => at().prop_map(Self::Truncate),
            3 => at().prop_map(Self::DropLine),
            1 => at().prop_map(Self::RepeatLine),
            1 => (at(), at()).prop_map(|(one, two)| Self::SwapLines(one, two)),
            3 => (at(), numbers).prop_map(|(at, number)| Self::Number(at, number)),
            3 => (at(), lines).prop_map(|(at, line)| Self::Insert(at, line)),
        ]
    }

    fn apply(&self, text: &mut Vec<u8>) {
        if text.is_empty() {
            return;
        }
        let mut lines: Vec<Vec<u8>> = text
            .split_inclusive(|byte| *byte == b'\n')
            .map(<[u8]>::to_vec)
            .collect();
        let (count, length) = (lines.len(), text.len());
        match self {
            Self::FlipBit(at, bit) => text[at.index(length)] ^= 1 << bit,
            Self::SetByte(at, byte) => text[at.index(length)] = *byte,
            Self::Truncate(at) => text.truncate(at.index(length)),
            Self::Number(at, number) => {
                let digit = |byte: &u8| byte.is_ascii_digit();
                let from = at.index(length);
                if let Some(start) = text[from..].iter().position(digit) {
                    let start = from + start;
                    let digits = text[start..].iter().take_while(|byte| digit(byte)).count();
                    text.splice(start..start + digits, number.to_string().into_bytes());
                }
            }
            Self::DropLine(at) => {
                lines.remove(at.index(count));
                *text = lines.concat();
            }
            Self::RepeatLine(at) => {
                let line = lines[at.index(count)].clone();
                lines.insert(at.index(count), line);
                *text = lines.concat();
            }
            Self::SwapLines(one, two) => {
                lines.swap(one.index(count), two.index(count));
                *text = lines.concat();
            }
            Self::Insert(at, line) => {
                lines.insert(at.index(count), line.clone().into_bytes());
                *text = lines.concat();
            }
        }
    }
}

fn changed(mut text: Vec<u8>, changes: &[Change]) -> Vec<u8> {
    for change in changes {
        change.apply(&mut text);
    }
    text
}

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

fn kind() -> impl Strategy<Value = DescriptionKind> {
    prop_oneof![Just(Offer), Just(Pranswer), Just(Answer)]
}

/// Connections in many states: new, having offered, having been offered, checking, connected.
fn connections() -> Vec<Connection> {
    let new = connection(HERE, 1, vec![data()]);
    let mut offering = connection(HERE, 1, offered("audio-video-data"));
    let offer = offering.create_offer(NOW).unwrap();
    offering.set_local_description(NOW, Offer, &offer).unwrap();
    let mut asked = connection(HERE, 1, vec![]);
    asked
        .set_remote_description(NOW, Offer, sample("data-offer.sdp").as_bytes())
        .unwrap();
    let mut pair = Pair::new(vec![data()], vec![data()]);
    pair.exchange(0);
    pair.settle();
    pair.assert_works();
    let [connected, _] = pair.peers;
    vec![new, offering, asked, checking(), connected]
}

/// It has answered a browser.
fn checking() -> Connection {
    let mut peer = connection(HERE, 1, vec![]);
    peer.set_remote_description(NOW, Offer, sample("data-offer.sdp").as_bytes())
        .unwrap();
    let answer = peer.create_answer(NOW).unwrap();
    peer.set_local_description(NOW, Answer, &answer).unwrap();
    peer
}

/// The connection goes on for some minutes, whatever it was told.
fn live_on(peer: &mut Connection) {
    for _ in 0..2000 {
        while peer.poll_transmit().is_some() {}
        while peer.poll_event().is_some() {}
        let Some(at) = peer.poll_timeout() else { break };
        peer.handle_timeout(at);
        assert!(peer.poll_timeout().is_none_or(|next| next > at));
    }
    assert!(peer.retained() <= 400);
}

/// A description is taken or has no effect; if it is taken, the exchange can be finished.
fn describe(peer: &mut Connection, kind: DescriptionKind, text: &[u8]) {
    while peer.poll_event().is_some() {}
    let now = LATER;
    let before = looks(peer);
    if peer.set_remote_description(now, kind, text).is_err() {
        assert_eq!(looks(peer), before);
        assert_eq!(peer.poll_event(), None);
        return;
    }
    match peer.signaling_state() {
        SignalingState::HaveRemoteOffer => {
            let answer = peer.create_answer(now).unwrap();
            let sections = Session::parse(answer.as_bytes()).unwrap().media().len();
            assert_eq!(sections, Session::parse(text).unwrap().media().len());
            peer.set_local_description(now, Answer, &answer).unwrap();
        }
        SignalingState::HaveRemotePranswer => {
            // A provisional answer may take less than an answer has to.
            let _ = peer.set_remote_description(now, Answer, text);
        }
        _ => {}
    }
    let again = peer.create_offer(now);
    assert!(again.is_ok() || peer.signaling_state() != SignalingState::Stable);
    live_on(peer);
}

proptest! {
    #![proptest_config(config(96))]

    #[test]
    fn any_bytes_as_a_description(
        kind in kind(),
        bytes in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..300),
            "(v=0\r\n|o=- 1 1 IN IP4 0.0.0.0\r\n|s=-\r\n|t=0 0\r\n|m=audio 9 UDP/TLS/RTP/SAVPF 0\r\n|a=mid:0\r\n|a=\\PC{0,9}\r\n){0,30}"
                .prop_map(String::into_bytes),
        ],
    ) {
        for mut peer in connections() {
            describe(&mut peer, kind, &bytes);
        }
    }

    #[test]
    fn changed_descriptions_of_a_browser(
        kind in kind(),
        scenario in prop::sample::select(&SCENARIOS[..]),
        part in prop::sample::select(&PARTS[..]),
        changes in prop::collection::vec(Change::any(), 1..4),
    ) {
        let text = changed(sample_bytes(&format!("{scenario}-{part}")), &changes);
        for mut peer in connections() {
            describe(&mut peer, kind, &text);
        }
    }

    /// Our own texts, changed on the way: these come through more often.
    #[test]
    fn changed_descriptions_of_a_peer(changes in prop::collection::vec(Change::any(), 1..4)) {
        let mut pair = Pair::new(offered("audio-video-data"), vec![]);
        for peer in &mut pair.peers {
            peer.gather(NOW);
        }
        let [here, there] = &mut pair.peers;
        let offer = here.create_offer(NOW).unwrap();
        here.set_local_description(NOW, Offer, &offer).unwrap();
        let mut other = connection(THERE, 3, vec![]);
        describe(&mut other, Offer, &changed(offer.clone().into_bytes(), &changes));
        there.set_remote_description(NOW, Offer, offer.as_bytes()).unwrap();
        let answer = there.create_answer(NOW).unwrap();
        there.set_local_description(NOW, Answer, &answer).unwrap();
        describe(here, Answer, &changed(answer.into_bytes(), &changes));
    }

    #[test]
    fn any_text_as_an_own_description(kind in kind(), text in "\\PC{0,40}") {
        for mut peer in connections() {
            let before = looks(&peer);
            peer.set_local_description(NOW, kind, &text).unwrap_err();
            prop_assert_eq!(looks(&peer), before);
        }
    }

    #[test]
    fn any_candidate(
        text in prop_oneof![
            "\\PC{0,80}",
            "candidate:[a-z0-9+/]{0,40} [0-9]{1,4} (udp|tcp|UDP|x) [0-9]{1,11} [0-9a-f.:]{1,20} [0-9]{1,6} typ (host|srflx|prflx|relay|x)( raddr [0-9.]{0,9} rport [0-9]{0,6})?( ufrag 4UuL)?",
        ],
        changes in prop::collection::vec(Change::any(), 0..3),
        mid in prop::option::of("[0-2]|\\PC{0,3}"),
        index in prop::option::of(prop_oneof![0..3_u16, any::<u16>()]),
        ufrag in prop::option::of("4UuL|\\PC{0,5}"),
        real in prop::option::of(0..6_usize),
    ) {
        let text = real.map_or(text, |at| sample_candidates("audio-video-data")[at].candidate.clone());
        let text = changed(text.into_bytes(), &changes);
        let candidate = IceCandidate {
            candidate: String::from_utf8_lossy(&text).into_owned(),
            sdp_mid: mid,
            sdp_mline_index: index,
            username_fragment: ufrag,
        };
        for mut peer in connections() {
            while peer.poll_event().is_some() {}
            let now = LATER;
            let before = looks(&peer);
            match peer.add_ice_candidate(now, &candidate) {
                Err(_) => {
                    prop_assert_eq!(looks(&peer), before);
                    prop_assert_eq!(peer.poll_event(), None);
                }
                Ok(()) => live_on(&mut peer),
            }
        }
    }

    #[test]
    fn any_range_to_send(length in 0..200_usize, start in 0..300_usize, end in 0..300_usize) {
        for mut peer in connections() {
            let before = looks(&peer);
            let mut buffer = vec![7; length];
            let connected = peer.ice_state() == State::Completed;
            match peer.send(&mut buffer, start..end) {
                Ok(route) => {
                    prop_assert!(connected);
                    prop_assert_eq!(route.range(), start..end);
                }
                Err(_) => prop_assert!(!connected || start > end || end > length),
            }
            prop_assert_eq!(looks(&peer), before);
        }
    }
}

/// All packets of a connection's beginning, as the side sees them to which they go.
fn own_packets() -> Vec<(FiveTuple, Vec<u8>)> {
    let mut pair = Pair::new(vec![data()], vec![]);
    pair.exchange(0);
    pair.settle();
    pair.sent
        .into_iter()
        .map(|(path, bytes)| (path.mirrored(), bytes))
        .collect()
}

proptest! {
    #![proptest_config(config(64))]

    /// From anywhere, to any address of the host, to a connection that is new, checking, connected,
    /// or closed: dropped without effect, or answered; data only from the peer.
    #[test]
    fn any_datagrams(
        datagrams in prop::collection::vec(
            (
                prop_oneof![
                    prop::collection::vec(any::<u8>(), 0..80).prop_map(Ok),
                    (any::<Index>(), any::<bool>()).prop_map(Err),
                ],
                prop::collection::vec(Change::any(), 0..3),
                any::<bool>(),
                prop_oneof![Just(None), any::<(std::net::IpAddr, u16)>().prop_map(Some)],
            ),
            1..40,
        ),
    ) {
        let (own, foreign) = (own_packets(), captured());
        let mut peers = connections();
        let mut closed = connection(HERE, 1, vec![data()]);
        closed.close(NOW);
        peers.push(closed);
        for peer in &mut peers {
            let now = LATER;
            peer.handle_timeout(now);
            // Where the peer is, or a check of its came from: these are whole packets too.
            let mut heard: Vec<_> = peer.selected().map(|pair| pair.remote.address).into_iter().collect();
            for (bytes, changes, ours, stranger) in &datagrams {
                while peer.poll_event().is_some() {}
                while peer.poll_transmit().is_some() {}
                let (path, bytes) = match bytes {
                    Ok(bytes) => (own[0].0, bytes.clone()),
                    Err((at, true)) => own[at.index(own.len())].clone(),
                    Err((at, false)) => foreign[at.index(foreign.len())].clone(),
                };
                let bytes = changed(bytes, changes);
                let local = if *ours { HERE.parse().unwrap() } else { path.local };
                let remote = stranger.map_or(path.remote, |(ip, port)| (ip, port).into());
                let path = FiveTuple::udp(local, remote);
                let before = looks(peer);
                match deliver(peer, now, path, &bytes) {
                    Input::Dropped(_) => {
                        prop_assert_eq!(looks(peer), before);
                        prop_assert!(peer.poll_transmit().is_none() && peer.poll_event().is_none());
                    }
                    Input::Data(route) => {
                        prop_assert!(heard.contains(&path.remote));
                        prop_assert_eq!(route.range(), HEADROOM..HEADROOM + bytes.len());
                        prop_assert_eq!(looks(peer), before);
                    }
                    Input::Handled => heard.push(path.remote),
                    Input::Forward(_) => prop_assert!(false, "nothing is relayed here"),
                }
                prop_assert!(peer.retained() <= 400);
            }
            live_on(peer);
        }
    }
}

/// What no configuration allows is refused at birth, not later.
#[test]
fn odd_configurations_are_refused_or_work() {
    use floe_peer::{Config, Rtp, SectionConfig};
    let build = |config| Connection::new(config, [1; 32], NOW);
    let none = SectionConfig::Audio(Rtp::new(vec![], floe_peer::Direction::SendRecv));
    assert!(build(Config::new(identity(1), vec![none])).is_err());
    // No sections: an offer of nothing, for which nothing is gathered.
    let mut config = Config::new(identity(1), vec![]);
    config.addresses = vec![HERE.parse().unwrap()];
    let mut peer = build(config).unwrap();
    let offer = peer.create_offer(NOW).unwrap();
    peer.set_local_description(NOW, Offer, &offer).unwrap();
    assert_eq!((peer.poll_timeout(), peer.poll_event()), (None, None));
    // No certificate: nothing can be described, and nothing happens.
    let mut config = Config::data_channel(identity(1));
    config.dtls.fingerprints.clear();
    config.addresses = vec![HERE.parse().unwrap()];
    let mut peer = build(config).unwrap();
    let before = looks(&peer);
    peer.create_offer(NOW).unwrap_err();
    assert_eq!(looks(&peer), before);
    // No addresses: the connection fails by name.
    let mut pair = Pair::of([connection(HERE, 1, vec![data()]), {
        build(Config::data_channel(identity(2))).unwrap()
    }]);
    pair.exchange(0);
    pair.run_for(core::time::Duration::from_secs(120));
    let failed = |events: &[Event]| events.iter().any(|event| matches!(event, Event::Failed(_)));
    assert!(failed(&pair.events[0]) && failed(&pair.events[1]));
    let room = HEADROOM + TAILROOM;
    assert!(
        pair.peers[0]
            .send(&mut vec![0; room + 4], HEADROOM..HEADROOM + 4)
            .is_err()
    );
}
