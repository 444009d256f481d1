//! The arguments of `floe sdp`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Subcommand, ValueEnum};

#[derive(Debug, Subcommand)]
pub(crate) enum SdpCommand {
    /// Print the answer that the negotiator gives to an offer
    Answer(AnswerArgs),
}

const AFTER_HELP: &str = "\
Examples:
  floe sdp answer offer.sdp
  floe sdp answer --bundle max-compat - < offer.sdp
  floe sdp answer invite.sdp --profile rfc3264 --address 192.0.2.1:5004

Exit status:
  0  the offer is answered; sections that are refused have port 0
  1  the offer is refused: it is malformed, or breaks a rule of the profile
  2  an argument is wrong or the offer cannot be read";

/// Prints the answer to an offer as `floe-sdp` negotiates it: data channels, and audio and video to
/// receive, in the formats that browsers must have.
///
/// Nobody stands behind it: ICE credentials and the certificate's fingerprint are made from --seed, and
/// the same arguments print the same bytes.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct AnswerArgs {
    /// A file with the offer, `-` for standard input
    #[arg(value_name = "OFFER")]
    pub(super) offer: PathBuf,

    /// Whose rules hold
    #[arg(long, value_enum, default_value_t = ProfileArg::Jsep)]
    pub(super) profile: ProfileArg,

    /// Which sections may have a transport of their own; `rfc3264` bundles nothing
    #[arg(long, value_enum, default_value_t = BundleArg::Balanced)]
    pub(super) bundle: BundleArg,

    /// Where media is wanted: the first section's address, the next ones' two ports further each [default: not
    /// known yet, 0.0.0.0:9]
    #[arg(long, value_name = "IP:PORT")]
    pub(super) address: Option<SocketAddr>,

    /// Session id, credentials and fingerprint come from here
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(super) seed: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum ProfileArg {
    /// RFC 9429, as browsers: ICE, DTLS, one port for RTP and RTCP
    Jsep,
    /// RFC 3264 alone, as telephones: ICE and DTLS only if they are offered
    Rfc3264,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum BundleArg {
    /// The first of each media type
    Balanced,
    /// All
    MaxCompat,
    /// The first alone
    MustBundle,
}
