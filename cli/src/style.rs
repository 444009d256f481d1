//! Colours, by what they mean.

use std::fmt::Display;

use anstyle::{AnsiColor, Style};
use floe_sim::{Judgement, Path};

pub(crate) const PLAIN: Style = Style::new();
pub(crate) const HEADING: Style = Style::new().bold();
pub(crate) const DETAIL: Style = Style::new().dimmed();
pub(crate) const ERROR: Style = AnsiColor::Red.on_default().bold();
pub(crate) const WARNING: Style = AnsiColor::Yellow.on_default().bold();
pub(crate) const GOOD: Style = AnsiColor::Green.on_default();
pub(crate) const DROPPED: Style = AnsiColor::Red.on_default();
pub(crate) const SIGNAL: Style = AnsiColor::Magenta.on_default();
pub(crate) const GATHERING: Style = AnsiColor::Blue.on_default();
pub(crate) const CHECK: Style = AnsiColor::Cyan.on_default();
pub(crate) const DATA: Style = AnsiColor::Green.on_default();
pub(crate) const MILESTONE: Style = AnsiColor::Yellow.on_default().bold();

/// Text in a style.
pub(crate) fn paint(style: Style, text: impl Display) -> String {
    format!("{style}{text}{style:#}")
}

/// How good a path is.
pub(crate) const fn path(path: Path) -> Style {
    match path {
        Path::Direct => AnsiColor::Green.on_default(),
        Path::Relayed => AnsiColor::Yellow.on_default(),
        Path::None => AnsiColor::Red.on_default(),
    }
}

/// How good a verdict is.
pub(crate) const fn judgement(judgement: Judgement) -> Style {
    match judgement {
        Judgement::Agreed => AnsiColor::Green.on_default(),
        Judgement::RelayAvoidable => AnsiColor::Yellow.on_default().bold(),
        Judgement::AgentMissedAPath | Judgement::OracleWrong => ERROR,
    }
}
