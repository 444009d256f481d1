//! Whatever the candidates, their order, the roles and the losses: both agents come to the same end.

mod net;

use core::net::SocketAddr;
use core::time::Duration;

use floe_ice::{CommandError, Config, Event, Role, State};
use net::{Net, stun_server};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

/// One address of one side: behind a NAT or not.
#[derive(Clone, Debug)]
struct Host {
    nat: bool,
}

#[derive(Clone, Debug)]
struct Case {
    hosts: [Vec<Host>; 2],
    roles: [Role; 2],
    strict: bool,
    /// Of each pair of addresses, whether anything passes.
    open: [[bool; 3]; 3],
    /// What is told to whom, in this order, and when: a step of 20 ms each.
    order: Vec<(usize, Told)>,
    seed: u8,
}

#[derive(Clone, Copy, Debug)]
enum Told {
    Gather,
    Parameters,
    Candidate,
    Nothing,
}

fn case() -> impl Strategy<Value = Case> {
    let hosts = || proptest::collection::vec(any::<bool>().prop_map(|nat| Host { nat }), 1..=3);
    let role = || prop_oneof![Just(Role::Controlling), Just(Role::Controlled)];
    let told = prop_oneof![
        2 => Just(Told::Gather),
        2 => Just(Told::Parameters),
        6 => Just(Told::Candidate),
        3 => Just(Told::Nothing),
    ];
    let order = proptest::collection::vec((0..2usize, told), 0..40);
    (
        (hosts(), hosts()),
        (role(), role()),
        any::<bool>(),
        any::<[[bool; 3]; 3]>(),
        order,
        any::<u8>(),
    )
        .prop_map(|(hosts, roles, strict, open, order, seed)| Case {
            hosts: hosts.into(),
            roles: roles.into(),
            strict,
            open,
            order,
            seed,
        })
}

fn address(side: usize, at: usize) -> SocketAddr {
    let net = [8, 9][side];
    SocketAddr::new([net, 9, 9, at as u8 + 1].into(), 1000)
}

impl Case {
    /// Whether any address of one side reaches any of the other. NATs let everything in, and a STUN
    /// server tells their outsides.
    fn can_connect(&self) -> bool {
        let [one, two] = &self.hosts;
        (0..one.len()).any(|a| (0..two.len()).any(|b| self.open[a][b]))
    }

    fn build(&self) -> Net {
        let mut sides = 0..;
        let configs = self.roles.map(|role| {
            let side = sides.next().unwrap();
            let mut config = Config::new(role);
            if self.strict {
                config = config.strict();
            }
            config.addresses = (0..self.hosts[side].len())
                .map(|at| address(side, at))
                .collect();
            config.stun_servers = vec![stun_server()];
            config
        });
        let mut net = Net::new(configs, self.seed);
        for side in [0, 1] {
            for (at, host) in self.hosts[side].iter().enumerate() {
                if host.nat {
                    let outside = SocketAddr::new([7, side as u8 + 1, 0, 1].into(), at as u16 + 1);
                    net.outside.insert(address(side, at), outside);
                }
            }
        }
        for a in 0..3 {
            for b in 0..3 {
                if !self.open[a][b] {
                    net.blocked.insert((address(0, a), address(1, b)));
                }
            }
        }
        net
    }

    fn run(&self, loss: u32) -> Net {
        let mut net = self.build();
        net.loss = loss;
        for &(side, told) in &self.order {
            match told {
                Told::Gather => net.gather(side),
                Told::Parameters => net.introduce(side),
                Told::Candidate => {
                    net.trickle(side);
                }
                Told::Nothing => {}
            }
            net.run(Duration::from_millis(20));
        }
        for side in [0, 1] {
            net.gather(side);
            net.introduce(side);
        }
        net.run_trickling(Duration::from_secs(6));
        // The faults stop: then everything that can connect must.
        net.loss = 0;
        net.run_trickling(Duration::from_secs(60));
        net
    }
}

fn check(case: &Case, loss: u32) -> Result<(), TestCaseError> {
    let mut net = case.run(loss);
    let states = [0, 1].map(|side: usize| net.agents[side].state());
    if case.can_connect() {
        prop_assert!(
            net.agree(),
            "{states:?} {:?}",
            net.agents.each_ref().map(|agent| agent.selected())
        );
        prop_assert!(net.send(0, b"one") && net.send(1, b"two"));
        net.run(Duration::from_secs(1));
        prop_assert_eq!(&net.data, &[vec![b"two".to_vec()], vec![b"one".to_vec()]]);
        prop_assert_ne!(net.agents[0].role(), net.agents[1].role());
    } else {
        let failed = |state: &State| matches!(state, State::Failed(_));
        prop_assert!(states.iter().all(failed), "{states:?}");
        let ended = net.agents[0].end_of_remote_candidates(net.now);
        prop_assert_eq!(ended, Err(CommandError::Ended));
    }
    for side in [0, 1] {
        let selected = net.count(side, |event| matches!(event, Event::Selected(_)));
        let failed = net.count(side, |event| matches!(event, Event::Failed(_)));
        prop_assert_eq!(selected + failed, 1);
        if loss == 0 {
            // Only a pair that works is nominated, and then no other.
            prop_assert!(net.nominated[side].len() <= 1);
        }
    }
    Ok(())
}

fn config(seed: u64) -> ProptestConfig {
    ProptestConfig {
        cases: 256,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(seed),
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config(1))]

    /// req: ICE-8.1.1-1, ICE-8.1.1-2, ICE-7.3.1.1-2
    #[test]
    fn without_loss_both_sides_select_the_same_pair_wherever_one_works(case in case()) {
        check(&case, 0)?;
    }
}

proptest! {
    #![proptest_config(config(2))]

    #[test]
    fn after_any_losses_both_sides_select_the_same_pair_wherever_one_works(
        case in case(),
        loss in 1..=400u32,
    ) {
        check(&case, loss)?;
    }
}
