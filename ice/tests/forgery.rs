//! Whatever comes from somebody who does not know the credentials changes nothing (scenarios 4, 47).

mod puppet;

use floe_ice::{Role, State};
use floe_sansio::{DropReason, Input};
use floe_stun::{Class, ErrorCode, Key, StatusCode, XorMappedAddress};
use puppet::{
    CONTROLLED, CONTROLLING, NOMINATING, Puppet, Says, Sent, addr, home, host, millis, peer,
};

fn puppets() -> Vec<(Puppet, Sent)> {
    let mut puppets = Vec::new();
    for role in [Role::Controlling, Role::Controlled] {
        let mut puppet = Puppet::introduced(role, &[host(peer())]);
        let sent = puppet.next_check(peer());
        puppets.push((puppet, sent));
    }
    puppets
}

/// Breaks the integrity of a message and repairs its fingerprint.
fn forge(bytes: &[u8]) -> Vec<u8> {
    let body = bytes.len() - 8;
    let mut forged = bytes[..body].to_vec();
    *forged.last_mut().unwrap() ^= 1;
    let crc = crc(&forged);
    forged.extend_from_slice(&bytes[body..body + 4]);
    forged.extend_from_slice(&crc.to_be_bytes());
    forged
}

/// RFC 8489 §14.7.
fn crc(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for &byte in bytes {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0xEDB8_8320 & (crc & 1).wrapping_neg());
        }
    }
    !crc ^ 0x5354_554E
}

#[test]
fn forged_requests_are_answered_with_401_and_leave_no_trace() {
    for (mut puppet, _) in puppets() {
        for says in [
            CONTROLLING,
            CONTROLLED,
            NOMINATING,
            Says {
                tie_breaker: u64::MAX,
                ..CONTROLLING
            },
            Says {
                tie_breaker: 0,
                ..CONTROLLED
            },
        ] {
            let bytes = forge(&puppet.check(says));
            let before = puppet.state();
            for from in [peer(), addr("203.0.113.66:6")] {
                puppet.answers.clear();
                assert_eq!(puppet.deliver(from, &bytes), Input::Handled);
                assert_eq!(puppet.answer().1, Some(StatusCode::UNAUTHENTICATED));
                assert_eq!(puppet.state(), before);
            }
        }
    }
}

/// req: CONSENT-5.1-3
#[test]
fn forged_answers_leave_no_trace_and_the_genuine_one_still_counts() {
    for (mut puppet, sent) in puppets() {
        let id = sent.message().transaction_id();
        let wrong = Key::short_term("wrong");
        let codes = [
            StatusCode::BAD_REQUEST,
            StatusCode::UNAUTHENTICATED,
            StatusCode::FORBIDDEN,
            StatusCode::ROLE_CONFLICT,
        ];
        let mut forged = vec![
            forge(&Puppet::success(&sent, home())),
            Puppet::build(Class::Success, id, |b| b.with(&XorMappedAddress(home()))),
            Puppet::build(Class::Success, id, |b| {
                b.with(&XorMappedAddress(home())).with_integrity(&wrong)
            }),
        ];
        for code in codes {
            forged.push(forge(&Puppet::error(&sent, code)));
            forged.push(Puppet::build(Class::Error, id, |b| {
                b.with(&ErrorCode::of(code))
            }));
        }
        let before = puppet.state();
        for bytes in forged {
            for from in [peer(), addr("203.0.113.66:6")] {
                let input = puppet.deliver(from, &bytes);
                assert_eq!(input, Input::Dropped(DropReason::Unauthenticated));
                assert_eq!(puppet.state(), before);
            }
        }
        assert!(puppet.answers.is_empty());
        puppet.accept(&sent);
        assert_eq!(puppet.agent.state(), State::Connected);
    }
}

#[test]
fn an_answer_signed_with_the_wrong_sides_password_is_forged() {
    let (mut puppet, sent) = puppets().swap_remove(0);
    let key = puppet.key();
    let bytes = Puppet::build(Class::Success, sent.message().transaction_id(), |builder| {
        builder.with(&XorMappedAddress(home())).with_integrity(&key)
    });
    assert_eq!(
        puppet.deliver(peer(), &bytes),
        Input::Dropped(DropReason::Unauthenticated)
    );
}

#[test]
fn an_answer_counts_once() {
    let (mut puppet, sent) = puppets().swap_remove(1);
    puppet.accept(&sent);
    let before = puppet.state();
    let bytes = Puppet::success(&sent, home());
    assert_eq!(
        puppet.deliver(peer(), &bytes),
        Input::Dropped(DropReason::NoTransaction)
    );
    assert_eq!(puppet.state(), before);
}

/// Scenario 47: requests may be repeated.
#[test]
fn a_repeated_request_is_answered_again_and_changes_nothing_more() {
    for role in [Role::Controlling, Role::Controlled] {
        let mut puppet = Puppet::connected(role);
        let says = if role == Role::Controlled {
            NOMINATING
        } else {
            CONTROLLED
        };
        let bytes = puppet.check(says);
        assert_eq!(puppet.deliver(peer(), &bytes), Input::Handled);
        let before = puppet.state();
        for _ in 0..5 {
            puppet.answers.clear();
            assert_eq!(puppet.deliver(peer(), &bytes), Input::Handled);
            assert_eq!(puppet.answer().0, Class::Success);
            assert_eq!(puppet.state(), before);
        }
    }
}

/// req: CONSENT-5.1-3, CONSENT-5.1-2
#[test]
fn traffic_from_the_peer_alone_gives_no_consent() {
    let mut puppet = Puppet::connected(Role::Controlled);
    for _ in 0..29 {
        puppet.sleep(millis(1000));
        let _ = puppet.deliver(peer(), b"data");
        puppet.accepted_check(peer(), CONTROLLING);
    }
    assert!(puppet.target().is_some());
    puppet.sleep(millis(1001));
    assert_eq!(puppet.target(), None);
}

#[test]
fn bytes_to_an_address_that_is_not_ours_are_dropped() {
    let (mut puppet, _) = puppets().swap_remove(0);
    let bytes = puppet.check(CONTROLLED);
    let before = puppet.state();
    let input = puppet.deliver_to(addr("192.0.2.1:1001"), peer(), &bytes);
    assert_eq!(input, Input::Dropped(DropReason::UnknownLocal));
    assert_eq!(puppet.state(), before);
}
