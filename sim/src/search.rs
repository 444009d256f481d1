//! Random search: negotiations in worlds, with faults and orders of signalling, all drawn from a seed.

mod dice;
mod finding;
mod place;

use core::fmt;
use core::time::Duration;

use floe_peer::Role;

use self::dice::Dice;
use crate::{
    Disorder, Expectation, Judgement, Link, Log, Mapping, NatConfig, Path, Preset, Probability,
    Report, SegmentId, Session, SessionConfig, SessionError, Violation, World,
};

pub use finding::Finding;

/// All faults have stopped after this time.
const FAULTS_MS: u64 = 2_500;
/// No outage is longer.
const OUTAGE_MS: u64 = 2_000;
/// Whoever has found nothing until then says so: candidates are waited for 39.5 s (RFC 8863), and with
/// many pairs the strict profile checks each for minutes (RFC 8445 §14.3).
const LIMIT: Duration = Duration::from_secs(400);
/// After the end things are watched for so long...
const LINGER: Duration = Duration::from_secs(3);
/// ...and sometimes for longer than consent lasts.
const LONG_LINGER: Duration = Duration::from_secs(45);
/// The application is answered within this time.
const ANSWER: Duration = Duration::from_secs(4);

/// A negative control: what must be found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    /// The NAT nearest to the offering host, whose label says that its mapping is independent of the
    /// endpoint, maps for each destination: the oracle must be refuted.
    Mislabelled,
    /// The agents know no relay, and the oracle does: paths must be missed.
    NoRelay,
}

/// Something that goes wrong under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// The core loses everything for so long.
    Burst(Duration),
    /// The server is cut off for so long; its state stays.
    ServerCutOff(Duration),
    /// The first interface of this side is cut off for so long.
    SideCutOff(usize, Duration),
    /// The NAT nearest to this side forgets everything.
    Rebinding(usize),
}

/// What is done at a time.
#[derive(Clone, Copy, Debug)]
enum Action {
    Core(Link),
    Server(Link),
    Side(usize, Link),
    Reboot(usize),
    Calm,
}

/// One negotiation of a random search, drawn from a seed.
///
/// ```
/// use floe_sim::Case;
///
/// let examined = Case::nth(1).run()?;
/// assert!(examined.findings.is_empty(), "{:?}", examined.findings);
/// # Ok::<(), floe_sim::SessionError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Case {
    config: SessionConfig,
    world: World,
    faults: Vec<(Duration, Fault)>,
    linger: Duration,
    strict: [bool; 2],
}

/// What came of a case.
#[derive(Clone, Debug)]
pub struct Examined {
    /// What the oracle says.
    pub expectation: Expectation,
    /// What the agents found.
    pub outcome: Path,
    /// Whether a relay was used though a direct path exists.
    pub avoidable: bool,
    /// What no run may show.
    pub findings: Vec<Finding>,
    /// What the sides saw, if the run came to a result.
    pub report: Option<Report>,
    /// Everything that happened, if [`Case::record`] asked for it.
    pub log: Log,
}

impl Case {
    /// The case of a seed.
    pub fn nth(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let (world, dead) = place::world(&mut dice);
        let mut config = SessionConfig::new(Preset::Open, Preset::Open);
        config.seed = seed;
        config.signal_delay = dice.up_to(400);
        config.trickle = dice.percent(75);
        config.gathered_before = dice.percent(30);
        config.dead_addresses = dead;
        config.dead_before = dice.index(dead + 1);
        if dice.percent(30) {
            config.disorder = Disorder {
                spread: dice.up_to(1_000),
                repeat: Probability::percent(dice.pick([0, 20])),
            };
        }
        config.roles = dice.weighted([
            (85, [None, None]),
            (7, [Some(Role::Controlling); 2]),
            (5, [Some(Role::Controlled); 2]),
            (3, [Some(Role::Controlled), Some(Role::Controlling)]),
        ]);
        let strict = [(); 2].map(|()| dice.percent(15));
        config.ice = strict.map(|strict| -> fn(&mut floe_ice::Config) {
            if strict {
                |config| *config = config.clone().strict()
            } else {
                |_| {}
            }
        });
        config.limit = LIMIT;
        config.audit = true;
        let count = dice.weighted([(75, 0), (15, 1), (7, 2), (3, 3)]);
        let faults = (0..count).map(|_| fault(&mut dice)).collect();
        let linger = if dice.percent(10) {
            LONG_LINGER
        } else {
            LINGER
        };
        Self {
            config,
            world,
            faults,
            linger,
            strict,
        }
    }

    /// Makes it a negative control.
    #[must_use]
    pub fn control(mut self, control: Control) -> Self {
        match control {
            Control::NoRelay => self.config.relay = false,
            Control::Mislabelled => {
                let [site, _] = self.world.sites;
                let label = self.world.plan.nat_at(site);
                if let Some(label) = label.filter(|it| it.mapping == Mapping::EndpointIndependent) {
                    let actual = NatConfig {
                        mapping: Mapping::AddressAndPortDependent,
                        allocation: crate::Allocation::RANDOM,
                        ..label
                    };
                    self.world.plan.mislabel(site, actual);
                }
            }
        }
        self
    }

