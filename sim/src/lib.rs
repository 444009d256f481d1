//! The virtual-time network in which floe is proven: links, NATs, firewalls, hosts, servers, oracle.
