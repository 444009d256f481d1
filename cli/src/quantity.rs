//! Numbers with units, read exactly: no floating point decides anything.

use std::fmt;
use std::time::Duration;

use floe_sim::Probability;

/// The longest time that may be asked for.
const LONGEST_MS: u64 = 60_000;

/// A decimal number as so many units of 10^-`places`.
fn decimal(text: &str, places: usize) -> Result<u64, String> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(fraction) || (whole.is_empty() && fraction.is_empty()) {
        return Err("not a number such as 5 or 0.5".into());
    }
    let fraction = fraction.trim_end_matches('0');
    if fraction.len() > places {
        return Err(format!("more than {places} decimal places"));
    }
    format!("{whole}{fraction:0<places$}")
        .parse()
        .map_err(|_| "too large".into())
}

/// `5`, `5%` or `0.5`: percent.
pub(crate) fn loss(text: &str) -> Result<Probability, String> {
    let number = text.strip_suffix('%').unwrap_or(text).trim_end();
    let ppm = decimal(number, 4)?;
    u32::try_from(ppm)
        .ok()
        .filter(|&ppm| ppm <= Probability::ALWAYS.as_ppm())
        .map(Probability::ppm)
        .ok_or_else(|| "not from 0 to 100 percent".into())
}

/// `50`, `50ms` or `0.25`: milliseconds.
pub(crate) fn millis(text: &str) -> Result<Duration, String> {
    let number = text.strip_suffix("ms").unwrap_or(text).trim_end();
    let micros = decimal(number, 3)?;
    if micros > LONGEST_MS * 1_000 {
        return Err(format!("not from 0 to {LONGEST_MS} milliseconds"));
    }
    Ok(Duration::from_micros(micros))
}

/// Seeds, one after the other; at least one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seeds {
    first: u64,
    last: u64,
}

impl Seeds {
    pub(crate) const fn one(seed: u64) -> Self {
        Self {
            first: seed,
            last: seed,
        }
    }

    /// The `n`-th, from 0.
    pub(crate) const fn nth(self, n: u64) -> u64 {
        self.first.saturating_add(n)
    }

    /// How many; nothing if they cannot be counted.
    pub(crate) const fn count(self) -> Option<u64> {
        (self.last - self.first).checked_add(1)
    }
}

impl fmt::Display for Seeds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last {
            write!(f, "seed {}", self.first)
        } else {
            write!(f, "seeds {} to {}", self.first, self.last)
        }
    }
}

/// `N..M` without M, as in Rust, or `N..=M` with it.
pub(crate) fn seeds(text: &str) -> Result<Seeds, String> {
    let form = || "not a range such as 1..101 or 1..=100".to_owned();
    let (first, last) = text.split_once("..").ok_or_else(form)?;
    let number = |text: &str| text.parse::<u64>().map_err(|_| form());
    let first = number(first)?;
    let last = match last.strip_prefix('=') {
        Some(last) => Some(number(last)?),
        None => number(last)?.checked_sub(1),
    };
    last.filter(|&last| first <= last)
        .map(|last| Seeds { first, last })
        .ok_or_else(|| "there is no seed in this range".into())
}

/// Milliseconds, as short as they are exact (to the microsecond).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Millis(pub(crate) Duration);

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        shortest(f, self.0.as_micros(), 3)
    }
}

/// Percent, as short as they are exact.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Percent(pub(crate) Probability);

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        shortest(f, self.0.as_ppm().into(), 4)
    }
}

/// So many units of 10^-`places`, without zeros at the end.
fn shortest(f: &mut fmt::Formatter<'_>, units: u128, places: usize) -> fmt::Result {
    let digits = format!("{units:0>width$}", width = places + 1);
    let (whole, fraction) = digits.split_at(digits.len() - places);
    let fraction = fraction.trim_end_matches('0');
    let point = if fraction.is_empty() { "" } else { "." };
    write!(f, "{whole}{point}{fraction}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loss_is_percent_and_exact() {
        for (text, ppm) in [
            ("0", 0),
            ("5", 50_000),
            ("5%", 50_000),
            ("5 %", 50_000),
            ("0.5", 5_000),
            (".5", 5_000),
            ("5.", 50_000),
            ("0.0001", 1),
            ("0.50000000", 5_000),
            ("100%", 1_000_000),
        ] {
            assert_eq!(loss(text), Ok(Probability::ppm(ppm)), "{text}");
        }
        for text in [
            "",
            "%",
            ".",
            "-1",
            "+1",
            "5e1",
            "101",
            "100.0001",
            "0.00001",
            "five",
            "1.2.3",
            "99999999999999999999",
        ] {
            assert!(loss(text).is_err(), "{text}");
        }
    }

    #[test]
    fn times_are_milliseconds_up_to_a_minute() {
        for (text, micros) in [
            ("50", 50_000),
            ("50ms", 50_000),
            ("0.25", 250),
            ("60000", 60_000_000),
        ] {
            assert_eq!(millis(text), Ok(Duration::from_micros(micros)), "{text}");
        }
        for text in [
            "",
            "ms",
            "60000.001",
            "-5",
            "0.0001",
            "1 s",
            "18446744073709551615",
        ] {
            assert!(millis(text).is_err(), "{text}");
        }
    }

    #[test]
    fn seeds_are_ranges_as_in_rust() {
        let all = |text| seeds(text).map(|seeds| (seeds.first, seeds.last));
        assert_eq!(all("3..5"), Ok((3, 4)));
        assert_eq!(all("3..=5"), Ok((3, 5)));
        assert_eq!(seeds("3..=5").unwrap().count(), Some(3));
        assert_eq!(seeds("3..=5").unwrap().nth(2), 5);
        assert_eq!(seeds("0..=18446744073709551615").unwrap().count(), None);
        for text in [
            "", "3", "3..", "..3", "5..3", "3..3", "0..0", "a..b", "1...3",
        ] {
            assert!(seeds(text).is_err(), "{text}");
        }
    }

    #[test]
    fn numbers_are_written_as_short_as_they_are_exact() {
        assert_eq!(Millis(Duration::from_micros(557_800)).to_string(), "557.8");
        assert_eq!(Millis(Duration::from_millis(50)).to_string(), "50");
        assert_eq!(Millis(Duration::ZERO).to_string(), "0");
        assert_eq!(Percent(Probability::ppm(1)).to_string(), "0.0001");
        assert_eq!(Percent(Probability::ALWAYS).to_string(), "100");
    }
}
