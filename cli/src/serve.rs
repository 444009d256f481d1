//! `floe serve`: a STUN and TURN server.

use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr};

use floe_net::{Server, StreamLimits, seed};
use floe_stun::Credentials;
use floe_turn::{PeerPolicy, Prefix, RFC5766_CHANNELS, ServerConfig};

use crate::error::Error;
use crate::run::Verdict;

/// Where the server listens unless told otherwise.
const LISTEN: &str = "127.0.0.1:3478";

/// Serves STUN and TURN over UDP and TCP until it is interrupted. Prints a line for each allocation that is
/// made or ended.
///
/// Without options it listens on loopback, relays to loopback, and makes up a user for this run.
#[derive(Debug, clap::Args)]
pub(crate) struct ServeArgs {
    /// Listen on this address and port
    #[arg(long, value_name = "IP:PORT", default_value = LISTEN)]
    listen: SocketAddr,

    /// Listen for UDP only; otherwise for TCP too, at the same address and port
    #[arg(long)]
    udp_only: bool,

    /// Relay from this address [default: the one to listen on]
    #[arg(long, value_name = "IP")]
    relay_ip: Option<IpAddr>,

    /// Who may relay; can be given several times [default: a user made up for this run]
    #[arg(long, value_name = "NAME:PASSWORD", value_parser = user)]
    user: Vec<Credentials>,

    /// Whose users these are
    #[arg(long, value_name = "REALM", default_value = "floe", value_parser = crate::args::prepared)]
    realm: String,

    /// Relay to these peers too, although they are not on the public internet; can be given several
    /// times
    #[arg(long, value_name = "CIDR", value_parser = prefix)]
    allow_peer: Vec<Prefix>,
}

fn user(text: &str) -> Result<Credentials, String> {
    match text.split_once(':') {
        Some((name, password)) if !name.is_empty() && !password.is_empty() => {
            Credentials::prepared(name, password).map_err(|error| error.to_string())
        }
        _ => Err("a user is NAME:PASSWORD".into()),
    }
}

fn prefix(text: &str) -> Result<Prefix, String> {
    text.parse()
        .map_err(|_| "a range of addresses is IP/BITS, such as 10.0.0.0/8".into())
}

/// Characters of a password made up for one run; 32 of them are 160 bits.
const PASSWORD_CHARS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

fn one_time_password() -> io::Result<String> {
    let random = seed()?;
    let chars = random
        .iter()
        .map(|byte| PASSWORD_CHARS[usize::from(byte % 32)]);
    Ok(chars.map(char::from).collect())
}

pub(crate) fn run(args: &ServeArgs, out: &mut impl Write) -> Result<Verdict, Error> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Error::Runtime)?;
    runtime.block_on(serve(args, out))
}

async fn serve(args: &ServeArgs, out: &mut impl Write) -> Result<Verdict, Error> {
    let relay_ip = args.relay_ip.unwrap_or(args.listen.ip());
    if relay_ip.is_unspecified() {
        return Err(Error::RelayIp);
    }
    let mut peers = PeerPolicy::default();
    let on_loopback = args.listen.ip().is_loopback();
    if on_loopback {
        for loopback in ["127.0.0.0/8", "::1/128"] {
            peers = peers.allow(prefix(loopback).map_err(Error::Argument)?);
        }
    }
    for &allowed in &args.allow_peer {
        peers = peers.allow(allowed);
    }
    let mut config = ServerConfig::new(vec![args.listen], vec![relay_ip], &args.realm);
    config.peers = peers;
    // coturn's client, among others, still chooses from these.
    config.channels = RFC5766_CHANNELS;
    let made_up = if args.user.is_empty() {
        let password = one_time_password().map_err(Error::Runtime)?;
        config = config.with_user("floe", &password);
        Some(password)
    } else {
        config.users.clone_from(&args.user);
        None
    };

    let tcp = (!args.udp_only).then(StreamLimits::default);
    let transports = if tcp.is_some() { "UDP and TCP" } else { "UDP" };
    let mut server =
        Server::bind_with(config, tcp).map_err(|error| Error::Bind(args.listen, error))?;
    writeln!(
        out,
        "listening on {} (STUN and TURN over {transports}), relaying from {relay_ip}",
        server.local_addr(),
    )?;
    if on_loopback {
        writeln!(out, "peers on loopback are allowed, since it listens there")?;
    }
    if let Some(password) = made_up {
        writeln!(
            out,
            "user floe, password {password}, realm {}: made up for this run",
            args.realm,
        )?;
    }
    out.flush()?;

    let mut printed = Ok(());
    let interrupted = interrupted()?;
    server
        .run(interrupted, |event| {
            if printed.is_ok() {
                printed = writeln!(out, "{event}").and_then(|()| out.flush());
            }
        })
        .await;
    printed?;
    let counters = server.counters();
    writeln!(
        out,
        "ended; {} datagrams could not be sent, {} connections were turned away",
        counters.refused, counters.turned_away
    )?;
    Ok(Verdict::Passed)
}

/// Ready when the command is told to end: Ctrl-C, or a polite kill.
fn interrupted() -> Result<impl Future<Output = ()>, Error> {
    #[cfg(unix)]
    let mut terminated = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())
        .map_err(Error::Runtime)?;
    Ok(async move {
        #[cfg(unix)]
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminated.recv() => {}
        }
        #[cfg(not(unix))]
        let _ = tokio::signal::ctrl_c().await;
    })
}
