//! FINGERPRINT (RFC 8489 §14.7).

/// What the CRC-32 is masked with, so that it differs from that of another protocol.
const MASK: u32 = 0x5354_554E;

/// The value for a message whose bytes before FINGERPRINT are `message`; its header's length field
/// already counts FINGERPRINT.
pub(crate) fn compute(message: &[u8]) -> u32 {
    crc32fast::hash(message) ^ MASK
}
