//! The grammar of candidates.

use floe_sdp::ice::{
    Candidate, CandidateAddress, CandidateTransport, CandidateType, TcpType, TrickledCandidate,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

/// req: ICESDP-5.1-1, ICESDP-5.1-9
#[test]
fn a_candidate_is_read_field_by_field_and_printed_as_it_was() {
    let text = "candidate:Ab+/9 256 tcp 2147483647 2001:db8::1 9 typ relay raddr 192.0.2.3 rport 0 \
                tcptype so generation 0 empty  network-id 3";
    let candidate: Candidate = text.parse().unwrap();
    assert_eq!(candidate.foundation, "Ab+/9");
    assert_eq!(candidate.component, 256);
    assert_eq!(candidate.transport, CandidateTransport::Tcp);
    assert_eq!(candidate.priority, i32::MAX as u32);
    assert_eq!(
        candidate.address,
        CandidateAddress::Ip("2001:db8::1".parse().unwrap())
    );
    assert_eq!(candidate.kind, CandidateType::Relayed);
    assert_eq!(
        (candidate.related_port, candidate.tcp_type),
        (Some(0), Some(TcpType::SimultaneousOpen))
    );
    assert_eq!(candidate.extension("empty"), Some(""));
    assert_eq!(candidate.extension("network-id"), Some("3"));
    assert_eq!(candidate.to_string(), text);
    assert_eq!(format!("a={text}").parse(), Ok(candidate));
}

/// req: ICESDP-5.1-10
#[test]
fn the_transport_is_compared_without_case_and_unknown_words_are_kept() {
    let candidate: Candidate = "candidate:1 1 UDP 1 h.local 9 typ HOST".parse().unwrap();
    assert_eq!(
        (candidate.transport, candidate.kind),
        (CandidateTransport::Udp, CandidateType::Host)
    );
    let text = "candidate:1 1 sctp 1 x.example 9 typ new rport 7";
    let candidate: Candidate = text.parse().unwrap();
    assert_eq!(
        candidate.transport,
        CandidateTransport::Other("sctp".into())
    );
    assert_eq!(candidate.kind, CandidateType::Other("new".into()));
    assert_eq!(candidate.to_string(), text);
}

/// req: ICESDP-5.1-4, ICESDP-5.1-5
#[test]
fn values_out_of_range_are_refused_with_the_place() {
    let cases = [
        ("candidate: 1 udp 1 192.0.2.1 9 typ host", 10),
        (
            "candidate:123456789012345678901234567890123 1 udp 1 192.0.2.1 9 typ host",
            42,
        ),
        ("candidate:1 0 udp 1 192.0.2.1 9 typ host", 12),
        ("candidate:1 257 udp 1 192.0.2.1 9 typ host", 12),
        ("candidate:1 1 udp 0 192.0.2.1 9 typ host", 18),
        ("candidate:1 1 udp 2147483648 192.0.2.1 9 typ host", 18),
        ("candidate:1 1 udp 1 192.0.2.1 65536 typ host", 30),
        ("candidate:1 1 udp 1 192.0.2.1 9 host", 32),
        ("candidate:1 1 udp 1 192.0.2.1 9 typ host ", 41),
        ("candidate:1 1 udp 1 192.0.2.1 9 typ host alone", 46),
        ("candidat:1 1 udp 1 192.0.2.1 9 typ host", 8),
    ];
    for (text, offset) in cases {
        assert_eq!(
            text.parse::<Candidate>().map_err(|error| error.offset),
            Err(offset),
            "{text}"
        );
    }
    for component in [1, 256] {
        let text = format!("candidate:1 {component} udp 1 192.0.2.1 9 typ host");
        assert_eq!(text.parse::<Candidate>().unwrap().component, component);
    }
}

#[test]
fn the_empty_candidate_is_the_end() {
    for text in ["", "end-of-candidates", "a=end-of-candidates"] {
        assert_eq!(text.parse(), Ok(TrickledCandidate::EndOfCandidates));
    }
    assert!(" ".parse::<TrickledCandidate>().is_err());
}

#[test]
fn a_candidate_that_text_cannot_hold_says_so() {
    let good: Candidate = "candidate:1 1 udp 1 192.0.2.1 9 typ host".parse().unwrap();
    assert!(good.is_valid());
    assert!(
        !Candidate {
            component: 0,
            ..good.clone()
        }
        .is_valid()
    );
    assert!(
        !Candidate {
            foundation: "a b".into(),
            ..good.clone()
        }
        .is_valid()
    );
    assert!(
        !Candidate {
            address: CandidateAddress::Name("x\r\na=y".into()),
            ..good.clone()
        }
        .is_valid()
    );
    assert!(
        !Candidate {
            kind: CandidateType::Other("host".into()),
            ..good.clone()
        }
        .is_valid()
    );
    assert!(
        !Candidate {
            extensions: vec![("raddr".into(), "x".into())],
            ..good
        }
        .is_valid()
    );
}

fn address() -> impl Strategy<Value = CandidateAddress> {
    prop_oneof![
        any::<std::net::IpAddr>().prop_map(CandidateAddress::Ip),
        "[a-z][a-z0-9-]{3,20}\\.local".prop_map(CandidateAddress::Name),
    ]
}

fn candidate() -> impl Strategy<Value = Candidate> {
    let kind = prop_oneof![
        Just(CandidateType::Host),
        Just(CandidateType::ServerReflexive),
        Just(CandidateType::PeerReflexive),
        Just(CandidateType::Relayed),
        "x[a-z]{1,8}".prop_map(CandidateType::Other),
    ];
    let transport = prop_oneof![
        Just(CandidateTransport::Udp),
        Just(CandidateTransport::Tcp),
        "x[a-z]{1,8}".prop_map(CandidateTransport::Other),
    ];
    let tcp = prop_oneof![
        Just(TcpType::Active),
        Just(TcpType::Passive),
        Just(TcpType::SimultaneousOpen)
    ];
    (
        (
            "[A-Za-z0-9+/]{1,32}",
            1..=256u16,
            transport,
            1..=0x7fff_ffffu32,
            address(),
            any::<u16>(),
        ),
        (
            kind,
            option::of(address()),
            option::of(any::<u16>()),
            option::of(tcp),
        ),
        vec(("x[a-z-]{1,8}", "[!-~]{0,8}"), 0..5),
    )
        .prop_map(|(head, tail, extensions)| {
            let (foundation, component, transport, priority, address, port) = head;
            let (kind, related_address, related_port, tcp_type) = tail;
            Candidate {
                foundation,
                component,
                transport,
                priority,
                address,
                port,
                kind,
                related_address,
                related_port,
                tcp_type,
                extensions,
            }
        })
}

proptest! {
    /// req: ICESDP-10.3-1
    #[test]
    fn what_is_printed_is_read_back(candidate in candidate()) {
        prop_assert_eq!(candidate.to_string().parse::<Candidate>(), Ok(candidate.clone()));
        prop_assert!(candidate.is_valid());
    }

    #[test]
    fn reading_any_text_does_not_panic(text in "(a=)?(candidate:)?\\PC{0,80}") {
        if let Ok(candidate) = text.parse::<Candidate>() {
            prop_assert_eq!(candidate.to_string().parse::<Candidate>(), Ok(candidate));
        }
    }
}
