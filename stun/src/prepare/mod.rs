//! Preparation of user names, realms and passwords: what two people type alike becomes the same bytes.
//!
//! RFC 8489 prepares them with the `OpaqueString` profile of RFC 8265, RFC 5389 did with `SASLprep`
//! (RFC 4013). Printable ASCII is prepared as it stands, under every profile; all other text needs
//! the tables that the feature `unicode` brings.

use alloc::borrow::Cow;
use core::fmt;

use subtle::ConstantTimeEq;
use zeroize::Zeroize;

#[cfg(feature = "unicode")]
mod opaque_string;
#[cfg(feature = "unicode")]
mod saslprep;
#[cfg(feature = "unicode")]
mod unicode_3_2;

/// How text is prepared.
///
/// ```
/// use floe_stun::{PrepareErrorKind, Profile};
///
/// // Composed or decomposed, an umlaut is the same letter.
/// # #[cfg(feature = "unicode")]
/// assert_eq!(Profile::OpaqueString.prepare("u\u{308}ber")?, Profile::OpaqueString.prepare("über")?);
///
/// let error = Profile::OpaqueString.prepare("bell\u{7}").unwrap_err();
/// assert_eq!((error.kind, error.offset), (PrepareErrorKind::Disallowed, 4));
/// # Ok::<(), floe_stun::PrepareError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Profile {
    /// RFC 8265 §4.2, which RFC 8489 prescribes: spaces become U+0020, then NFC; nothing is dropped.
    #[default]
    OpaqueString,
    /// RFC 4013, for peers of RFC 5389; text that is kept. NFKC; what is invisible is dropped, and what
    /// Unicode 3.2 did not know is refused (§2.5).
    SaslPrepStored,
    /// RFC 4013, for peers of RFC 5389; text that is compared with kept text. What Unicode 3.2 did not
    /// know stays as it is (§2.5).
    SaslPrepQuery,
}

impl Profile {
    /// Prepares `text`. The work is linear in its length (but for one sort of each run of combining
    /// marks), and the result at most 3 times (`OpaqueString`) or 11 times (`SASLprep`) as long.
    ///
    /// Under `OpaqueString` empty text is refused (RFC 8265 §4.1); `SASLprep` has no such rule.
    pub fn prepare(self, text: &str) -> Result<Prepared<'_>, PrepareError> {
        if text.is_empty() && self == Self::OpaqueString {
            return Err(PrepareError::new(PrepareErrorKind::Empty, 0));
        }
        let control = |b: u8| b.is_ascii_control();
        if let Some(offset) = text.bytes().position(control) {
            return Err(PrepareError::new(PrepareErrorKind::Disallowed, offset));
        }
        match text.bytes().position(|b| !b.is_ascii()) {
            None => Ok(Prepared(Cow::Borrowed(text))),
            #[cfg(feature = "unicode")]
            Some(_) => match self {
                Self::OpaqueString => opaque_string::enforce(text),
                Self::SaslPrepStored => saslprep::prepare(text, saslprep::Unassigned::Refused),
                Self::SaslPrepQuery => saslprep::prepare(text, saslprep::Unassigned::Allowed),
            },
            #[cfg(not(feature = "unicode"))]
            Some(offset) => Err(PrepareError::new(PrepareErrorKind::NoTables, offset)),
        }
    }
}

/// Text that a [`Profile`] has prepared; nothing else makes one (RFC 8265 §4.2.2).
///
/// It may be a password: it does not print, compares in constant time, octet for octet (RFC 8265
/// §4.2.3), and what was allocated for it is wiped when dropped.
///
/// ```compile_fail
/// let password = floe_stun::Prepared("taken for granted".into());
/// ```
#[derive(Clone)]
pub struct Prepared<'a>(Cow<'a, str>);

impl Prepared<'_> {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Allocates once, so that no copy stays behind unwiped.
    #[cfg(feature = "unicode")]
    fn collect(chars: impl Iterator<Item = char> + Clone) -> Self {
        let len = chars.clone().map(char::len_utf8).sum();
        let mut text = alloc::string::String::with_capacity(len);
        text.extend(chars);
        Self(Cow::Owned(text))
    }
}

impl PartialEq<Prepared<'_>> for Prepared<'_> {
    fn eq(&self, other: &Prepared<'_>) -> bool {
        self.0.as_bytes().ct_eq(other.0.as_bytes()).into()
    }
}

impl Eq for Prepared<'_> {}

impl Drop for Prepared<'_> {
    fn drop(&mut self) {
        if let Cow::Owned(text) = &mut self.0 {
            text.zeroize();
        }
    }
}

impl fmt::Debug for Prepared<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Prepared(..)")
    }
}

/// Why text cannot be prepared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PrepareError {
    /// The rule that was broken.
    pub kind: PrepareErrorKind,
    /// Byte offset of the character that broke it, in the text as it was given.
    pub offset: usize,
}

impl PrepareError {
    const fn new(kind: PrepareErrorKind, offset: usize) -> Self {
        Self { kind, offset }
    }
}

/// The rules that text may break.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PrepareErrorKind {
    /// The text is empty (RFC 8265 §4.1).
    Empty,
    /// The profile allows this character nowhere (RFC 8264 §9; RFC 4013 §2.3).
    Disallowed,
    /// The profile allows this character only in a context that it does not stand in, as given or
    /// once the text is normalised (RFC 5892 appendix A).
    Context,
    /// Unicode has no such character: today (RFC 8264 §9.10), or in its version 3.2 (RFC 4013 §2.5).
    Unassigned,
    /// This is the first character written from right to left; then all must be, and the first and
    /// the last character be letters of that kind (RFC 4013 §2.4).
    Bidirectional,
    /// This character is not ASCII, and the crate was built without the feature `unicode`.
    NoTables,
}

impl fmt::Display for PrepareError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.kind {
            PrepareErrorKind::Empty => "empty text",
            PrepareErrorKind::Disallowed => "a character that is not allowed",
            PrepareErrorKind::Context => "a character that is not allowed in this context",
            PrepareErrorKind::Unassigned => "a code point that is not assigned",
            PrepareErrorKind::Bidirectional => "text from right to left mixed with other text",
            PrepareErrorKind::NoTables => {
                "not ASCII, which takes the tables of the feature `unicode`"
            }
        };
        write!(f, "{what} (at byte {})", self.offset)
    }
}

impl core::error::Error for PrepareError {}
