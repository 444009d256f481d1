//! Consent (RFC 7675) and keepalives (RFC 8445 §11).

mod puppet;

use std::collections::BTreeSet;

use floe_ice::{Config, Event, FailureCause, Role, State};
use floe_sansio::{DropReason, Input};
use floe_stun::{Key, StatusCode};
use puppet::{PEER_PASSWORD, Puppet, home, host, millis, other, peer};

const ROLES: [Role; 2] = [Role::Controlling, Role::Controlled];
const EXPIRED: State = State::Failed(FailureCause::ConsentExpired);

/// req: CONSENT-5-1, CONSENT-5.1-2, CONSENT-5.1-8
#[test]
fn data_stops_thirty_seconds_after_the_last_answer() {
    for role in ROLES {
        let mut puppet = Puppet::connected(role);
        puppet.sleep(millis(29_999));
        assert!(puppet.target().is_some());
        puppet.sleep(millis(1));
        assert_eq!(puppet.target(), None);
        assert_eq!(puppet.agent.state(), EXPIRED);
        assert_eq!(puppet.agent.poll_timeout(), None);
        puppet.requests.clear();
        puppet.sleep(millis(60_000));
        assert!(puppet.requests.is_empty());
    }
}

/// req: CONSENT-5.1-4, CONSENT-5.1-5, CONSENT-5.1-6, CONSENT-4-1, ICE-11-1, ICE-11-14
#[test]
fn the_peer_is_asked_every_four_to_six_seconds_and_told_nothing_else() {
    // Also where the owner would like it more often.
    for wanted in [5000, 1000] {
        let mut config = Config::new(Role::Controlling);
        config.consent_interval = millis(wanted);
        let mut puppet = Puppet::with(config, &[home()]);
        puppet.add(host(peer()));
        puppet.introduce();
        puppet.answering(millis(100), |_| true);
        assert_eq!(puppet.agent.state(), State::Completed);
        let mut times = vec![puppet.now];
        while times.len() < 60 {
            let sent = puppet.next_consent();
            times.push(sent.at);
            puppet.accept(&sent);
        }
        // The first interval began with the first success.
        let gaps: Vec<_> = times[1..].windows(2).map(|t| t[1] - t[0]).collect();
        assert!(
            gaps.iter()
                .all(|&gap| gap >= millis(4000) && gap <= millis(6000)),
            "{gaps:?}"
        );
        assert!(
            gaps.iter().min() < gaps.iter().max(),
            "drawn anew each time"
        );
        assert!(puppet.answers.is_empty());
    }
}

/// req: CONSENT-5.1-7, CONSENT-5.1-15
#[test]
fn each_request_is_a_transaction_of_its_own_with_the_credentials_of_the_session() {
    let mut puppet = Puppet::connected(Role::Controlled);
    puppet.sleep(millis(29_000));
    let ids: BTreeSet<_> = puppet
        .requests
        .iter()
        .map(|sent| sent.message().transaction_id())
        .collect();
    assert!(ids.len() >= 4 && ids.len() == puppet.requests.len());
    let key = Key::short_term(PEER_PASSWORD);
    for sent in &puppet.requests {
        let message = sent.message();
        assert!(message.verify(&key, message.integrity().unwrap()));
        assert!(!sent.nominates());
    }
}

/// Scenario 32: the answer takes longer than the interval.
///
/// req: CONSENT-5.1-8
#[test]
fn a_late_answer_to_an_older_request_counts() {
    let mut puppet = Puppet::connected(Role::Controlled);
    puppet.sleep(millis(25_000));
    let oldest = puppet.requests[0].clone();
    puppet.accept(&oldest);
    puppet.sleep(millis(29_999));
    assert_ne!(puppet.agent.state(), EXPIRED);
}

/// req: CONSENT-5.1-9
#[test]
fn an_answer_after_the_end_revives_nothing() {
    let mut puppet = Puppet::connected(Role::Controlled);
    puppet.sleep(millis(30_000));
    let sent = puppet.requests.pop().unwrap();
    let bytes = Puppet::success(&sent, home());
    assert_eq!(
        puppet.deliver(peer(), &bytes),
        Input::Dropped(DropReason::Closed)
    );
    assert_eq!(puppet.agent.state(), EXPIRED);
}

/// Scenario 33.
///
/// req: CONSENT-5.2-1
#[test]
fn an_authenticated_403_revokes_at_once() {
    for role in ROLES {
        let mut puppet = Puppet::connected(role);
        let sent = puppet.next_consent();
        puppet.refuse(&sent, StatusCode::FORBIDDEN);
        assert_eq!(puppet.target(), None);
        assert_eq!(puppet.agent.state(), EXPIRED);
        assert!(matches!(puppet.events.last(), Some(Event::Failed(_))));
    }
}

/// req: CONSENT-5.1-3
#[test]
fn other_errors_neither_give_nor_revoke_consent() {
    let mut puppet = Puppet::connected(Role::Controlled);
    let sent = puppet.next_consent();
    puppet.refuse(&sent, StatusCode::BAD_REQUEST);
    assert!(puppet.target().is_some());
    let since = puppet.now;
    puppet.sleep(millis(29_000));
    assert_eq!(puppet.agent.state(), EXPIRED, "{since:?}");
}

/// It is the pair that carries data before selection that is asked.
///
/// req: CONSENT-5-1
#[test]
fn consent_is_kept_before_selection_too() {
    let mut puppet = Puppet::introduced(Role::Controlled, &[host(peer()), host(other())]);
    let sent = puppet.next_check(peer());
    puppet.accept(&sent);
    for _ in 0..120 {
        puppet.sleep(millis(1000));
        for sent in std::mem::take(&mut puppet.requests) {
            if sent.path.remote == peer() {
                puppet.accept(&sent);
            }
        }
    }
    assert_eq!(puppet.agent.state(), State::Connected);
    puppet.sleep(millis(30_000));
    assert_eq!(puppet.agent.state(), EXPIRED);
}

/// Scenario 40: after a long sleep there is one expiry and no storm.
#[test]
fn a_jump_of_an_hour_ends_consent_once() {
    let mut puppet = Puppet::connected(Role::Controlling);
    puppet.requests.clear();
    puppet.now += millis(3_600_000);
    let now = puppet.now;
    puppet.agent.handle_timeout(now);
    puppet.sleep(millis(1000));
    assert_eq!(puppet.agent.state(), EXPIRED);
    assert!(puppet.requests.is_empty());
}

/// RFC 3550 §6.6: a goodbye of this source, as it comes in the clear. What it means is up to the owner.
///
/// req: CONSENT-5.2-3
#[test]
fn a_goodbye_of_rtcp_revokes_nothing() {
    let mut puppet = Puppet::connected(Role::Controlled);
    let bye = [0x81, 203, 0, 1, 1, 2, 3, 4];
    assert!(matches!(puppet.deliver(peer(), &bye), Input::Data(_)));
    assert!(puppet.target().is_some());
    puppet.answering(millis(60_000), |_| true);
    assert!(puppet.target().is_some());
    assert_eq!(puppet.agent.state(), State::Completed);
}
