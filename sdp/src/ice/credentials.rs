//! Username fragment and password of one ICE generation (RFC 8839 §5.4).

use alloc::string::{String, ToString};
use core::fmt;

use super::{PWD, UFRAG};
use crate::grammar::ICE;

/// `ice-ufrag` and `ice-pwd` of one side and one generation.
///
/// `Debug` hides the password; comparing takes as long for a near miss as for a far one.
///
/// ```
/// use floe_sdp::ice::{CredentialsError, IceCredentials};
///
/// let credentials = IceCredentials::new("9uB6", "YH75Fviy6338Vbrhrlp8Yh")?;
/// assert_eq!(credentials.ufrag(), "9uB6");
/// assert_eq!(IceCredentials::new("9uB", credentials.pwd()), Err(CredentialsError::Ufrag));
/// # Ok::<(), CredentialsError>(())
/// ```
#[derive(Clone)]
pub struct IceCredentials {
    ufrag: String,
    pwd: String,
}

/// Which of the two is not made of ice-chars or has the wrong length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CredentialsError {
    /// The username fragment: 4 to 256 ice-chars.
    Ufrag,
    /// The password: 22 to 256 ice-chars.
    Pwd,
}

impl fmt::Display for CredentialsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ufrag => "ice-ufrag is not 4 to 256 ice-chars",
            Self::Pwd => "ice-pwd is not 22 to 256 ice-chars",
        })
    }
}

impl core::error::Error for CredentialsError {}

impl IceCredentials {
    /// Credentials within the bounds of RFC 8839 §5.4; ice-chars are letters, digits, `+`, `/`.
    pub fn new(ufrag: &str, pwd: &str) -> Result<Self, CredentialsError> {
        let fits =
            |text: &str, (min, max)| (min..=max).contains(&text.len()) && ICE.is(text.as_bytes());
        if !fits(ufrag, UFRAG) {
            return Err(CredentialsError::Ufrag);
        }
        if !fits(pwd, PWD) {
            return Err(CredentialsError::Pwd);
        }
        Ok(Self {
            ufrag: ufrag.to_string(),
            pwd: pwd.to_string(),
        })
    }

    /// Username fragment.
    pub fn ufrag(&self) -> &str {
        &self.ufrag
    }

    /// Password; not to be logged.
    pub fn pwd(&self) -> &str {
        &self.pwd
    }

    pub(crate) fn same_pwd(&self, other: &Self) -> bool {
        let (a, b) = (self.pwd.as_bytes(), other.pwd.as_bytes());
        let difference = a.iter().zip(b).fold(0u8, |sum, (x, y)| sum | (x ^ y));
        a.len() == b.len() && core::hint::black_box(difference) == 0
    }
}

impl PartialEq for IceCredentials {
    fn eq(&self, other: &Self) -> bool {
        self.ufrag == other.ufrag && self.same_pwd(other)
    }
}

impl Eq for IceCredentials {}

impl fmt::Debug for IceCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IceCredentials")
            .field("ufrag", &self.ufrag)
            .finish_non_exhaustive()
    }
}
