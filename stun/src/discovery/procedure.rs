//! The procedures of RFC 5780 §4: which test comes after which, and what each says.

use core::net::SocketAddr;

use floe_sansio::Instant;

use super::report::{Dependence, Failure, Finding, Hairpinning, Lifetime};
use super::test::{Answer, SocketRole, Test};
use super::{Discovery, DiscoveryEvent, Stage};
use crate::attributes::StatusCode;

/// The procedures, in their order.
#[derive(Clone, Copy)]
enum Procedure {
    Filtering,
    Mapping,
    Fragments,
    Hairpinning,
    Lifetime,
}

impl Discovery {
    /// Draws the conclusion from a test, and begins what comes next.
    pub(super) fn conclude(&mut self, now: Instant, test: Test, answer: Answer) {
        self.events.push_back(DiscoveryEvent::Tested(test, answer));
        self.challenges = 0;
        let failure = failure(answer);
        match test {
            Test::Connectivity => match answer {
                Answer::Mapped(mapped) => self.connected(mapped),
                Answer::Silence => {
                    self.report.udp = Finding::Known(false);
                    self.finish();
                }
                _ => self.give_up(failure),
            },
            Test::FilteringAddress => match answer {
                Answer::Mapped(_) => {
                    self.filtering(Finding::Known(Dependence::EndpointIndependent));
                }
                Answer::Silence => self.stage = Stage::Ready(Test::FilteringPort),
                _ => self.filtering(Finding::Failed(failure)),
            },
            Test::FilteringPort => self.filtering(match answer {
                Answer::Mapped(_) => Finding::Known(Dependence::AddressDependent),
                Answer::Silence => Finding::Known(Dependence::AddressAndPortDependent),
                _ => Finding::Failed(failure),
            }),
            Test::MappingAddress => match answer {
                Answer::Mapped(mapped) if self.report.mapped == Finding::Known(mapped) => {
                    self.mapping(Finding::Known(Dependence::EndpointIndependent));
                }
                Answer::Mapped(mapped) => {
                    self.second = Some(mapped);
                    self.stage = Stage::Ready(Test::MappingPort);
                }
                _ => self.mapping(Finding::Failed(failure)),
            },
            Test::MappingPort => self.mapping(match answer {
                Answer::Mapped(mapped) if self.second == Some(mapped) => {
                    Finding::Known(Dependence::AddressDependent)
                }
                Answer::Mapped(_) => Finding::Known(Dependence::AddressAndPortDependent),
                _ => Finding::Failed(failure),
            }),
            Test::Fragments => {
                self.report.fragments = match answer {
                    Answer::Mapped(_) => Finding::Known(true),
                    Answer::Silence => Finding::Known(false),
                    _ => Finding::Failed(failure),
                };
                self.begin(Procedure::Hairpinning);
            }
            Test::Beside => match answer {
                Answer::Mapped(mapped) => {
                    self.beside = Some(mapped);
                    self.stage = Stage::Ready(Test::Hairpin);
                }
                _ => self.hairpinning(Finding::Failed(failure)),
            },
            Test::Hairpin => self.hairpinning(match answer {
                Answer::Looped(from) if Some(from) == self.socket(SocketRole::Beside) => {
                    Finding::Known(Hairpinning::InternalSource)
                }
                Answer::Looped(_) => Finding::Known(Hairpinning::ExternalSource),
                Answer::Silence => Finding::Known(Hairpinning::Unsupported),
                _ => Finding::Failed(failure),
            }),
            Test::Bind => match (answer, self.search.and_then(|search| search.next())) {
                (Answer::Mapped(mapped), Some(wait)) => {
                    self.idle = Some(mapped);
                    self.wait = wait;
                    self.stage = Stage::Idle(now + wait);
                }
                _ => self.lifetime(Finding::Failed(failure)),
            },
            Test::Probe => match (answer, &mut self.search) {
                (Answer::Alive(wait) | Answer::Expired(wait), Some(search)) => {
                    search.learn(wait, matches!(answer, Answer::Alive(_)));
                    let (search, next) = (*search, search.next());
                    if next.is_some() {
                        self.stage = Stage::Ready(Test::Bind);
                    } else {
                        self.lifetime(Finding::Known(search.result()));
                    }
                }
                _ => self.lifetime(Finding::Failed(failure)),
            },
        }
        self.advance(now);
    }

