//! What a NAT does with the packets of one transport.

use core::net::{IpAddr, SocketAddr};
use std::collections::BTreeMap;

use floe_sansio::Instant;

use super::filtering::Sessions;
use super::mapping::{Entry, Key, Table, any_remote, remotes_at};
use super::stage::{Side, Sign, Stage};
use super::{Filtering, Hairpin, Mapping, NatConfig, Verdict};
use crate::DropCause;
use crate::random::{Purpose, Random, pair};

/// The mappings and filters of one transport.
#[derive(Clone, Debug)]
pub(super) struct Translator {
    config: NatConfig,
    external: IpAddr,
    entity: u64,
    random: Random,
    table: Table,
    owners: Owners,
    /// The offset of the last port of a sequential allocation.
    last: Option<u32>,
    coincidences: u64,
}

/// To whom the mappings belong.
#[derive(Clone, Debug, Default)]
struct Owners {
    endpoints: BTreeMap<SocketAddr, Endpoint>,
    hosts: BTreeMap<IpAddr, Host>,
}

/// An inside endpoint.
#[derive(Clone, Debug, Default)]
struct Endpoint {
    mappings: u32,
    sessions: Sessions,
}

/// An inside host.
#[derive(Clone, Debug, Default)]
struct Host {
    mappings: u32,
    /// Random numbers drawn for its ports: what other hosts draw changes nothing for this one.
    draws: u64,
    /// None of its mappings expires before: no use looking when it has too many.
    sweep: Instant,
}

impl Owners {
    /// Notes that a mapping is gone.
    fn release(&mut self, key: Key) {
        if let Some(endpoint) = self.endpoints.get_mut(&key.inside) {
            endpoint.mappings -= 1;
            if endpoint.mappings == 0 {
                self.endpoints.remove(&key.inside);
            }
        }
        if let Some(host) = self.hosts.get_mut(&key.inside.ip()) {
            host.mappings -= 1;
        }
    }
}

impl Translator {
    /// No state yet. `entity` keys its random draws.
    pub(super) const fn new(
        config: NatConfig,
        external: IpAddr,
        entity: u64,
        random: Random,
    ) -> Self {
        Self {
            config,
            external,
            entity,
            random,
            table: Table::new(config.mapping, config.timers),
            owners: Owners {
                endpoints: BTreeMap::new(),
                hosts: BTreeMap::new(),
            },
            last: None,
            coincidences: 0,
        }
    }

    /// What it does.
    pub(super) const fn config(&self) -> &NatConfig {
        &self.config
    }

    /// Its external address.
    pub(super) const fn external(&self) -> IpAddr {
        self.external
    }

    /// How many mappings it holds; some may have expired without anyone having looked.
    pub(super) fn mappings(&self) -> usize {
        self.table.len()
    }

    /// See [`Nat::coincidences`](super::Nat::coincidences).
    pub(super) const fn coincidences(&self) -> u64 {
        self.coincidences
    }

    /// Forgets everything, as after a power cut.
    pub(super) fn reboot(&mut self) {
        let draws = core::mem::take(&mut self.owners.hosts);
        *self = Self {
            last: self.last,
            coincidences: self.coincidences,
            ..Self::new(self.config, self.external, self.entity, self.random)
        };
        // The dice are not reset: a NAT does not hand out the same random ports after each boot.
        self.owners.hosts = draws
            .into_iter()
            .map(|(ip, Host { draws, .. })| {
                (
                    ip,
                    Host {
                        draws,
                        ..Host::default()
                    },
                )
            })
            .collect();
    }

    /// A packet from the inside.
    pub(super) fn outbound(
        &mut self,
        now: Instant,
        sign: Sign,
        source: SocketAddr,
        destination: SocketAddr,
    ) -> Verdict {
        let passed = if destination.ip() == self.external {
            self.hairpin(now, sign, source, destination)
        } else {
            self.translate(now, sign, source, destination)
                .map(|source| Verdict::Pass {
                    source,
                    destination,
                })
        };
        passed.unwrap_or_else(Verdict::Drop)
    }

