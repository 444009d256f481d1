//! The course of one connection, whatever is signalled: start, connect, ping, result, linger.

use std::io::Write;

use bytes::Bytes;
use floe_peer::SelectedPair;
use tokio::time::{Instant, sleep_until};

use super::args::ConnectArgs;
use super::lines;
use super::pings::{Pings, Word};
use super::signal::{Outcome, Signal};
use crate::error::Error;
use crate::run::Verdict;

/// One side: an agent, or a connection.
pub(crate) trait Side: Sized {
    /// Begins, and says what is to be signalled at once.
    fn start(&mut self) -> Result<Vec<Signal>, String>;

    /// Takes what the other side signalled, and says what is to be signalled in answer.
    fn take(&mut self, signal: Signal) -> Result<Vec<Signal>, String>;

    /// Whether the peer's credentials are known.
    fn knows_peer(&self) -> bool;

    /// The next thing that happens; can be cancelled.
    async fn next(&mut self) -> Happening;

    /// Sends a datagram to the peer.
    fn send(&mut self, data: &[u8]) -> Result<(), String>;

    /// Ends it, and lets relays know.
    async fn close(self);
}

/// Something that happened on a side.
pub(crate) enum Happening {
    /// This is to be signalled.
    Signal(Signal),
    /// Gathering has ended, and this is to be signalled.
    Gathered(Option<Signal>),
    Selected(SelectedPair),
    Failed(String),
    Data(Bytes),
    /// For whoever reads the log.
    Log(String),
}

/// Where the course stands.
enum Stage {
    Connecting,
    Pinging(Pings),
    /// The result is out; the peer may still need answers.
    Lingering,
}

pub(crate) async fn run<S: Side>(
    args: &ConnectArgs,
    mut side: S,
    out: &mut impl Write,
) -> Result<Verdict, Error> {
    let started = Instant::now();
    let mut lines = lines::stdin();
    let mut line_number = 0_u64;
    let mut stage = Stage::Connecting;
    let mut deadline = started + args.timeout;
    let mut outcome = Outcome {
        implementation: "floe".into(),
        ..Outcome::default()
    };
    let mut peer_known = None;
    let mut candidates = 0_u32;
    let mut last_log = None;

    for signal in side.start().map_err(Error::Argument)? {
        print(out, &signal)?;
    }
    loop {
        let wake = match &stage {
            Stage::Pinging(pings) => pings.due().unwrap_or(deadline).min(deadline),
            _ => deadline,
        };
        let mut ended = None;
        tokio::select! {
            line = lines.recv() => {
                line_number += 1;
                match line.map(|line| serde_json::from_str(&line)) {
                    // The other side of the signalling path is gone.
                    None | Some(Ok(Signal::Bye)) => break,
                    Some(Ok(signal)) => match side.take(signal) {
                        Ok(answers) => {
                            for answer in answers {
                                print(out, &answer)?;
                            }
                        }
                        Err(error) => log(&format!("signalling line {line_number}: {error}")),
                    },
                    Some(Err(error)) => log(&format!("signalling line {line_number}: {error}")),
                }
                if peer_known.is_none() && side.knows_peer() {
                    peer_known = Some(Instant::now());
                }
            }
            happening = side.next() => match happening {
                Happening::Signal(signal) => {
                    candidates += 1;
                    print(out, &signal)?;
                }
                Happening::Gathered(signal) => {
                    outcome.gather_ms = Some(millis(started));
                    if let Some(signal) = signal {
                        print(out, &signal)?;
                    }
                    if candidates == 0 {
                        // No check can ever arrive; nothing is worth waiting for.
                        let why = last_log.take().unwrap_or_default();
                        ended = Some(Err(format!("no candidate on this side: {why}")));
                    }
                }
                Happening::Selected(pair) => {
                    outcome.selected_pair = Some(pair.into());
                    if matches!(stage, Stage::Connecting) {
                        outcome.connected = true;
                        outcome.ms = peer_known.map(millis);
                        stage = Stage::Pinging(Pings::new(args.pings, Instant::now()));
                    }
                }
                Happening::Failed(error) if matches!(stage, Stage::Lingering) => {
                    log(&error);
                    break;
                }
                Happening::Failed(error) => ended = Some(Err(error)),
                Happening::Data(data) => match Word::parse(&data) {
                    Some(Word::Ping(number)) => say(&mut side, Word::Pong(number)),
                    Some(Word::Pong(number)) => {
                        if let Stage::Pinging(pings) = &mut stage {
                            pings.pong(number);
                        }
                    }
                    None => log(&format!("{} bytes of something else", data.len())),
                },
                Happening::Log(text) => {
                    log(&text);
                    last_log = Some(text);
                }
            },
            () = sleep_until(wake) => {
                let now = Instant::now();
                if let Stage::Pinging(pings) = &mut stage {
                    for number in pings.take(now) {
                        say(&mut side, Word::Ping(number));
                    }
                }
                if now >= deadline {
                    match stage {
                        Stage::Lingering => break,
                        Stage::Pinging(_) => ended = Some(Ok(())),
                        Stage::Connecting => {
                            let seconds = args.timeout.as_secs_f64();
                            ended = Some(Err(format!("not connected within {seconds} s")));
                        }
                    }
                }
            }
        }
        if let Stage::Pinging(pings) = &stage {
            outcome.pings_sent = pings.sent();
            outcome.pongs = pings.pongs();
            if pings.is_done() {
                ended = Some(Ok(()));
            }
        }
        if let Some(end) = ended {
            if let Err(error) = end {
                outcome.connected = false;
                outcome.error = Some(error);
            }
            print(out, &Signal::Result(Box::new(outcome.clone())))?;
            if !outcome.connected {
                break;
            }
            stage = Stage::Lingering;
            deadline = Instant::now() + args.linger;
        }
    }
    side.close().await;
    Ok(if outcome.connected {
        Verdict::Passed
    } else {
        Verdict::Failed
    })
}

fn say(side: &mut impl Side, word: Word) {
    if let Err(error) = side.send(word.to_text().as_bytes()) {
        log(&format!("{word:?} is not sent: {error}"));
    }
}

fn print(out: &mut impl Write, signal: &Signal) -> Result<(), Error> {
    let line = serde_json::to_string(signal).map_err(|error| Error::Argument(error.to_string()))?;
    writeln!(out, "{line}")?;
    out.flush()?;
    Ok(())
}

/// Characters of a line of the log at most; the peer may have written part of it.
const LOG_MAX: usize = 300;

/// For whoever watches: one line, and nothing that a terminal would obey.
fn log(text: &str) {
    let harmless = |c: char| if c.is_control() { '\u{FFFD}' } else { c };
    let text: String = text.chars().map(harmless).take(LOG_MAX).collect();
    eprintln!("floe: {text}");
}

/// Milliseconds since then, to the microsecond.
fn millis(since: Instant) -> f64 {
    let micros = since.elapsed().as_micros();
    f64::from(u32::try_from(micros).unwrap_or(u32::MAX)) / 1e3
}