    fn connected(&mut self, mapped: SocketAddr) {
        let local = self.socket(SocketRole::Main);
        self.report.udp = Finding::Known(true);
        self.report.mapped = Finding::Known(mapped);
        self.report.nat = Finding::Known(local != Some(mapped));
        self.report.port_preserved =
            Finding::Known(local.is_some_and(|local| local.port() == mapped.port()));
        self.begin(Procedure::Filtering);
    }

    fn filtering(&mut self, finding: Finding<Dependence>) {
        self.report.filtering = finding;
        self.begin(Procedure::Mapping);
    }

    fn mapping(&mut self, finding: Finding<Dependence>) {
        self.report.mapping = finding;
        self.begin(Procedure::Fragments);
    }

    fn hairpinning(&mut self, finding: Finding<Hairpinning>) {
        self.report.hairpinning = finding;
        self.begin(Procedure::Lifetime);
    }

    fn lifetime(&mut self, finding: Finding<Lifetime>) {
        self.report.lifetime = finding;
        self.finish();
    }

    /// Begins a procedure, or the next one that there is reason for.
    fn begin(&mut self, procedure: Procedure) {
        let nat = self.report.nat != Finding::Known(false);
        let unsupported = Finding::Failed(Failure::Unsupported);
        match procedure {
            Procedure::Filtering if self.other.is_none() => self.filtering(unsupported),
            Procedure::Filtering => {
                self.stage = Stage::Ready(Test::FilteringAddress);
            }
            Procedure::Mapping if !nat => {
                self.mapping(Finding::Known(Dependence::EndpointIndependent));
            }
            Procedure::Mapping if self.other.is_none() => self.mapping(unsupported),
            Procedure::Mapping => self.stage = Stage::Ready(Test::MappingAddress),
            Procedure::Fragments if self.config.mtu.is_none() => {
                self.begin(Procedure::Hairpinning);
            }
            Procedure::Fragments => self.stage = Stage::Ready(Test::Fragments),
            Procedure::Hairpinning if !nat || !self.config.hairpinning => {
                self.begin(Procedure::Lifetime);
            }
            Procedure::Hairpinning => self.stage = Stage::Ready(Test::Beside),
            // Neither a mapping nor a filter that could expire.
            Procedure::Lifetime
                if self.search.is_none()
                    || (!nat
                        && self.report.filtering
                            == Finding::Known(Dependence::EndpointIndependent)) =>
            {
                self.finish();
            }
            Procedure::Lifetime => self.stage = Stage::Ready(Test::Bind),
        }
    }

    /// The first test failed: there is no way to any of the others.
    fn give_up(&mut self, failure: Failure) {
        self.report.udp = match failure {
            Failure::NoSocket => Finding::Failed(failure),
            _ => Finding::Known(true),
        };
        self.report.mapped = Finding::Failed(failure);
        self.report.mapping = Finding::Failed(failure);
        self.report.filtering = Finding::Failed(failure);
        self.finish();
    }

    fn finish(&mut self) {
        for role in SocketRole::ALL {
            let socket = self.sockets[role as usize].take();
            if let Some(local) = socket.filter(|&local| self.config.local != Some(local)) {
                self.events.push_back(DiscoveryEvent::CloseSocket(local));
            }
        }
        self.events.push_back(DiscoveryEvent::Finished(self.report));
        self.stage = Stage::Finished;
    }
}

/// What an answer is where it is of no use.
const fn failure(answer: Answer) -> Failure {
    match answer {
        Answer::Failed(failure) => failure,
        Answer::Silence => Failure::Timeout,
        Answer::Unchanged | Answer::Rejected(StatusCode::UNKNOWN_ATTRIBUTE) => Failure::Unsupported,
        Answer::Rejected(code) => Failure::Rejected(code),
        _ => Failure::Unusable,
    }
}