    /// A packet from the outside.
    pub(super) fn inbound(
        &mut self,
        now: Instant,
        sign: Sign,
        source: SocketAddr,
        destination: SocketAddr,
    ) -> Verdict {
        match self.admit(now, sign, source, destination.port()) {
            Ok(destination) => Verdict::Pass {
                source,
                destination,
            },
            Err(cause) => Verdict::Drop(cause),
        }
    }

    fn hairpin(
        &mut self,
        now: Instant,
        sign: Sign,
        source: SocketAddr,
        destination: SocketAddr,
    ) -> Result<Verdict, DropCause> {
        if self.config.hairpin == Hairpin::Off {
            return Err(DropCause::HairpinOff);
        }
        let mapped = self.translate(now, sign, source, destination)?;
        let inside = self.admit(now, sign, mapped, destination.port())?;
        Ok(Verdict::Hairpin {
            source: match self.config.hairpin {
                Hairpin::Internal => source,
                _ => mapped,
            },
            destination: inside,
        })
    }

    /// The external source of a packet from the inside, through a mapping old or new.
    fn translate(
        &mut self,
        now: Instant,
        sign: Sign,
        source: SocketAddr,
        destination: SocketAddr,
    ) -> Result<SocketAddr, DropCause> {
        if source.is_ipv4() != self.external.is_ipv4() {
            return Err(DropCause::Family);
        }
        let NatConfig { timers, limits, .. } = self.config;
        let limit = limits.sessions_per_endpoint;
        if self.notes_sessions()
            && let Some(endpoint) = self.owners.endpoints.get_mut(&source)
            && !endpoint.sessions.has_room(now, destination, timers, limit)
        {
            return Err(DropCause::SessionLimit);
        }
        let refresh = self.config.refresh.by_outbound();
        let key = Key {
            inside: source,
            remote: self.config.mapping.part_of(destination),
        };
        let owners = &mut self.owners;
        let entry = self.table.live(now, &key, &mut |gone| owners.release(gone));
        let port = match entry {
            Some(entry) => {
                entry.stage = entry.stage.after(Side::Inside, sign);
                if refresh {
                    entry.refreshed = now;
                }
                entry.port
            }
            None if !sign.may_begin() => return Err(DropCause::NoMapping),
            None => self.allocate(now, key)?,
        };
        if self.notes_sessions()
            && let Some(endpoint) = self.owners.endpoints.get_mut(&source)
        {
            (endpoint.sessions).sent(now, sign, destination, timers, refresh);
        }
        Ok(SocketAddr::new(self.external, port))
    }

    /// A new mapping.
    fn allocate(&mut self, now: Instant, key: Key) -> Result<u16, DropCause> {
        let ip = key.inside.ip();
        let limit = self.config.limits.mappings_per_host;
        let host = self.owners.hosts.entry(ip).or_default();
        if host.mappings >= limit && host.sweep <= now {
            let owners = &mut self.owners;
            let next = self.table.sweep(now, ip, &mut |gone| owners.release(gone));
            owners.hosts.entry(ip).or_default().sweep = next;
        }
        let host = self.owners.hosts.entry(ip).or_default();
        if host.mappings >= limit {
            return Err(DropCause::MappingLimit);
        }
        let mut draws = host.draws;
        let entity = pair(self.entity, address_key(ip));
        let owners = &mut self.owners;
        let port = self.config.allocation.pick(
            key.inside.port(),
            &mut self.last,
            |bound| {
                draws += 1;
                self.random
                    .below(entity, Purpose::Port, draws, u64::from(bound)) as u32
            },
            |port| {
                self.table
                    .is_free(now, port, &key, &mut |gone| owners.release(gone))
            },
        );
        let host = self.owners.hosts.entry(ip).or_default();
        host.draws = draws;
        let port = port?;
        host.mappings += 1;
        let kept = self.config.allocation.preserves() && port == key.inside.port();
        if self.config.mapping == Mapping::PerFlow && !kept {
            let (other, _) = self.first_on(now, port, any_remote());
            let shared = other.is_some_and(|other| other.inside == key.inside);
            self.coincidences += u64::from(shared);
        }
        self.owners
            .endpoints
            .entry(key.inside)
            .or_default()
            .mappings += 1;
        self.table.insert(
            key,
            Entry {
                port,
                refreshed: now,
                stage: Stage::New,
            },
        );
        Ok(port)
    }

