//! The arguments, and what they mean to an agent.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use clap::ValueEnum;
use floe_peer::{Credentials, Policy, Role, TurnServer};

use crate::error::Error;

/// Finds a path to a peer. What has to be signalled goes out and comes in as JSON, an object a line:
/// connect standard output of each side with standard input of the other.
///
/// Out and in: {"type":"params","ufrag":…,"pwd":…}, then {"type":"candidate","candidate":…} as they are
/// found, then {"type":"end-of-candidates"}. With --sdp: {"type":"offer"|"answer","sdp":…} and
/// {"type":"candidate","candidate":…,"sdpMid":…,"sdpMLineIndex":…}.
/// Out, once: {"type":"result","connected":…,…}. In: {"type":"bye"} ends it.
#[derive(Debug, clap::Args)]
pub(crate) struct ConnectArgs {
    /// How the two sides signal
    #[arg(long, value_enum, default_value_t = SignalPath::Stdio)]
    pub(crate) signal: SignalPath,

    /// Signal offer and answer as SDP; the controlling side offers
    #[arg(long)]
    pub(crate) sdp: bool,

    /// Gather on this local address only; can be given several times, and be loopback [default: all
    /// addresses of this host]
    #[arg(long, value_name = "IP")]
    address: Vec<IpAddr>,

    /// The role to begin with; the other side takes the other
    #[arg(long, value_enum, default_value_t = RoleName::Controlling)]
    role: RoleName,

    /// Ask this STUN server; can be given several times
    #[arg(long, value_name = "IP:PORT")]
    stun: Vec<SocketAddr>,

    /// Relay through this TURN server; can be given several times
    #[arg(long, value_name = "IP:PORT", requires = "user", requires = "pass")]
    turn: Vec<SocketAddr>,

    /// The user on the TURN servers
    #[arg(long, value_name = "NAME", value_parser = crate::args::prepared)]
    user: Option<String>,

    /// The user's password
    #[arg(long, value_name = "PASSWORD", value_parser = crate::args::prepared)]
    pass: Option<String>,

    /// Which candidates to use
    #[arg(long, value_enum, default_value_t = PolicyName::All)]
    policy: PolicyName,

    /// How many pings to send over the selected pair
    #[arg(long, value_name = "N", default_value_t = 3)]
    pub(crate) pings: u32,

    /// Give up after this many seconds
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = seconds)]
    pub(crate) timeout: Duration,

    /// After the result, go on answering the peer for this many seconds
    #[arg(long, value_name = "SECONDS", default_value = "2", value_parser = seconds)]
    pub(crate) linger: Duration,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum SignalPath {
    /// Standard input and output
    Stdio,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum RoleName {
    Controlling,
    Controlled,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum PolicyName {
    /// All of them
    All,
    /// Relayed ones only
    Relay,
}

/// Seconds, with decimals, up to a day.
fn seconds(text: &str) -> Result<Duration, String> {
    const DAY: f64 = 86_400.0;
    text.parse()
        .ok()
        .filter(|&seconds| (0.0..=DAY).contains(&seconds))
        .map(Duration::from_secs_f64)
        .ok_or_else(|| "a number of seconds from 0 to 86400".into())
}

impl ConnectArgs {
    pub(crate) fn role(&self) -> Role {
        match self.role {
            RoleName::Controlling => Role::Controlling,
            RoleName::Controlled => Role::Controlled,
        }
    }

    /// Any port of each address.
    pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
        self.address
            .iter()
            .map(|&ip| SocketAddr::new(ip, 0))
            .collect()
    }

    pub(crate) fn stun_servers(&self) -> Vec<SocketAddr> {
        self.stun.clone()
    }

    pub(crate) fn turn_servers(&self) -> Vec<TurnServer> {
        let user = self.user.as_deref().unwrap_or_default();
        let pass = self.pass.as_deref().unwrap_or_default();
        self.turn
            .iter()
            .map(|&address| TurnServer::new(address, Credentials::new(user, pass)))
            .collect()
    }

    pub(crate) fn policy(&self) -> Policy {
        match self.policy {
            PolicyName::All => Policy::All,
            PolicyName::Relay => Policy::Relay,
        }
    }

    /// What cannot be meant.
    pub(crate) fn check(&self) -> Result<(), Error> {
        if matches!(self.policy, PolicyName::Relay) && self.turn.is_empty() {
            return Err(Error::Argument(
                "--policy relay needs a TURN server: --turn, --user and --pass".into(),
            ));
        }
        Ok(())
    }
}
