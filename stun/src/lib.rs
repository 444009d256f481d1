//! STUN (RFC 8489): codec, authentication, transactions, Binding server; free of I/O.
