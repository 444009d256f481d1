//! From the URI of a server to its addresses (RFC 8489 §8.1, RFC 5928): which names to look up, and in
//! which order to try what comes back. Nothing is looked up here.

use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::vec::Vec;
use alloc::{format, vec};
use core::fmt;
use core::net::{IpAddr, SocketAddr};

use floe_sansio::{Entropy, Transport};

use crate::uri::{Host, Scheme, Uri};

mod dns;

pub use dns::{Answer, AnswerError, NaptrRecord, Query, QueryId, QueryKind, SrvRecord};
use dns::{in_order, interleave, is_domain};

/// Records of one answer that are taken, by default; what is left over is ignored.
pub const MAX_RECORDS: usize = 16;
/// Queries of one resolution, by default.
pub const MAX_QUERIES: usize = 64;
/// Servers that one resolution names, by default.
pub const MAX_SERVERS: usize = 64;

/// Which addresses the client can use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Families {
    /// IPv6 and IPv4, in turn.
    #[default]
    Both,
    /// IPv4 only.
    Ipv4,
    /// IPv6 only.
    Ipv6,
}

/// What a server is wanted for: it decides the name of the service in DNS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Usage {
    /// What the scheme says: `stun`, `stuns`, `turn` or `turns`.
    #[default]
    Scheme,
    /// Behaviour discovery: `stun-behavior` for `stun`; `stun-behaviors` for `stuns`, which excludes DTLS
    /// (RFC 5780 §5.1).
    BehaviorDiscovery,
}

/// What a [`Resolution`] is told at birth.
#[derive(Clone, Debug)]
pub struct ResolveConfig {
    /// The transports that the client can use, the best first; those that the URI does not admit do not
    /// count.
    pub transports: Vec<Transport>,
    /// The addresses it can use.
    pub families: Families,
    /// What for.
    pub usage: Usage,
    /// Records of one answer that are taken.
    pub max_records: usize,
    /// Queries in all.
    pub max_queries: usize,
    /// Servers in all.
    pub max_servers: usize,
}

impl Default for ResolveConfig {
    /// UDP before TCP, TLS before DTLS, both families.
    fn default() -> Self {
        Self {
            transports: vec![
                Transport::Udp,
                Transport::Tcp,
                Transport::Tls,
                Transport::Dtls,
            ],
            families: Families::default(),
            usage: Usage::default(),
            max_records: MAX_RECORDS,
            max_queries: MAX_QUERIES,
            max_servers: MAX_SERVERS,
        }
    }
}

/// Why there is nothing to resolve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ResolveError {
    /// A `stuns` URI with an IP address, which nobody could prove to be that server (RFC 8489 §8.1).
    SecureAddress,
    /// The host is no domain name: labels of 1 to 63 letters, digits, `-` and `_`, 253 bytes in all, the
    /// last not a number.
    NotADomain,
    /// The client can use none of the transports that the URI admits.
    NoTransport,
}

impl fmt::Display for ResolveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SecureAddress => "a stuns URI must not hold an IP address",
            Self::NotADomain => "the host is not a domain name",
            Self::NoTransport => "no transport is both admitted by the URI and supported",
        })
    }
}

impl core::error::Error for ResolveError {}

/// A server to try.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerAddress {
    /// How.
    pub transport: Transport,
    /// Where. Over TLS and DTLS, the certificate must be that of the host in the URI, whatever name DNS
    /// has led to.
    pub address: SocketAddr,
}

/// What [`Resolution::next_server`] has to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "the server is named once"]
pub enum NextServer {
    /// Try this one, and call again if it does not answer.
    Try(ServerAddress),
    /// Queries are open: see [`Resolution::poll_query`].
    Waiting,
    /// There is no further server.
    Exhausted,
}

