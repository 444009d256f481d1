use std::io;

/// A seed for one machine, from the operating system: the only place where this crate draws
/// randomness.
///
/// Whoever knows it knows the passwords and nonces of that machine. Draw another for each.
pub fn seed() -> io::Result<[u8; 32]> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed)?;
    Ok(seed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_are_the_same() {
        assert_ne!(seed().unwrap(), seed().unwrap());
    }
}
