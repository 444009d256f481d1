//! Whether a certificate is that of the server (RFC 8489 §6.2.3, RFC 6125).

use floe_stun::PresentedId::{self, CommonName, Dns, Srv, Uri};
use floe_stun::certificate_names;

/// req: STUN-6.2.3-7, STUN-10-7
#[test]
fn names_in_certificates_and_the_servers_they_identify() {
    let domain = "stun.example.org";
    let table: &[(&[PresentedId<'_>], &str, bool)] = &[
        (&[], domain, false),
        (&[Dns("stun.example.org")], domain, true),
        (&[Dns("STUN.Example.ORG")], "stun.example.org.", true),
        (&[Dns("other.example.org"), Dns(domain)], domain, true),
        (&[Dns("example.org")], domain, false),
        (&[Dns("a.stun.example.org")], domain, false),
        (&[Dns("stun.example.org.evil.example")], domain, false),
        // A wildcard is the whole leftmost label, and only one.
        (&[Dns("*.example.org")], domain, true),
        (&[Dns("*.EXAMPLE.org")], domain, true),
        (&[Dns("*.example.org")], "example.org", false),
        (&[Dns("*.example.org")], "a.stun.example.org", false),
        (&[Dns("*.example.org")], ".example.org", false),
        (&[Dns("s*.example.org")], domain, false),
        (&[Dns("*n.example.org")], domain, false),
        (&[Dns("stun.*.org")], domain, false),
        (&[Dns("*.*.org")], domain, false),
        (&[Dns("*.org")], "example.org", false),
        (&[Dns("*")], "org", false),
        (&[Dns("*.example.org")], "*.example.org", false),
        (&[Dns("*.b.c.d")], "x.b.c.d", true),
        (
            &[Dns("*.xn--bcher-kva.example")],
            "stun.xn--bcher-kva.example",
            true,
        ),
        // A Common Name counts where there is nothing better.
        (&[CommonName(domain)], domain, true),
        (&[CommonName("*.example.org")], domain, true),
        (&[CommonName("Example Incorporated")], domain, false),
        (
            &[CommonName(domain), Dns("other.example.org")],
            domain,
            false,
        ),
        (
            &[CommonName(domain), Srv("_stun.example.net")],
            domain,
            false,
        ),
        // The other kinds never do.
        (&[Srv("_stuns.stun.example.org")], domain, false),
        (&[Srv(domain)], domain, false),
        (&[Uri("stuns:stun.example.org")], domain, false),
        (&[Uri(domain)], domain, false),
        (&[Srv(domain), Uri(domain), Dns(domain)], domain, true),
        // An address is no domain.
        (&[Dns("192.0.2.1")], "192.0.2.1", false),
        (&[Dns("*.0.2.1")], "192.0.2.1", false),
        (&[Dns("2001:db8::1")], "2001:db8::1", false),
        (&[Dns("")], "", false),
    ];
    for &(presented, domain, expected) in table {
        let named = certificate_names(presented, domain);
        assert_eq!(named, expected, "{presented:?} for {domain:?}");
    }
}
