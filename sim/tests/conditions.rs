//! What a negotiation can be put under beside NATs and loss: distances, addresses that lead nowhere,
//! candidates gathered before, signalling without order.

use core::time::Duration;

use floe_peer::Role;
use floe_sim::{Disorder, Path, Preset, Probability, Report, SessionConfig};

const MS: Duration = Duration::from_millis(1);

fn open() -> SessionConfig {
    let mut config = SessionConfig::new(Preset::Open, Preset::Open);
    config.round_trip = 100 * MS;
    config.signal_delay = 70 * MS;
    config.gathered_before = true;
    config
}

fn run(config: &SessionConfig) -> Report {
    config.run().unwrap().0
}

/// R between the peers, r to the server, whichever is longer.
#[test]
fn the_server_is_as_far_as_it_is_said_to_be() {
    for round_trip in [10, 100, 300] {
        let mut config = open();
        config.server_round_trip = Some(round_trip * MS);
        let report = run(&config);
        assert_eq!(report.outcome, Path::Direct);
        let config = SessionConfig {
            a: Preset::UdpBlocked,
            ..config
        };
        let relayed = run(&config);
        assert_eq!(relayed.outcome, Path::Relayed);
        let gathered = report.sides[0].timeline.gathered.unwrap();
        // A binding, and an allocation that is refused first.
        assert_eq!(gathered.as_nanos() / 1_000_000 / u64::from(round_trip), 2);
    }
}

/// The floor of 2σ + R, to the nanosecond: no relay is a shortcut here.
#[test]
fn open_peers_that_have_gathered_before_connect_at_the_floor() {
    let mut config = open();
    config.server_round_trip = Some(300 * MS);
    let report = run(&config);
    assert_eq!(report.valid(), Some(240 * MS));
    for side in &report.sides {
        assert!(side.timeline.gathered <= side.timeline.described);
    }
}

fn with_dead_addresses(before: usize) -> SessionConfig {
    let mut config = open();
    config.dead_addresses = 3;
    config.dead_before = before;
    // A relay that was taken too early is left again.
    config.linger = 4_000 * MS;
    config
}

#[test]
fn addresses_that_lead_nowhere_do_not_keep_peers_apart() {
    for before in 0..4 {
        let config = with_dead_addresses(before);
        let session = config.start().unwrap();
        let plan = &session.world().plan;
        for host in session.world().hosts {
            assert_eq!(plan.addresses(host).count(), 4);
        }
        assert_ne!(run(&config).outcome, Path::None, "{before} before");
    }
}

/// As a driver lists them that asks its host for the default route.
#[test]
fn the_address_that_works_is_used_if_it_is_listed_first() {
    let report = run(&with_dead_addresses(0));
    assert_eq!(report.outcome, Path::Direct);
}

#[test]
fn the_address_that_works_is_used_wherever_it_is_listed() {
    for before in 0..4 {
        let report = run(&with_dead_addresses(before));
        assert_eq!(report.outcome, Path::Direct, "{before} before");
    }
}

#[test]
fn signalling_without_order_leads_to_the_same_path() {
    for seed in 1..40 {
        for (nat, path) in [
            (Preset::PortRestricted, Path::Direct),
            (Preset::Symmetric, Path::Relayed),
        ] {
            let mut config = SessionConfig::new(nat, nat);
            config.seed = seed;
            config.disorder = Disorder {
                spread: 300 * MS,
                repeat: Probability::percent(40),
            };
            let report = run(&config);
            assert_eq!(report.outcome, path, "{nat}, seed {seed}");
            assert!(report.is_mirrored());
        }
    }
}

#[test]
fn roles_that_collide_are_settled() {
    for roles in [[Role::Controlling; 2], [Role::Controlled; 2]] {
        let mut config = open();
        config.roles = roles.map(Some);
        let mut session = config.start().unwrap();
        session.settle().unwrap();
        let roles = [0, 1].map(|side| session.peer(side).unwrap().connection().role());
        assert_ne!(roles[0], roles[1]);
        assert_eq!(session.report().unwrap().outcome, Path::Direct);
    }
}

#[test]
fn a_profile_can_be_chosen_for_each_side() {
    let mut config = open();
    let quick = run(&config).selected();
    config.ice = [|it| *it = it.clone().strict(); 2];
    let strict = run(&config);
    assert_eq!(strict.outcome, Path::Direct);
    assert!(strict.selected() > quick);
}
