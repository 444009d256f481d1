//! The public checkers: right exchanges pass, and each rule that peers are known to break is found
//! where it is broken.

use floe_sdp::{NegotiationError, Violation, check_answer, check_exchange, check_reoffer};

const HEAD: &str = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE a v d\r\n";

fn transport(name: &str) -> String {
    let fingerprint = vec!["07"; 32].join(":");
    format!(
        "a=ice-ufrag:{name}\r\na=ice-pwd:0123456789abcdef012{name}\r\n\
         a=fingerprint:sha-256 {fingerprint}\r\na=setup:actpass\r\n"
    )
}

/// The last section is bundle-only.
fn offer() -> String {
    let audio = "m=audio 9 UDP/TLS/RTP/SAVPF 111 0\r\nc=IN IP4 0.0.0.0\r\na=mid:a\r\n\
        a=extmap:1 urn:ietf:params:rtp-hdrext:sdes:mid\r\na=extmap:2 urn:example:level\r\n\
        a=sendrecv\r\na=rtcp-mux\r\na=rtpmap:111 opus/48000/2\r\n";
    let video = "m=video 9 UDP/TLS/RTP/SAVPF 96\r\nc=IN IP4 0.0.0.0\r\na=mid:v\r\n\
        a=extmap:1 urn:ietf:params:rtp-hdrext:sdes:mid\r\na=sendonly\r\na=rtcp-mux\r\n\
        a=rtpmap:96 VP8/90000\r\na=rid:hi send\r\na=rid:lo send\r\na=simulcast:send hi;lo\r\n";
    let data = "m=application 0 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\na=mid:d\r\n\
        a=bundle-only\r\na=sctp-port:5000\r\n";
    [
        HEAD,
        audio,
        &transport("offa"),
        video,
        &transport("offv"),
        data,
    ]
    .concat()
}

fn answer() -> String {
    let (first, second) = (transport("offa"), transport("offv"));
    let text = offer()
        .replace(&second, "")
        .replace(&first, &transport("ansa"))
        .replace("o=- 1 1", "o=- 2 1")
        .replace("actpass", "active");
    text.replace("application 0", "application 9")
        .replace("a=bundle-only\r\n", "")
        .replace("sendonly", "recvonly")
        .replace(" send", " recv")
        .replace(":send hi", ":recv hi")
}

fn broken(result: Result<(), NegotiationError>) -> (Violation, Option<u16>, u32) {
    match result {
        Err(NegotiationError::Remote {
            rule,
            section,
            line,
        }) => (rule, section, line),
        other => panic!("{other:?}"),
    }
}

/// The line of a text that starts like this, counted from 1.
fn line(text: &str, start: &str) -> u32 {
    let found = text.lines().position(|line| line.starts_with(start));
    found.unwrap() as u32 + 1
}

/// The line of the `m=` of this index.
fn section_line(text: &str, index: u16) -> u32 {
    let lines = text.lines().enumerate();
    let mut sections = lines.filter(|(_, line)| line.starts_with("m="));
    sections.nth(index.into()).unwrap().0 as u32 + 1
}

#[track_caller]
fn changed(text: &str, from: &str, to: &str) -> String {
    assert!(text.contains(from), "{from}");
    text.replacen(from, to, 1)
}

/// Breaks the answer at one place; the rule, the section and its line.
#[track_caller]
fn bad_answer(from: &str, to: &str) -> (Violation, Option<u16>) {
    let answer = changed(&answer(), from, to);
    let (rule, section, at) = broken(check_answer(offer().as_bytes(), answer.as_bytes()));
    if let Some(index) = section {
        assert_eq!(at, section_line(&answer, index), "{rule:?}");
    }
    (rule, section)
}

/// req: OA-6-2, OA-8.2-2, BUNDLE-7.3.3-1, GROUP-9.2-1, GROUP-9.2-2, BUNDLE-5-1
#[test]
fn an_answer_is_checked_section_by_section() {
    use Violation as Rule;
    let (offer, answer) = (offer(), answer());
    assert_eq!(check_answer(offer.as_bytes(), answer.as_bytes()), Ok(()));
    // A rejected section is lost.
    let data = answer.find("m=application").unwrap();
    assert_eq!(bad_answer(&answer[data..], ""), (Rule::SectionCount, None));
    // And in its place, but left in the group.
    let refused = ("application 9", "application 0");
    assert_eq!(
        bad_answer(refused.0, refused.1),
        (Rule::RefusedInGroup, Some(2))
    );
    let left = changed(&changed(&answer, refused.0, refused.1), " a v d", " a v");
    assert_eq!(check_answer(offer.as_bytes(), left.as_bytes()), Ok(()));
    // Bundle-only is no refusal, but lives in its group alone.
    assert_eq!(bad_answer(" a v d", " a v"), (Rule::NotOffered, Some(2)));
    let closed = changed(&changed(&offer, "a=bundle-only\r\n", ""), " a v d", " a v");
    let (rule, section, _) = broken(check_answer(
        closed.as_bytes(),
        left.replace(refused.1, refused.0).as_bytes(),
    ));
    assert_eq!(
        (rule, section),
        (Rule::NotOffered, Some(2)),
        "a zero port alone refuses"
    );
    // Groups.
    let alone = changed(&offer, " a v d", " a d");
    let (rule, section, _) = broken(check_answer(alone.as_bytes(), answer.as_bytes()));
    assert_eq!(
        (rule, section),
        (Rule::Group, Some(1)),
        "not offered in a group"
    );
    let twice = changed(&answer, " a v d", " a v d\r\na=group:BUNDLE v");
    let two = (Rule::TwoGroups, Some(1), 6);
    assert_eq!(
        broken(check_answer(offer.as_bytes(), twice.as_bytes())),
        two
    );
    assert_eq!(bad_answer("a=mid:v", "a=mid:d").0, Rule::DuplicateMid);
    assert_eq!(
        bad_answer("a=mid:v", "a=mid:w\r\na=x:y"),
        (Rule::Mid, Some(1))
    );
    assert_eq!(
        bad_answer("m=video", "m=text"),
        (Rule::SectionType, Some(1))
    );
}