    /// Whether everything that happens is recorded.
    #[must_use]
    pub const fn record(mut self, record: bool) -> Self {
        self.config.record = record;
        self
    }

    /// Where it takes place.
    pub const fn world(&self) -> &World {
        &self.world
    }

    /// Whether anything is lost, or worse.
    fn is_disturbed(&self) -> bool {
        let core = self.world.plan.link(SegmentId::CORE);
        let flawed = core.loss > Probability::NEVER || core.corrupt > Probability::NEVER;
        flawed || !self.faults.is_empty()
    }

    /// Whether a NAT forgets its mappings: what was signalled then leads nowhere, and only a restart
    /// would help.
    fn is_rebound(&self) -> bool {
        let mut faults = self.faults.iter();
        faults.any(|(_, fault)| matches!(fault, Fault::Rebinding(_)))
    }

    /// Whether packets change on the way as no checksum of UDP lets pass: what a relay says of who sent
    /// something is not signed, and a bit in it can cost a pair.
    fn is_garbled(&self) -> bool {
        self.world.plan.link(SegmentId::CORE).corrupt > Probability::NEVER
    }

    /// What is done when, in order; in the end all faults stop.
    fn actions(&self) -> Vec<(Duration, Action)> {
        let [a, b] = self.world.hosts;
        let plan = &self.world.plan;
        let core = plan.link(SegmentId::CORE);
        let server = plan.access(self.world.server);
        let sides = [plan.access(a), plan.access(b)];
        let cut = |link: Link| link.with_loss(Probability::ALWAYS);
        let mut actions = vec![(Duration::from_millis(FAULTS_MS), Action::Calm)];
        for &(at, fault) in &self.faults {
            let (long, begin, end) = match fault {
                Fault::Burst(long) => (long, Action::Core(cut(core)), Action::Core(core)),
                Fault::ServerCutOff(long) => {
                    (long, Action::Server(cut(server)), Action::Server(server))
                }
                Fault::SideCutOff(side, long) => (
                    long,
                    Action::Side(side, cut(sides[side])),
                    Action::Side(side, sides[side]),
                ),
                Fault::Rebinding(side) => {
                    actions.push((at, Action::Reboot(side)));
                    continue;
                }
            };
            actions.extend([(at, begin), (at + long, end)]);
        }
        // Calm is the last of those at its time.
        actions.sort_by_key(|&(at, action)| (at, matches!(action, Action::Calm)));
        actions
    }

    fn act(&self, session: &mut Session, action: Action) {
        let World { hosts, server, .. } = self.world;
        let network = session.network_mut();
        match action {
            Action::Core(link) => network.set_link(SegmentId::CORE, link),
            Action::Server(link) => network.set_access(server, 0, link),
            Action::Side(side, link) => network.set_access(hosts[side], 0, link),
            Action::Calm => network.calm(),
            Action::Reboot(side) => {
                if let Some(nat) = session.nat_mut(side) {
                    nat.reboot();
                }
            }
        }
    }

    /// Runs it.
    pub fn run(&self) -> Result<Examined, SessionError> {
        let mut world = self.world.clone();
        if self.config.gathered_before {
            // Faults that never stop while candidates are gathered excuse everything.
            let core = world.plan.link(SegmentId::CORE);
            world.plan.set_link(SegmentId::CORE, core.faultless());
        }
        let mut session = self.config.start_in(world)?;
        let mut findings = Vec::new();
        let result = self.go(&mut session, &mut findings);
        let report = match result {
            Ok(report) => Some(report),
            Err(error) => {
                findings.push(Finding::Broken(error.to_string()));
                None
            }
        };
        let none = Expectation {
            path: Path::None,
            certain: false,
        };
        Ok(Examined {
            expectation: report.as_ref().map_or(none, |it| it.expectation),
            outcome: report.as_ref().map_or(Path::None, |it| it.outcome),
            avoidable: report
                .as_ref()
                .is_some_and(|it| it.judgement == Judgement::RelayAvoidable),
            findings,
            report,
            log: session.log().clone(),
        })
    }

    fn go(
        &self,
        session: &mut Session,
        findings: &mut Vec<Finding>,
    ) -> Result<Report, SessionError> {
        let began = session.now();
        self.act(session, Action::Core(self.world.plan.link(SegmentId::CORE)));
        for (at, action) in self.actions() {
            session.wait((began + at) - session.now())?;
            self.act(session, action);
        }
        session.settle()?;
        session.wait(self.linger)?;
        for side in 0..2 {
            session.hail(side);
        }
        session.wait(ANSWER)?;
        let report = session.report()?;
        self.examine(&report, findings);
        Ok(report)
    }

