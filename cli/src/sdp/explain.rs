//! `floe sdp explain`: what a description says.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::io::{self, Write};

use floe_sdp::attribute::{AttributeValue, StreamDirection};
use floe_sdp::ice::CandidateAddress;
use floe_sdp::{Address, Connection, Direction, Field, Line, Media, Session};

use super::args::ExplainArgs;
use super::check::refuse;
use super::input;
use crate::error::Error;
use crate::run::Verdict;
use crate::style::{self, paint};

pub(super) fn run(args: &ExplainArgs, out: &mut impl Write) -> Result<Verdict, Error> {
    let text = input::read(&args.file)?;
    match Session::parse_lenient(&text) {
        Ok(session) => {
            explain(&session, out)?;
            Ok(Verdict::Passed)
        }
        Err(error) => refuse(&args.file, &text, &error),
    }
}

/// Text of the other side's that a terminal cannot obey.
fn shown(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let plain = |char: char| if char.is_control() { '·' } else { char };
    text.chars().map(plain).collect()
}

fn address(address: &Address<'_>) -> String {
    match address {
        Address::Ip(ip) => ip.to_string(),
        Address::Name(name) => shown(name),
    }
}

fn connection(connection: &Connection<'_>) -> String {
    let ttl = connection.ttl.map(|ttl| format!(", TTL {ttl}"));
    let several = connection.count > 1;
    let count = several.then(|| format!(", {} addresses", connection.count));
    let more = [ttl, count].into_iter().flatten().collect::<String>();
    format!("{}{more}", address(&connection.address))
}

/// Lines of `label  value`; the label stands once for values that follow each other.
struct Facts<'o, W> {
    out: &'o mut W,
    label: &'static str,
}

impl<W: Write> Facts<'_, W> {
    fn put(&mut self, label: &'static str, value: impl Display) -> io::Result<()> {
        let shown = if label == self.label { "" } else { label };
        self.label = label;
        writeln!(
            self.out,
            "  {}{value}",
            paint(style::DETAIL, format!("{shown:<12}"))
        )
    }
}

fn explain(session: &Session<'_>, out: &mut impl Write) -> io::Result<()> {
    let sections = session.media().len();
    writeln!(
        out,
        "{} {} lines, {sections} section{}",
        paint(style::HEADING, "session"),
        session.lines().len(),
        if sections == 1 { "" } else { "s" }
    )?;
    let mut facts = Facts { out, label: "" };
    if let Some(origin) = session.origin() {
        let from = match origin.username {
            b"-" => address(&origin.address),
            name => format!("{} at {}", shown(name), address(&origin.address)),
        };
        let (id, version) = (origin.session_id, origin.session_version);
        facts.put("origin", format!("{from}, session {id}, version {version}"))?;
    }
    if !matches!(session.name(), b"" | b" " | b"-") {
        facts.put("name", shown(session.name()))?;
    }
    level(&mut facts, session.session_lines())?;
    for media in session.media() {
        section(&media, out)?;
    }
    if !session.warnings().is_empty() {
        let count = session.warnings().len();
        let s = if count == 1 { "" } else { "s" };
        writeln!(
            out,
            "{count} warning{s}; `floe sdp check --lenient` shows them"
        )?;
    }
    Ok(())
}

fn section(media: &Media<'_, '_>, out: &mut impl Write) -> io::Result<()> {
    let line = media.line();
    let name = shown(line.media.as_bytes());
    let heading = paint(style::HEADING, format!("section {} {name}", media.index()));
    let bundle_only = media.attribute("bundle-only").is_some();
    let state = match line.port {
        0 if bundle_only => ", bundle-only",
        0 => ", port 0: refused, or without a port of its own",
        _ => "",
    };
    writeln!(out, "\n{heading} {}{state}", line.protocol)?;
    let mut facts = Facts { out, label: "" };
    if let Some(to) = media.connection() {
        let ports = if line.port_count > 1 {
            format!("{}, {} ports", line.port, line.port_count)
        } else {
            line.port.to_string()
        };
        facts.put("address", format!("{} port {ports}", connection(&to)))?;
    }
    if !line.protocol.contains("RTP") {
        facts.put("formats", line.formats().collect::<Vec<_>>().join(" "))?;
    }
    let direction = Direction::ALL
        .into_iter()
        .find(|direction| media.inherited(direction.name()).is_some());
    if line.protocol.contains("RTP") {
        facts.put("direction", direction.unwrap_or_default().name())?;
        codecs(media, &mut facts)?;
    }
    level(&mut facts, media.lines().skip(1))
}

/// The formats in order of preference, with what is said of each.
fn codecs(media: &Media<'_, '_>, facts: &mut Facts<'_, impl Write>) -> io::Result<()> {
    let mut said: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for attribute in media.attributes() {
        let (format, text) = match attribute.value() {
            Ok(AttributeValue::Rtpmap(map)) => {
                let channels = map.channels.map(|count| format!("/{count}"));
                let channels = channels.unwrap_or_default();
                let text = format!("{}/{}{channels}", map.encoding, map.clock_rate);
                // What it is comes before what is said of it, wherever it stands.
                let format = map.payload_type.to_string();
                said.entry(format).or_default().insert(0, text);
                continue;
            }
            Ok(AttributeValue::Fmtp(fmtp)) => (fmtp.format.to_owned(), shown(fmtp.parameters)),
            Ok(AttributeValue::RtcpFb(feedback)) => {
                let more = feedback.parameters.map(|more| format!(" {}", shown(more)));
                let text = format!("[{}{}]", feedback.kind, more.unwrap_or_default());
                (feedback.format.to_owned(), text)
            }
            _ => continue,
        };
        said.entry(format).or_default().push(text);
    }
    for format in media.line().formats() {
        let known = || {
            let number = format.parse().ok()?;
            let codec = floe_sdp::Codec::well_known(number)?;
            Some(vec![format!("{}/{}", codec.name, codec.clock_rate)])
        };
        let text = said.get(format).cloned().or_else(known).unwrap_or_default();
        facts.put("codecs", format!("{format:>3} {}", text.join("  ")))?;
    }
    if let Some(all) = said.get("*") {
        facts.put("codecs", format!("  * {}", all.join("  ")))?;
    }
    Ok(())
}