/// req: OA-6.1-2, OA-6.1-3, BUNDLE-9.1.1-1, BUNDLE-12-1, OA-6.1-10
#[test]
fn an_answer_is_checked_for_what_a_section_says() {
    use Violation as Rule;
    assert_eq!(
        bad_answer("a=recvonly", "a=sendrecv"),
        (Rule::Direction, Some(1))
    );
    assert_eq!(bad_answer("VP8", "VP9"), (Rule::NoCommonFormat, Some(1)));
    assert_eq!(
        bad_answer("a=setup:active", "a=setup:actpass"),
        (Rule::Setup, Some(0))
    );
    // One payload type for two codecs on one transport.
    let two = "a=rtpmap:96 VP8/90000\r\na=rtpmap:111 H264/90000";
    let number =
        changed(&answer(), "a=rtpmap:96 VP8/90000", two).replace("SAVPF 96", "SAVPF 96 111");
    let (rule, section, at) = broken(check_answer(offer().as_bytes(), number.as_bytes()));
    assert_eq!(
        (rule, section, at),
        (Rule::PayloadType, Some(1), line(&number, "m=video"))
    );
    // Header extensions.
    assert_eq!(
        bad_answer("extmap:2 ", "extmap:3 "),
        (Rule::ExtensionId, Some(0))
    );
    assert_eq!(
        bad_answer("urn:example:level", "urn:example:x"),
        (Rule::ExtensionNotOffered, Some(0))
    );
    assert_eq!(
        bad_answer("extmap:2 ", "extmap:1 "),
        (Rule::ExtensionId, Some(0))
    );
    // Streams.
    assert_eq!(
        bad_answer("recv hi;lo", "recv hi;lo;mid"),
        (Rule::Simulcast, Some(1))
    );
    assert_eq!(
        bad_answer("recv hi;lo", "recv mid"),
        (Rule::Simulcast, Some(1))
    );
    assert_eq!(
        bad_answer("recv hi;lo", "send hi;lo"),
        (Rule::Simulcast, Some(1))
    );
    // One port for RTP and RTCP.
    let (offer, answer) = (offer().replace("a=rtcp-mux\r\n", ""), answer());
    let (rule, section, _) = broken(check_answer(offer.as_bytes(), answer.as_bytes()));
    assert_eq!((rule, section), (Rule::RtcpMux, Some(0)));
}

/// What is wrong with the offer alone is found too.
#[test]
fn a_description_that_is_wrong_by_itself_is_found_on_either_side() {
    let twice = changed(&offer(), "a=mid:a\r\n", "a=mid:a\r\na=mid:a\r\n");
    let error = check_answer(twice.as_bytes(), answer().as_bytes());
    assert_eq!(broken(error), (Violation::DuplicateAttribute, Some(0), 9));
    let malformed = changed(&offer(), "t=0 0", "t=0");
    let error = check_answer(malformed.as_bytes(), answer().as_bytes());
    let Err(NegotiationError::Syntax(error)) = error else {
        panic!("{error:?}");
    };
    assert_eq!((error.line, error.column), (4, 4));
}

/// The next offer of who offered before.
fn next() -> String {
    let second = transport("offv");
    let text = offer().replace(&second, "").replace("o=- 1 1", "o=- 1 2");
    text.replace("application 0", "application 9")
        .replace("a=bundle-only\r\n", "")
}

/// Breaks the next offer at one place.
#[track_caller]
fn bad_next(from: &str, to: &str) -> (Violation, Option<u16>) {
    let (offer, answer) = (offer(), answer());
    let next = changed(&next(), from, to);
    let (rule, section, at) = broken(check_reoffer(
        [offer.as_bytes(), answer.as_bytes()],
        next.as_bytes(),
    ));
    if let Some(index) = section {
        assert_eq!(at, section_line(&next, index), "{rule:?}");
    }
    (rule, section)
}

