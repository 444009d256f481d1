//! The arguments of `floe sdp`.

use std::path::PathBuf;

use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub(crate) enum SdpCommand {
    /// Say what is wrong with descriptions, and where
    Check(CheckArgs),
    /// Print a description, byte for byte as it was read
    Print(PrintArgs),
    /// Tell readably what a description says
    Explain(ExplainArgs),
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
