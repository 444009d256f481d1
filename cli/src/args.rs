//! The arguments.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{Parser, Subcommand, ValueEnum};
use floe_sim::Preset;
use floe_stun::{PrepareError, Profile};

use crate::bench::BenchCommand;
use crate::conditions::Conditions;
use crate::connect::ConnectArgs;
use crate::discover::DiscoverArgs;
use crate::quantity::{self, Seeds};
use crate::sdp::SdpCommand;
use crate::search::SearchArgs;
use crate::serve::ServeArgs;
use crate::stun::StunCommand;

/// Two peers behind NATs find a path to each other: simulated, measured, explained.
///
/// `matrix`, `pair`, `bench`, `search` and `discover` happen in virtual time: the same arguments print
/// the same bytes, on any machine and with any number of threads. `serve` and `connect` are the same machines on real sockets.
#[derive(Debug, Parser)]
#[command(name = "floe", version, after_help = AFTER_HELP)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

const AFTER_HELP: &str = "\
Examples:
  floe matrix                            every kind of NAT against every other
  floe matrix --loss 5 --seeds 1..101    the same with 5 % loss, 100 times
  floe pair full-cone symmetric          one negotiation, packet by packet
  floe discover --nat symmetric          what a host finds out of its NAT (RFC 5780)
  floe bench connect                     how fast peers connect, beside the floors and goals
  floe search --seeds 0..10000           random worlds and faults, and what no run may show
  floe nat list                          what there is
  floe serve                             a STUN and TURN server on loopback
  floe connect --help                    one ICE agent, signalling on stdio
  floe stun decode --help                a STUN message, byte by byte
  floe sdp check offer.sdp               what is wrong with a description, and where
  floe sdp answer --help                 what is answered to an offer

Exit status: 0 if all is as it must be, 1 if a verdict is not (see `floe matrix --help`),
2 if an argument is wrong or a file cannot be written.
Colours follow the terminal, NO_COLOR and CLICOLOR_FORCE.";

const VERDICTS: &str = "\
Verdicts, from what must be possible by the NATs' properties alone:
  agreed               the agents found the best path that there is
  relay-avoidable      relayed where a direct path is possible
  agent-missed-a-path  not connected where a path is possible
  oracle-wrong         a path where there can be none, or none where one was thought certain

Exit status: 1 if a verdict is not `agreed` without loss, or is one of the last two with loss;
2 if an argument is wrong or a file cannot be written; otherwise 0.";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Negotiate between every kind of NAT and every other
    Matrix(MatrixArgs),
    /// Negotiate once between two kinds of NAT, and tell the story packet by packet
    Pair(PairArgs),
    /// Measure, beside what is possible at best
    #[command(subcommand)]
    Bench(BenchCommand),
    /// Negotiate in random worlds with random faults, and name what no run may show
    Search(SearchArgs),
    /// Find out from inside what kind of NAT a host is behind
    Discover(DiscoverArgs),
    /// The kinds of NAT
    #[command(subcommand)]
    Nat(NatCommand),
    /// Serve STUN and TURN on a real socket
    Serve(ServeArgs),
    /// Find a path to a real peer
    Connect(ConnectArgs),
    /// What is in a STUN message
    #[command(subcommand)]
    Stun(StunCommand),
    /// What is in a session description, and what is wrong with it
    #[command(subcommand)]
    Sdp(SdpCommand),
}

/// Rows are the offering side, columns the answering side. A cell says how the two were connected,
/// and after how many milliseconds from the moment the offer left the later of the two had selected
/// its pair.
#[derive(Debug, clap::Args)]
#[command(after_help = VERDICTS)]
pub(crate) struct MatrixArgs {
    /// All randomness comes from here
    #[arg(long, value_name = "N", default_value_t = 1, conflicts_with = "seeds")]
    pub(crate) seed: u64,

    /// Run every cell with each of these seeds: `1..101` is 1 to 100, and so is `1..=100`
    #[arg(long, value_name = "N..M", value_parser = quantity::seeds)]
    pub(crate) seeds: Option<Seeds>,

