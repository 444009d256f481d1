//! The arguments of `floe stun`.

use std::convert::Infallible;
use std::ffi::OsString;

use clap::{Subcommand, ValueEnum};
use floe_stun::Secret;

#[derive(Debug, Subcommand)]
pub(crate) enum StunCommand {
    /// Print a message readably, with offsets, and say exactly what is wrong with a bad one
    Decode(DecodeArgs),
}

const AFTER_HELP: &str = "\
Examples:
  floe stun decode 000100002112a4420102030405060708090a0b0c
  floe stun decode packet.bin --password VOkJxbRl1RmTxUk/WvJxBt
  floe stun decode packet.txt --user user --realm example.org --password pass
  floe stun decode --format json - < packet.txt

Exit status:
  0  well-formed, and every check that was made has passed
  1  malformed, or not STUN; what can be read is printed nevertheless
  2  an argument is wrong or the input cannot be read
  3  well-formed, but FINGERPRINT or integrity is wrong, or there is nothing to verify with the password";

/// Prints one STUN message: header and attributes with byte offsets, integrity, FINGERPRINT, and every
/// rule of RFC 8489 that it breaks, with the bytes around. `ChannelData` and other protocols of the same
/// port are recognised by their first bytes (RFC 7983).
///
/// Attributes behind the integrity attribute are shown but marked, since receivers ignore them.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct DecodeArgs {
    /// A file, `-` for standard input, or hex digits; what is an existing file is read as one
    ///
    /// A file is the bytes of one message, or text: hex digits with comments behind `#`, or what `xxd`,
    /// `hexdump -C` or Wireshark print. Hex digits may be in one argument or in several, with spaces,
    /// colons, commas and 0x between them.
    #[arg(value_name = "FILE|HEX", required = true)]
    pub(super) input: Vec<OsString>,

    /// Verify integrity with this password: the short-term key, or with --user and --realm the long-term
    /// keys (MD5 and SHA-256). It is never printed
    #[arg(long, value_name = "PASSWORD", value_parser = secret)]
    pub(super) password: Option<Secret>,

    /// Whose password it is
    #[arg(long, value_name = "NAME", requires = "realm", requires = "password")]
    pub(super) user: Option<String>,

    /// In which realm
    #[arg(long, value_name = "REALM", requires = "user")]
    pub(super) realm: Option<String>,

    /// How to print it
    #[arg(long, value_enum, default_value_t = DecodeFormat::Text)]
    pub(super) format: DecodeFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum DecodeFormat {
    /// For people; long values are cut
    Text,
    /// One object, with all bytes
    Json,
}

#[expect(clippy::unnecessary_wraps, reason = "a parser of arguments may fail")]
fn secret(text: &str) -> Result<Secret, Infallible> {
    Ok(text.into())
}