    /// The inside endpoint for a packet from the outside, if it may pass.
    fn admit(
        &mut self,
        now: Instant,
        sign: Sign,
        source: SocketAddr,
        port: u16,
    ) -> Result<SocketAddr, DropCause> {
        let key = if self.config.mapping == Mapping::PerFlow {
            self.flow(now, source, port)?
        } else {
            self.filtered(now, source, port)?
        };
        let refresh = self.config.refresh.by_inbound();
        let owners = &mut self.owners;
        if let Some(entry) = self.table.live(now, &key, &mut |gone| owners.release(gone)) {
            entry.stage = entry.stage.after(Side::Outside, sign);
            if refresh {
                entry.refreshed = now;
            }
        }
        if self.notes_sessions()
            && let Some(endpoint) = self.owners.endpoints.get_mut(&key.inside)
        {
            endpoint.sessions.received(now, sign, source, refresh);
        }
        Ok(key.inside)
    }

    /// The one mapping on a port, if its inside endpoint lets the source in.
    fn filtered(&mut self, now: Instant, source: SocketAddr, port: u16) -> Result<Key, DropCause> {
        let (key, cause) = self.first_on(now, port, any_remote());
        let key = key.ok_or(cause)?;
        if let Some(endpoint) = self.owners.endpoints.get(&key.inside) {
            let NatConfig {
                filtering, timers, ..
            } = self.config;
            endpoint.sessions.admit(now, filtering, source, timers)?;
        }
        Ok(key)
    }

    /// The flow on a port that lets the source in.
    fn flow(&mut self, now: Instant, source: SocketAddr, port: u16) -> Result<Key, DropCause> {
        let (exact, expired) = self.first_on(now, port, source..=source);
        if let Some(key) = exact {
            return Ok(key);
        }
        let (address, _) = self.first_on(now, port, remotes_at(source.ip()));
        let (any, none) = self.first_on(now, port, any_remote());
        let cause = expired.max(none);
        match self.config.filtering {
            Filtering::EndpointIndependent => any.ok_or(cause),
            Filtering::AddressDependent if address.is_some() => address.ok_or(cause),
            _ if address.is_some() => Err(DropCause::FilteredByPort),
            _ if any.is_some() => Err(DropCause::FilteredByAddress),
            _ => Err(cause),
        }
    }

    /// The first living mapping on a port, and why there is none.
    fn first_on(
        &mut self,
        now: Instant,
        port: u16,
        remotes: core::ops::RangeInclusive<SocketAddr>,
    ) -> (Option<Key>, DropCause) {
        let mut cause = DropCause::NoMapping;
        let owners = &mut self.owners;
        let key = self.table.on_port(now, port, remotes, &mut |gone| {
            cause = DropCause::MappingExpired;
            owners.release(gone);
        });
        (key, cause)
    }

    /// Whether filtering needs to know to whom an endpoint has sent; flows know it themselves.
    fn notes_sessions(&self) -> bool {
        self.config.mapping != Mapping::PerFlow
            && self.config.filtering != Filtering::EndpointIndependent
    }
}

/// The key of an address in random draws.
fn address_key(ip: IpAddr) -> u64 {
    match ip {
        IpAddr::V4(ip) => u64::from(ip.to_bits()),
        IpAddr::V6(ip) => {
            let bits = ip.to_bits();
            pair((bits >> 64) as u64, bits as u64)
        }
    }
}
