//! The order of lines (RFC 8866 §5).

use crate::ErrorKind;

/// Where in the grammar the next line stands.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Order {
    last: u8,
    in_media: bool,
    /// Which of [`HEAD`] have been seen or complained of.
    head: u8,
}

/// The lines that must be there, in their order.
const HEAD: [u8; 4] = *b"vost";

const SESSION: &[u8] = b"vosiuepcbtrzka";
const MEDIA: &[u8] = b"micbka";

/// Place of a letter among those of a level, from 1; 0 for a letter that is not among them.
const fn ranks(letters: &[u8]) -> [u8; 128] {
    let mut ranks = [0; 128];
    let mut at = 0;
    while at < letters.len() {
        ranks[letters[at] as usize] = at as u8 + 1;
        at += 1;
    }
    ranks
}

static SESSION_RANKS: [u8; 128] = ranks(SESSION);
static MEDIA_RANKS: [u8; 128] = ranks(MEDIA);

fn rank(ranks: &[u8; 128], letter: u8) -> u8 {
    ranks.get(usize::from(letter)).copied().unwrap_or_default()
}

impl Order {
    /// Whether `letter` may follow the last line, and makes it the last line in any case.
    ///
    /// More than one thing can be wrong: `report` gets each of them, and its error ends it.
    pub(crate) fn accept<E>(
        &mut self,
        letter: u8,
        mut report: impl FnMut(ErrorKind) -> Result<(), E>,
    ) -> Result<(), E> {
        let to = rank(&SESSION_RANKS, letter);
        if to == 0 && letter != b'm' {
            return report(ErrorKind::UnknownType);
        }
        if !self.in_media {
            self.require_head(letter, &mut report)?;
        }
        let fits = match (letter, self.in_media) {
            (b'm', _) => true,
            (_, true) => {
                let from = rank(&MEDIA_RANKS, self.last);
                let to = rank(&MEDIA_RANKS, letter);
                to > from || (to == from && b"cba".contains(&letter))
            }
            (_, false) => {
                let from = rank(&SESSION_RANKS, self.last);
                match letter {
                    b't' => to > from || b"trz".contains(&self.last),
                    b'r' => b"tr".contains(&self.last),
                    b'z' => self.last == b'r',
                    b'e' | b'p' | b'b' | b'a' => to >= from,
                    _ => to > from,
                }
            }
        };
        self.last = letter;
        self.in_media |= letter == b'm';
        if fits {
            Ok(())
        } else {
            report(ErrorKind::OutOfOrder)
        }
    }

    /// Whether the last line was an attribute: then another one is always in order.
    pub(crate) fn is_at_attributes(self) -> bool {
        self.last == b'a'
    }

    /// Whether there has been no line.
    pub(crate) fn is_untouched(self) -> bool {
        self.last == 0
    }

    /// `v o s` come first and in this order; `t` before `k`, `a`, `m` and the end, for which 0 stands.
    pub(crate) fn require_head<E>(
        &mut self,
        letter: u8,
        mut report: impl FnMut(ErrorKind) -> Result<(), E>,
    ) -> Result<(), E> {
        const ALL: u8 = (1 << HEAD.len()) - 1;
        if self.head == ALL {
            return Ok(());
        }
        let own = HEAD.iter().position(|&known| known == letter);
        let needed = match own {
            Some(place) => place,
            None if b"kam\0".contains(&letter) => HEAD.len(),
            None => HEAD.len() - 1,
        };
        // What has come before is out of order, which is said elsewhere.
        let again = own.is_some_and(|place| self.head & (1 << place) != 0);
        for (place, &missing) in HEAD.iter().enumerate().take(needed) {
            if self.head & (1 << place) == 0 && !again {
                self.head |= 1 << place;
                report(ErrorKind::MissingLine(missing.into()))?;
            }
        }
        if let Some(place) = own {
            self.head |= 1 << place;
        }
        Ok(())
    }
}
