//! An allocator that counts, and the way to give freed memory back.
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Bytes that allocated blocks occupy now: what the system's allocator set aside for each, which is
/// what it was asked for, rounded up, and a word for itself.
static ALLOCATED: AtomicU64 = AtomicU64::new(0);

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: every call is forwarded to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps the contract, which is the same.
        let pointer = unsafe { System.alloc(layout) };
        // SAFETY: the block was just allocated, if it is one at all.
        ALLOCATED.fetch_add(unsafe { occupied(pointer) }, Relaxed);
        pointer
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller still owns the block.
        ALLOCATED.fetch_sub(unsafe { occupied(pointer) }, Relaxed);
        // SAFETY: the caller keeps the contract, which is the same.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller still owns the block.
        let before = unsafe { occupied(pointer) };
        // SAFETY: the caller keeps the contract, which is the same.
        let moved = unsafe { System.realloc(pointer, layout, size) };
        if !moved.is_null() {
            // SAFETY: the block was just allocated.
            ALLOCATED.fetch_add(unsafe { occupied(moved) }, Relaxed);
            ALLOCATED.fetch_sub(before, Relaxed);
        }
        moved
    }
}

/// What a block of the C library's allocator occupies, with the word before it.
///
/// # Safety
/// The block is null or allocated.
unsafe fn occupied(block: *mut u8) -> u64 {
    if block.is_null() {
        return 0;
    }
    // SAFETY: the caller's promise.
    (unsafe { nix::libc::malloc_usable_size(block.cast()) } + size_of::<usize>()) as u64
}

/// Bytes that are freed when something is dropped. No other thread may run meanwhile.
pub(crate) fn bytes_freed(drop: impl FnOnce()) -> u64 {
    let before = ALLOCATED.load(Relaxed);
    drop();
    before.saturating_sub(ALLOCATED.load(Relaxed))
}

/// Gives freed heap memory back to the system, so that one comparison does not start with the
/// leavings of another.
pub(crate) fn trim() {
    // SAFETY: `malloc_trim` has no preconditions.
    unsafe { nix::libc::malloc_trim(0) };
}
