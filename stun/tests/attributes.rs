//! The values of the attributes: what may be sent, what is accepted, and how it lies in the message
//! (RFC 8489 §14, RFC 8656 §18, RFC 5780 §7, RFC 6062 §6.2).

use floe_stun::{
    AccessToken, AdditionalAddressFamily, AddressErrorCode, AddressFamily, AlternateDomain,
    Attribute, AttributeType, BuildError, Builder, ChangeRequest, Class, ConnectionId, ErrorCode,
    Icmp, MessageType, Method, MobilityTicket, Nonce, Padding, Realm, RequestedAddressFamily,
    ResponsePort, SendRule, Software, StatusCode, ThirdPartyAuthorization, TransactionId, Username,
};

const ID: TransactionId = TransactionId([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);

/// The value that is sent, with its padding; or why it is not.
fn sent<'a, A: Attribute<'a>>(attribute: &A) -> Result<Vec<u8>, SendRule> {
    let mut buffer = vec![0xEE; 2048];
    let request = MessageType::new(Class::Request, Method::BINDING);
    match Builder::new(&mut buffer, request, ID)
        .with(attribute)
        .finish()
    {
        Ok(len) => {
            assert_eq!(buffer[20..22], A::TYPE.0.to_be_bytes());
            Ok(buffer[24..len].to_vec())
        }
        Err(BuildError::Value(kind, rule)) => {
            assert_eq!((kind, attribute.is_sendable()), (A::TYPE, false));
            Err(rule)
        }
        Err(other) => panic!("{other}"),
    }
}

/// req: STUN-14.3-1, STUN-14.3-2
#[test]
fn a_username_has_508_bytes_sent_and_763_accepted() {
    assert!(sent(&Username(&"u".repeat(508))).is_ok());
    assert!(sent(&Username(&"é".repeat(254))).is_ok());
    let refused = Err(SendRule::Length);
    assert_eq!(sent(&Username(&"u".repeat(509))), refused);
    assert_eq!(sent(&Username(&"é".repeat(255))), refused);
    assert!(Username::decode(&[b'u'; 763], ID).is_some());
    assert!(Username::decode(&[b'u'; 764], ID).is_none());
    assert!(Username::decode(b"\xFF", ID).is_none(), "UTF-8");
}

/// Characters, not bytes.
///
/// req: STUN-14.9-1, STUN-14.10-1, STUN-14.14-2, STUN-14.8-1
#[test]
fn realm_nonce_software_and_reason_have_127_characters_sent() {
    let code = StatusCode::BAD_REQUEST;
    for character in ["a", "é", "€", "𝄞"] {
        let most = character.repeat(127);
        assert!(sent(&Realm(&most)).is_ok());
        assert!(sent(&Nonce(&most)).is_ok());
        assert!(sent(&Software(&most)).is_ok());
        let reason = &most;
        assert!(sent(&ErrorCode { code, reason }).is_ok());
        let more = character.repeat(128);
        let refused = Err(SendRule::Length);
        assert_eq!(sent(&Realm(&more)), refused);
        assert_eq!(sent(&Nonce(&more)), refused);
        assert_eq!(sent(&Software(&more)), refused);
        let reason = &more;
        assert_eq!(sent(&ErrorCode { code, reason }), refused);
    }
    assert!(Realm::decode(&[b'r'; 763], ID).is_some() && Realm::decode(&[b'r'; 764], ID).is_none());
    assert!(Nonce::decode(&[b'r'; 763], ID).is_some() && Nonce::decode(b"\xC0", ID).is_none());
    assert!(Software::decode(&[b'r'; 763], ID).is_some());
    assert!(ErrorCode::decode(&[&[0, 0, 4, 0][..], &[b'r'; 763]].concat(), ID).is_some());
}

/// The grammar of RFC 3261 §25.1 for what stands between the quotes of a `quoted-string`. Receivers
/// take any text.
///
/// req: STUN-14.9-1, STUN-14.10-1
#[test]
fn realm_and_nonce_consist_of_qdtext_and_quoted_pairs() {
    let good = [
        "",
        "example.org",
        "a b\tc",
        "é€",
        r#"\"quoted\""#,
        r"\\",
        "\\\0",
        "\\\x7F",
    ];
    let bad = [
        "\"", "a\"b", r#"\\""#, "\\", r"a\\\", "\\\n", "\\\r", "\\é", "\0", "\r\n", "\x1F", "\x7F",
    ];
    for text in good {
        assert!(
            sent(&Realm(text)).is_ok() && sent(&Nonce(text)).is_ok(),
            "{text:?}"
        );
    }
    for text in bad {
        let refused = Err(SendRule::Characters);
        assert_eq!(
            (sent(&Realm(text)), sent(&Nonce(text))),
            (refused.clone(), refused),
            "{text:?}"
        );
        assert_eq!(Realm::decode(text.as_bytes(), ID), Some(Realm(text)));
        assert_eq!(Nonce::decode(text.as_bytes(), ID), Some(Nonce(text)));
    }
}

/// req: STUN-14.16-1
#[test]
fn alternate_domain_is_a_dns_name_of_at_most_255_characters() {
    let label = "a".repeat(63);
    let longest = [&label, &label, &label, &label]
        .map(String::as_str)
        .join(".");
    assert_eq!(longest.len(), 255);
    let good = [
        "localhost",
        "example.org",
        "example.org.",
        "xn--bcher-kva.example",
        "3com.com",
        "a-b.c",
        &longest,
    ];
    for name in good {
        assert!(
            sent(&AlternateDomain(name))
                .unwrap()
                .starts_with(name.as_bytes())
        );
        assert_eq!(
            AlternateDomain::decode(name.as_bytes(), ID),
            Some(AlternateDomain(name))
        );
    }
    let longer = format!("{longest}.");
    let label = format!("{}.org", "a".repeat(64));
    for name in [
        "",
        ".",
        "a..b",
        ".a",
        "-a.org",
        "a-.org",
        "a_b",
        "a b",
        "bücher.example",
        "*.example.org",
        "example.org\0",
        &label,
        &longer,
    ] {
        assert_eq!(
            sent(&AlternateDomain(name)),
            Err(SendRule::DomainName),
            "{name:?}"
        );
        assert_eq!(
            AlternateDomain::decode(name.as_bytes(), ID),
            None,
            "{name:?}"
        );
    }
    assert_eq!(AlternateDomain::decode(b"\xFF", ID), None);
}

/// req: NATDISC-7.2-1
#[test]
fn change_request_has_two_flags_and_ignores_the_other_bits() {
    for (bits, ip, port) in [
        (0, false, false),
        (0x04, true, false),
        (0x02, false, true),
        (0x06, true, true),
    ] {
        let change = ChangeRequest { ip, port };
        assert_eq!(sent(&change).unwrap(), [0, 0, 0, bits]);
        assert_eq!(ChangeRequest::decode(&[0, 0, 0, bits], ID), Some(change));
        let reserved = [0xFF, 0xFF, 0xFF, 0xF9 | bits];
        assert_eq!(ChangeRequest::decode(&reserved, ID), Some(change));
    }
    for length in (0..4).chain(5..9) {
        assert_eq!(ChangeRequest::decode(&vec![0; length], ID), None);
    }
}

/// req: NATDISC-7.5-3
#[test]
fn response_port_is_followed_by_two_bytes_that_do_not_count() {
    assert_eq!(sent(&ResponsePort(0x1234)).unwrap(), [0x12, 0x34, 0, 0]);
    let port = Some(ResponsePort(0x1234));
    assert_eq!(ResponsePort::decode(&[0x12, 0x34, 0xFF, 0xFF], ID), port);
    assert_eq!(ResponsePort::decode(&[0x12, 0x34], ID), port);
    for length in [0, 1, 3, 5, 6, 8] {
        assert_eq!(ResponsePort::decode(&vec![0; length], ID), None);
    }
}

#[test]
fn padding_is_any_bytes() {
    assert_eq!(sent(&Padding(b"abcde")).unwrap(), b"abcde\0\0\0");
    assert_eq!(Padding::decode(b"\xFF\0", ID), Some(Padding(b"\xFF\0")));
}

#[test]
fn connection_id_is_a_number_of_32_bits() {
    assert_eq!(sent(&ConnectionId(0x0102_0304)).unwrap(), [1, 2, 3, 4]);
    assert_eq!(
        ConnectionId::decode(&[1, 2, 3, 4], ID),
        Some(ConnectionId(0x0102_0304))
    );
    assert_eq!(ConnectionId::decode(&[1, 2, 3], ID), None);
    assert_eq!(ConnectionId::decode(&[1, 2, 3, 4, 5], ID), None);
}

#[test]
fn families_are_ipv4_or_ipv6_and_the_additional_one_is_ipv6() {
    for number in 0..=255 {
        let family = AddressFamily(number);
        let refused = Err(SendRule::AddressFamily);
        let value = vec![number, 0, 0, 0];
        let requested = sent(&RequestedAddressFamily(family));
        assert_eq!(
            requested,
            if number == 1 || number == 2 {
                Ok(value.clone())
            } else {
                refused.clone()
            }
        );
        let additional = sent(&AdditionalAddressFamily(family));
        assert_eq!(additional, if number == 2 { Ok(value) } else { refused });
        // A receiver sees what was asked for, to answer 440 or 400.
        let received = [number, 0xFF, 0xFF, 0xFF];
        assert_eq!(
            RequestedAddressFamily::decode(&received, ID),
            Some(RequestedAddressFamily(family))
        );
        assert_eq!(
            AdditionalAddressFamily::decode(&received, ID),
            Some(AdditionalAddressFamily(family))
        );
    }
    assert_eq!(AdditionalAddressFamily::decode(&[2, 0, 0], ID), None);
    assert_eq!(AdditionalAddressFamily::decode(&[2, 0, 0, 0, 0], ID), None);
}

#[test]
fn address_error_code_is_an_error_code_with_a_family() {
    let error = ErrorCode {
        code: StatusCode::ADDRESS_FAMILY_NOT_SUPPORTED,
        reason: "no",
    };
    let family = AddressFamily::IPV6;
    let attribute = AddressErrorCode { family, error };
    assert_eq!(sent(&attribute).unwrap(), [2, 0, 4, 40, b'n', b'o', 0, 0]);
    // The 13 reserved bits do not count.
    let received = [2, 0xFF, 0xFC, 40, b'n', b'o'];
    assert_eq!(AddressErrorCode::decode(&received, ID), Some(attribute));
    for malformed in [
        &[2, 0, 7, 0][..],
        &[2, 0, 4, 100],
        &[2, 0, 4],
        &[],
        &[2, 0, 4, 40, 0xFF],
    ] {
        assert_eq!(AddressErrorCode::decode(malformed, ID), None);
    }
    let unknown = AddressErrorCode {
        family: AddressFamily(3),
        error,
    };
    assert_eq!(sent(&unknown), Err(SendRule::AddressFamily));
    let reason = &"r".repeat(128);
    let error = ErrorCode { reason, ..error };
    assert_eq!(
        sent(&AddressErrorCode { family, error }),
        Err(SendRule::Length)
    );
}

#[test]
fn icmp_has_type_code_and_four_bytes_of_data() {
    let icmp = Icmp {
        kind: 3,
        code: 4,
        data: 1400,
    };
    assert_eq!(sent(&icmp).unwrap(), [0, 0, 3, 4, 0, 0, 0x05, 0x78]);
    let received = [0xFF, 0xFF, 3, 4, 0, 0, 0x05, 0x78];
    assert_eq!(Icmp::decode(&received, ID), Some(icmp));
    assert_eq!(Icmp::decode(&received[..7], ID), None);
    assert_eq!(Icmp::decode(&[0; 12], ID), None);
}

#[test]
fn every_registered_type_has_its_name() {
    let names: Vec<_> = (0..=u16::MAX)
        .filter_map(|kind| AttributeType(kind).name())
        .collect();
    assert_eq!(names.len(), 43);
    assert_eq!(AttributeType(0x8027).name(), Some("CACHE-TIMEOUT"));
    for reserved in [
        0x0000, 0x0002, 0x0004, 0x0005, 0x0007, 0x000B, 0x0010, 0x0021,
    ] {
        assert_eq!(AttributeType(reserved).name(), None);
    }
}

/// RFC 7635 §6, RFC 8016 §3.3: the values are taken as they are, and never printed.
#[test]
fn tokens_and_tickets_are_opaque() {
    assert_eq!(AttributeType::ACCESS_TOKEN.0, 0x001B);
    assert_eq!(AttributeType::THIRD_PARTY_AUTHORIZATION.0, 0x802E);
    assert_eq!(AttributeType::MOBILITY_TICKET.0, 0x8030);
    let bytes = [0xFF, 0, 0x80];
    assert_eq!(sent(&AccessToken(&bytes)).unwrap(), [0xFF, 0, 0x80, 0]);
    assert_eq!(sent(&MobilityTicket(&[])).unwrap(), []);
    assert_eq!(AccessToken::decode(&bytes, ID), Some(AccessToken(&bytes)));
    assert_eq!(MobilityTicket::decode(&[], ID), Some(MobilityTicket(&[])));
    assert_eq!(
        format!("{:?} {:?}", AccessToken(&bytes), MobilityTicket(&bytes)),
        "AccessToken(3 bytes) MobilityTicket(3 bytes)"
    );
    let name = ThirdPartyAuthorization("turn.example.org");
    assert_eq!(sent(&name).unwrap(), b"turn.example.org");
    assert_eq!(
        ThirdPartyAuthorization::decode(b"turn.example.org", ID),
        Some(name)
    );
    assert_eq!(ThirdPartyAuthorization::decode(&[0xFF], ID), None);
}