    fn examine(&self, report: &Report, findings: &mut Vec<Finding>) {
        for (at, side) in report.sides.iter().enumerate() {
            // Where a NAT has forgotten, a pair may work that nobody will nominate.
            let excused = self.is_rebound() || self.is_garbled();
            let works = excused && side.timeline.connected.is_some();
            if side.selected.is_none() && side.failed.is_none() && !works {
                findings.push(Finding::Undecided(at));
            }
            // The default profile nominates again where a path is lost, or a better one has turned up;
            // the strict one has no bound for all bases together.
            let strict = self.strict[at];
            let counts = |violation: &&Violation| match violation {
                Violation::SecondNomination(_) => strict,
                Violation::TooManyInAll(..) => !strict,
                _ => true,
            };
            let violations = side.violations.iter().filter(counts).cloned();
            findings.extend(violations.map(|violation| Finding::Violation(at, violation)));
        }
        // Which port a new mapping gets then, the oracle cannot know either.
        if self.is_rebound() || self.is_garbled() {
            return;
        }
        let addresses = |side: usize| self.world.plan.addresses(self.world.hosts[side]).count();
        let forgiven = match report.judgement {
            Judgement::Agreed => true,
            // Some addresses more cost time in which the relay may win. So do candidates that come in
            // another order than that in which they were found, which RFC 8838 §3 excludes.
            Judgement::RelayAvoidable => {
                self.is_disturbed()
                    || self.config.disorder != Disorder::NONE
                    || self.strict.contains(&true)
                    || addresses(0) > 1
                    || addresses(1) > 1
            }
            _ => false,
        };
        if !forgiven {
            findings.push(Finding::Judgement(report.judgement));
        }
        if !report.is_mirrored() {
            findings.push(Finding::NotMirrored);
        }
        for (at, side) in report.sides.iter().enumerate() {
            if side.timeline.connected.is_some() && side.failed.is_some() {
                findings.push(Finding::GivenUp(at));
            }
            if !self.is_disturbed() && !side.disconnected.is_empty() {
                findings.push(Finding::Disconnected(at));
            }
            if report.outcome != Path::None && !side.answered {
                findings.push(Finding::NoData(at));
            }
        }
    }
}

/// Something that goes wrong while there are faults.
fn fault(dice: &mut Dice) -> (Duration, Fault) {
    let at = dice.up_to(FAULTS_MS);
    let left = (FAULTS_MS - 1).saturating_sub(u64::try_from(at.as_millis()).unwrap_or(0));
    let long = dice.up_to(left.min(OUTAGE_MS));
    let side = dice.index(2);
    let fault = dice.weighted([
        (35, Fault::Burst(long)),
        (30, Fault::ServerCutOff(long)),
        (20, Fault::SideCutOff(side, long)),
        (15, Fault::Rebinding(side)),
    ]);
    (at, fault)
}

/// On several lines.
impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plan = &self.world.plan;
        for (side, host) in self.world.hosts.into_iter().enumerate() {
            let addresses: Vec<_> = plan.addresses(host).map(|ip| ip.to_string()).collect();
            let manner = if self.strict[side] {
                "strict"
            } else {
                "default"
            };
            writeln!(f, "{}: {}, {manner}", plan.name(host), addresses.join(", "))?;
            for (name, layer) in plan.routers(host).iter().zip(plan.layers(host)) {
                writeln!(f, "  {name}: {layer}")?;
            }
            writeln!(f, "  access {:?}", plan.access(host))?;
        }
        writeln!(f, "core {:?}", plan.link(SegmentId::CORE))?;
        writeln!(f, "server {:?}", plan.access(self.world.server))?;
        let SessionConfig {
            signal_delay,
            trickle,
            gathered_before,
            disorder,
            roles,
            ..
        } = self.config;
        writeln!(
            f,
            "signalling {signal_delay:?}, {disorder:?}, trickle {trickle}, gathered before \
             {gathered_before}, roles {roles:?}"
        )?;
        for (at, fault) in &self.faults {
            writeln!(f, "at {at:?} {fault:?}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_is_the_same_case() {
        for seed in 0..20 {
            assert_eq!(Case::nth(seed).to_string(), Case::nth(seed).to_string());
        }
        assert_ne!(Case::nth(1).to_string(), Case::nth(2).to_string());
    }

    #[test]
    fn all_faults_stop_in_the_end() {
        for seed in 0..500 {
            let actions = Case::nth(seed).actions();
            let (at, last) = actions.last().unwrap();
            assert!(matches!(last, Action::Calm), "seed {seed}");
            assert_eq!(*at, Duration::from_millis(FAULTS_MS));
        }
    }

    #[test]
    fn there_can_be_every_world() {
        for seed in 0..2_000 {
            assert_eq!(Case::nth(seed).world.plan.check(), Ok(()), "seed {seed}");
        }
    }
}
