//! What a response to a Binding request says.

use core::net::SocketAddr;

use super::config::BindingError;
use crate::attribute::AttributeType;
use crate::attributes::{
    ErrorCode, MappedAddress, StatusCode, UnknownAttributes, UnknownRequired, XorMappedAddress,
};
use crate::message::{Class, Message};

/// What a response to a Binding request may carry that must be understood.
pub(super) const KNOWN: &[AttributeType] = &[
    AttributeType::MAPPED_ADDRESS,
    AttributeType::XOR_MAPPED_ADDRESS,
    AttributeType::ERROR_CODE,
    AttributeType::UNKNOWN_ATTRIBUTES,
    AttributeType::USERNAME,
    AttributeType::REALM,
    AttributeType::NONCE,
    AttributeType::PASSWORD_ALGORITHM,
    AttributeType::USERHASH,
    AttributeType::PADDING,
    // Reserved since RFC 3489, still sent by old servers (RFC 5389 §12.1).
    AttributeType(0x0002),
    AttributeType(0x0004),
    AttributeType(0x0005),
    AttributeType(0x000B),
];

/// The mapped address in the response to a Binding request.
pub fn read_response(message: &Message<'_>) -> Result<SocketAddr, BindingError> {
    if message.unknown_required(KNOWN).next().is_some() {
        Err(BindingError::Unusable)
    } else if message.class() == Class::Error {
        Err(rejection(message))
    } else {
        mapped_address(message, |_| true).ok_or(BindingError::Unusable)
    }
}

/// The first address in a success response that is `accepted`; another one is ignored
/// (RFC 8489 §6.3.3). Servers of RFC 3489 have only MAPPED-ADDRESS (RFC 5389 §12.1).
pub(super) fn mapped_address(
    message: &Message<'_>,
    accepted: impl Fn(&SocketAddr) -> bool,
) -> Option<SocketAddr> {
    let xored = message.get().ok().flatten();
    let xored = xored.map(|XorMappedAddress(address)| address);
    xored.filter(&accepted).or_else(|| {
        let clear = message.get().ok().flatten();
        clear
            .map(|MappedAddress(address)| address)
            .filter(&accepted)
    })
}

/// What an error response says.
pub(super) fn rejection(message: &Message<'_>) -> BindingError {
    let Ok(Some(ErrorCode { code, .. })) = message.get::<ErrorCode<'_>>() else {
        return BindingError::Unusable;
    };
    let list = message.get::<UnknownAttributes<'_>>().ok().flatten();
    match list.and_then(|list| UnknownRequired::listed(&list)) {
        Some(list) if code == StatusCode::UNKNOWN_ATTRIBUTE => BindingError::NotUnderstood(list),
        _ => BindingError::Rejected(code),
    }
}
