//! An allocator that counts what the heap holds. It is that of every program that calls something
//! here.
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

static OCCUPIED: AtomicU64 = AtomicU64::new(0);
static PEAK: AtomicU64 = AtomicU64::new(0);

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: every call is forwarded to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps the contract, which is the same.
        let block = unsafe { System.alloc(layout) };
        // SAFETY: the block was just allocated, if it is one at all.
        count(0, unsafe { occupied_by(block) });
        block
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps the contract, which is the same.
        let block = unsafe { System.alloc_zeroed(layout) };
        // SAFETY: the block was just allocated, if it is one at all.
        count(0, unsafe { occupied_by(block) });
        block
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller still owns the block.
        count(unsafe { occupied_by(block) }, 0);
        // SAFETY: the caller keeps the contract, which is the same.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller still owns the block.
        let before = unsafe { occupied_by(block) };
        // SAFETY: the caller keeps the contract, which is the same.
        let moved = unsafe { System.realloc(block, layout, size) };
        if !moved.is_null() {
            // SAFETY: the block was just allocated.
            count(before, unsafe { occupied_by(moved) });
        }
        moved
    }
}

/// What a block occupies: what was asked for, rounded up by the C library, and the word before it.
///
/// # Safety
/// The block is null or allocated.
unsafe fn occupied_by(block: *mut u8) -> u64 {
    if block.is_null() {
        return 0;
    }
    // SAFETY: the caller's promise.
    (unsafe { libc::malloc_usable_size(block.cast()) } + size_of::<usize>()) as u64
}

fn count(freed: u64, allocated: u64) {
    let change = allocated.wrapping_sub(freed);
    let now = OCCUPIED.fetch_add(change, Relaxed).wrapping_add(change);
    if allocated > freed && now > PEAK.load(Relaxed) {
        PEAK.fetch_max(now, Relaxed);
    }
}

/// Bytes that all allocated blocks occupy now.
pub fn occupied() -> u64 {
    OCCUPIED.load(Relaxed)
}

/// Runs something, and tells the most bytes that the heap held meanwhile beyond what it held
/// before. No other thread may be measuring.
pub fn peak_during<R>(work: impl FnOnce() -> R) -> (R, u64) {
    let before = occupied();
    PEAK.store(before, Relaxed);
    let result = work();
    (result, PEAK.load(Relaxed).saturating_sub(before))
}

/// Makes something, and tells the bytes that the heap holds more with it.
pub fn growth_by<R>(make: impl FnOnce() -> R) -> (R, u64) {
    let before = occupied();
    let made = make();
    (made, occupied().saturating_sub(before))
}

/// Bytes that the heap holds less once something is dropped. No other thread may run meanwhile.
pub fn freed_by(drop: impl FnOnce()) -> u64 {
    let before = occupied();
    drop();
    before.saturating_sub(occupied())
}

/// Gives freed heap memory back to the system, so that one size does not start with the leavings
/// of another.
pub fn trim() {
    // SAFETY: `malloc_trim` has no preconditions.
    unsafe { libc::malloc_trim(0) };
}

#[cfg(test)]
mod tests {
    use super::*;

    // Other tests allocate at the same time, but nothing near this much.
    const LARGE: usize = 64 << 20;

    #[test]
    fn peaks_and_growth_see_a_large_block() {
        let ((), peak) = peak_during(|| drop(std::hint::black_box(vec![1_u8; LARGE])));
        assert!(peak >= LARGE as u64 && peak < 2 * LARGE as u64, "{peak}");
        let (block, growth) = growth_by(|| std::hint::black_box(vec![1_u8; LARGE]));
        assert!(growth >= LARGE as u64 - (1 << 20), "{growth}");
        drop(block);
    }
}
