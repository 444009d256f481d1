//! The story of a negotiation: a ladder with a lane for each node, a rung for each packet.

mod content;
mod journey;
mod lanes;
mod reason;

use std::io::{self, Write};

use anstyle::Style;
use floe_sansio::Instant;
use floe_sim::{Log, Report, World};

use crate::style::{self, paint};
use journey::{Event, Teller};
use lanes::Lanes;

/// Lines are broken before they get wider.
const WIDTH: usize = 140;

/// Columns before the lanes: time and packet.
const MARGIN: usize = 20;

/// How to read it.
const LEGEND: [&str; 2] = [
    "● sends  ▶ arrives  ✗ is dropped  ↺ reaches the sender itself  ╌ signalling  ◆ has happened; \
     times in virtual ms",
    "◇ passes a NAT, which replaces the inside address: \"from\" it on the way out, \"to\" it on the \
     way in",
];

/// A line of the ladder, with what there is to say below.
#[derive(Clone, Debug)]
struct Rung {
    time: Instant,
    /// Which packet.
    label: String,
    lanes: String,
    style: Style,
    text: String,
    details: Vec<(Style, String)>,
}

pub(crate) fn print(
    log: &Log,
    report: &Report,
    world: &World,
    out: &mut impl Write,
) -> io::Result<()> {
    let lanes = Lanes::new(world);
    let mut rungs = milestones(report, &lanes);
    let mut teller = Teller::new(log, &lanes);
    rungs.extend(journey::events(log).iter().map(|event| match event {
        Event::Packet(journey) => teller.packet(journey),
        Event::Signal(signal) => teller.signal(signal),
        Event::Note(note) => teller.note(note),
    }));
    // What happens at one time stays in order: milestones, and what follows from them.
    rungs.sort_by_key(|rung| rung.time);

    for line in LEGEND {
        writeln!(out, "{}", paint(style::DETAIL, line))?;
    }
    writeln!(
        out,
        "{:>9} {:<9} {}",
        "ms",
        "packet",
        paint(style::HEADING, lanes.header())
    )?;
    for rung in &rungs {
        rung.print(&lanes, out)?;
    }
    writeln!(out)
}

impl Rung {
    fn print(&self, lanes: &Lanes, out: &mut impl Write) -> io::Result<()> {
        let Self { label, style, .. } = self;
        let room = WIDTH.saturating_sub(MARGIN + lanes.width() + 4);
        let mut text = broken(&self.text, room).into_iter();
        let first = text.next().unwrap_or_default();
        write!(out, "{:>9} {label:<9} ", millis(self.time))?;
        writeln!(out, "{style}{}  {first}{style:#}", self.lanes)?;
        let rest = text.map(|line| paint(*style, line));
        for line in rest.chain(wrap(&self.details, room)) {
            writeln!(out, "{:MARGIN$}{}    {line}", "", lanes.idle())?;
        }
        Ok(())
    }
}

/// Milliseconds of virtual time with two decimal places.
fn millis(time: Instant) -> String {
    let hundredths = time.as_nanos() / 10_000;
    format!("{}.{:02}", hundredths / 100, hundredths % 100)
}

/// Puts as many parts on a line as fit.
fn wrap(parts: &[(Style, String)], room: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut used = 0;
    for (style, text) in parts {
        for (at, text) in broken(text, room).iter().enumerate() {
            let width = text.chars().count();
            let text = paint(*style, text);
            match lines.last_mut() {
                Some(line) if at == 0 && used + 2 + width <= room => {
                    *line += &paint(style::DETAIL, "; ");
                    *line += &text;
                    used += 2 + width;
                }
                _ => {
                    lines.push(text);
                    used = width;
                }
            }
        }
    }
    lines
}

/// Breaks a text between words.
fn broken(text: &str, room: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= room => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// What the two sides came to know, and when.
fn milestones(report: &Report, lanes: &Lanes) -> Vec<Rung> {
    let mut rungs = Vec::new();
    for (side, name) in report.sides.iter().zip(["a", "b"]) {
        let lane = lanes.of(name);
        let mut add = |time: Option<Instant>, text: String| {
            rungs.extend(time.map(|time| Rung {
                time,
                label: String::new(),
                lanes: lanes.mark(lane, '◆'),
                style: style::MILESTONE,
                text: format!("{name} {text}"),
                details: Vec::new(),
            }));
        };
        add(side.timeline.gathered, "has gathered its candidates".into());
        add(side.timeline.connected, "has a pair that works".into());
        if let Some((time, pair)) = side.selected {
            let [local, remote] =
                [pair.local, pair.remote].map(|end| format!("{} {}", end.kind.name(), end.address));
            add(Some(time), format!("has selected {local} ↔ {remote}"));
        }
        if let Some((time, cause)) = side.failed {
            add(Some(time), format!("gives up: {}", reason::failed(cause)));
        }
    }
    rungs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn details_are_broken_between_parts() {
        let parts = ["12345", "678", "9"].map(|text| (style::PLAIN, text.to_owned()));
        let plain = |room| {
            let lines = wrap(&parts, room);
            lines
                .iter()
                .map(|line| anstream::adapter::strip_str(line).to_string())
                .collect::<Vec<_>>()
        };
        assert_eq!(plain(20), ["12345; 678; 9"]);
        assert_eq!(plain(10), ["12345; 678", "9"]);
        assert_eq!(plain(3), ["12345", "678", "9"]);
    }

    #[test]
    fn a_part_that_is_too_long_is_broken_between_words() {
        assert_eq!(broken("one two three", 7), ["one two", "three"]);
        assert_eq!(broken("one", 2), ["one"]);
        let parts = [
            (style::PLAIN, "ab cd ef".to_owned()),
            (style::PLAIN, "g".to_owned()),
        ];
        let lines = wrap(&parts, 5);
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert!(lines[1].contains("ef") && lines[1].contains('g'));
    }

    #[test]
    fn times_have_two_decimal_places() {
        assert_eq!(millis(Instant::from_nanos(25_200_000)), "25.20");
        assert_eq!(millis(Instant::from_nanos(5_000_000_000)), "5000.00");
    }
}
