//! Candidates of the peer with a name instead of an address, which only its network can resolve
//! (draft-ietf-mmusic-mdns-ice-candidates): the owner is asked to.

use alloc::string::String;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv6Addr};

use floe_sansio::Instant;
use floe_sdp::ice as sdp;

use super::{Agent, CommandError};
use crate::candidate::Candidate;
use crate::event::{Event, NameId};
use crate::text::{Unusable, read};

/// What is known of the names that the peer told.
#[derive(Debug, Default)]
pub(super) struct Names {
    known: Vec<Name>,
    next: u32,
}

#[derive(Debug)]
struct Name {
    id: NameId,
    /// In lower case.
    text: String,
    answer: Answer,
}

#[derive(Debug)]
enum Answer {
    /// None yet; these candidates wait for it.
    Awaited(Vec<Candidate>),
    /// The one address that is used.
    Address(IpAddr),
    Nothing,
}

impl Names {
    /// They are forgotten; answers that come now are to nothing.
    pub(super) fn clear(&mut self) {
        self.known.clear();
    }

    pub(super) fn len(&self) -> usize {
        self.known.len() + self.waiting()
    }

    /// How many candidates wait.
    pub(super) fn waiting(&self) -> usize {
        let waiting = self.known.iter().map(|name| match &name.answer {
            Answer::Awaited(waiting) => waiting.len(),
            _ => 0,
        });
        waiting.sum()
    }
}

impl Agent {
    /// Takes a candidate of the peer as it was signalled for this stream, with an address or with an
    /// mDNS name: then [`Event::ResolveWanted`] asks for its address, once for each name.
    ///
    /// Nothing waits for the answer, but that the peer does not count as one without candidates before
    /// its time (RFC 8863).
    ///
    /// # Errors
    ///
    /// [`CommandError::Ignored`] for what RFC 8839 §5.1 wants ignored; those of
    /// [`Self::add_remote_candidate`].
    pub fn add_remote_description(
        &mut self,
        now: Instant,
        stream: u16,
        description: &sdp::Candidate,
    ) -> Result<(), CommandError> {
        let (ip, name) = match &description.address {
            sdp::CandidateAddress::Ip(ip) => (*ip, None),
            sdp::CandidateAddress::Name(name) => (IpAddr::V6(Ipv6Addr::UNSPECIFIED), Some(name)),
        };
        let mut candidate = read(description, ip).map_err(CommandError::Ignored)?;
        candidate.component.stream = stream;
        match name {
            None => self.add_remote_candidate(now, candidate),
            Some(name) if is_mdns(name) => self.add_named(now, name, candidate),
            Some(_) => Err(CommandError::Ignored(Unusable::Name)),
        }
    }

    fn add_named(
        &mut self,
        now: Instant,
        name: &str,
        candidate: Candidate,
    ) -> Result<(), CommandError> {
        let Some(component) = self.admit_remote(&candidate)? else {
            return Ok(());
        };
        let text = name.to_ascii_lowercase();
        let known = self.names.known.iter().position(|it| it.text == text);
        let is_full =
            self.names.waiting() + self.remotes.len() >= self.config.limits.remote_candidates;
        if let Some(at) = known {
            match &mut self.names.known[at].answer {
                Answer::Awaited(waiting) if waiting.contains(&candidate) => {}
                Answer::Awaited(_) if is_full => return Err(CommandError::Capacity),
                Answer::Awaited(waiting) => waiting.push(candidate),
                Answer::Address(ip) => {
                    let candidate = resolved(candidate, *ip);
                    return self.accept_remote(now, component, &candidate);
                }
                Answer::Nothing => {}
            }
            return Ok(());
        }
        if is_full || self.names.known.len() >= self.config.limits.names {
            return Err(CommandError::Capacity);
        }
        let id = NameId::numbered(self.names.next);
        self.names.next = self.names.next.wrapping_add(1);
        self.events.push_back(Event::ResolveWanted {
            id,
            name: text.clone(),
        });
        self.names.known.push(Name {
            id,
            text,
            answer: Answer::Awaited(alloc::vec![candidate]),
        });
        Ok(())
    }

    /// These are the addresses of the name of [`Event::ResolveWanted`], none if it has none. Of several
    /// one is used: the first IPv6 address, otherwise the first IPv4 address, of a family that this
    /// host has too.
    ///
    /// # Errors
    ///
    /// [`CommandError::UnknownName`] if nobody asks for this name (any more): it was answered, or ICE
    /// was restarted. [`CommandError::Ended`].
    pub fn resolved(
        &mut self,
        now: Instant,
        id: NameId,
        addresses: &[IpAddr],
    ) -> Result<(), CommandError> {
        self.check_alive()?;
        let ip = self.choose(addresses);
        let mut known = self.names.known.iter_mut();
        let answer = known.find(|name| name.id == id).map(|it| &mut it.answer);
        let Some(answer @ Answer::Awaited(_)) = answer else {
            return Err(CommandError::UnknownName);
        };
        let now = self.clock.advance(now);
        let answered = ip.map_or(Answer::Nothing, Answer::Address);
        if let (Answer::Awaited(waiting), Some(ip)) = (core::mem::replace(answer, answered), ip) {
            for candidate in waiting {
                // Its stream may have been removed. That the peer has told all is no hindrance: it told
                // this one before.
                let stream = self.live_stream_at(candidate.component.stream);
                let component = self.component_at(candidate.component);
                if let (Some(_), Some(component)) = (stream, component) {
                    let _ = self.accept_remote(now, component, &resolved(candidate, ip));
                }
            }
        }
        self.settle(now);
        Ok(())
    }

    fn choose(&self, addresses: &[IpAddr]) -> Option<IpAddr> {
        let usable = |ip: &&IpAddr| super::remote::is_usable(**ip);
        let here = |ip: &&IpAddr| self.bases.keys().any(|base| base.is_ipv4() == ip.is_ipv4());
        let usable = addresses.iter().filter(usable);
        usable.min_by_key(|ip| (!here(ip), ip.is_ipv4())).copied()
    }
}

fn resolved(mut candidate: Candidate, ip: IpAddr) -> Candidate {
    candidate.address.set_ip(ip);
    candidate.base = candidate.address;
    candidate
}

/// Whether it is one label under `local`, as the draft wants it; another name is nobody's to resolve.
fn is_mdns(name: &str) -> bool {
    let Some((label, domain)) = name.split_once('.') else {
        return false;
    };
    let is_label = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    domain.eq_ignore_ascii_case("local")
        && (1..=63).contains(&label.len())
        && label.bytes().all(is_label)
}
