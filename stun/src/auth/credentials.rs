//! Who somebody is, and the proof of it.

use alloc::string::String;
use core::fmt;

use zeroize::Zeroize;

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
    /// Names a user; both texts are used as they are given.
    pub fn new(username: &str, password: &str) -> Self {
        Self {
            username: username.into(),
            password: password.into(),
        }
    }
}
