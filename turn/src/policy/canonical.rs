//! Which address an address stands for.

use core::net::{IpAddr, Ipv4Addr};

use super::prefix::{Prefix, v6};

/// The translation prefix of RFC 6052, whose addresses are IPv4 addresses in disguise.
const NAT64: Prefix = v6(0x64, 0xff9b, 0, 96);

/// The address that `ip` stands for: IPv4 where it is mapped, compatible, or translated.
pub(crate) fn canonical(ip: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = ip else {
        return ip;
    };
    let low = Ipv4Addr::from_bits(v6.to_bits() as u32);
    match v6.segments() {
        // :: and ::1 are themselves.
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => ip,
        // Compatible, mapped (RFC 4291 §2.5.5), translated (RFC 2765 §2.1).
        [0, 0, 0, 0, 0, 0 | 0xffff, _, _] | [0, 0, 0, 0, 0xffff, 0, _, _] => low.into(),
        _ if NAT64.contains(ip) => low.into(),
        _ => ip,
    }
}

/// Further addresses that a datagram to `ip` may end at: those that a tunnel or translator on the way
/// takes out of it.
pub(super) fn embedded(ip: IpAddr) -> impl Iterator<Item = IpAddr> {
    let bits = match ip {
        IpAddr::V6(v6) => v6.to_bits(),
        IpAddr::V4(_) => 0,
    };
    let low = bits as u32;
    // The 32 bits behind bit `at`, without the eight reserved ones from bit 64 (RFC 6052 §2.2).
    let around = |at: u32| {
        let joined = (bits >> 64 << 56) | (bits & (u128::MAX >> 72));
        (joined >> (120 - at - 32)) as u32
    };
    let readings = match ip {
        IpAddr::V4(_) => [None; 4],
        IpAddr::V6(v6) => match v6.segments() {
            // ISATAP (RFC 5214 §6.1), whatever the bits for universal and group say.
            [_, _, _, _, 0 | 0x0100 | 0x0200 | 0x0300, 0x5efe, _, _] => {
                [Some(low), None, None, None]
            }
            // Local translation (RFC 8215): nobody says how long the prefix is, so that all readings
            // count. One in 0.0.0.0/8, where no translator sends, is a wrong one, unless all are.
            [0x64, 0xff9b, 1, ..] => {
                let readings = [low, around(48), around(56), around(64)].map(Some);
                let plausible = readings.map(|reading| reading.filter(|bits| bits >> 24 != 0));
                if plausible == [None; 4] {
                    readings
                } else {
                    plausible
                }
            }
            _ => [None; 4],
        },
    };
    (readings.into_iter().flatten()).map(|bits| IpAddr::V4(Ipv4Addr::from_bits(bits)))
}
