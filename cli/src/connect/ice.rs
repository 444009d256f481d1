//! The agent alone: credentials and candidates.

use std::time::Duration;

use floe_ice::{Candidate, Config, IceCredentials, RemoteParameters};
use floe_net::{Agent, Event};
use floe_sdp::ice::TrickledCandidate;

use super::args::ConnectArgs;
use super::session::{Happening, Side};
use super::signal::Signal;
use crate::error::Error;

pub(crate) struct Ice {
    agent: Agent,
}

impl Ice {
    pub(crate) fn bind(args: &ConnectArgs) -> Result<Self, Error> {
        let mut config = Config::new(args.role());
        config.addresses = args.addresses();
        config.stun_servers = args.stun_servers();
        config.turn_servers = args.turn_servers()?;
        config.policy = args.policy();
        let agent = Agent::bind(config).map_err(Error::Sockets)?;
        Ok(Self { agent })
    }
}

impl Side for Ice {
    fn start(&mut self) -> Result<Vec<Signal>, String> {
        let credentials = self.agent.machine().credentials();
        let params = Signal::Params {
            ufrag: credentials.ufrag().into(),
            pwd: credentials.pwd().into(),
            pacing: u32::try_from(self.agent.machine().pacing().as_millis()).ok(),
        };
        self.agent.command(floe_ice::Agent::gather);
        Ok(vec![params])
    }

    fn take(&mut self, signal: Signal) -> Result<Vec<Signal>, String> {
        match signal {
            Signal::Params { ufrag, pwd, pacing } => {
                let credentials =
                    IceCredentials::new(&ufrag, &pwd).map_err(|error| error.to_string())?;
                let parameters = RemoteParameters {
                    credentials,
                    pacing: pacing.map(|millis| Duration::from_millis(millis.into())),
                    lite: false,
                    renomination: false,
                };
                self.agent
                    .command(|agent, now| agent.set_remote_parameters(now, parameters))
                    .map_err(|error| error.to_string())?;
            }
            Signal::Candidate { candidate, .. } => {
                let parsed: TrickledCandidate = candidate
                    .parse()
                    .map_err(|error| format!("{error} in {candidate:?}"))?;
                let TrickledCandidate::Candidate(text) = parsed else {
                    return self.take(Signal::EndOfCandidates);
                };
                let usable =
                    Candidate::try_from(&text).map_err(|error| format!("{error}: {candidate}"))?;
                self.agent
                    .command(|agent, now| agent.add_remote_candidate(now, usable))
                    .map_err(|error| format!("{error}: {candidate}"))?;
            }
            Signal::EndOfCandidates => self
                .agent
                .command(floe_ice::Agent::end_of_remote_candidates)
                .map_err(|error| error.to_string())?,
            Signal::Offer { .. } | Signal::Answer { .. } => {
                return Err("offers and answers need --sdp".into());
            }
            Signal::Result(_) | Signal::Bye => {}
        }
        Ok(Vec::new())
    }

    fn knows_peer(&self) -> bool {
        self.agent.machine().state() != floe_ice::State::New
    }

    async fn next(&mut self) -> Happening {
        match self.agent.next().await {
            Event::Data { payload, .. } => Happening::Data(payload),
            Event::Machine(event) => match event {
                floe_ice::Event::LocalCandidate(candidate) => {
                    Happening::Signal(Signal::Candidate {
                        candidate: floe_sdp::ice::Candidate::from(&candidate).to_string(),
                        sdp_mid: None,
                        sdp_mline_index: None,
                    })
                }
                floe_ice::Event::GatheringComplete => {
                    Happening::Gathered(Some(Signal::EndOfCandidates))
                }
                floe_ice::Event::GatheringFailed {
                    base,
                    server,
                    transport,
                    cause,
                } => Happening::Log(format!(
                    "no candidate from {server} over {transport:?} for {base}: {cause}"
                )),
                floe_ice::Event::Selected(pair) => Happening::Selected(pair),
                floe_ice::Event::Failed(cause) => Happening::Failed(cause.to_string()),
                other => Happening::Log(format!("{other:?}")),
            },
        }
    }

    fn send(&mut self, data: &[u8]) -> Result<(), String> {
        self.agent.send(data).map_err(|error| error.to_string())
    }

    async fn close(self) {
        self.agent.close().await;
    }
}
