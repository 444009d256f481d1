//! Ports that are kept for a later request (RFC 8656 §7.2).

use alloc::collections::{BTreeMap, BTreeSet};

use floe_sansio::Instant;

use super::allocation::Origin;
use super::relays::Place;

/// RESERVATION-TOKEN.
pub(super) type Token = [u8; 8];

/// A port that is kept.
#[derive(Clone, Copy, Debug)]
struct Reservation {
    place: Place,
    until: Instant,
    /// The request that reserved it, which is told the token again when it is retransmitted.
    origin: Origin,
}

/// All ports that are kept, by their tokens and by the times at which they are free again.
#[derive(Clone, Debug, Default)]
pub(super) struct Reservations {
    by_token: BTreeMap<Token, Reservation>,
    due: BTreeSet<(Instant, Token)>,
}

impl Reservations {
    /// Keeps `place` until then. The token must be new.
    pub(super) fn add(&mut self, token: Token, place: Place, until: Instant, origin: Origin) {
        self.due.insert((until, token));
        let reservation = Reservation {
            place,
            until,
            origin,
        };
        self.by_token.insert(token, reservation);
    }

    /// What is kept for whoever has this token.
    pub(super) fn place(&self, now: Instant, token: Token) -> Option<Place> {
        let reservation = self.by_token.get(&token).filter(|it| now < it.until);
        reservation.map(|it| it.place)
    }

    /// Ends a reservation; the place is the caller's.
    pub(super) fn take(&mut self, now: Instant, token: Token) -> Option<Place> {
        let reservation = self.by_token.get(&token).filter(|it| now < it.until)?;
        let Reservation { place, until, .. } = *reservation;
        self.by_token.remove(&token);
        self.due.remove(&(until, token));
        Some(place)
    }

    /// Ends the next reservation that is over; the place is free.
    pub(super) fn expire(&mut self, now: Instant) -> Option<Place> {
        let (at, token) = *self.due.first()?;
        if now < at {
            return None;
        }
        self.due.pop_first();
        self.by_token.remove(&token).map(|it| it.place)
    }

    /// The token that this request was given.
    pub(super) fn of(&self, now: Instant, origin: &Origin) -> Option<Token> {
        let mut all = self.by_token.iter();
        all.find(|(_, it)| it.origin == *origin && now < it.until)
            .map(|(&token, _)| token)
    }

    pub(super) fn len(&self) -> usize {
        self.by_token.len()
    }

    /// When the next one is over.
    pub(super) fn next(&self) -> Option<Instant> {
        self.due.first().map(|&(at, _)| at)
    }
}
