//! A phone that speaks of ICE in plain offer/answer.

use std::time::Duration;

use floe_sdp::ice::{Candidate, IceCredentials};
use floe_sdp::{
    Codec, Direction, LocalTransport, LocalTransports, MismatchPolicy, NegotiationError,
    Negotiator, NegotiatorConfig, Profile, Rtp, SectionConfig, TransportId, Violation,
    check_answer,
};

use super::{Answer, Offer, credentials};

/// A phone with ICE and without DTLS: a transport for every stream.
#[derive(Clone)]
pub(crate) struct Phone {
    pub(crate) negotiator: Negotiator,
    /// By number of the transport; none, no ICE.
    pub(crate) credentials: Vec<IceCredentials>,
    pub(crate) candidates: Vec<Vec<Candidate>>,
    pub(crate) remote_candidate: Option<std::net::SocketAddr>,
    pub(crate) pacing: Option<Duration>,
    pub(crate) lite: bool,
    pub(crate) end_of_candidates: bool,
    pub(crate) number: u64,
}

impl<'a> LocalTransports<'a> for &'a Phone {
    fn transport(&self, id: TransportId) -> LocalTransport<'a> {
        let number = id.number() as usize;
        LocalTransport {
            credentials: self.credentials.get(number),
            pacing: self.pacing,
            candidates: self.candidates.get(number).map_or(&[], Vec::as_slice),
            end_of_candidates: self.end_of_candidates,
            dtls: None,
            lite: self.lite,
            ice_options: &[],
            remote_candidate: self.remote_candidate,
            address: Some(([192, 0, 2, self.number as u8], 7000 + 2 * number as u16).into()),
        }
    }
}

pub(crate) fn call(direction: Direction) -> SectionConfig {
    let mut codecs = Codec::audio();
    codecs.remove(0);
    SectionConfig::Audio(Rtp::new(codecs, direction))
}

pub(crate) const TALK: Direction = Direction::SendRecv;

pub(crate) fn host(number: u64, port: usize) -> Candidate {
    format!("candidate:1 1 udp 2130706431 192.0.2.{number} {port} typ host")
        .parse()
        .unwrap()
}

impl Phone {
    /// With so many streams.
    pub(crate) fn new(number: u64, streams: usize) -> Self {
        Self::with(number, streams, MismatchPolicy::Continue)
    }

    pub(crate) fn with(number: u64, streams: usize, mismatch: MismatchPolicy) -> Self {
        let config = NegotiatorConfig {
            profile: Profile::Rfc3264,
            mismatch,
            ..NegotiatorConfig::new(number, vec![call(TALK); streams])
        };
        Self {
            negotiator: Negotiator::new(config).unwrap(),
            credentials: (0..streams)
                .map(|stream| credentials(&format!("{number}{stream}")))
                .collect(),
            candidates: (0..streams)
                .map(|stream| vec![host(number, 5000 + 2 * stream)])
                .collect(),
            remote_candidate: None,
            pacing: None,
            lite: false,
            end_of_candidates: false,
            number,
        }
    }

    /// Other credentials, on all transports.
    pub(crate) fn restart(&mut self) {
        for (stream, known) in self.credentials.iter_mut().enumerate() {
            let next = format!("{stream}{}", known.ufrag());
            *known = IceCredentials::new(&next, &format!("{next}0123456789abcdef0123")).unwrap();
        }
    }

    pub(crate) fn create_offer(&mut self) -> Result<String, NegotiationError> {
        let mut negotiator = self.negotiator.clone();
        let text = negotiator.create_offer(&&*self);
        self.negotiator = negotiator;
        text
    }

    pub(crate) fn create_answer(&mut self) -> Result<String, NegotiationError> {
        let mut negotiator = self.negotiator.clone();
        let text = negotiator.create_answer(&&*self);
        self.negotiator = negotiator;
        text
    }

    pub(crate) fn offer(&mut self) -> String {
        let text = self.create_offer().unwrap();
        self.negotiator.set_local(Offer, &text).unwrap();
        text
    }

    /// Takes an offer and answers it.
    pub(crate) fn answer(&mut self, offer: &str) -> String {
        self.take_offer(offer).unwrap();
        let text = self.create_answer().unwrap();
        self.negotiator.set_local(Answer, &text).unwrap();
        check_answer(offer.as_bytes(), text.as_bytes()).unwrap();
        text
    }

    pub(crate) fn take_offer(&mut self, text: &str) -> Result<(), NegotiationError> {
        self.negotiator
            .set_remote(Offer, text.as_bytes())
            .map(|_| ())
    }

    pub(crate) fn take_answer(&mut self, text: &str) -> Result<(), NegotiationError> {
        self.negotiator
            .set_remote(Answer, text.as_bytes())
            .map(|_| ())
    }

    /// On which transports ICE runs.
    pub(crate) fn ice(&self) -> Vec<bool> {
        let negotiated = self.negotiator.negotiated().unwrap();
        negotiated.transports.iter().map(|it| it.ice).collect()
    }
}

pub(crate) fn exchange(from: &mut Phone, to: &mut Phone) -> (String, String) {
    let offer = from.offer();
    let answer = to.answer(&offer);
    from.take_answer(&answer).unwrap();
    (offer, answer)
}

pub(crate) fn rule(result: Result<(), NegotiationError>) -> Violation {
    match result {
        Err(NegotiationError::Remote { rule, .. }) => rule,
        other => panic!("{other:?}"),
    }
}

pub(crate) fn starting<'a>(lines: &[&'a str], with: &str) -> Vec<&'a str> {
    let lines = lines.iter().copied();
    lines.filter(|line| line.starts_with(with)).collect()
}

/// What RFC 8839 §5 defines, and the end of candidates.
pub(crate) fn ice_lines(text: &str) -> Vec<&str> {
    let names = ["ice-", "candidate", "remote-candidates", "end-of-cand"];
    let of_ice = |line: &&str| {
        let name = line.strip_prefix("a=");
        name.is_some_and(|name| names.iter().any(|known| name.starts_with(known)))
    };
    text.lines().filter(of_ice).collect()
}

/// The text without the lines that `drop` is true for.
pub(crate) fn without(text: &str, drop: impl Fn(&str) -> bool) -> String {
    let mut kept = String::new();
    for line in text.lines().filter(|line| !drop(line)) {
        kept.push_str(line);
        kept.push_str("\r\n");
    }
    kept
}

/// What somebody who knows no ICE makes of a description.
pub(crate) fn without_ice(text: &str) -> String {
    without(text, |line| {
        line.starts_with("a=ice-") || line.starts_with("a=candidate")
    })
}
