//! Many runs: on several threads, with progress on the terminal.

use std::io::{self, IsTerminal};
use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::error::Error;

/// What takes less long needs no progress bar.
const SHORT: Duration = Duration::from_millis(500);

/// So many threads, or one for each core.
pub(crate) fn pool(threads: Option<NonZeroUsize>) -> Result<ThreadPool, Error> {
    ThreadPoolBuilder::new()
        .num_threads(threads.map_or(0, usize::from)) // 0: all cores
        .build()
        .map_err(|error| Error::Threads(error.to_string()))
}

/// Progress on the terminal, if there is one and if it takes long.
pub(crate) struct Progress {
    total: u64,
    started: Instant,
    bar: Option<ProgressBar>,
    visible: bool,
}

impl Progress {
    pub(crate) fn new(total: u64) -> Self {
        Self {
            total,
            started: Instant::now(),
            bar: None,
            visible: io::stderr().is_terminal(),
        }
    }

    pub(crate) fn reach(&mut self, done: u64) {
        if self.visible && self.bar.is_none() && self.started.elapsed() > SHORT {
            let bar = ProgressBar::new(self.total).with_elapsed(self.started.elapsed());
            // A template that does not parse would only cost the look.
            if let Ok(style) =
                ProgressStyle::with_template("{wide_bar} {human_pos}/{human_len} runs, {eta} left")
            {
                bar.set_style(style);
            }
            self.bar = Some(bar);
        }
        if let Some(bar) = &self.bar {
            bar.set_position(done);
        }
    }

    /// How long it took: on the terminal only, for it is never the same twice.
    pub(crate) fn finish(self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        if self.visible {
            let seconds = self.started.elapsed().as_secs_f64();
            eprintln!("{} runs in {seconds:.2} s", self.total);
        }
    }
}
