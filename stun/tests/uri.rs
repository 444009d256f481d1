//! The URIs of servers (RFC 7064, RFC 7065).

use std::net::IpAddr;

use floe_sansio::Transport::{self, Dtls, Tcp, Tls, Udp};
use floe_stun::{Host, MAX_HOST_LEN, Scheme, TransportParameter, Uri, UriError, UriErrorKind};
use proptest::prelude::*;

fn uri(text: &str) -> Uri {
    text.parse()
        .unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn name(text: &str) -> Host {
    Host::Name(text.into())
}

fn ip(text: &str) -> Host {
    Host::Ip(text.parse::<IpAddr>().unwrap())
}

fn refused(text: &str, kind: UriErrorKind, offset: usize) {
    assert_eq!(Uri::parse(text), Err(UriError { kind, offset }), "{text}");
}

/// req: STUNURI-3.1-1, STUN-8-2
#[test]
fn a_stun_uri_is_scheme_host_and_port() {
    let table = [
        ("stun:example.org", Scheme::Stun, name("example.org"), None),
        (
            "stuns:example.org:8000",
            Scheme::Stuns,
            name("example.org"),
            Some(8000),
        ),
        (
            "stun:[2001:db8::1]:3478",
            Scheme::Stun,
            ip("2001:db8::1"),
            Some(3478),
        ),
        (
            "stun:[::ffff:192.0.2.1]",
            Scheme::Stun,
            ip("::ffff:192.0.2.1"),
            None,
        ),
        (
            "stun:192.0.2.1:65535",
            Scheme::Stun,
            ip("192.0.2.1"),
            Some(65535),
        ),
        // What is no IPv4 address is a name (RFC 3986 §3.2.2); so is what DNS would not take.
        ("stun:192.0.2.256", Scheme::Stun, name("192.0.2.256"), None),
        (
            "stun:a_b~c!$&'()*+,;=%c3%A4",
            Scheme::Stun,
            name("a_b~c!$&'()*+,;=%c3%a4"),
            None,
        ),
        // A port is any number of digits, even none.
        ("stun:example.org:", Scheme::Stun, name("example.org"), None),
        (
            "stun:example.org:0080",
            Scheme::Stun,
            name("example.org"),
            Some(80),
        ),
    ];
    for (text, scheme, host, port) in table {
        let uri = uri(text);
        assert_eq!(
            (uri.scheme(), uri.host(), uri.port()),
            (scheme, &host, port)
        );
        assert_eq!(uri.transport(), None);
    }
}

/// req: STUNURI-3.1-1, STUNURI-3.1-2
#[test]
fn what_only_a_hierarchical_uri_has_is_refused() {
    use UriErrorKind::{Hierarchical, Port, Unexpected};
    refused("stun://x", Hierarchical, 5);
    refused("stuns://example.org", Hierarchical, 6);
    refused("stun:/x", Unexpected, 5);
    refused("stun:x/path", Unexpected, 6);
    refused("stun:x?y", Unexpected, 6);
    refused("stun:x?transport=udp", Unexpected, 6);
    refused("stun:x#fragment", Unexpected, 6);
    refused("stun:user@x", Unexpected, 9);
    refused("stun:user:password@x", Unexpected, 10);
    refused("stun:user:1@x", Unexpected, 11);
    refused("stun:x:70000/", Port, 7);
}

/// req: STUNURI-3.1-1
#[test]
fn malformed_uris_are_refused_with_the_place_and_the_rule() {
    use UriErrorKind::{Host, Port, Scheme, Unexpected};
    refused("", Scheme, 0);
    refused("stun", Scheme, 4);
    refused("http:x", Scheme, 0);
    refused(" stun:x", Scheme, 0);
    refused("stun :x", Scheme, 0);
    refused("stun:", Host, 5);
    refused("stun::3478", Host, 5);
    refused("stun:[::1", Host, 5);
    refused("stun:[::1::2]", Host, 5);
    refused("stun:[192.0.2.1]", Host, 5);
    refused("stun:[fe80::1%25eth0]", Host, 5);
    refused("stun:[v1.x]", Host, 5);
    refused("stun:[::1]x", Unexpected, 10);
    refused("stun:2001:db8::1", Unexpected, 10);
    refused("stun:x y", Unexpected, 6);
    refused("stun:x ", Unexpected, 6);
    refused("stun:bücher.example", Unexpected, 6);
    refused("stun:%4", Unexpected, 7);
    refused("stun:%zz", Unexpected, 6);
    refused("stun:x:0", Port, 7);
    refused("stun:x:65536", Port, 7);
    refused("stun:x:99999999999999999999", Port, 7);
    refused("stun:x:-1", Unexpected, 7);
    refused("stun:x:1:2", Unexpected, 8);
    refused(&format!("stun:{}", "x".repeat(MAX_HOST_LEN + 1)), Host, 5);
    uri(&format!("stun:{}", "x".repeat(MAX_HOST_LEN)));
}

/// req: STUNURI-3.1-3
#[test]
fn scheme_and_host_compare_without_regard_to_case() {
    assert_eq!(uri("STUN:EXAMPLE.org"), uri("stun:example.ORG"));
    assert_eq!(uri("sTuNs:x"), uri("stuns:X"));
    assert_eq!(uri("stun:[2001:DB8::A]"), uri("stun:[2001:db8:0::a]"));
    assert_eq!(uri("TURN:x?Transport=UDP"), uri("turn:x?transport=udp"));
    assert_ne!(uri("stun:x"), uri("stuns:x"));
    assert_ne!(uri("stun:x"), uri("stun:y"));
    assert_ne!(uri("stun:x"), uri("stun:x:3478"));
}

/// req: STUNURI-3.2-2, TURNURI-3.2-1, TURN-4.1-1, TURNURI-3.1-4
#[test]
fn scheme_and_parameter_say_which_transports_may_be_used() {
    let table: [(&str, &[Transport]); 11] = [
        ("stun:x", &[Udp, Tcp]),
        ("stuns:x", &[Tls, Dtls]),
        ("turn:x", &[Udp, Tcp]),
        ("turns:x", &[Tls, Dtls]),
        ("turn:x?transport=udp", &[Udp]),
        ("turn:x?transport=tcp", &[Tcp]),
        ("turns:x?transport=udp", &[Dtls]),
        ("turns:x?transport=tcp", &[Tls]),
        ("turn:x?transport=quic", &[]),
        ("turns:x?transport=tls", &[]),
        ("turn:x?transport=udp-lite", &[]),
    ];
    for (text, expected) in table {
        let admitted = [Udp, Tcp, Tls, Dtls].into_iter();
        let admitted: Vec<_> = admitted.filter(|&it| uri(text).admits(it)).collect();
        assert_eq!(admitted, expected, "{text}");
    }
}

/// req: TURNURI-3.1-1, TURNURI-3.1-2
#[test]
fn a_turn_uri_may_name_a_transport() {
    use TransportParameter::{Other, Tcp, Udp};
    use UriErrorKind::{Hierarchical, Transport, Unexpected};
    let table = [
        ("turn:example.org", Scheme::Turn, None, None),
        (
            "turn:example.org?transport=udp",
            Scheme::Turn,
            None,
            Some(Udp),
        ),
        (
            "turns:[2001:db8::1]:5350?transport=tcp",
            Scheme::Turns,
            Some(5350),
            Some(Tcp),
        ),
        (
            "turn:x?transport=a-Z.0_~",
            Scheme::Turn,
            None,
            Some(Other("a-z.0_~".into())),
        ),
    ];
    for (text, scheme, port, transport) in table {
        let uri = uri(text);
        assert_eq!((uri.scheme(), uri.port()), (scheme, port));
        assert_eq!(uri.transport(), transport.as_ref());
    }
    refused("turn://x", Hierarchical, 5);
    refused("turn:x?", Transport, 7);
    refused("turn:x?y", Transport, 7);
    refused("turn:x?transport", Transport, 7);
    refused("turn:x?transport=", Transport, 17);
    refused("turn:x?transport=%75dp", Transport, 17);
    refused("turn:x?transport=udp&y", Unexpected, 20);
    refused("turn:x/?transport=udp", Unexpected, 6);
    refused("turn:?transport=udp", UriErrorKind::Host, 5);
}

#[test]
fn nothing_is_allocated_to_refuse_a_uri() {
    let info = allocation_counter::measure(|| {
        for text in [
            "http:x",
            "stun:example.org/",
            "turn:example.org:80?transport=udp#",
        ] {
            assert!(Uri::parse(text).is_err());
        }
    });
    assert_eq!(info.count_total, 0);
}

/// req: STUN-8.1-6, TURN-4.1-2
#[test]
fn schemes_have_their_default_ports() {
    let ports =
        [Scheme::Stun, Scheme::Stuns, Scheme::Turn, Scheme::Turns].map(Scheme::default_port);
    assert_eq!(ports, [3478, 5349, 3478, 5349]);
}

proptest! {
    /// req: STUNURI-3.1-1, TURNURI-3.1-1
    #[test]
    fn a_uri_prints_as_what_parses_to_it(
        scheme in "(stun|stuns|turn|turns|STUN|Turns)",
        host in r"([a-zA-Z0-9._~!$&'()*+,;=-]|%[0-9a-fA-F]{2}){1,20}|\[::[0-9a-f]{1,4}(:[0-9a-f]{1,4})?\]|[0-9]{1,3}(\.[0-9]{1,3}){3}",
        port in "(:([1-9][0-9]{0,3})?)?",
        transport in r"(\?transport=[a-zA-Z0-9._~-]{1,8})?",
    ) {
        let transport = if scheme.to_lowercase().starts_with("turn") { &*transport } else { "" };
        let parsed = uri(&format!("{scheme}:{host}{port}{transport}"));
        let printed = parsed.to_string();
        prop_assert_eq!(uri(&printed), parsed);
        prop_assert_eq!(uri(&printed).to_string(), printed);
    }

    #[test]
    fn any_text_is_a_uri_or_an_error_in_it(
        prefix in "(stun:|turns:|turn:x\\?|turn:x\\?transport=|)",
        text in "\\PC{0,30}|[\\[\\]:/?%a-f0-9@#.]{0,30}",
    ) {
        let text = prefix + &text;
        match Uri::parse(&text) {
            Ok(uri) => prop_assert_eq!(uri.to_string().parse(), Ok(uri)),
            Err(error) => {
                prop_assert!(error.offset <= text.len());
                prop_assert!(text.is_char_boundary(error.offset));
            }
        }
    }
}
