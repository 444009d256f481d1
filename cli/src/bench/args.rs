//! The arguments.

use std::num::NonZeroUsize;

use clap::{Subcommand, ValueEnum};

const CONNECT_NOTES: &str = "\
Time zero is when the offer leaves; both sides have gathered their candidates before. Each run draws
σ (signalling one way, 40 to 300 ms), R (round trip between the networks, 10 to 200 ms) and r (round
trip to the server, 10 to 120 ms; ρ = 2r through the relay; in the first table ρ ≥ R, for else the
relay would undercut the floor). Where a host has several addresses, one
works, and from the others no packet gets anywhere.

Three tables:
  pairs     every kind of NAT against every other: floor, when both can send, when both have selected,
            STUN messages, and whether the goal is met
  policies  the default profile beside the timing of RFC 8445 to the letter, 3 addresses a side
  other     classes of path, relays taken though a direct path exists, messages, checks that keep a
            connection alive, connections given up though their path lives

The same arguments print the same bytes, with any number of threads.";

#[derive(Debug, Subcommand)]
pub(crate) enum BenchCommand {
    /// How fast peers connect, in virtual time
    #[command(after_help = CONNECT_NOTES)]
    Connect(ConnectArgs),
}

#[derive(Clone, Debug, clap::Args)]
pub(crate) struct ConnectArgs {
    /// All draws come from here
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,

    /// How many times conditions are drawn, for every row of every table
    #[arg(long, value_name = "N", default_value_t = 60,
        value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) draws: u32,

    /// How many sessions have their candidates and descriptions signalled late, in any order and some
    /// twice, to see whether one is given up though its path lives
    #[arg(long, value_name = "N", default_value_t = 1_000,
        value_parser = clap::value_parser!(u32).range(0..=10_000_000))]
    pub(crate) trickle_orders: u32,

    /// How many of the addresses that do not work are listed before the one that does, at most; a
    /// driver that asks its host for the default route lists none
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) dead_before: usize,

    /// How many threads to use; the output does not depend on it [default: all cores]
    #[arg(long, value_name = "N")]
    pub(crate) threads: Option<NonZeroUsize>,

    /// How to print it
    #[arg(long, value_enum, default_value_t = ConnectFormat::Text)]
    pub(crate) format: ConnectFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ConnectFormat {
    /// For people
    Text,
    /// One object with every table
    Json,
}
