//! Attributes that ride on checks and their answers.

mod puppet;

use floe_ice::{CommandError, ComponentId, Config, Event, Role};
use floe_sansio::Input;
use floe_stun::{
    AttributeType, Class, IceControlling, Message, Priority, Username, XorMappedAddress,
};
use puppet::{CONTROLLING, Puppet, home, host, millis, peer};

const KIND: u16 = 0xC070;

fn listening(role: Role, kinds: &[u16]) -> Puppet {
    let mut config = Config::new(role);
    config.piggyback = kinds.to_vec();
    let mut puppet = Puppet::with(config, &[home()]);
    puppet.add(host(peer()));
    puppet.introduce();
    puppet
}

fn value_in(message: &Message<'_>) -> Option<Vec<u8>> {
    let mut attributes = message.attributes();
    let found = attributes.find(|it| it.kind == AttributeType(KIND));
    found.map(|it| it.value.to_vec())
}

/// A check with this attribute, signed with this key.
fn check_with(puppet: &mut Puppet, value: &[u8], key: &floe_stun::Key) -> Vec<u8> {
    let name = format!("{}:peer", puppet.agent.credentials().ufrag());
    let id = puppet.id();
    let mut buffer = [0; 1400];
    let kind = floe_stun::MessageType::new(Class::Request, floe_stun::Method::BINDING);
    let len = floe_stun::Builder::new(&mut buffer, kind, id)
        .with(&Username(&name))
        .with(&Priority(1))
        .with_raw(AttributeType(KIND), value)
        .with(&IceControlling(7))
        .with_integrity(key)
        .with_fingerprint()
        .finish()
        .unwrap();
    buffer[..len].to_vec()
}

fn heard(puppet: &Puppet) -> Vec<(u16, Vec<u8>)> {
    let events = puppet.events.iter().filter_map(|event| match event {
        Event::Piggyback {
            component,
            kind,
            value,
        } => {
            assert_eq!(*component, ComponentId::default());
            Some((*kind, value.to_vec()))
        }
        _ => None,
    });
    events.collect()
}

#[test]
fn what_is_attached_rides_on_every_check_and_answer_until_it_is_taken_away() {
    let mut puppet = listening(Role::Controlled, &[]);
    let sent = puppet.next_check(peer());
    assert_eq!(value_in(&sent.message()), None);
    let value = bytes::Bytes::from_static(b"hello");
    puppet.agent.attach(Some((KIND, value))).unwrap();
    let sent = puppet.next_check(peer());
    let message = sent.message();
    assert_eq!(value_in(&message), Some(b"hello".to_vec()));
    assert!(message.verify(&Puppet::peer_key(), message.integrity().unwrap()));
    assert!(message.verify_fingerprint());
    puppet.accepted_check(peer(), CONTROLLING);
    let answer = Message::parse(&puppet.answers[0].payload).unwrap();
    assert_eq!(value_in(&answer), Some(b"hello".to_vec()));
    assert!(answer.verify(&puppet.key(), answer.integrity().unwrap()));
    puppet.agent.attach(None).unwrap();
    puppet.accepted_check(peer(), CONTROLLING);
    let answer = Message::parse(&puppet.answers[0].payload).unwrap();
    assert_eq!(value_in(&answer), None);
}

#[test]
fn what_must_be_understood_or_is_too_long_cannot_be_attached() {
    let mut puppet = listening(Role::Controlled, &[]);
    let before = puppet.state();
    let refused = Err(CommandError::Attachment);
    let short = bytes::Bytes::from_static(b"x");
    assert_eq!(puppet.agent.attach(Some((0x7FFF, short))), refused);
    let long = bytes::Bytes::from(vec![0; 501]);
    assert_eq!(puppet.agent.attach(Some((KIND, long))), refused);
    assert_eq!(puppet.state(), before);
    let longest = bytes::Bytes::from(vec![7; 500]);
    puppet.agent.attach(Some((KIND, longest))).unwrap();
    puppet.requests.clear();
    let sent = puppet.next_check(peer());
    assert_eq!(value_in(&sent.message()), Some(vec![7; 500]));
}

#[test]
fn attributes_of_the_peers_checks_and_answers_are_told_to_who_asked_for_them() {
    let mut puppet = listening(Role::Controlled, &[KIND]);
    let key = puppet.key();
    let check = check_with(&mut puppet, b"in a check", &key);
    assert_eq!(puppet.deliver(peer(), &check), Input::Handled);
    assert_eq!(heard(&puppet), [(KIND, b"in a check".to_vec())]);
    let sent = puppet.next_check(peer());
    let answer = Puppet::build(Class::Success, sent.message().transaction_id(), |builder| {
        builder
            .with(&XorMappedAddress(home()))
            .with_raw(AttributeType(KIND), b"in an answer")
            .with_integrity(&Puppet::peer_key())
    });
    assert_eq!(puppet.deliver(peer(), &answer), Input::Handled);
    assert_eq!(heard(&puppet)[1], (KIND, b"in an answer".to_vec()));
}

#[test]
fn what_nobody_asked_for_and_what_is_too_long_is_not_told() {
    for (kinds, value) in [
        (vec![], vec![1; 5]),
        (vec![KIND + 1], vec![1; 5]),
        (vec![KIND], vec![1; 501]),
    ] {
        let mut puppet = listening(Role::Controlled, &kinds);
        let key = puppet.key();
        let check = check_with(&mut puppet, &value, &key);
        assert_eq!(puppet.deliver(peer(), &check), Input::Handled);
        assert_eq!(heard(&puppet), []);
        assert_eq!(puppet.answer().0, Class::Success);
    }
}

/// Whoever does not know the password says nothing.
#[test]
fn what_is_not_proven_is_not_told() {
    let mut puppet = listening(Role::Controlled, &[KIND]);
    let wrong = floe_stun::Key::short_term("wrong");
    let check = check_with(&mut puppet, b"forged", &wrong);
    let _ = puppet.deliver(peer(), &check);
    assert_eq!(heard(&puppet), []);
}

/// An owner that does not listen is not buried.
#[test]
fn events_that_nobody_takes_are_bounded() {
    let mut puppet = listening(Role::Controlled, &[KIND]);
    let key = puppet.key();
    let path = floe_sansio::FiveTuple::udp(home(), peer());
    let mut answers = 0;
    for _ in 0..500 {
        let mut check = check_with(&mut puppet, b"again", &key);
        let datagram = floe_sansio::Datagram::whole(path, &mut check);
        let now = puppet.now;
        let _ = puppet.agent.handle_input(now, datagram);
        while puppet.agent.poll_transmit().is_some() {
            answers += 1;
        }
    }
    assert!(answers >= 500);
    puppet.drain();
    assert!((1..=64).contains(&heard(&puppet).len()));
    puppet.sleep(millis(1));
}