/// What lines of both levels may say.
fn level<'a>(
    facts: &mut Facts<'_, impl Write>,
    lines: impl Iterator<Item = Line<'a>>,
) -> io::Result<()> {
    let mut others = Vec::new();
    for line in lines {
        let Ok(field) = line.field() else {
            if let Some(attribute) = line.attribute() {
                facts.put(
                    "malformed",
                    format!("line {}: {}", line.number(), attribute.name()),
                )?;
            }
            continue;
        };
        match field {
            Field::Information(text) => facts.put("information", shown(text))?,
            Field::Uri(uri) => facts.put("uri", uri)?,
            Field::Email(text) | Field::Phone(text) => facts.put("contact", shown(text))?,
            Field::Bandwidth(bandwidth) => {
                let text = format!("{} {}", bandwidth.kind.name(), bandwidth.value);
                facts.put("bandwidth", text)?;
            }
            Field::Time(time) if (time.start, time.stop) != (0, 0) => {
                facts.put("time", format!("{} to {}", time.start, time.stop))?;
            }
            Field::Generic(name, _) if !others.contains(&name) => others.push(name),
            Field::Attribute(value) => attribute(facts, &value)?,
            _ => {}
        }
    }
    if !others.is_empty() {
        facts.put("others", others.join(" "))?;
    }
    Ok(())
}

fn attribute(facts: &mut Facts<'_, impl Write>, value: &AttributeValue<'_>) -> io::Result<()> {
    use AttributeValue as Value;
    match value {
        Value::Group(group) => {
            let mids = group.mids.as_str();
            facts.put("group", format!("{} {mids}", group.semantics))
        }
        Value::Mid(mid) => facts.put("mid", mid),
        Value::IceUfrag(ufrag) => facts.put("ice", format!("ufrag {ufrag}")),
        Value::IceOptions(options) => facts.put("ice", format!("options {}", options.as_str())),
        Value::IceLite => facts.put("ice", "lite"),
        Value::IcePacing(pacing) => facts.put("ice", format!("pacing {pacing} ms")),
        Value::Setup(setup) => facts.put("dtls", setup.name()),
        Value::Fingerprint(found) => {
            let text = floe_sdp::Fingerprint::from(*found).to_string();
            facts.put("dtls", text)
        }
        Value::TlsId(id) => facts.put("dtls", format!("association {id}")),
        Value::Crypto(crypto) => facts.put("crypto", format!("{} {}", crypto.tag, crypto.suite)),
        Value::SctpPort(port) => facts.put("sctp", format!("port {port}")),
        Value::MaxMessageSize(size) => facts.put("sctp", format!("messages up to {size} bytes")),
        Value::Extmap(map) => facts.put("extensions", format!("{:>3} {}", map.id, map.uri)),
        Value::Msid(msid) => {
            let track = msid.track.map(|track| format!(" track {track}"));
            let track = track.unwrap_or_default();
            facts.put("stream", format!("{}{track}", msid.stream))
        }
        Value::Rid(rid) => {
            let sends = rid.direction == StreamDirection::Send;
            let verb = if sends { "sends" } else { "receives" };
            let limits = rid.restrictions().map(|(name, value)| match value {
                Some(value) => format!(" {name}={value}"),
                None => format!(" {name}"),
            });
            let limits: String = limits.collect();
            facts.put("encodings", format!("{} {verb}{limits}", rid.id))
        }
        Value::Candidate(candidate) => {
            let to = match candidate.address {
                CandidateAddress::Ip(ip) => {
                    std::net::SocketAddr::new(ip, candidate.port).to_string()
                }
                CandidateAddress::Name(name) => format!("{name}:{}", candidate.port),
            };
            let (kind, transport) = (candidate.kind.name(), candidate.transport.name());
            let (component, priority) = (candidate.component, candidate.priority);
            let text =
                format!("{kind:<5} {transport} {to}  component {component} priority {priority}");
            facts.put("candidates", text)
        }
        Value::EndOfCandidates => facts.put("candidates", "no more"),
        Value::Ptime(time) => facts.put("packets", format!("{} ms", time.as_str())),
        Value::MaxPtime(time) => facts.put("packets", format!("at most {} ms", time.as_str())),
        Value::Framerate(rate) => facts.put("frames", format!("{} a second", rate.as_str())),
        Value::Control(control) => facts.put("control", control),
        Value::Range(range) => {
            let (from, to) = (range.from.unwrap_or("…"), range.to.unwrap_or("…"));
            facts.put("range", format!("{} {from} to {to}", range.unit))
        }
        Value::Tool(tool) => facts.put("tool", shown(tool)),
        Value::RtcpMux => facts.put("rtcp", "on the port of RTP"),
        _ => Ok(()),
    }
}
