//! How fast one allocation may relay.

use core::time::Duration;

use floe_sansio::Instant;

/// How much one allocation relays at most, both directions together.
///
/// It is a token bucket for bytes and one for packets: what was not used in the last `burst` may be
/// used at once. What goes beyond is dropped as
/// [`DropReason::OverBudget`](floe_sansio::DropReason::OverBudget).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrafficBudget {
    /// Bytes of payload a second; 0 counts as 1.
    pub bytes: u64,
    /// Packets a second; 0 counts as 1.
    pub packets: u64,
    /// For how long what is not used is saved, an hour at most.
    pub burst: Duration,
}

impl TrafficBudget {
    /// So much a second, and one second saved.
    pub const fn per_second(bytes: u64, packets: u64) -> Self {
        Self {
            bytes,
            packets,
            burst: Duration::from_secs(1),
        }
    }
}

/// A [`TrafficBudget`] in the units of a [`Meter`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// Of one byte, in 2⁻¹⁶ ns.
    byte: u128,
    /// Of one packet, in ns.
    packet: u64,
    /// In ns.
    burst: u64,
}

impl Pace {
    const SECOND: u64 = 1_000_000_000;

    pub(super) fn new(budget: TrafficBudget) -> Self {
        let burst = budget.burst.min(Duration::from_secs(3600));
        Self {
            byte: (u128::from(Self::SECOND) << 16) / u128::from(budget.bytes.max(1)),
            packet: Self::SECOND / budget.packets.max(1),
            burst: burst.as_nanos() as u64,
        }
    }
}

/// What one allocation has used of its budget: two virtual schedules (the generic cell rate
/// algorithm). Each is the time at which all that passed would have been through at the steady rate.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Meter {
    bytes: u64,
    packets: u64,
}

impl Meter {
    /// Counts one packet more; `false`, and nothing changes, if that is beyond the budget. A packet
    /// passes if those before it have left any of the saved time.
    pub(super) fn take(&mut self, now: Instant, pace: &Pace, bytes: usize) -> bool {
        let now = now.as_nanos();
        let (from_bytes, from_packets) = (self.bytes.max(now), self.packets.max(now));
        let passes = from_bytes.max(from_packets) - now <= pace.burst;
        if passes {
            let cost = u64::try_from((pace.byte * bytes as u128) >> 16).unwrap_or(u64::MAX);
            self.bytes = from_bytes.saturating_add(cost);
            self.packets = from_packets.saturating_add(pace.packet);
        }
        passes
    }
}
