//! The `SASLprep` profile (RFC 4013) of stringprep (RFC 3454), bound to Unicode 3.2 for good.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::decompose_compatible;

use super::unicode_3_2::{LEFT_TO_RIGHT, RIGHT_TO_LEFT, UNASSIGNED, contains};
use super::{PrepareError, PrepareErrorKind, Prepared};

/// What becomes of code points that Unicode 3.2 did not know (§2.5).
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Unassigned {
    Refused,
    Allowed,
}

/// Maps, normalises, and checks the result, in the order of RFC 3454 §2.
pub(super) fn prepare(
    text: &str,
    unassigned: Unassigned,
) -> Result<Prepared<'static>, PrepareError> {
    // Normalisation neither makes nor removes a character that is looked for here, so that the text as
    // given will do, and tells the offset.
    for (offset, c) in text.char_indices() {
        if map(c).is_some_and(is_prohibited) {
            return Err(PrepareError::new(PrepareErrorKind::Disallowed, offset));
        }
        if unassigned == Unassigned::Refused && is_unassigned(c) {
            return Err(PrepareError::new(PrepareErrorKind::Unassigned, offset));
        }
    }
    // What was unassigned had neither a decomposition nor a composition: it bounds what is normalised.
    let chars = text.split_inclusive(is_unassigned).flat_map(|run| {
        let known = run.trim_end_matches(is_unassigned);
        let normalised = known.chars().filter_map(map).nfkc();
        normalised.chain(run[known.len()..].chars())
    });
    let prepared = Prepared::collect(chars);
    if has_consistent_direction(prepared.as_str()) {
        return Ok(prepared);
    }
    let offset = text
        .char_indices()
        .find(|&(_, c)| decomposes_to_right_to_left(c));
    Err(PrepareError::new(
        PrepareErrorKind::Bidirectional,
        offset.map_or(0, |(offset, _)| offset),
    ))
}

fn is_unassigned(c: char) -> bool {
    contains(UNASSIGNED, c)
}

/// §2.1. U+200B is in both tables; the first one named wins, as in other implementations.
const fn map(c: char) -> Option<char> {
    match c {
        // RFC 3454 C.1.2: spaces.
        '\u{00A0}'
        | '\u{1680}'
        | '\u{2000}'..='\u{200B}'
        | '\u{202F}'
        | '\u{205F}'
        | '\u{3000}' => Some(' '),
        // RFC 3454 B.1: mapped to nothing.
        '\u{00AD}'
        | '\u{034F}'
        | '\u{1806}'
        | '\u{180B}'..='\u{180D}'
        | '\u{200C}'..='\u{200D}'
        | '\u{2060}'
        | '\u{FE00}'..='\u{FE0F}'
        | '\u{FEFF}' => None,
        c => Some(c),
    }
}

/// §2.3. U+0340 and U+0341 of C.8 are missing: NFKC replaces them before they come out.
const fn is_prohibited(c: char) -> bool {
    matches!(
        c,
        // RFC 3454 C.2: controls.
        '\u{0000}'..='\u{001F}' | '\u{007F}'..='\u{009F}' | '\u{06DD}' | '\u{070F}' | '\u{180E}'
            | '\u{2028}' | '\u{2029}' | '\u{2061}'..='\u{2063}' | '\u{206A}'..='\u{206F}'
            | '\u{FFF9}'..='\u{FFFC}' | '\u{1D173}'..='\u{1D17A}'
            // C.3: private use.
            | '\u{E000}'..='\u{F8FF}' | '\u{F0000}'..='\u{FFFFD}' | '\u{100000}'..='\u{10FFFD}'
            // C.4: no characters; the last two of each plane are below.
            | '\u{FDD0}'..='\u{FDEF}'
            // C.6, C.7, C.8, C.9: replacement, description, direction, tags.
            | '\u{FFFD}' | '\u{2FF0}'..='\u{2FFB}' | '\u{200E}' | '\u{200F}'
            | '\u{202A}'..='\u{202E}' | '\u{E0001}' | '\u{E0020}'..='\u{E007F}'
    ) || (c as u32) & 0xFFFE == 0xFFFE
}

/// RFC 3454 §6: with one character of category R or AL there is none of category L, and the first and
/// the last are R or AL.
fn has_consistent_direction(text: &str) -> bool {
    let right_to_left = |c: char| contains(RIGHT_TO_LEFT, c);
    !text.contains(right_to_left)
        || (text.starts_with(right_to_left)
            && text.ends_with(right_to_left)
            && !text.contains(|c| contains(LEFT_TO_RIGHT, c)))
}

fn decomposes_to_right_to_left(c: char) -> bool {
    let mut found = contains(RIGHT_TO_LEFT, c);
    if !is_unassigned(c) {
        decompose_compatible(c, |part| found |= contains(RIGHT_TO_LEFT, part));
    }
    found
}
