use crate::attribute::{Attribute, AttributeType, SendRule, Value};
use crate::message::TransactionId;

/// ALTERNATE-DOMAIN (RFC 8489 §14.16): whose certificate the server of ALTERNATE-SERVER shows.
///
/// What is no DNS name is malformed, also when received: no certificate could match it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AlternateDomain<'a>(pub &'a str);

/// Longest name, in bytes.
const NAME_MAX: usize = 255;
/// Longest label, in bytes (RFC 1035 §2.3.4).
const LABEL_MAX: usize = 63;

/// Labels of letters, digits and inner hyphens (RFC 1123 §2.1); the root's dot may end the name.
fn is_dns_name(name: &str) -> bool {
    let is_label = |label: &str| {
        let label = label.as_bytes();
        (1..=LABEL_MAX).contains(&label.len())
            && label[0] != b'-'
            && label[label.len() - 1] != b'-'
            && label
                .iter()
                .all(|&byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    name.len() <= NAME_MAX
        && name
            .strip_suffix('.')
            .unwrap_or(name)
            .split('.')
            .all(is_label)
}

impl<'a> Attribute<'a> for AlternateDomain<'a> {
    const TYPE: AttributeType = AttributeType::ALTERNATE_DOMAIN;

    fn decode(value: &'a [u8], _: TransactionId) -> Option<Self> {
        let name = core::str::from_utf8(value).ok()?;
        is_dns_name(name).then_some(Self(name))
    }

    fn encode(&self, value: &mut Value<'_>, _: TransactionId) {
        value.put(self.0.as_bytes());
    }

    fn check(&self) -> Result<(), SendRule> {
        if is_dns_name(self.0) {
            Ok(())
        } else {
            Err(SendRule::DomainName)
        }
    }
}
