//! TURN (RFC 8656): client and server state machines, free of I/O.
