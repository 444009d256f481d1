//! Why something did not happen, in words.

use std::fmt::Debug;
use std::net::SocketAddr;

use floe_sansio::DropReason;
use floe_sim::DropCause;

/// What is known about a drop.
#[derive(Clone, Copy, Debug)]
pub(super) struct Drop<'a> {
    /// Where.
    pub(super) node: &'a str,
    /// The host inside.
    pub(super) host: &'a str,
    pub(super) source: SocketAddr,
    pub(super) destination: SocketAddr,
    /// Whether the host has ever sent to the source's address, or to exactly the source, through
    /// this node.
    pub(super) known: bool,
}

/// Why the network dropped a packet.
pub(super) fn dropped(cause: DropCause, drop: Drop<'_>) -> String {
    let Drop {
        node,
        host,
        source,
        destination,
        known,
    } = drop;
    let (ip, port, to) = (source.ip(), source.port(), destination.port());
    let why = match cause {
        DropCause::Lost => return format!("lost in {}", place(node)),
        DropCause::Unroutable => {
            return format!(
                "nobody has the address {} in {}",
                destination.ip(),
                place(node)
            );
        }
        DropCause::FilteredByAddress if known => {
            format!("filtered by address: {host} has sent nothing to {ip} for too long")
        }
        DropCause::FilteredByAddress => {
            format!("filtered by address: {host} has not sent to {ip}")
        }
        DropCause::FilteredByPort if known => {
            format!("filtered by port: {host} has sent nothing to {source} for too long")
        }
        DropCause::FilteredByPort => {
            format!("filtered by port: {host} has sent to {ip}, but not to port {port}")
        }
        DropCause::NoMapping => format!("nothing inside is mapped to port {to}"),
        DropCause::MappingExpired => format!("the mapping of port {to} has expired"),
        DropCause::PortTaken => "its inside port is taken by another mapping".into(),
        DropCause::PoolExhausted => "no external port is free".into(),
        DropCause::MappingLimit => format!("{host} has as many mappings as it may have"),
        DropCause::SessionLimit => format!("{host} talks to as many others as it may"),
        DropCause::HairpinOff => "no hairpinning: it goes from the inside to the inside".into(),
        DropCause::Family => "it does not translate this address family".into(),
        DropCause::UdpBlocked => "a firewall that lets no UDP through".into(),
        DropCause::ForeignSource => format!("{} is not its own address", source.ip()),
        DropCause::HopLimit => "too many hops".into(),
        DropCause::NoStream => "it has no such TCP connection".into(),
        DropCause::Checksum => "its checksum is wrong".into(),
        DropCause::NoEndpoint => "nothing runs there".into(),
        other => other.to_string(),
    };
    format!("dropped by {node}: {why}")
}

/// A segment, in words.
fn place(node: &str) -> String {
    match node.strip_suffix("/lan") {
        Some(router) => format!("the network behind {router}"),
        None => format!("the {node}"),
    }
}

/// Why a machine did not accept a datagram.
pub(super) fn refused(reason: DropReason) -> String {
    match reason {
        DropReason::NoTransaction => "an answer to nothing that waits for one".into(),
        DropReason::Unauthenticated => "its integrity is missing or wrong".into(),
        DropReason::UnknownRemote => "nothing is known of the sender".into(),
        DropReason::NoAllocation => "there is no such allocation".into(),
        DropReason::NoPermission => "the relay has no permission for the sender".into(),
        DropReason::NoChannel => "the channel is not bound".into(),
        DropReason::Forbidden => "the server's policy forbids this address".into(),
        DropReason::Closed => "the connection has ended".into(),
        other => words(other),
    }
}

/// Why an agent gave up.
pub(super) fn failed(cause: impl Debug) -> String {
    words(cause)
}

/// The name of a variant as words.
fn words(name: impl Debug) -> String {
    let mut words = String::new();
    for c in format!("{name:?}").chars() {
        if c.is_uppercase() && !words.is_empty() {
            words.push(' ');
        }
        words.extend(c.to_lowercase());
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_says_what_was_missing() {
        let drop = Drop {
            node: "nat-b",
            host: "b",
            source: "62.0.1.1:5036".parse().unwrap(),
            destination: "62.0.2.1:50000".parse().unwrap(),
            known: false,
        };
        assert_eq!(
            dropped(DropCause::FilteredByPort, drop),
            "dropped by nat-b: filtered by port: b has sent to 62.0.1.1, but not to port 5036"
        );
        assert_eq!(
            dropped(
                DropCause::FilteredByAddress,
                Drop {
                    known: true,
                    ..drop
                }
            ),
            "dropped by nat-b: filtered by address: b has sent nothing to 62.0.1.1 for too long"
        );
        assert_eq!(
            dropped(
                DropCause::Lost,
                Drop {
                    node: "core",
                    ..drop
                }
            ),
            "lost in the core"
        );
        assert_eq!(
            dropped(
                DropCause::Unroutable,
                Drop {
                    node: "nat-a/lan",
                    ..drop
                }
            ),
            "nobody has the address 62.0.2.1 in the network behind nat-a"
        );
    }

    #[test]
    fn names_become_words() {
        assert_eq!(refused(DropReason::NotStun), "not stun");
        assert_eq!(refused(DropReason::Capacity), "capacity");
    }
}
