//! How long a message over UDP may be (RFC 8489 §6.1).

use std::net::IpAddr;

use floe_stun::{
    AttributeType, BuildError, Builder, Class, MessageType, Method, Padding, SizeLimit,
    TransactionId,
};

const V4: &str = "192.0.2.1";
const V6: &str = "2001:db8::1";

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// A request of exactly `len` bytes.
fn request(len: usize, limit: SizeLimit) -> Result<usize, BuildError> {
    let mut buffer = vec![0; 0x1_0000];
    let request = MessageType::new(Class::Request, Method::BINDING);
    Builder::new(&mut buffer, request, TransactionId([1; 12]))
        .with_limit(limit)
        .with_raw(AttributeType(0xC000), &vec![7; len - 24])
        .finish()
}

/// The longest request that is built.
fn longest(limit: SizeLimit) -> usize {
    let fits = |&len: &usize| request(len, limit).is_ok();
    let longest = (24..=2000).step_by(4).take_while(fits).last().unwrap();
    assert_eq!(
        request(longest + 4, limit),
        Err(BuildError::TooLarge(limit))
    );
    longest
}

/// req: STUN-6.1-5
#[test]
fn a_message_is_shorter_than_the_known_path_mtu_leaves_it() {
    assert_eq!(longest(SizeLimit::path(ip(V4), 1500)), 1472 - 4);
    assert_eq!(longest(SizeLimit::path(ip(V6), 1500)), 1452 - 4);
    assert!(!SizeLimit::path(ip(V4), 20).permits(0));
}

/// req: STUN-6.1-6
#[test]
fn where_the_path_mtu_is_unknown_a_message_is_shorter_than_548_bytes_and_1232_over_ipv6() {
    let limit = SizeLimit::unknown_path(ip(V4), None);
    assert_eq!((limit.permits(547), limit.permits(548)), (true, false));
    assert_eq!(longest(limit), 544);
    assert_eq!(longest(SizeLimit::unknown_path(ip(V4), Some(1500))), 544);
    assert_eq!(longest(SizeLimit::unknown_path(ip(V4), Some(296))), 264);
    assert_eq!(longest(SizeLimit::unknown_path(ip(V6), None)), 1228);
    assert_eq!(longest(SizeLimit::unknown_path(ip(V6), Some(1500))), 1228);
}

/// req: STUN-6.1-7
#[test]
fn within_dtls_header_code_and_padding_of_the_record_count_too() {
    let plain = SizeLimit::unknown_path(ip(V4), None);
    assert_eq!(plain.within_dtls(24).bytes(), 548 - 13 - 24);
    assert_eq!(longest(plain.within_dtls(24)), 508);
    let known = SizeLimit::path(ip(V6), 1500).within_dtls(24);
    assert_eq!(known.bytes(), 1452 - 13 - 24);
    assert!(!plain.within_dtls(usize::MAX).permits(0));
}

/// req: STUN-6.1-8
#[test]
fn only_a_message_with_padding_exceeds_the_limit() {
    let limit = SizeLimit::unknown_path(ip(V4), None);
    let kind = MessageType::new(Class::Request, Method::BINDING);
    let mut buffer = [0; 2048];
    let mut build = |fill: &dyn Fn(Builder<'_>) -> Result<usize, BuildError>| {
        fill(Builder::new(&mut buffer, kind, TransactionId([1; 12])))
    };
    let bytes = &[0; 1500];
    assert_eq!(
        build(&|b| b.with_limit(limit).with(&Padding(bytes)).finish()),
        Ok(1524)
    );
    assert_eq!(
        build(&|b| b.with(&Padding(bytes)).with_limit(limit).finish()),
        Ok(1524)
    );
    let too_large = Err(BuildError::TooLarge(limit));
    let opaque = AttributeType(0xC000);
    assert_eq!(
        build(&|b| b.with_limit(limit).with_raw(opaque, bytes).finish()),
        too_large
    );
    assert_eq!(
        build(&|b| b
            .with_limit(limit)
            .with_raw(opaque, bytes)
            .finish_bytes()
            .map(|b| b.len())),
        too_large
    );
    assert_eq!(request(0x8000, SizeLimit::NONE), Ok(0x8000), "a stream");
}

/// req: NATDISC-7.6-1
#[test]
fn padding_does_not_make_a_datagram_exceed_64_kilobytes() {
    let mut buffer = vec![0; 0x2_0000];
    let kind = MessageType::new(Class::Request, Method::BINDING);
    let mut build = |length| {
        Builder::new(&mut buffer, kind, TransactionId([1; 12]))
            .with(&Padding(&vec![0; length]))
            .finish()
    };
    // With 20 and 8 bytes of IPv4 and UDP header a packet of 65532 bytes; the next would be 65536.
    assert_eq!(build(65480), Ok(65504));
    assert_eq!(build(65481), Err(BuildError::TooLarge(SizeLimit::DATAGRAM)));
}
