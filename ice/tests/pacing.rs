//! How fast checks are sent, alone and together with others (RFC 8445 §14, appendix B.1).

mod puppet;

use std::net::SocketAddr;

use floe_ice::{Agent, Config, Pacer, Role};
use floe_sansio::Instant;
use floe_stun::{Class, Message};
use puppet::{Puppet, addr, home, host, millis, peer};

fn remotes(count: u16) -> Vec<SocketAddr> {
    let ports = 1..=count;
    ports.map(|n| addr(&format!("198.51.100.9:{n}"))).collect()
}

fn checking(config: Config, count: u16) -> Puppet {
    let mut puppet = Puppet::with(config, &[home()]);
    for remote in remotes(count) {
        puppet.add(host(remote));
    }
    puppet.introduce();
    puppet
}

/// When transactions of the agents of a process begin, with one pacer for all of them.
fn together(count: usize, mut end: impl FnMut(usize, &mut Agent, Instant)) -> Vec<Instant> {
    let mut pacer = Pacer::new();
    let mut now = Instant::from_secs(1);
    let mut agents: Vec<_> = (0..count)
        .map(|n| {
            let mut config = Config::new(Role::Controlling);
            config.addresses = vec![home()];
            config.stun_servers = vec![addr("192.0.2.200:3478")];
            Agent::new(config, [n as u8; 32], now)
        })
        .collect();
    let template = Puppet::new(Role::Controlling);
    for agent in &mut agents {
        agent.paced(&mut pacer).gather(now);
        for remote in remotes(10) {
            agent
                .paced(&mut pacer)
                .add_remote_candidate(now, host(remote))
                .unwrap();
        }
        let parameters = template.parameters();
        agent
            .paced(&mut pacer)
            .set_remote_parameters(now, parameters)
            .unwrap();
    }
    let mut times = Vec::new();
    let mut known = std::collections::HashSet::new();
    let until = now + millis(3000);
    while now <= until {
        for (n, agent) in agents.iter_mut().enumerate() {
            if agent.poll_timeout().is_some_and(|at| at <= now) {
                agent.paced(&mut pacer).handle_timeout(now);
            }
            end(n, agent, now);
            while let Some(transmit) = agent.poll_transmit() {
                let message = Message::parse(&transmit.payload).unwrap();
                assert_eq!(message.class(), Class::Request);
                if known.insert(message.transaction_id()) {
                    times.push(now);
                }
            }
        }
        let next = agents.iter().filter_map(Agent::poll_timeout).min();
        now = next.unwrap().max(now);
    }
    times
}

/// Gathering and checks of twenty agents.
///
/// req: ICE-14.2-4, ICE-5.1.1.2-9
#[test]
fn the_transactions_of_all_agents_together_are_5_ms_apart() {
    let times = together(20, |_, _, _| {});
    assert!(times.len() > 500, "{}", times.len());
    assert!(times.windows(2).all(|pair| pair[1] - pair[0] >= millis(5)));
    // Nor is a turn left unused while all have something to send.
    assert!(
        times[..200]
            .windows(2)
            .all(|pair| pair[1] - pair[0] == millis(5))
    );
}

/// What an agent waits for when it ends goes to nobody; later ones are not lost.
#[test]
fn agents_that_are_closed_do_not_slow_the_others_down() {
    let times = together(20, |n, agent, now| {
        if n % 2 == 0 && now >= Instant::from_secs(1) + millis(100) {
            agent.close(now);
        }
    });
    let late = times.iter().filter(|&&at| at >= Instant::from_secs(2));
    assert!(late.count() > 100);
}

/// req: ICE-14.2-1
#[test]
fn ta_is_50_ms_to_the_letter() {
    let mut puppet = checking(Config::new(Role::Controlling).strict(), 10);
    puppet.sleep(millis(440));
    let times: Vec<_> = puppet.requests.iter().map(|sent| sent.at).collect();
    assert_eq!(times.len(), 9);
    assert!(times.windows(2).all(|pair| pair[1] - pair[0] == millis(50)));
}

