//! A report for people.

use std::fmt::Display;
use std::io::{self, Write};

use floe_stun::{AttributeType, MessageType, SecurityFeatures};

use super::fact::{self, Fact};
use super::fault::Fault;
use super::hex::{self, Count, Hex};
use super::proof::{Proof, ProofResult};
use super::report::{ChannelData, Entry, Fingerprint, Other, Report, Stun};
use crate::style::{self, paint};

/// Bytes of a value that are shown in its line.
const INLINE: usize = 32;
/// Bytes of a value that are shown at all: lines enough to recognise it.
const SHOWN: usize = 512;
/// Where values begin, in characters.
const VALUES: usize = 51;

pub(super) fn print(report: &Report<'_>, bytes: &[u8], out: &mut impl Write) -> io::Result<()> {
    match report {
        Report::Stun(stun) => print_stun(stun, bytes, out),
        Report::ChannelData(channel) => print_channel(channel, out),
        Report::Other(other) => print_other(other, out),
    }
}

fn print_stun(stun: &Stun<'_>, bytes: &[u8], out: &mut impl Write) -> io::Result<()> {
    heading(out, format_args!("STUN message, {}", Count(stun.bytes)))?;
    let header = &stun.header;
    if let Some(bits) = header.type_bits {
        let kind = fact::message_type(MessageType::from_bits(bits));
        field(out, 0, "type", format_args!("{bits:#06x}  {kind}"))?;
    }
    if let Some(length) = header.length {
        field(out, 2, "length", length)?;
    }
    if let Some(cookie) = &header.cookie {
        field(out, 4, "magic cookie", cookie)?;
    }
    if let Some(id) = &header.transaction_id {
        field(out, 8, "transaction id", id)?;
    }
    if !stun.attributes.is_empty() {
        let head = format!(
            "{:>5}  {:6}  {:25}  {:>7}  value",
            "byte", "type", "attribute", "length"
        );
        writeln!(out, "\n{}", paint(style::DETAIL, head))?;
    }
    for entry in &stun.attributes {
        attribute(entry, out)?;
    }
    if let Some(leftover) = &stun.leftover {
        let count = leftover.hex.0.len();
        writeln!(out, "\n{} of no attribute", Count(count))?;
        dump(leftover.hex, leftover.offset, 0, out)?;
    }
    writeln!(out)?;
    judge(stun, bytes, out)
}

fn heading(out: &mut impl Write, text: impl Display) -> io::Result<()> {
    writeln!(out, "{}", paint(style::HEADING, text))
}

/// A field of a header.
fn field(out: &mut impl Write, at: usize, name: &str, value: impl Display) -> io::Result<()> {
    writeln!(out, "{at:5}  {name:14}  {value}")
}

fn attribute(entry: &Entry<'_>, out: &mut impl Write) -> io::Result<()> {
    let kind = AttributeType(entry.kind);
    let name = entry.name.unwrap_or(if entry.comprehension_required {
        "unknown, required"
    } else {
        "unknown, optional"
    });
    let padding = match entry.padding.0.len() {
        0 => String::new(),
        padding => format!("+{padding}"),
    };
    let head = format!(
        "{:5}  {:#06x}  {name:25}  {:>7}",
        entry.offset,
        entry.kind,
        format!("{}{padding}", entry.length)
    );
    let style = if entry.ignored.is_some() {
        style::DETAIL
    } else {
        style::PLAIN
    };
    let value = match &entry.value {
        Some(Fact::Bytes(_)) | None => inline(kind, entry.hex).unwrap_or_default(),
        Some(fact) => match &entry.raw {
            Some(raw) => format!("{fact}  (masked {raw})"),
            None => fact.to_string(),
        },
    };
    let line = format!("{head}  {value}");
    writeln!(out, "{}", paint(style, line.trim_end()))?;

    let mut note =
        |style, text: &dyn Display| writeln!(out, "{:VALUES$}{}", "", paint(style, text));
    if let Some(why) = entry.ignored {
        note(style::DETAIL, &format_args!("ignored: {why}"))?;
    } else if entry.repeated {
        note(
            style::DETAIL,
            &"repeated: only the first counts (RFC 8489 §14)",
        )?;
    }
    if let (AttributeType::NONCE, Some(Fact::Text(nonce))) = (kind, &entry.value)
        && let Some(features) = SecurityFeatures::of(nonce)
    {
        note(style::DETAIL, &announced(features))?;
    }
    if let Some(reason) = &entry.malformed {
        note(style::DROPPED, &format_args!("malformed: {reason}"))?;
    }
    if entry.padding.0.iter().any(|byte| *byte != 0) {
        let padding = hex::spaced(entry.padding.0);
        note(
            style::DETAIL,
            &format_args!("padding {padding} is not zero (RFC 8489 §14); receivers ignore it"),
        )?;
    }
    let there = entry.hex.0.len();
    if there < entry.length {
        note(
            style::DROPPED,
            &format_args!("cut short: {} of {} are there", there, Count(entry.length)),
        )?;
    }
    let typed = matches!(&entry.value, Some(fact) if !matches!(fact, Fact::Bytes(_)));
    if !typed && inline(kind, entry.hex).is_none() {
        dump(entry.hex, entry.offset + 4, 7, out)?;
    }
    Ok(())
}

/// What the nonce cookie says (RFC 8489 §9.2).
const fn announced(features: SecurityFeatures) -> &'static str {
    match (features.password_algorithms, features.username_anonymity) {
        (false, false) => "its cookie announces no security feature",
        (true, false) => "its cookie announces password algorithms",
        (false, true) => "its cookie announces user name anonymity",
        (true, true) => "its cookie announces password algorithms and user name anonymity",
    }
}

