//! The arguments of `floe sdp`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Subcommand, ValueEnum};

#[derive(Debug, Subcommand)]
pub(crate) enum SdpCommand {
    /// Say what is wrong with descriptions, and where
    Check(CheckArgs),
    /// Print a description, byte for byte as it was read
    Print(PrintArgs),
    /// Tell readably what a description says
    Explain(ExplainArgs),
    /// Print the answer that the negotiator gives to an offer
    Answer(AnswerArgs),
}

const EXIT: &str = "\
Exit status:
  0  read; in lenient mode perhaps with warnings
  1  malformed
  2  an argument is wrong or a file cannot be read";

const CHECK_HELP: &str = "\
Examples:
  floe sdp check offer.sdp
  floe sdp check --lenient camera.sdp phone.sdp
  curl -s http://camera.example/stream.sdp | floe sdp check --lenient -

Exit status:
  0  no errors; in lenient mode perhaps warnings
  1  an error
  2  an argument is wrong or a file cannot be read";

/// Reads each description by the grammar and order of RFC 8866, and each attribute by the grammar of its
/// RFC, and shows every mistake with its line, as a compiler does.
///
/// In lenient mode only what cannot be read at all is an error; what phones, cameras and old stacks get
/// wrong is a warning.
#[derive(Debug, clap::Args)]
#[command(after_help = CHECK_HELP)]
pub(crate) struct CheckArgs {
    /// Forgive what real stacks send
    #[arg(long)]
    pub(super) lenient: bool,

    /// Files; `-` is standard input
    #[arg(value_name = "FILE", required = true)]
    pub(super) files: Vec<PathBuf>,
}

/// Reads a description and prints it from what was read: nothing is lost, nothing is normalised. An error
/// is shown instead, on standard error.
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT)]
pub(crate) struct PrintArgs {
    /// Forgive what real stacks send
    #[arg(long)]
    pub(super) lenient: bool,

    /// A file; `-` is standard input
    #[arg(value_name = "FILE")]
    pub(super) file: PathBuf,
}

/// Tells what a description says: session, groups, and of each section the address, codecs, header
/// extensions, transport and candidates. It is read leniently; `floe sdp check` says what is wrong with it.
/// Passwords and keys are not shown.
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT)]
pub(crate) struct ExplainArgs {
    /// A file; `-` is standard input
    #[arg(value_name = "FILE")]
    pub(super) file: PathBuf,
}

const ANSWER_HELP: &str = "\
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
#[command(after_help = ANSWER_HELP)]
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
