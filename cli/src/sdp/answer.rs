//! `floe sdp answer`: an offer in, an answer out.

use std::io::{self, Write};
use std::net::SocketAddr;

use floe_sansio::Entropy;
use floe_sdp::ice::IceCredentials;
use floe_sdp::{
    BundlePolicy, DescriptionKind, DtlsIdentity, Fingerprint, LocalTransport, NegotiationError,
    Negotiator, NegotiatorConfig, Profile, Setup, TransportId,
};

use super::args::{AnswerArgs, BundleArg, ProfileArg};
use super::check::{self, Level};
use super::input;
use crate::error::Error;
use crate::run::Verdict;
use crate::style::{self, paint};

pub(super) fn run(args: &AnswerArgs, out: &mut impl Write) -> Result<Verdict, Error> {
    let offer = input::read(&args.offer)?;
    match answer(args, &offer) {
        Ok(text) => {
            out.write_all(text.as_bytes())?;
            Ok(Verdict::Passed)
        }
        Err(error) => {
            let mut err = anstream::AutoStream::auto(io::stderr().lock());
            show_refusal(&input::name(&args.offer), &offer, error, &mut err)?;
            Ok(Verdict::Failed)
        }
    }
}

fn answer(args: &AnswerArgs, offer: &[u8]) -> Result<String, NegotiationError> {
    let mut seed = [0; 32];
    seed[..8].copy_from_slice(&args.seed.to_le_bytes());
    let mut entropy = Entropy::new(seed);
    let mut negotiator = Negotiator::new(NegotiatorConfig {
        profile: match args.profile {
            ProfileArg::Jsep => Profile::Jsep,
            ProfileArg::Rfc3264 => Profile::Rfc3264,
        },
        bundle: match args.bundle {
            BundleArg::Balanced => BundlePolicy::Balanced,
            BundleArg::MaxCompat => BundlePolicy::MaxCompat,
            BundleArg::MustBundle => BundlePolicy::MustBundle,
        },
        ..NegotiatorConfig::new(entropy.u64() >> 2, Vec::new())
    })?;
    let dtls = DtlsIdentity {
        fingerprints: vec![Fingerprint::sha256(entropy.bytes())],
        setup: Setup::Actpass,
        tls_id: None,
    };
    negotiator.set_remote(DescriptionKind::Offer, offer)?;
    // Of each transport that the answer may have.
    let transports = negotiator.transports();
    let credentials: Vec<IceCredentials> = transports
        .iter()
        .map(|_| credentials(&mut entropy))
        .collect();
    negotiator.create_answer(&|id: TransportId| LocalTransport {
        credentials: credentials.get(id.number() as usize),
        pacing: None,
        candidates: &[],
        end_of_candidates: false,
        dtls: Some(&dtls),
        lite: false,
        ice_options: &[],
        remote_candidate: None,
        address: args.address.map(|address| place(address, id)),
    })
}

/// Two ports for each transport, as RTP and RTCP of old had.
fn place(first: SocketAddr, id: TransportId) -> SocketAddr {
    let offset = u16::try_from(2 * id.number()).unwrap_or(u16::MAX);
    let port = first.port().saturating_add(offset);
    SocketAddr::new(first.ip(), port)
}

fn credentials(entropy: &mut Entropy) -> IceCredentials {
    let ufrag = format!("{:08x}", entropy.u32());
    let pwd = format!("{:016x}{:016x}", entropy.u64(), entropy.u64());
    IceCredentials::new(&ufrag, &pwd).expect("hexadecimal digits are ice-chars")
}

/// Why an offer is refused, with the line that it is about.
fn show_refusal(
    name: &str,
    offer: &[u8],
    error: NegotiationError,
    out: &mut impl Write,
) -> io::Result<()> {
    let level = paint(style::ERROR, "error:");
    match error {
        NegotiationError::Syntax(error) => check::show(name, offer, &error, Level::Error, out),
        NegotiationError::Remote {
            rule,
            section,
            line,
        } => {
            let section = section.map_or(String::new(), |index| format!("section {index}: "));
            writeln!(out, "{name}:{line}: {level} {section}{rule}")?;
            let mut lines = offer.split(|byte| *byte == b'\n');
            let text = lines.nth(line.saturating_sub(1) as usize);
            let text = String::from_utf8_lossy(text.unwrap_or_default());
            // No commands to a terminal.
            let text = text.trim_end().replace(char::is_control, "\u{FFFD}");
            let margin = " ".repeat(line.to_string().len());
            writeln!(out, "{margin} |\n{line} | {text}")
        }
        other => writeln!(out, "{name}: {level} {other}"),
    }
}