/// req: OA-8-2, OA-8-3, OA-8-6, OA-8.3.2-2, GROUP-9.1-2, BUNDLE-9.3.1.2-4
#[test]
fn a_later_offer_is_checked_against_the_exchange_before() {
    use Violation as Rule;
    let (offer, answer, next) = (offer(), answer(), next());
    let previous = [offer.as_bytes(), answer.as_bytes()];
    assert_eq!(check_reoffer(previous, next.as_bytes()), Ok(()));
    assert_eq!(
        check_reoffer(previous, offer.as_bytes()),
        Ok(()),
        "the same, unchanged"
    );
    // Either side may offer.
    let other = changed(&answer, "o=- 2 1", "o=- 2 2").replace("setup:active", "setup:actpass");
    assert_eq!(check_reoffer(previous, other.as_bytes()), Ok(()));
    assert_eq!(bad_next("o=- 1 2", "o=- 3 2"), (Rule::Origin, None));
    assert_eq!(bad_next("o=- 1 2", "o=- 1 1"), (Rule::Version, None));
    let data = next.find("m=application").unwrap();
    let short = (&next[data..], " a v d");
    let cut = changed(&changed(&next, short.0, ""), short.1, " a v");
    assert_eq!(
        broken(check_reoffer(previous, cut.as_bytes())).0,
        Rule::SectionCount
    );
    let renamed = changed(&changed(&next, "a=mid:v", "a=mid:w"), " a v d", " a w d");
    assert_eq!(
        broken(check_reoffer(previous, renamed.as_bytes())).0,
        Rule::MidChanged
    );
    assert_eq!(
        bad_next("96 VP8/90000", "96 VP9/90000"),
        (Rule::PayloadTypeChanged, Some(1))
    );
    assert_eq!(
        bad_next("extmap:2 urn", "extmap:5 urn"),
        (Rule::ExtensionIdChanged, Some(0))
    );
    assert_eq!(
        bad_next("urn:example:level", "urn:example:x"),
        (Rule::ExtensionIdChanged, Some(0))
    );
    let unmuxed = next.replace("a=rtcp-mux\r\n", "");
    assert_eq!(
        broken(check_reoffer(previous, unmuxed.as_bytes())).0,
        Rule::MissingRtcpMux
    );
    assert_eq!(
        bad_next("ice-ufrag:offa", "ice-ufrag:offb"),
        (Rule::HalfRestart, Some(0))
    );
    assert_eq!(
        bad_next("a=setup", "a=ice-options:x\r\na=setup"),
        (Rule::IceParametersChanged, Some(0))
    );
    assert_eq!(
        bad_next("sha-256 07", "sha-256 08"),
        (Rule::DtlsChanged, Some(0))
    );
}

/// A refused place is free for anything.
///
/// req: OA-8.1-1, JSEP-5.2.2-2
#[test]
fn a_refused_place_may_be_taken_by_another_section() {
    let (offer, next) = (offer(), next());
    let answer = changed(&answer(), "m=video 9", "m=video 0").replace(" a v d", " a d");
    let taken = changed(
        &next,
        "m=video 9 UDP/TLS/RTP/SAVPF 96",
        "m=audio 9 UDP/TLS/RTP/SAVPF 96",
    );
    let taken = taken
        .replace("a=mid:v", "a=mid:w")
        .replace(" a v d", " a w d")
        .replace("VP8", "L16");
    assert_eq!(
        check_reoffer([offer.as_bytes(), answer.as_bytes()], taken.as_bytes()),
        Ok(())
    );
}

/// req: ICESDP-4.4.2.1-2, JSEP-5.3.2-1
#[test]
fn an_answer_restarts_ice_if_the_offer_does_and_only_then() {
    let (offer, answer, next) = (offer(), answer(), next());
    let previous = [offer.as_bytes(), answer.as_bytes()];
    let check =
        |next: &str, answer: &str| check_exchange(previous, next.as_bytes(), answer.as_bytes());
    let restart = |text: &str, from: &str, to: &str| text.replace(from, to);
    let again = changed(&answer, "o=- 2 1", "o=- 2 2");
    assert_eq!(check(&next, &again), Ok(()));
    let (offered, answered) = (
        restart(&next, "offa", "offb"),
        restart(&again, "ansa", "ansb"),
    );
    assert_eq!(check(&offered, &answered), Ok(()));
    let at = line(&again, "m=audio");
    let mismatch = (Violation::RestartMismatch, Some(0), at);
    assert_eq!(broken(check(&next, &answered)), mismatch, "not asked for");
    assert_eq!(broken(check(&offered, &again)), mismatch, "not followed");
    let old = answer.replace("a=sendrecv", "a=recvonly");
    assert_eq!(broken(check(&next, &old)).0, Violation::Version);
}
