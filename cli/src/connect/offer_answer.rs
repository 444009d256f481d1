//! A whole peer connection: offer and answer as SDP.

use floe_net::{Connection, Event, seed};
use floe_peer::{
    Config, DescriptionKind, DtlsIdentity, Error as PeerError, Fingerprint, IceCandidate, Role,
    Setup, State,
};

use super::args::ConnectArgs;
use super::session::{Happening, Side};
use super::signal::Signal;
use crate::error::Error;

pub(crate) struct OfferAnswer {
    connection: Connection,
    offers: bool,
}

impl OfferAnswer {
    pub(crate) fn bind(args: &ConnectArgs) -> Result<Self, Error> {
        // There is no DTLS here: nobody has a certificate with this fingerprint.
        let identity = DtlsIdentity {
            fingerprints: vec![Fingerprint::sha256(seed().map_err(Error::Runtime)?)],
            setup: Setup::Actpass,
            tls_id: None,
        };
        let mut config = Config::data_channel(identity);
        config.addresses = args.addresses();
        config.stun_servers = args.stun_servers();
        config.turn_servers = args.turn_servers()?;
        config.policy = args.policy();
        Ok(Self {
            connection: Connection::bind(config).map_err(Error::Sockets)?,
            offers: args.role() == Role::Controlling,
        })
    }

    fn describe(&mut self, kind: DescriptionKind) -> Result<String, PeerError> {
        self.connection.command(|connection, now| {
            let text = match kind {
                DescriptionKind::Offer => connection.create_offer(now),
                _ => connection.create_answer(now),
            }?;
            connection.set_local_description(now, kind, &text)?;
            Ok(text)
        })
    }

    fn set_remote(&mut self, kind: DescriptionKind, sdp: &str) -> Result<(), String> {
        self.connection
            .command(|connection, now| connection.set_remote_description(now, kind, sdp.as_bytes()))
            .map_err(|error| error.to_string())
    }
}

impl Side for OfferAnswer {
    fn start(&mut self) -> Result<Vec<Signal>, String> {
        if !self.offers {
            return Ok(Vec::new());
        }
        let sdp = self
            .describe(DescriptionKind::Offer)
            .map_err(|error| error.to_string())?;
        Ok(vec![Signal::Offer { sdp }])
    }

    fn take(&mut self, signal: Signal) -> Result<Vec<Signal>, String> {
        match signal {
            Signal::Offer { sdp } => {
                self.set_remote(DescriptionKind::Offer, &sdp)?;
                let sdp = self
                    .describe(DescriptionKind::Answer)
                    .map_err(|error| error.to_string())?;
                return Ok(vec![Signal::Answer { sdp }]);
            }
            Signal::Answer { sdp } => self.set_remote(DescriptionKind::Answer, &sdp)?,
            Signal::Candidate {
                candidate,
                sdp_mid,
                sdp_mline_index,
            } => {
                let text = candidate.clone();
                let candidate = IceCandidate {
                    candidate,
                    sdp_mid,
                    sdp_mline_index,
                    username_fragment: None,
                };
                self.connection
                    .command(|connection, now| connection.add_ice_candidate(now, &candidate))
                    .map_err(|error| format!("{error}: {text:?}"))?;
            }
            Signal::EndOfCandidates => self
                .connection
                .command(|connection, now| {
                    connection.add_ice_candidate(now, &IceCandidate::default())
                })
                .map_err(|error| error.to_string())?,
            Signal::Params { .. } => {
                return Err("with --sdp, params are part of offer and answer".into());
            }
            Signal::Result(_) | Signal::Bye => {}
        }
        Ok(Vec::new())
    }

    fn knows_peer(&self) -> bool {
        self.connection.machine().ice_state() != State::New
    }

    async fn next(&mut self) -> Happening {
        match self.connection.next().await {
            Event::Data { payload, .. } => Happening::Data(payload),
            Event::Machine(event) => match event {
                floe_peer::Event::Candidate(candidate) => Happening::Signal(Signal::Candidate {
                    candidate: candidate.candidate,
                    sdp_mid: candidate.sdp_mid,
                    sdp_mline_index: candidate.sdp_mline_index,
                }),
                floe_peer::Event::GatheringComplete => Happening::Gathered(None),
                floe_peer::Event::GatheringFailed {
                    base,
                    server,
                    transport,
                    cause,
                } => Happening::Log(format!(
                    "no candidate from {server} over {transport:?} for {base}: {cause}"
                )),
                floe_peer::Event::CandidateIgnored(cause) => {
                    Happening::Log(format!("a candidate of the peer is ignored: {cause}"))
                }
                floe_peer::Event::Selected(pair) => Happening::Selected(pair),
                floe_peer::Event::Failed(cause) => Happening::Failed(cause.to_string()),
                other => Happening::Log(format!("{other:?}")),
            },
        }
    }

    fn send(&mut self, data: &[u8]) -> Result<(), String> {
        self.connection
            .send(data)
            .map_err(|error| error.to_string())
    }

    async fn close(self) {
        self.connection.close().await;
    }
}
