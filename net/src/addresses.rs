//! The addresses that a peer can be reached at.

use std::io;
use std::net::{IpAddr, SocketAddr};

use floe_ice::Candidate;

use crate::sockets::Sockets;

/// Binds one socket to each of `named`, or to each address of the host if none is named; the bound
/// addresses, in order.
pub(crate) fn bind_host(
    named: &[SocketAddr],
    loopback: bool,
) -> io::Result<(Vec<SocketAddr>, Sockets)> {
    let mut sockets = Sockets::default();
    let mut bound = Vec::new();
    for &address in named {
        check_host_address(address)?;
        bound.push(bind_named(&mut sockets, address)?);
    }
    if named.is_empty() {
        for ip in host_addresses(loopback)? {
            // An address may be gone since, or not yet be usable.
            bound.extend(sockets.bind(SocketAddr::new(ip, 0)).ok());
        }
    }
    Ok((bound, sockets))
}

/// Whether others could send to it.
pub(crate) fn check_host_address(address: SocketAddr) -> io::Result<()> {
    if Candidate::is_host_address(address, true) {
        return Ok(());
    }
    let what = format!("{} is no address of one host", address.ip());
    Err(io::Error::new(io::ErrorKind::InvalidInput, what))
}

/// Binds an address that somebody named, and names it again if that fails.
pub(crate) fn bind_named(sockets: &mut Sockets, address: SocketAddr) -> io::Result<SocketAddr> {
    sockets.bind(address).map_err(|error| {
        let what = format!("cannot bind {address}: {error}");
        io::Error::new(error.kind(), what)
    })
}

/// The addresses of the host's interfaces, in the order of the operating system, without those of
/// one link.
fn host_addresses(loopback: bool) -> io::Result<Vec<IpAddr>> {
    let mut addresses = Vec::new();
    for interface in if_addrs::get_if_addrs()? {
        let ip = interface.ip();
        let usable = Candidate::is_host_address(SocketAddr::new(ip, 9), loopback)
            && !interface.is_link_local()
            && !addresses.contains(&ip);
        if usable {
            addresses.push(ip);
        }
    }
    Ok(addresses)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// req: ICE-5.1.1.1-4
    #[test]
    fn loopback_is_left_out_unless_it_is_asked_for() {
        let without = host_addresses(false).unwrap();
        assert!(without.iter().all(|ip| !ip.is_loopback()));
        let with = host_addresses(true).unwrap();
        assert!(with.iter().any(IpAddr::is_loopback));
    }

    #[tokio::test]
    async fn a_named_address_that_cannot_be_had_is_named_in_the_error() {
        for (address, kind) in [
            ("0.0.0.0:0", io::ErrorKind::InvalidInput),
            ("224.0.0.1:0", io::ErrorKind::InvalidInput),
            ("192.0.2.77:0", io::ErrorKind::AddrNotAvailable),
        ] {
            let named = [address.parse().unwrap()];
            let error = bind_host(&named, false).unwrap_err();
            assert_eq!(error.kind(), kind, "{error}");
            assert!(error.to_string().contains(&named[0].ip().to_string()));
        }
    }
}