    #[command(flatten)]
    pub(crate) conditions: Conditions,

    /// Only these kinds of NAT, as rows and columns [default: all, see `floe nat list`]
    #[arg(long, value_name = "NAT,…", value_delimiter = ',', hide_possible_values = true,
        value_parser = nat_parser())]
    pub(crate) nat: Vec<Preset>,

    /// How many threads to use; the output does not depend on it [default: all cores]
    #[arg(long, value_name = "N")]
    pub(crate) threads: Option<NonZeroUsize>,

    /// How to print it; `csv` and `json` have every run
    #[arg(long, value_enum, default_value_t = MatrixFormat::Table)]
    pub(crate) format: MatrixFormat,
}

impl MatrixArgs {
    pub(crate) fn seeds(&self) -> Seeds {
        self.seeds.unwrap_or(Seeds::one(self.seed))
    }

    /// The kinds of NAT, each once.
    pub(crate) fn nats(&self) -> Vec<Preset> {
        if self.nat.is_empty() {
            return Preset::ALL.to_vec();
        }
        let mut nats = Vec::new();
        for &nat in &self.nat {
            if !nats.contains(&nat) {
                nats.push(nat);
            }
        }
        nats
    }
}

#[derive(Debug, clap::Args)]
#[command(after_help = VERDICTS)]
pub(crate) struct PairArgs {
    /// What is in front of the offering side
    #[arg(value_name = "A", value_parser = nat_parser())]
    pub(crate) a: Preset,

    /// What is in front of the answering side
    #[arg(value_name = "B", value_parser = nat_parser(), hide_possible_values = true)]
    pub(crate) b: Preset,

    /// All randomness comes from here
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,

    #[command(flatten)]
    pub(crate) conditions: Conditions,

    /// Write everything that happened to this file, one JSON object a line; `-` is standard output,
    /// which then carries nothing else
    #[arg(long, value_name = "FILE")]
    pub(crate) trace: Option<PathBuf>,

    /// Leave out the packets and print the result only
    #[arg(long)]
    pub(crate) no_ladder: bool,

    /// How to print it; `json` is the result only, as in `floe matrix`
    #[arg(long, value_enum, default_value_t = PairFormat::Text)]
    pub(crate) format: PairFormat,
}

#[derive(Debug, Subcommand)]
pub(crate) enum NatCommand {
    /// List their names, what they are, and where they lie on each axis
    List(NatListArgs),
}

#[derive(Debug, clap::Args)]
pub(crate) struct NatListArgs {
    /// How to print it
    #[arg(long, value_enum, default_value_t = ListFormat::Table)]
    pub(crate) format: ListFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum MatrixFormat {
    /// For people
    Table,
    /// One line a run, with a header
    Csv,
    /// An array with one object a run
    Json,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum PairFormat {
    /// For people
    Text,
    /// An array with one object
    Json,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ListFormat {
    /// For people
    Table,
    /// An array with one object a kind
    Json,
}

/// Knows the names, so that errors and completions can list them.
pub(crate) fn nat_parser() -> impl TypedValueParser<Value = Preset> {
    let names = Preset::ALL.map(|nat| PossibleValue::new(nat.name()).help(nat.description()));
    PossibleValuesParser::new(names).try_map(|name| Preset::by_name(&name).ok_or("no such NAT"))
}

/// A user name, realm or password as it goes over the wire (RFC 8489 §9).
pub(crate) fn prepared(text: &str) -> Result<String, PrepareError> {
    let prepared = Profile::OpaqueString.prepare(text)?;
    Ok(prepared.as_str().into())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_arguments_do_not_contradict_each_other() {
        Args::command().debug_assert();
    }

    #[test]
    fn what_is_named_twice_is_run_once() {
        let args = Args::parse_from(["floe", "matrix", "--nat", "open,symmetric,open"]);
        let Some(Command::Matrix(args)) = args.command else {
            panic!("not a matrix");
        };
        assert_eq!(args.nats(), [Preset::Open, Preset::Symmetric]);
    }
}