/// Finds the servers behind a URI, one after the other: asks its owner to look names up, is told the
/// answers, and names the next server whenever the last one did not work.
///
/// It looks up no more than the next server needs. The addresses of a name are complete when both its
/// queries are answered; a client that would rather not wait for the second answers it with
/// [`Answer::Failed`], 50 ms after the first (RFC 8305 §3).
///
/// ```
/// use floe_stun::resolve::{Answer, NextServer, QueryKind, SrvRecord};
/// use floe_stun::{Resolution, ResolveConfig};
///
/// let uri = "stun:example.org".parse().unwrap();
/// let mut resolution = Resolution::new(&uri, ResolveConfig::default(), [1; 32])?;
///
/// let (id, query) = resolution.poll_query().unwrap();
/// assert_eq!((query.kind, &*query.name), (QueryKind::Srv, "_stun._udp.example.org"));
/// let target = "stun1.example.org";
/// let record = SrvRecord { priority: 0, weight: 0, port: 3479, target };
/// resolution.answer(id, Answer::Srv(&[record])).unwrap();
///
/// while let Some((id, query)) = resolution.poll_query() {
///     assert_eq!(query.name, target);
///     let addresses = match query.kind {
///         QueryKind::Aaaa => vec!["2001:db8::1".parse().unwrap()],
///         _ => vec!["192.0.2.1".parse().unwrap()],
///     };
///     resolution.answer(id, Answer::Addresses(&addresses)).unwrap();
/// }
/// let NextServer::Try(first) = resolution.next_server() else { panic!() };
/// let NextServer::Try(second) = resolution.next_server() else { panic!() };
/// assert_eq!(first.address, "[2001:db8::1]:3479".parse().unwrap());
/// assert_eq!(second.address, "192.0.2.1:3479".parse().unwrap());
/// # Ok::<(), floe_stun::resolve::ResolveError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Resolution {
    /// Holds those transports only that the URI admits, each once.
    config: ResolveConfig,
    scheme: Scheme,
    entropy: Entropy,
    /// What to look up, in order; the first is next.
    steps: VecDeque<Step>,
    /// What to look up if DNS knows no service of the domain.
    fallback: Option<Step>,
    pending: Option<Pending>,
    queries: VecDeque<(QueryId, Query)>,
    servers: VecDeque<ServerAddress>,
    /// Queries asked and servers named so far, against the limits.
    asked: usize,
    named: usize,
}

/// One thing to look up.
#[derive(Clone, Debug)]
enum Step {
    Naptr {
        name: String,
    },
    Srv {
        name: String,
        transport: Transport,
    },
    Addresses {
        name: String,
        port: u16,
        transports: Vec<Transport>,
    },
}

/// The step whose queries are open.
#[derive(Clone, Debug)]
struct Pending {
    step: Step,
    open: Vec<(QueryId, QueryKind)>,
    ipv4: Vec<IpAddr>,
    ipv6: Vec<IpAddr>,
}

impl Resolution {
    /// Begins. The seed decides between SRV records of one priority.
    ///
    /// An IP address, and a name with a port, take no SRV query (RFC 8489 §8.1, RFC 5928 §3).
    pub fn new(uri: &Uri, mut config: ResolveConfig, seed: [u8; 32]) -> Result<Self, ResolveError> {
        let scheme = uri.scheme();
        let mut transports = Vec::new();
        for &transport in &config.transports {
            // `stun-behaviors` is defined for TCP only (RFC 5780 §5.1).
            let undefined =
                transport == Transport::Dtls && config.usage == Usage::BehaviorDiscovery;
            if uri.admits(transport) && !undefined && !transports.contains(&transport) {
                transports.push(transport);
            }
        }
        if transports.is_empty() {
            return Err(ResolveError::NoTransport);
        }
        config.transports = transports;

        let mut resolution = Self {
            config,
            scheme,
            entropy: Entropy::new(seed),
            steps: VecDeque::new(),
            fallback: None,
            pending: None,
            queries: VecDeque::new(),
            servers: VecDeque::new(),
            asked: 0,
            named: 0,
        };
        match uri.host() {
            Host::Ip(_) if scheme == Scheme::Stuns => return Err(ResolveError::SecureAddress),
            Host::Ip(address) => {
                let port = uri.port().unwrap_or(scheme.default_port());
                let transports = resolution.config.transports.clone();
                resolution.name_servers(&transports, &[*address], port);
            }
            Host::Name(name) if !is_domain(name) => return Err(ResolveError::NotADomain),
            Host::Name(name) => resolution.plan(name, uri),
        }
        resolution.advance();
        Ok(resolution)
    }