/// A value without a type in one line, if it is short.
fn inline(kind: AttributeType, Hex(bytes): Hex<'_>) -> Option<String> {
    match (kind, bytes.first_chunk()) {
        (AttributeType::FINGERPRINT, Some(value)) if bytes.len() == 4 => {
            Some(format!("{:#010x}", u32::from_be_bytes(*value)))
        }
        _ => (bytes.len() <= INLINE).then(|| Hex(bytes).to_string()),
    }
}

/// Bytes that stand at `offset`, from this column on.
fn dump(Hex(bytes): Hex<'_>, offset: usize, column: usize, out: &mut impl Write) -> io::Result<()> {
    let shown = &bytes[..bytes.len().min(SHOWN)];
    for line in hex::dump(shown, offset) {
        writeln!(
            out,
            "{:column$}{}",
            "",
            paint(style::DETAIL, line.trim_end())
        )?;
    }
    if shown.len() < bytes.len() {
        let more = format!(
            "and {} more: see --format json",
            Count(bytes.len() - shown.len())
        );
        writeln!(out, "{:column$}       {}", "", paint(style::DETAIL, more))?;
    }
    Ok(())
}

fn judge(stun: &Stun<'_>, bytes: &[u8], out: &mut impl Write) -> io::Result<()> {
    if stun.errors.is_empty() {
        verdict(out, "form", style::GOOD, "well-formed")?;
    }
    for fault in &stun.errors {
        print_fault(fault, out)?;
    }
    for proof in &stun.integrity {
        print_proof(proof, out)?;
    }
    if stun.checked && stun.integrity.is_empty() {
        verdict(
            out,
            "integrity",
            style::ERROR,
            "there is no attribute to verify",
        )?;
    }
    if let Some(fingerprint) = &stun.fingerprint {
        print_fingerprint(fingerprint, bytes, out)?;
    }
    Ok(())
}

/// How wide the names of verdicts are.
const NAMES: usize = 12;

fn verdict(out: &mut impl Write, name: &str, style: anstyle::Style, text: &str) -> io::Result<()> {
    let name = paint(style::HEADING, format_args!("{name:NAMES$}"));
    writeln!(out, "{name} {}", paint(style, text))
}

/// A line below a verdict.
fn below(out: &mut impl Write, text: impl Display) -> io::Result<()> {
    writeln!(out, "{:NAMES$} {}", "", paint(style::DETAIL, text))
}

fn print_fault(fault: &Fault, out: &mut impl Write) -> io::Result<()> {
    let Fault {
        byte,
        rule,
        section,
        found,
        around,
    } = fault;
    let what = format!("byte {byte}: {rule} ({section})");
    verdict(out, "malformed", style::ERROR, &what)?;
    if !found.is_empty() {
        below(out, format_args!("but {found}"))?;
    }
    below(out, around)
}

fn print_proof(proof: &Proof, out: &mut impl Write) -> io::Result<()> {
    let name = proof.attribute;
    let truncated = match proof.truncated {
        Some(bytes) => format!(", truncated to {},", Count(bytes)),
        None => String::new(),
    };
    let (style, text) = match (proof.result, &proof.key) {
        (ProofResult::Verified, Some(key)) => (
            style::GOOD,
            format!("{name}{truncated} is verified with the {key}"),
        ),
        (ProofResult::NotChecked, _) => {
            (style::PLAIN, format!("{name}{truncated} was not checked"))
        }
        _ => (style::ERROR, format!("{name}{truncated} is wrong")),
    };
    match &proof.note {
        Some(note) => verdict(out, "integrity", style, &format!("{text}: {note}")),
        None => verdict(out, "integrity", style, &text),
    }
}

fn print_fingerprint(
    fingerprint: &Fingerprint,
    bytes: &[u8],
    out: &mut impl Write,
) -> io::Result<()> {
    if fingerprint.right {
        return verdict(out, "fingerprint", style::GOOD, "right");
    }
    let Fingerprint {
        offset, expected, ..
    } = fingerprint;
    let found = Hex(bytes.get(offset + 4..offset + 8).unwrap_or_default());
    let text = format!("wrong: it is 0x{found} and should be {expected}");
    verdict(out, "fingerprint", style::ERROR, &text)
}

fn print_channel(channel: &ChannelData<'_>, out: &mut impl Write) -> io::Result<()> {
    heading(
        out,
        format_args!("TURN ChannelData, {}", Count(channel.bytes)),
    )?;
    field(out, 0, "channel", format_args!("{:#06x}", channel.channel))?;
    if let Some(length) = channel.length {
        field(out, 2, "length", length)?;
        field(out, 4, "data", format_args!("looks like {}", channel.data))?;
        dump(channel.hex, 4, 0, out)?;
    }
    writeln!(out)?;
    match &channel.error {
        Some(error) => {
            let text = format!("byte 2: {error} (RFC 8656 §12.4)");
            verdict(out, "malformed", style::ERROR, &text)
        }
        None => verdict(out, "form", style::GOOD, "well-formed"),
    }
}

fn print_other(other: &Other<'_>, out: &mut impl Write) -> io::Result<()> {
    heading(out, format_args!("Not STUN, {}", Count(other.bytes)))?;
    dump(other.hex, 0, 0, out)?;
    let text = format!(
        "byte 0: {:#04x} begins {} (RFC 7983 §7, RFC 9443 §3); STUN begins with 0x00 to 0x03",
        other.first_byte, other.name
    );
    writeln!(out)?;
    verdict(out, "not STUN", style::ERROR, &text)
}
