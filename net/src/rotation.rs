//! Which sockets may have something to read.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Wake, Waker};

/// The queue of the places that were woken, oldest first, and the task that serves it.
#[derive(Debug, Default)]
pub(crate) struct Rotation(Arc<Mutex<Queue>>);

#[derive(Debug, Default)]
struct Queue {
    woken: VecDeque<usize>,
    task: Option<Waker>,
}

impl Rotation {
    /// A place of its own for socket `at`, to be looked at from the start.
    pub(crate) fn join(&self, at: usize) -> Place {
        let seat = Arc::new(Seat {
            at,
            queued: AtomicBool::new(false),
            queue: Arc::clone(&self.0),
        });
        let waker = Waker::from(Arc::clone(&seat));
        waker.wake_by_ref();
        Place { seat, waker }
    }

    /// Begins a round for `task`, which is woken for all that comes later; how many places wait.
    pub(crate) fn begin(&self, task: &Waker) -> usize {
        let mut queue = lock(&self.0);
        match &mut queue.task {
            Some(known) => known.clone_from(task),
            none => *none = Some(task.clone()),
        }
        queue.woken.len()
    }

    /// The place whose turn it is.
    pub(crate) fn next(&self) -> Option<usize> {
        lock(&self.0).woken.pop_front()
    }
}

/// A socket's place in the rotation.
#[derive(Debug)]
pub(crate) struct Place {
    seat: Arc<Seat>,
    waker: Waker,
}

impl Place {
    /// Its turn has come: from now on it can be woken again.
    pub(crate) fn leave(&self) {
        self.seat.queued.store(false, Ordering::Release);
    }

    /// There may be more where that came from: back to the end, without waking the task, which is at
    /// work.
    pub(crate) fn return_to(&self, rotation: &Rotation) {
        if !self.seat.queued.swap(true, Ordering::AcqRel) {
            lock(&rotation.0).woken.push_back(self.seat.at);
        }
    }

    pub(crate) const fn waker(&self) -> &Waker {
        &self.waker
    }
}

#[derive(Debug)]
struct Seat {
    at: usize,
    /// Whether it waits in the queue: it waits there once.
    queued: AtomicBool,
    queue: Arc<Mutex<Queue>>,
}

impl Wake for Seat {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.queued.swap(true, Ordering::AcqRel) {
            return;
        }
        let task = {
            let mut queue = lock(&self.queue);
            queue.woken.push_back(self.at);
            queue.task.clone()
        };
        if let Some(task) = task {
            task.wake();
        }
    }
}

/// A queue is whole between any two of its statements, so a panic elsewhere does not spoil it.
fn lock(queue: &Mutex<Queue>) -> MutexGuard<'_, Queue> {
    queue.lock().unwrap_or_else(PoisonError::into_inner)
}
