//! Lines of standard input, as they come.

use std::io::{self, BufRead, Read};

use tokio::sync::mpsc::{Receiver, channel};

/// Bytes of the longest line; what is longer is cut, and then no JSON.
const LINE_MAX: u64 = 1 << 20;
/// Lines read ahead.
const AHEAD: usize = 64;

/// Reads standard input on a thread of its own: a read that waits must not hold up the end.
///
/// The channel closes at the end of input.
pub(crate) fn stdin() -> Receiver<String> {
    let (sender, receiver) = channel(AHEAD);
    std::thread::spawn(move || {
        let mut input = io::stdin().lock();
        loop {
            let mut line = Vec::new();
            match input.by_ref().take(LINE_MAX).read_until(b'\n', &mut line) {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
            let line = String::from_utf8_lossy(&line).trim().to_owned();
            if !line.is_empty() && sender.blocking_send(line).is_err() {
                return;
            }
        }
    });
    receiver
}
