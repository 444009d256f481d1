//! Who somebody is, and the proof of it.

use alloc::string::String;
use core::fmt;

use zeroize::Zeroize;

use crate::prepare::{PrepareError, Profile};

/// Text that is wiped when dropped and never printed.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// The text.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// A user name and its password.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// Who.
    pub username: String,
    /// The proof.
    pub password: Secret,
}

impl Credentials {
    /// Names a user; both texts are used as they are given, which must be as they are prepared. What a
    /// person typed goes through [`Self::prepared`].
    pub fn new(username: &str, password: &str) -> Self {
        Self {
            username: username.into(),
            password: password.into(),
        }
    }

    /// Names a user by what a person typed: both texts are prepared as `OpaqueString` (RFC 8489 §9.1.1,
    /// §9.2.2, §14.3). What is not ASCII needs the feature `unicode`.
    ///
    /// ```
    /// use floe_stun::Credentials;
    ///
    /// let alice = Credentials::prepared("alice", "a long password")?;
    /// assert_eq!(alice.username, "alice");
    /// assert!(Credentials::prepared("alice", "with a bell\u{7}").is_err());
    /// # Ok::<(), floe_stun::PrepareError>(())
    /// ```
    pub fn prepared(username: &str, password: &str) -> Result<Self, PrepareError> {
        let username = Profile::OpaqueString.prepare(username)?;
        let password = Profile::OpaqueString.prepare(password)?;
        Ok(Self::new(username.as_str(), password.as_str()))
    }
}
