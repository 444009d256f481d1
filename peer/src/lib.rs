//! One peer-to-peer connection: offer/answer and ICE joined, free of I/O.