    /// The next question to ask DNS; two at most are open at a time.
    pub fn poll_query(&mut self) -> Option<(QueryId, Query)> {
        self.queries.pop_front()
    }

    /// What DNS said to a query.
    pub fn answer(&mut self, id: QueryId, answer: Answer<'_>) -> Result<(), AnswerError> {
        let pending = self.pending.as_mut().ok_or(AnswerError::UnknownQuery)?;
        let found = pending.open.iter().position(|&(open, _)| open == id);
        let at = found.ok_or(AnswerError::UnknownQuery)?;
        let max = self.config.max_records;
        let (mut records, mut services) = (&[][..], &[][..]);
        match (pending.open[at].1, answer) {
            (QueryKind::A, Answer::Addresses(found)) => {
                let ours = found.iter().filter(|address| address.is_ipv4());
                pending.ipv4.extend(ours.take(max));
            }
            (QueryKind::Aaaa, Answer::Addresses(found)) => {
                let ours = found.iter().filter(|address| address.is_ipv6());
                pending.ipv6.extend(ours.take(max));
            }
            (QueryKind::Srv, Answer::Srv(found)) => records = &found[..max.min(found.len())],
            (QueryKind::Naptr, Answer::Naptr(found)) => services = &found[..max.min(found.len())],
            (_, Answer::Failed) => {}
            _ => return Err(AnswerError::WrongKind),
        }
        pending.open.remove(at);
        self.queries.retain(|&(queued, _)| queued != id);
        if pending.open.is_empty() {
            if let Some(Pending {
                step, ipv4, ipv6, ..
            }) = self.pending.take()
            {
                match step {
                    Step::Naptr { .. } => self.follow_services(services),
                    Step::Srv { transport, .. } => self.follow_targets(records, transport),
                    Step::Addresses {
                        port, transports, ..
                    } => {
                        self.name_servers(&transports, &interleave(&ipv6, &ipv4), port);
                    }
                }
            }
        }
        // Each step takes a query: what goes beyond the limit would never be reached.
        self.steps.truncate(self.config.max_queries - self.asked);
        self.advance();
        Ok(())
    }

    /// The next server: the first, or the one after that did not answer (RFC 8489 §8.1).
    pub fn next_server(&mut self) -> NextServer {
        self.advance();
        match self.servers.pop_front() {
            Some(server) => NextServer::Try(server),
            None if self.pending.is_some() => NextServer::Waiting,
            None => NextServer::Exhausted,
        }
    }

    /// The steps for a domain name.
    fn plan(&mut self, name: &str, uri: &Uri) {
        let transports = self.config.transports.clone();
        let addresses = Step::Addresses {
            name: name.into(),
            port: uri.port().unwrap_or(self.scheme.default_port()),
            transports: transports.clone(),
        };
        if uri.port().is_some() {
            self.steps.push_back(addresses);
            return;
        }
        self.fallback = Some(addresses);
        if self.scheme.is_turn() && uri.transport().is_none() {
            self.steps.push_back(Step::Naptr { name: name.into() });
        }
        let service = match (self.config.usage, self.scheme) {
            (Usage::BehaviorDiscovery, Scheme::Stun) => "stun-behavior",
            (Usage::BehaviorDiscovery, Scheme::Stuns) => "stun-behaviors",
            (_, scheme) => scheme.name(),
        };
        for transport in transports {
            let protocol = if transport.is_reliable() {
                "tcp"
            } else {
                "udp"
            };
            let name = format!("_{service}._{protocol}.{name}");
            self.steps.push_back(Step::Srv { name, transport });
        }
    }

