//! Where descriptions come from.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use crate::error::Error;

/// Bytes that are read of a file at most; what is longer than a description may be is read as far as that
/// shows.
const MAX: u64 = 4 << 20;

/// What a file is called in messages.
pub(super) fn name(file: &Path) -> String {
    if is_stdin(file) {
        return "<stdin>".to_owned();
    }
    file.display().to_string()
}

fn is_stdin(file: &Path) -> bool {
    file.as_os_str() == "-"
}

/// The bytes of a file.
pub(super) fn read(file: &Path) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    let result = if is_stdin(file) {
        io::stdin().lock().take(MAX).read_to_end(&mut bytes)
    } else {
        File::open(file).and_then(|file| file.take(MAX).read_to_end(&mut bytes))
    };
    match result {
        Ok(_) => Ok(bytes),
        Err(error) => Err(Error::Argument(format!(
            "cannot read {}: {error}",
            name(file)
        ))),
    }
}
