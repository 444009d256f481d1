//! The candidates of the other side.

use alloc::boxed::Box;
use alloc::string::ToString;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};
use core::ops::{Index, IndexMut};

use floe_sansio::Transport;

use crate::address::Network;
use crate::candidate::{Candidate, CandidateKind};
use crate::component::ComponentId;
use crate::order::{Order, grow, small};
use crate::tcp::TcpType;

/// A candidate of the other side: what a [`Candidate`] says, in less room.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Remote {
    pub(crate) address: SocketAddr,
    pub(crate) related: Option<SocketAddr>,
    pub(crate) priority: u32,
    /// Its foundation as a number.
    pub(crate) foundation: u16,
    network: Network,
    /// The place of its component.
    component: u16,
    /// How many of its component, kind and family were told before.
    pub(crate) place: u16,
    /// Whether a server has answered to it.
    pub(crate) vouched: bool,
    pub(crate) kind: CandidateKind,
    pub(crate) transport: Transport,
    pub(crate) tcp_type: Option<TcpType>,
}

impl Remote {
    fn new(component: usize, candidate: &Candidate, foundation: u16) -> Self {
        Self {
            address: candidate.address,
            related: candidate.related,
            priority: candidate.priority,
            foundation,
            network: candidate.network,
            component: small(component),
            place: 0,
            vouched: false,
            kind: candidate.kind,
            transport: candidate.transport,
            tcp_type: candidate.tcp_type,
        }
    }

    /// The place of its component.
    pub(crate) fn component(&self) -> usize {
        self.component.into()
    }

    /// What no other has.
    const fn key(&self) -> (SocketAddr, u16, Option<TcpType>) {
        (self.address, self.component, self.tcp_type)
    }
}

/// All of them, each by a number that stays.
#[derive(Clone, Debug, Default)]
pub(crate) struct Remotes {
    all: Vec<Remote>,
    by_address: Order,
    /// The foundations, numbered in the order of their appearance.
    foundations: Vec<Box<str>>,
    by_text: Order,
}

impl Remotes {
    /// More than anybody needs.
    pub(crate) const MOST: usize = u16::MAX as usize / 2;

    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Remote> + Clone {
        self.all.iter()
    }

    /// How many foundations there are.
    pub(crate) fn foundations(&self) -> usize {
        self.foundations.len()
    }

    pub(crate) fn find(
        &self,
        component: usize,
        tcp_type: Option<TcpType>,
        address: SocketAddr,
    ) -> Option<usize> {
        let key = (address, u16::try_from(component).ok()?, tcp_type);
        let found = self.by_address.find(&self.all, |it| it.key().cmp(&key));
        found.map(usize::from)
    }

    /// Those of one host.
    pub(crate) fn on(&self, ip: IpAddr) -> impl Iterator<Item = &Remote> {
        let of_host = self
            .by_address
            .skip_while(&self.all, move |it| it.address.ip() < ip);
        of_host.take_while(move |it| it.address.ip() == ip)
    }

    /// One more of those that there may be: `limit`, and [`Self::MOST`].
    pub(crate) fn push(
        &mut self,
        component: usize,
        candidate: &Candidate,
        place: u16,
        limit: usize,
    ) -> usize {
        let at = self.all.len();
        grow(&mut self.all, limit);
        let foundation = self.number(&candidate.foundation, limit);
        let remote = Remote::new(component, candidate, foundation);
        self.all.push(Remote { place, ..remote });
        self.order(at, true);
        at
    }

    /// One is told anew, with the same address.
    pub(crate) fn upgrade(&mut self, at: usize, candidate: &Candidate, limit: usize) {
        let old = self.all[at];
        let foundation = self.number(&candidate.foundation, limit);
        self.all[at] = Remote {
            place: old.place,
            vouched: old.vouched,
            ..Remote::new(old.component(), candidate, foundation)
        };
    }

    /// A new one takes the number and the foundation of one that is forgotten.
    pub(crate) fn recycle(&mut self, at: usize, component: usize, candidate: &Candidate) {
        self.order(at, false);
        self.all[at] = Remote::new(component, candidate, self.all[at].foundation);
        self.order(at, true);
    }

    fn order(&mut self, at: usize, there: bool) {
        self.by_address
            .place(&self.all, small(at), Remote::key, there);
    }

    /// The number of a foundation. There are no more than two for each candidate that there may be.
    fn number(&mut self, text: &str, limit: usize) -> u16 {
        let all = &self.foundations;
        let known = self
            .by_text
            .find(all, |it| it.as_bytes().cmp(text.as_bytes()));
        known.unwrap_or_else(|| {
            let number = small(self.foundations.len());
            grow(&mut self.foundations, limit.saturating_mul(2));
            self.foundations.push(text.into());
            let all = &self.foundations;
            self.by_text.place(all, number, |it| it.as_bytes(), true);
            number
        })
    }

    /// The foundation of one of them.
    pub(crate) fn foundation(&self, at: usize) -> &str {
        let text = self.foundations.get(usize::from(self.all[at].foundation));
        text.map_or("", |text| text)
    }

    /// One of them as it was told, for this component.
    pub(crate) fn candidate(&self, at: usize, component: ComponentId) -> Candidate {
        let it = &self.all[at];
        Candidate {
            component,
            kind: it.kind,
            transport: it.transport,
            tcp_type: it.tcp_type,
            address: it.address,
            base: it.address,
            priority: it.priority,
            foundation: self.foundation(at).to_string(),
            related: it.related,
            network: it.network,
        }
    }
}

impl Index<usize> for Remotes {
    type Output = Remote;

    fn index(&self, at: usize) -> &Remote {
        &self.all[at]
    }
}

impl IndexMut<usize> for Remotes {
    fn index_mut(&mut self, at: usize) -> &mut Remote {
        &mut self.all[at]
    }
}