    /// Asks what the next step needs, if no server is at hand and no query open.
    fn advance(&mut self) {
        while self.servers.is_empty() && self.pending.is_none() {
            let next = self.steps.pop_front().or_else(|| self.fallback.take());
            let Some(step) = next else { return };
            let (name, kinds) = match &step {
                Step::Naptr { name } => (name, &[QueryKind::Naptr][..]),
                Step::Srv { name, .. } => (name, &[QueryKind::Srv][..]),
                Step::Addresses { name, .. } => (
                    name,
                    match self.config.families {
                        Families::Both => &[QueryKind::Aaaa, QueryKind::A][..],
                        Families::Ipv4 => &[QueryKind::A][..],
                        Families::Ipv6 => &[QueryKind::Aaaa][..],
                    },
                ),
            };
            if self.asked + kinds.len() > self.config.max_queries {
                self.steps.clear();
                self.fallback = None;
                return;
            }
            let mut open = Vec::with_capacity(kinds.len());
            for &kind in kinds {
                let id = QueryId(self.asked);
                self.asked += 1;
                open.push((id, kind));
                let name = name.clone();
                self.queries.push_back((id, Query { kind, name }));
            }
            self.pending = Some(Pending {
                step,
                open,
                ipv4: Vec::new(),
                ipv6: Vec::new(),
            });
        }
    }

    /// SRV records: their targets come next, in the order of RFC 2782.
    fn follow_targets(&mut self, records: &[SrvRecord<'_>], transport: Transport) {
        if !records.is_empty() {
            self.fallback = None;
        }
        let usable = |record: &&SrvRecord<'_>| record.port != 0 && is_domain(record.target);
        let usable = records.iter().filter(usable).copied().collect();
        for record in in_order(usable, &mut self.entropy).into_iter().rev() {
            self.steps.push_front(Step::Addresses {
                name: record.target.into(),
                port: record.port,
                transports: vec![transport],
            });
        }
    }

    /// NAPTR records: what they lead to comes next. The first that are of use replace the SRV look-ups
    /// that were planned (RFC 5928 §3).
    fn follow_services(&mut self, records: &[NaptrRecord<'_>]) {
        let mut records = records.to_vec();
        records.sort_by_key(|record| (record.order, record.preference));
        let steps: Vec<Step> = records
            .iter()
            .flat_map(|record| self.follow(record))
            .collect();
        if !steps.is_empty() && self.fallback.take().is_some() {
            self.steps.clear();
        }
        for step in steps.into_iter().rev() {
            self.steps.push_front(step);
        }
    }

    /// The steps that a NAPTR record leads to.
    fn follow(&self, record: &NaptrRecord<'_>) -> Vec<Step> {
        let mut service = record.service.split(':');
        let relay = service
            .next()
            .is_some_and(|tag| tag.eq_ignore_ascii_case("RELAY"));
        if !relay || !is_domain(record.replacement) {
            return Vec::new();
        }
        let name = String::from(record.replacement);
        let tags: Vec<&str> = service.take(4).collect();
        let named = |transport: &&Transport| {
            let tag = match transport {
                Transport::Udp => "turn.udp",
                Transport::Tcp => "turn.tcp",
                Transport::Tls => "turn.tls",
                Transport::Dtls => "turn.dtls",
                _ => return false,
            };
            tags.iter().any(|it| it.eq_ignore_ascii_case(tag))
        };
        let transports: Vec<_> = self
            .config
            .transports
            .iter()
            .filter(named)
            .copied()
            .collect();
        if transports.is_empty() {
            return Vec::new();
        }
        match record.flags {
            "" => vec![Step::Naptr { name }],
            "s" | "S" => {
                let step = |transport| Step::Srv {
                    name: name.clone(),
                    transport,
                };
                transports.into_iter().map(step).collect()
            }
            "a" | "A" => vec![Step::Addresses {
                name,
                port: self.scheme.default_port(),
                transports,
            }],
            _ => Vec::new(),
        }
    }

    fn name_servers(&mut self, transports: &[Transport], addresses: &[IpAddr], port: u16) {
        for &transport in transports {
            for &ip in addresses {
                if self.named < self.config.max_servers {
                    self.named += 1;
                    let address = SocketAddr::new(ip, port);
                    self.servers.push_back(ServerAddress { transport, address });
                }
            }
        }
    }
}
