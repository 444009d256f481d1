//! The arguments, and what they mean to an agent.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::time::Duration;

use clap::ValueEnum;
use floe_peer::{Credentials, Policy, Role, TurnServer};
use floe_sansio::Transport;
use floe_stun::{Host, Scheme, TransportParameter, Uri};

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

    /// Relay through this TURN server: IP:PORT, or a URI such as turn:example.org:3478?transport=tcp.
    /// Without a transport over UDP, and over TCP where UDP is blocked; can be given several times
    #[arg(
        long,
        value_name = "SERVER",
        value_parser = turn_server,
        requires = "user",
        requires = "pass"
    )]
    turn: Vec<Uri>,

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

/// A URI, or IP:PORT, which stands for one. Not over TLS, which this program does not speak.
fn turn_server(text: &str) -> Result<Uri, String> {
    let uri = if let Ok(address) = text.parse::<SocketAddr>() {
        format!("turn:{address}").parse()
    } else {
        text.parse()
    };
    let uri: Uri = uri.map_err(|error| format!("neither IP:PORT nor a URI: {error}"))?;
    if uri.scheme() != Scheme::Turn {
        return Err("only turn: is spoken here".into());
    }
    match uri.transport() {
        Some(TransportParameter::Other(_)) => Err("the transport is udp or tcp".into()),
        _ => Ok(uri),
    }
}

/// The addresses of a server. A name is looked up as the system does it, without SRV records.
fn addresses_of(uri: &Uri) -> Result<Vec<SocketAddr>, Error> {
    let port = uri.port().unwrap_or(uri.scheme().default_port());
    match uri.host() {
        Host::Ip(ip) => Ok(vec![SocketAddr::new(*ip, port)]),
        Host::Name(name) => (name.as_str(), port)
            .to_socket_addrs()
            .map(Iterator::collect)
            .map_err(|error| Error::Argument(format!("cannot look up {name}: {error}"))),
    }
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

    pub(crate) fn turn_servers(&self) -> Result<Vec<TurnServer>, Error> {
        let user = self.user.as_deref().unwrap_or_default();
        let pass = self.pass.as_deref().unwrap_or_default();
        let mut servers = Vec::new();
        for uri in &self.turn {
            for address in addresses_of(uri)? {
                let server = TurnServer::new(address, Credentials::new(user, pass));
                if uri.admits(Transport::Tcp) {
                    servers.push(server.clone().over_tcp());
                }
                if uri.admits(Transport::Udp) {
                    servers.push(server);
                }
            }
        }
        Ok(servers)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_server_is_an_address_or_a_uri() {
        for (text, canonical) in [
            ("192.0.2.1:3478", "turn:192.0.2.1:3478"),
            ("[2001:db8::1]:3478", "turn:[2001:db8::1]:3478"),
            ("turn:relay.example.org", "turn:relay.example.org"),
            (
                "TURN:192.0.2.1:80?transport=TCP",
                "turn:192.0.2.1:80?transport=tcp",
            ),
        ] {
            assert_eq!(turn_server(text).unwrap().to_string(), canonical);
        }
        for (text, why) in [
            ("192.0.2.1", "neither IP:PORT nor a URI"),
            ("turns:relay.example.org", "only turn:"),
            ("stun:relay.example.org", "only turn:"),
            ("turn:relay.example.org?transport=sctp", "udp or tcp"),
            ("turn:", "host is missing"),
        ] {
            let error = turn_server(text).unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
    }
}
