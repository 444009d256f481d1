//! Whether a certificate is that of the server that was meant (RFC 8489 §6.2.3, RFC 6125).

use core::net::IpAddr;

/// A name in a certificate, by its kind (RFC 6125 §1.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PresentedId<'a> {
    /// DNS-ID: `dNSName` in subjectAltName.
    Dns(&'a str),
    /// CN-ID: a Common Name in the subject that is a domain name.
    CommonName(&'a str),
    /// SRV-ID: `SRVName` in subjectAltName (RFC 4985).
    Srv(&'a str),
    /// URI-ID: `uniformResourceIdentifier` in subjectAltName.
    Uri(&'a str),
}

/// Whether a certificate with these names identifies the server of `domain`.
///
/// It does by a DNS-ID, or by a CN-ID if there is none but that (RFC 6125 §6.4.4); never by an SRV-ID
/// or URI-ID (RFC 8489 §6.2.3). A wildcard may stand for the whole leftmost label, if two labels or
/// more follow. Case does not count. That the certificate is valid and not revoked is for the owner's
/// TLS to find out.
///
/// ```
/// use floe_stun::{PresentedId, certificate_names};
///
/// let names = [PresentedId::Dns("*.example.org")];
/// assert!(certificate_names(&names, "stun.example.org"));
/// assert!(!certificate_names(&names, "example.org"));
/// ```
pub fn certificate_names(presented: &[PresentedId<'_>], domain: &str) -> bool {
    // An address is no name.
    if domain.parse::<IpAddr>().is_ok() {
        return false;
    }
    let is_common = |id: &PresentedId<'_>| matches!(id, PresentedId::CommonName(_));
    let only_common = presented.iter().all(is_common);
    presented.iter().any(|id| match *id {
        PresentedId::Dns(name) => matches(name, domain),
        PresentedId::CommonName(name) => only_common && matches(name, domain),
        PresentedId::Srv(_) | PresentedId::Uri(_) => false,
    })
}

/// Whether the name, which may begin with a wildcard, is that of `domain` (RFC 6125 §6.4).
fn matches(name: &str, domain: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    let domain = domain.strip_suffix('.').unwrap_or(domain);
    if domain.is_empty() || domain.contains('*') {
        return false;
    }
    let Some(parent) = name.strip_prefix("*.") else {
        return !name.contains('*') && name.eq_ignore_ascii_case(domain);
    };
    domain.split_once('.').is_some_and(|(label, rest)| {
        !label.is_empty()
            && parent.contains('.')
            && !parent.contains('*')
            && parent.eq_ignore_ascii_case(rest)
    })
}
