//! Pairs in an order.

use alloc::vec::Vec;

use super::pair::{Named, PairId};
use super::pairs::Pairs;

/// Some of the pairs, in an order that follows from what they are: two bytes for each.
///
/// The same function has to be given to all methods of one order, and must tell any two pairs apart. A
/// pair is taken out before it changes, and put in afterwards.
#[derive(Clone, Debug, Default)]
pub(super) struct Order(Vec<u16>);

impl Order {
    pub(super) const fn new() -> Self {
        Self(Vec::new())
    }

    /// Puts a pair into its place, or takes it out.
    pub(super) fn place<K: Ord>(
        &mut self,
        pairs: &Pairs,
        id: PairId,
        key: impl Fn(&Named) -> K,
        there: bool,
    ) {
        let Some(own) = pairs.named(id.slot()).filter(|it| it.id == id) else {
            return;
        };
        match (self.search(pairs, &key(own), key), there) {
            (Err(at), true) => self.0.insert(at, id.slot()),
            (Ok(at), false) => {
                self.0.remove(at);
            }
            (Ok(_), true) | (Err(_), false) => {}
        }
    }

    fn search<K: Ord>(
        &self,
        pairs: &Pairs,
        wanted: &K,
        key: impl Fn(&Named) -> K,
    ) -> Result<usize, usize> {
        self.0.binary_search_by(|&slot| {
            let found = pairs.named(slot).map(&key);
            found.as_ref().cmp(&Some(wanted))
        })
    }

    /// The pair with this key.
    pub(super) fn find<'a, K: Ord>(
        &self,
        pairs: &'a Pairs,
        wanted: &K,
        key: impl Fn(&Named) -> K,
    ) -> Option<&'a Named> {
        let at = self.search(pairs, wanted, key).ok()?;
        pairs.named(*self.0.get(at)?)
    }

    /// The pairs, the first of those that are not `before` first.
    pub(super) fn skip_while<'a>(
        &self,
        pairs: &'a Pairs,
        before: impl Fn(&Named) -> bool,
    ) -> impl DoubleEndedIterator<Item = &'a Named> {
        let at = self
            .0
            .partition_point(|&slot| pairs.named(slot).is_some_and(&before));
        let rest = self.0.get(at..).unwrap_or_default();
        rest.iter().filter_map(|&slot| pairs.named(slot))
    }

    pub(super) fn iter<'a>(&self, pairs: &'a Pairs) -> impl DoubleEndedIterator<Item = &'a Named> {
        self.0.iter().filter_map(|&slot| pairs.named(slot))
    }

    pub(super) fn first<'a>(&self, pairs: &'a Pairs) -> Option<&'a Named> {
        self.0.first().and_then(|&slot| pairs.named(slot))
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
