//! Keys and identities in the description itself.

use alloc::vec::Vec;
use core::fmt;

use super::words::Password;
use crate::grammar::{self, Parsed, put, put_number};

/// `crypto`: an SRTP key in the clear (RFC 4568 §9.1), which WebRTC forbids.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Crypto<'a> {
    /// Which of the lines this is; 1 to 9 digits.
    pub tag: u32,
    /// Cipher and authentication, such as `AES_CM_128_HMAC_SHA1_80`.
    pub suite: &'a str,
    /// `inline:…`, or several of them with `;` between.
    pub keys: Password<'a>,
    /// Session parameters with a space between them.
    pub parameters: Option<&'a str>,
}

impl fmt::Debug for Crypto<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Crypto")
            .field("tag", &self.tag)
            .field("suite", &self.suite)
            .finish_non_exhaustive()
    }
}

impl Crypto<'_> {
    pub(crate) fn read(input: &[u8]) -> Parsed<'_, Crypto<'_>> {
        let key = |input| {
            let (rest, _) = grammar::text_of(grammar::RID, 1, usize::MAX)(input)?;
            let (rest, ()) = grammar::byte(b':')(rest)?;
            let len = rest
                .iter()
                .position(|&byte| !byte.is_ascii_graphic() || byte == b';');
            match len.unwrap_or(rest.len()) {
                0 => grammar::fail(rest),
                len => Ok((rest.get(len..).unwrap_or_default(), ())),
            }
        };
        let (rest, tag) = grammar::number32(0, 999_999_999)(input)?;
        let (rest, ()) = grammar::blanks(rest)?;
        let (rest, suite) = grammar::text_of(grammar::RID, 1, usize::MAX)(rest)?;
        let (rest, ()) = grammar::blanks(rest)?;
        let (rest, keys) = grammar::text_list(b';', key)(rest)?;
        let (rest, parameters) = match grammar::blanks(rest) {
            Ok((rest, ())) => {
                let (rest, parameters) = grammar::text_list(b' ', grammar::visible)(rest)?;
                (rest, Some(parameters))
            }
            Err(_) => (rest, None),
        };
        let crypto = Crypto {
            tag,
            suite,
            keys: Password(keys),
            parameters,
        };
        Ok((rest, crypto))
    }

    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        put_number(out, self.tag.into());
        put(
            out,
            &[b" ", self.suite.as_bytes(), b" ", self.keys.0.as_bytes()],
        );
        if let Some(parameters) = self.parameters {
            put(out, &[b" ", parameters.as_bytes()]);
        }
    }
}

/// `key-mgmt`: a message of a key management protocol (RFC 4567 §3.1), which WebRTC forbids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyMgmt<'a> {
    /// Such as `mikey`.
    pub protocol: &'a str,
    /// The message in Base64.
    pub data: Password<'a>,
}

impl KeyMgmt<'_> {
    pub(crate) fn read(input: &[u8]) -> Parsed<'_, KeyMgmt<'_>> {
        let (rest, protocol) = grammar::token(input)?;
        let (rest, ()) = grammar::space(rest)?;
        let (rest, data) = grammar::text_of(grammar::BASE64, 1, usize::MAX)(rest)?;
        let data = Password(data);
        Ok((rest, KeyMgmt { protocol, data }))
    }

    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        put(
            out,
            &[self.protocol.as_bytes(), b" ", self.data.0.as_bytes()],
        );
    }
}

/// `identity`: who the other side says it is (RFC 8827 §5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity<'a> {
    /// The assertion in Base64.
    pub assertion: &'a str,
    /// Extensions: names, some with `=` and a value, with a space between them.
    pub extensions: Option<&'a [u8]>,
}

impl Identity<'_> {
    pub(crate) fn read(input: &[u8]) -> Parsed<'_, Identity<'_>> {
        // A value may hold blanks (RFC 8827 §5), so that where one ends is for its reader to say.
        let extensions = |input| {
            grammar::token(input)?;
            grammar::remainder(input)
        };
        let (rest, assertion) = grammar::text_of(grammar::BASE64, 1, usize::MAX)(input)?;
        let (rest, extensions) = grammar::after(b' ', extensions)(rest)?;
        let identity = Identity {
            assertion,
            extensions,
        };
        Ok((rest, identity))
    }

    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.assertion.as_bytes());
        if let Some(extensions) = self.extensions {
            put(out, &[b" ", extensions]);
        }
    }
}
