//! What a program without `std` brings itself: memory, and what to do when all is lost.

use core::alloc::{GlobalAlloc, Layout};
use core::cell::UnsafeCell;
use core::panic::PanicInfo;
use core::ptr;
use core::sync::atomic::{AtomicUsize, Ordering};

const SIZE: usize = 1 << 20;

/// Memory that is given out once and never taken back.
struct Bump {
    memory: UnsafeCell<[u8; SIZE]>,
    used: AtomicUsize,
}

// SAFETY: `used` gives every byte of `memory` to one caller only.
unsafe impl Sync for Bump {}

// SAFETY: what `alloc` returns is aligned, lies in `memory`, and overlaps nothing given out before.
unsafe impl GlobalAlloc for Bump {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let memory = self.memory.get().cast::<u8>();
        let take = |used: usize| {
            let misaligned = (memory as usize + used) % layout.align();
            let padding = (layout.align() - misaligned) % layout.align();
            let end = used.checked_add(padding)?.checked_add(layout.size())?;
            (end <= SIZE).then_some(end)
        };
        let taken = self
            .used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, take);
        match taken.map(take) {
            // SAFETY: `end - size` lies in `memory`, as `take` has checked.
            Ok(Some(end)) => unsafe { memory.add(end - layout.size()) },
            _ => ptr::null_mut(),
        }
    }

    unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}
}

#[global_allocator]
static MEMORY: Bump = Bump {
    memory: UnsafeCell::new([0; SIZE]),
    used: AtomicUsize::new(0),
};

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    loop {
        core::hint::spin_loop();
    }
}
