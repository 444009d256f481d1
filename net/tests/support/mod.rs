//! A server in a task, agents that signal with each other, and limits on all that waits.
#![allow(dead_code, unreachable_pub)] // each test file uses a part

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use floe_ice::{
    CandidateKind, Config, FailureCause, Policy, RemoteParameters, Role, SelectedPair, TurnServer,
};
use floe_net::{Agent, Event, Server, ServerEvent};
use floe_stun::Credentials;
use floe_turn::{PeerPolicy, ServerConfig};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

pub const USER: &str = "alice";
pub const PASSWORD: &str = "correct horse";

pub fn any(ip: &str) -> SocketAddr {
    SocketAddr::new(ip.parse().unwrap(), 0)
}

/// Nothing here takes longer.
pub async fn within<T>(seconds: u64, future: impl Future<Output = T>) -> T {
    let limit = Duration::from_secs(seconds);
    let result = tokio::time::timeout(limit, future).await;
    result.unwrap_or_else(|_| panic!("not done within {seconds} s"))
}

/// A server in a task of its own.
pub struct Running {
    pub address: SocketAddr,
    events: Arc<Mutex<Vec<ServerEvent>>>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Running {
    pub fn start(config: ServerConfig) -> Self {
        let mut server = Server::bind(config).unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let events: Arc<Mutex<Vec<ServerEvent>>> = Arc::default();
        let address = server.local_addr();
        let log = Arc::clone(&events);
        let task = tokio::spawn(async move {
            let stopped = async { drop(stopped.await) };
            let log = |event| log.lock().unwrap().push(event);
            server.run(stopped, log).await;
        });
        Self {
            address,
            events,
            stop,
            task,
        }
    }

    pub fn events(&self) -> Vec<ServerEvent> {
        self.events.lock().unwrap().clone()
    }

    /// The relayed addresses that were given out.
    pub fn relayed(&self) -> Vec<SocketAddr> {
        let relayed = |event| match event {
            ServerEvent::Allocated { relayed, .. } => Some(relayed),
            _ => None,
        };
        self.events().into_iter().filter_map(relayed).collect()
    }

    /// Shuts it down; all that it ever said.
    pub async fn stop(self) -> Vec<ServerEvent> {
        let _ = self.stop.send(());
        within(5, self.task).await.unwrap();
        self.events.lock().unwrap().clone()
    }
}

/// A server on loopback that relays to loopback peers.
pub fn server_config(ip: &str) -> ServerConfig {
    let ip: IpAddr = ip.parse().unwrap();
    let mut config = ServerConfig::new(vec![SocketAddr::new(ip, 0)], vec![ip], "example.org")
        .with_user(USER, PASSWORD);
    config.peers = PeerPolicy::default()
        .allow("127.0.0.0/8".parse().unwrap())
        .allow("::1/128".parse().unwrap());
    config
}

/// An agent's configuration: one loopback address, no servers.
pub fn agent_config(role: Role, ip: &str) -> Config {
    let mut config = Config::new(role);
    config.addresses = vec![any(ip)];
    config
}

/// The same with a TURN server, and relayed candidates only.
pub fn relay_config(role: Role, ip: &str, server: SocketAddr, password: &str) -> Config {
    let mut config = agent_config(role, ip);
    config.policy = Policy::Relay;
    config.turn_servers = vec![TurnServer::new(server, Credentials::new(USER, password))];
    config
}

pub fn pair_of_agents(a: Config, b: Config) -> (Agent, Agent) {
    (Agent::bind(a).unwrap(), Agent::bind(b).unwrap())
}

/// Gives each the parameters of the other, and lets both gather.
pub fn introduce(a: &mut Agent, b: &mut Agent) {
    let parameters = |agent: &Agent| RemoteParameters {
        credentials: agent.machine().credentials().clone(),
        pacing: Some(agent.machine().pacing()),
        lite: false,
        renomination: false,
    };
    let (of_a, of_b) = (parameters(a), parameters(b));
    for (agent, other) in [(a, of_b), (b, of_a)] {
        agent.command(|agent, now| {
            agent.gather(now);
            agent.set_remote_parameters(now, other).unwrap();
        });
    }
}

/// Carries candidates between two agents until both have selected a pair.
pub async fn connect(
    a: &mut Agent,
    b: &mut Agent,
) -> Result<(SelectedPair, SelectedPair), FailureCause> {
    introduce(a, b);
    let mut selected = [None, None];
    loop {
        let (at, event) = tokio::select! {
            event = a.next() => (0, event),
            event = b.next() => (1, event),
        };
        let other = if at == 0 { &mut *b } else { &mut *a };
        match event {
            Event::Machine(floe_ice::Event::LocalCandidate(candidate)) => {
                other.command(|agent, now| agent.add_remote_candidate(now, candidate).unwrap());
            }
            Event::Machine(floe_ice::Event::GatheringComplete) => {
                other.command(|agent, now| agent.end_of_remote_candidates(now).unwrap());
            }
            Event::Machine(floe_ice::Event::Selected(pair)) => selected[at] = Some(pair),
            Event::Machine(floe_ice::Event::Failed(cause)) => return Err(cause),
            _ => {}
        }
        if let [Some(one), Some(two)] = selected {
            return Ok((one, two));
        }
    }
}

/// The next data at `to`, while `other` goes on.
pub async fn hear(to: &mut Agent, other: &mut Agent) -> Vec<u8> {
    loop {
        tokio::select! {
            event = to.next() => {
                if let Event::Data { payload, .. } = event {
                    return payload.to_vec();
                }
            }
            _ = other.next() => {}
        }
    }
}

/// Data goes both ways, long and short.
pub async fn talk(a: &mut Agent, b: &mut Agent) {
    for data in [&b"hello"[..], &[0xFF; 1200], b"x"] {
        a.send(data).unwrap();
        assert_eq!(within(5, hear(b, a)).await, data);
        b.send(data).unwrap();
        assert_eq!(within(5, hear(a, b)).await, data);
    }
}

pub fn kinds(pair: &SelectedPair) -> (CandidateKind, CandidateKind) {
    (pair.local.kind, pair.remote.kind)
}

/// Waits for a condition on what other tasks do.
pub async fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    for _ in 0..500 {
        if condition() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("never: {what}");
}

/// A plain socket whose receive calls end.
pub fn plain_socket(ip: &str) -> io::Result<std::net::UdpSocket> {
    let socket = std::net::UdpSocket::bind(any(ip))?;
    socket.set_read_timeout(Some(Duration::from_secs(2)))?;
    Ok(socket)
}
