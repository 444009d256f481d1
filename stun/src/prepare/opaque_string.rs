//! The `OpaqueString` profile (RFC 8265 §4.2) and the class of text it allows, the PRECIS
//! `FreeformClass` (RFC 8264 §4.3).

use alloc::borrow::Cow;

use unicode_joining_type::{JoiningType, get_joining_type};
use unicode_normalization::char::canonical_combining_class;
use unicode_normalization::{UnicodeNormalization, is_nfc};
use unicode_properties::{GeneralCategory, UnicodeGeneralCategory};
use unicode_script::{Script, UnicodeScript};

use super::{PrepareError, PrepareErrorKind, Prepared};

/// Prepares (§4.2.1), then enforces (§4.2.2): maps spaces, then NFC. The profile has no rule for
/// width, case or direction.
pub(super) fn enforce(text: &str) -> Result<Prepared<'_>, PrepareError> {
    for (offset, c) in text.char_indices() {
        classify(c).map_err(|kind| PrepareError::new(kind, offset))?;
    }
    let misplaced = |offset| PrepareError::new(PrepareErrorKind::Context, offset);
    if let Some((offset, _)) = contexts(text).find(|&(_, holds)| !holds) {
        return Err(misplaced(offset));
    }
    if !text.contains(is_other_space) && is_nfc(text) {
        return Ok(Prepared(Cow::Borrowed(text)));
    }
    let mapped = text
        .chars()
        .map(|c| if is_other_space(c) { ' ' } else { c });
    let prepared = Prepared::collect(mapped.nfc());
    // NFC moves marks and composes letters, so that a context may be gone. It leaves the characters
    // that need one in their order.
    let lost = contexts(text)
        .zip(contexts(prepared.as_str()))
        .find_map(|((offset, _), (_, holds))| (!holds).then_some(offset));
    match lost {
        Some(offset) => Err(misplaced(offset)),
        None => Ok(prepared),
    }
}

/// Whether the character is a space other than U+0020.
fn is_other_space(c: char) -> bool {
    c != ' ' && c.general_category() == GeneralCategory::SpaceSeparator
}

/// The derived property of RFC 8264 §8, in its order; contexts are looked at by [`contexts`].
fn classify(c: char) -> Result<(), PrepareErrorKind> {
    use GeneralCategory::{
        Control, Format, LineSeparator, ParagraphSeparator, PrivateUse, Surrogate, Unassigned,
    };
    match c {
        // §9.6, exceptions. Those that are allowed are letters, or have a context.
        '\u{0640}'
        | '\u{07FA}'
        | '\u{302E}'
        | '\u{302F}'
        | '\u{3031}'..='\u{3035}'
        | '\u{303B}' => {
            return Err(PrepareErrorKind::Disallowed);
        }
        // §9.8, join controls.
        '\u{200C}' | '\u{200D}' => return Ok(()),
        _ if is_old_hangul_jamo(c) || is_ignorable(c) => return Err(PrepareErrorKind::Disallowed),
        _ => {}
    }
    match c.general_category() {
        Unassigned => Err(PrepareErrorKind::Unassigned),
        Control | Format | LineSeparator | ParagraphSeparator | PrivateUse | Surrogate => {
            Err(PrepareErrorKind::Disallowed)
        }
        // §9.1, §9.14 to §9.18: letters, digits, spaces, symbols, punctuation, and all others with a
        // compatibility equivalent.
        _ => Ok(()),
    }
}

/// §9.9: conjoining letters, of `Hangul_Syllable_Type` L, V or T.
const fn is_old_hangul_jamo(c: char) -> bool {
    matches!(
        c,
        '\u{1100}'..='\u{11FF}'
            | '\u{A960}'..='\u{A97C}'
            | '\u{D7B0}'..='\u{D7C6}'
            | '\u{D7CB}'..='\u{D7FB}'
    )
}

/// §9.13: `Default_Ignorable_Code_Point` or `Noncharacter_Code_Point`, what other rules do not refuse.
const fn is_ignorable(c: char) -> bool {
    matches!(
        c,
        '\u{034F}'
            | '\u{17B4}'..='\u{17B5}'
            | '\u{180B}'..='\u{180F}'
            | '\u{2065}'
            | '\u{3164}'
            | '\u{FE00}'..='\u{FE0F}'
            | '\u{FFA0}'
            | '\u{FFF0}'..='\u{FFF8}'
            | '\u{FDD0}'..='\u{FDEF}'
            | '\u{E0000}'..='\u{E0FFF}'
    ) || (c as u32) & 0xFFFE == 0xFFFE
}

/// The characters that need a context, in order: where each stands, and whether its rule holds
/// (RFC 5892 appendix A).
fn contexts(text: &str) -> impl Iterator<Item = (usize, bool)> {
    let has = |wanted: fn(char) -> bool| text.contains(wanted);
    let japanese = has(|c| {
        let script = c.script();
        matches!(script, Script::Hiragana | Script::Katakana | Script::Han)
    });
    let arabic_indic = has(|c| matches!(c, '\u{0660}'..='\u{0669}'));
    let extended = has(|c| matches!(c, '\u{06F0}'..='\u{06F9}'));

    text.char_indices().filter_map(move |(at, c)| {
        let before = text[..at].chars().next_back();
        let after = text[at + c.len_utf8()..].chars().next();
        let holds = match c {
            // A.1, A.2: join controls, behind a virama; the non-joiner between joining letters too.
            '\u{200C}' => is_virama(before) || breaks_joining(text, at),
            '\u{200D}' => is_virama(before),
            // A.3: the Catalan dot. U+0387 is canonically the same.
            '\u{00B7}' | '\u{0387}' => before == Some('l') && after == Some('l'),
            // A.4: the Greek numeral sign.
            '\u{0375}' => after.is_some_and(|c| c.script() == Script::Greek),
            // A.5, A.6: geresh and gershayim.
            '\u{05F3}' | '\u{05F4}' => before.is_some_and(|c| c.script() == Script::Hebrew),
            // A.7: the Katakana dot.
            '\u{30FB}' => japanese,
            // A.8, A.9: one kind of Arabic-Indic digits only.
            '\u{0660}'..='\u{0669}' => !extended,
            '\u{06F0}'..='\u{06F9}' => !arabic_indic,
            _ => return None,
        };
        Some((at, holds))
    })
}

fn is_virama(c: Option<char>) -> bool {
    c.is_some_and(|c| canonical_combining_class(c) == 9)
}

/// Whether the non-joiner at `at` stands between letters that would join, marks left aside. Each mark
/// is looked at twice at most, from its left and from its right.
fn breaks_joining(text: &str, at: usize) -> bool {
    let opaque = |c: &char| get_joining_type(*c) != JoiningType::Transparent;
    let before = text[..at].chars().rev().find(opaque).map(get_joining_type);
    let after = text[at + '\u{200C}'.len_utf8()..]
        .chars()
        .find(opaque)
        .map(get_joining_type);
    matches!(
        before,
        Some(JoiningType::LeftJoining | JoiningType::DualJoining)
    ) && matches!(
        after,
        Some(JoiningType::RightJoining | JoiningType::DualJoining)
    )
}
