//! Where a negotiation takes place.

use crate::{HostId, Site, Topology};

/// Where a negotiation takes place: a plan, and who in it negotiates.
///
/// ```
/// use core::time::Duration;
/// use floe_sim::{Link, NatConfig, Path, Preset, SessionConfig, Site, Topology, World};
///
/// // Two homes behind one carrier, whose NAT lets them meet.
/// let mut plan = Topology::new();
/// let access = Site::public(Link::delay(Duration::from_millis(10)));
/// let carrier = plan.carrier("carrier", access, NatConfig::RFC4787);
/// let sites = ["home-a", "home-b"].map(|home| plan.preset(home, carrier, Preset::FullCone));
/// let hosts = [plan.host("a", sites[0]), plan.host("b", sites[1])];
/// let server = plan.host("server", access);
/// let world = World { plan, sites, hosts, server };
///
/// let mut session = SessionConfig::new(Preset::FullCone, Preset::FullCone).start_in(world)?;
/// session.settle()?;
/// assert_eq!(session.report()?.outcome, Path::Direct);
/// # Ok::<(), floe_sim::SessionError>(())
/// ```
#[derive(Clone, Debug)]
pub struct World {
    /// What is plugged into what.
    pub plan: Topology,
    /// Where the offering and the answering host are plugged in.
    pub sites: [Site; 2],
    /// The offering and the answering host; of each all interfaces are used.
    pub hosts: [HostId; 2],
    /// The host with the STUN and TURN server.
    pub server: HostId,
}
