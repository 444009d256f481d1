use std::io;
use std::net::SocketAddr;

use crate::addresses::bind_host;
use crate::driver::Driver;
use crate::errand::Errands;
use crate::streams::Streams;

/// An ICE agent on real sockets. See [`Driver`] for what it does.
///
/// ```no_run
/// use floe_ice::{Config, RemoteParameters, Role};
/// use floe_net::{Agent, Event};
///
/// # async fn run(remote: RemoteParameters) -> std::io::Result<()> {
/// let mut agent = Agent::bind(Config::new(Role::Controlling))?;
/// println!("{}", agent.machine().credentials().ufrag()); // for the other side, with the password
/// agent.command(|agent, now| agent.gather(now));
/// agent.command(|agent, now| agent.set_remote_parameters(now, remote)).expect("a fresh agent");
/// loop {
///     match agent.next().await {
///         Event::Machine(floe_ice::Event::LocalCandidate(candidate)) => { /* signal it */ }
///         Event::Machine(floe_ice::Event::Selected(_)) => agent.send(b"hello").expect("a path"),
///         Event::Machine(floe_ice::Event::Failed(cause)) => panic!("{cause:?}"),
///         Event::Data { payload, .. } => println!("{payload:?}"),
///         _ => {}
///     }
/// }
/// # }
/// ```
pub type Agent = Driver<floe_ice::Agent>;

/// A peer connection on real sockets: offer/answer and ICE. See [`Driver`] for what it does.
///
/// Its verbs for descriptions are those of [`floe_peer::Connection`], given through
/// [`Driver::command`].
pub type Connection = Driver<floe_peer::Connection>;

impl Agent {
    /// An agent with one UDP socket for each address of `config`: best first, port 0 for any port.
    /// Connections to TURN servers over TCP it opens and closes as the agent wants them; over TLS it
    /// cannot, and says so to the agent.
    ///
    /// If [`floe_ice::Config::tcp`] is on, it listens at each of
    /// [`floe_ice::Config::tcp_addresses`], or where it names none at any port of each address.
    ///
    /// Where it names none, the addresses of the host's interfaces are taken, without loopback
    /// (unless [`floe_ice::Config::loopback`] is set) and link-local addresses. A loopback address
    /// that is named is meant: it sets [`floe_ice::Config::loopback`].
    ///
    /// # Errors
    ///
    /// A named address cannot be bound, or is none that a host can have; interfaces or randomness
    /// cannot be had.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime with I/O and time enabled.
    pub fn bind(mut config: floe_ice::Config) -> io::Result<Self> {
        config.loopback |= names_loopback(&config.addresses);
        let (addresses, sockets) = bind_host(&config.addresses, config.loopback)?;
        let mut streams = Self::no_streams();
        listen(&mut config, &addresses, &mut streams)?;
        let errands = Some(Errands::of_agent());
        Self::start(
            addresses,
            sockets,
            streams,
            errands,
            |addresses, seed, now| {
                config.addresses = addresses.to_vec();
                Ok(floe_ice::Agent::new(config, seed, now))
            },
        )
    }
}

impl Connection {
    /// A connection with one UDP socket for each address of `config`; as [`Agent::bind`].
    ///
    /// # Errors
    ///
    /// As [`Agent::bind`]; and [`io::ErrorKind::InvalidInput`] with a [`floe_peer::Error`] for
    /// sections that cannot be described.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime with I/O and time enabled.
    pub fn bind(mut config: floe_peer::Config) -> io::Result<Self> {
        config.ice.loopback |= names_loopback(&config.addresses);
        let (addresses, sockets) = bind_host(&config.addresses, config.ice.loopback)?;
        let mut streams = Self::no_streams();
        listen(&mut config.ice, &addresses, &mut streams)?;
        let errands = Some(Errands::of_connection());
        Self::start(
            addresses,
            sockets,
            streams,
            errands,
            |addresses, seed, now| {
                config.addresses = addresses.to_vec();
                floe_peer::Connection::new(config, seed, now)
                    .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))
            },
        )
    }
}

/// Listens where the peer may connect to, if it may: at the addresses named, or at any port of each
/// address that there is a socket for.
fn listen(
    config: &mut floe_ice::Config,
    addresses: &[SocketAddr],
    streams: &mut Streams,
) -> io::Result<()> {
    if !config.tcp.is_on() {
        return Ok(());
    }
    if config.tcp_addresses.is_empty() {
        let any = addresses.iter().map(|it| SocketAddr::new(it.ip(), 0));
        config.tcp_addresses = any.collect();
    }
    for address in &mut config.tcp_addresses {
        *address = streams.listen(*address).map_err(|error| {
            let what = format!("cannot listen on {address} for TCP: {error}");
            io::Error::new(error.kind(), what)
        })?;
    }
    Ok(())
}

fn names_loopback(addresses: &[SocketAddr]) -> bool {
    addresses.iter().any(|address| address.ip().is_loopback())
}