/// What is signalled is what is kept, and 5 ms at least.
///
/// req: ICE-14.2-2, ICE-14.2-5
#[test]
fn another_ta_is_what_the_agent_tells_its_owner_to_signal() {
    for (wanted, told) in [(5, 5), (20, 20), (1, 5), (50, 50), (200, 200)] {
        let mut config = Config::new(Role::Controlling);
        config.pacing = millis(wanted);
        let mut puppet = checking(config, 10);
        assert_eq!(puppet.agent.pacing(), millis(told));
        puppet.sleep(millis(told));
        let gap = puppet.requests[1].at - puppet.requests[0].at;
        assert_eq!(gap, millis(told));
    }
}

/// Ta times the number of checks to be performed, and 500 ms at least.
///
/// req: ICE-14.3-1, ICE-14.3-2
#[test]
fn the_rto_of_a_check_grows_with_the_number_of_checks() {
    for (count, rto) in [(1, 500), (10, 500), (11, 550), (30, 1500)] {
        let mut puppet = checking(Config::new(Role::Controlling).strict(), count);
        let first = remotes(1)[0];
        let sent = puppet.next_check(first);
        let again = puppet.next_check_where(|it| it.path.remote == first && it.at > sent.at);
        // The slots are full with first checks of others.
        let late = (again.at - sent.at).as_millis() as u64;
        assert!((rto..=rto + 150).contains(&late), "{count}: {late}");
    }
}

/// req: ICE-14.3-3
#[test]
fn the_time_between_repetitions_may_be_set() {
    for interval in [100, 250, 700] {
        let mut config = Config::new(Role::Controlling);
        config.probing.interval = millis(interval);
        let mut puppet = checking(config, 1);
        puppet.sleep(millis(interval * 3));
        let times: Vec<_> = puppet.requests.iter().map(|sent| sent.at).collect();
        assert_eq!(times.len(), 3);
        assert_eq!(times[1] - times[0], millis(interval));
        assert_eq!(times[2] - times[1], millis(2 * interval));
    }
}

/// A full list, at full speed: what has been sent and is neither answered nor older than 500 ms.
///
/// req: ICE-B.1-1
#[test]
fn no_more_than_14600_bytes_are_outstanding() {
    for burst in [10, u32::MAX] {
        let mut config = Config::new(Role::Controlling);
        config.burst = burst;
        config.limits.checks_to_silent_host = usize::MAX;
        // Both sides want to be quicker than is allowed.
        config.pacing = millis(1);
        let mut puppet = Puppet::with(config, &[home()]);
        for remote in remotes(100) {
            puppet.add(host(remote));
        }
        let mut parameters = puppet.parameters();
        parameters.pacing = Some(millis(1));
        puppet.introduce_as(parameters);
        puppet.sleep(millis(5000));
        let sent = &puppet.requests;
        assert!(sent.len() > 200);
        for (at, first) in sent.iter().enumerate() {
            let window = sent[at..]
                .iter()
                .take_while(|it| it.at < first.at + millis(500));
            let bytes: usize = window.map(|it| it.bytes.len()).sum();
            assert!(bytes <= 14_600, "{bytes} bytes");
        }
    }
}

/// The default list, with nobody there.
///
/// req: ICE-19.5.1-1
#[test]
fn no_more_than_100_pairs_are_checked() {
    let mut config = Config::new(Role::Controlling).strict();
    config.limits.remote_candidates = 1000;
    let mut puppet = checking(config, 500);
    puppet.sleep(millis(39_000));
    let mut paths: Vec<_> = puppet.requests.iter().map(|it| it.path.remote).collect();
    paths.sort_unstable();
    paths.dedup();
    assert_eq!(paths.len(), 100);
}

/// A triggered check does not wait for the slower pace of later slots, but for Ta.
#[test]
fn urgent_checks_keep_the_quick_pace() {
    let mut config = Config::new(Role::Controlled);
    config.burst = 1;
    config.settled_pacing = millis(200);
    let mut puppet = checking(config, 10);
    puppet.sleep(millis(210));
    puppet.requests.clear();
    let now = puppet.now;
    puppet.accepted_check(peer(), puppet::CONTROLLING);
    let sent = puppet.next_check(peer());
    assert!(sent.at - now <= millis(5));
}
