//! ICE (RFC 8445, RFC 8838): the agent that finds the path between two peers, free of I/O.
