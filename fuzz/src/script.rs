//! The input of a machine: steps, each a byte for the kind and then what it needs.
//!
//! A packet is either bytes as they are, or a STUN message that is put together from a type and raw
//! attributes and then authenticated as its sender would: no mutation could guess an HMAC.

use floe_sansio::Transmit;
use floe_stun::{AttributeType, Builder, MessageType, TransactionId};

/// What is left of a script; when it is used up, it gives zeros.
#[derive(Clone, Copy, Debug)]
pub struct Script<'a>(&'a [u8]);

impl<'a> Script<'a> {
    /// All of it.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Whether it is used up.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The next byte.
    pub fn byte(&mut self) -> u8 {
        self.bytes(1).first().copied().unwrap_or(0)
    }

    /// The next two bytes, big endian.
    pub fn u16(&mut self) -> u16 {
        u16::from_be_bytes([self.byte(), self.byte()])
    }

    /// The next bytes, as many as there are.
    pub fn bytes(&mut self, count: usize) -> &'a [u8] {
        let (bytes, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        bytes
    }

    /// Bytes with their number, of 16 bits, before them.
    pub fn block(&mut self) -> &'a [u8] {
        let count = self.u16();
        self.bytes(usize::from(count))
    }

    /// One of these.
    pub fn choose<T: Copy>(&mut self, from: &[T]) -> T {
        from[usize::from(self.byte()) % from.len()]
    }

    /// A STUN message; `sent` is what it may answer, `sign` what its sender does with it.
    pub fn message(
        &mut self,
        sent: Option<&Transmit>,
        sign: impl for<'b> FnOnce(Builder<'b>) -> Builder<'b>,
    ) -> Vec<u8> {
        let mut buffer = vec![0; 2048];
        let kind = MessageType::from_bits(self.u16() & 0x3fff);
        let answered = sent.and_then(|sent| sent.payload.get(8..20)?.try_into().ok());
        let id = TransactionId(answered.unwrap_or([7; 12]));
        let mut builder = Builder::new(&mut buffer, kind, id);
        for _ in 0..self.byte() {
            let kind = AttributeType(self.u16());
            let count = self.byte();
            builder = builder.with_raw(kind, self.bytes(usize::from(count)));
        }
        let length = sign(builder).finish().unwrap_or(0);
        buffer.truncate(length);
        buffer
    }
}

/// Writes scripts: the seeds.
#[derive(Clone, Debug, Default)]
pub struct Writer(Vec<u8>);

impl Writer {
    /// Bytes as they are.
    #[must_use]
    pub fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    /// Bytes with their number before them.
    #[must_use]
    pub fn block(self, bytes: &[u8]) -> Self {
        let count = u16::try_from(bytes.len()).expect("a short block");
        self.raw(&count.to_be_bytes()).raw(bytes)
    }

    /// A message for [`Script::message`].
    #[must_use]
    pub fn message(mut self, kind: u16, attributes: &[(AttributeType, &[u8])]) -> Self {
        self = self.raw(&kind.to_be_bytes()).raw(&[attributes.len() as u8]);
        for (kind, value) in attributes {
            self = self
                .raw(&kind.0.to_be_bytes())
                .raw(&[value.len() as u8])
                .raw(value);
        }
        self
    }

    /// The script.
    pub fn end(self) -> Vec<u8> {
        self.0
    }
}

/// The value of an XOR-…-ADDRESS attribute with an IPv4 address.
pub fn xor4(ip: [u8; 4], port: u16) -> [u8; 8] {
    let mut value = [0, 1, 0, 0, 0, 0, 0, 0];
    value[2..4].copy_from_slice(&(port ^ 0x2112).to_be_bytes());
    value[4..8].copy_from_slice(&(u32::from_be_bytes(ip) ^ 0x2112_a442).to_be_bytes());
    value
}
