//! What building a cache takes of the heap.
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use floe::{Policy, Store};

static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: every call is forwarded to the system's allocator; the counts are atomic.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let live = LIVE.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        PEAK.fetch_max(live, Ordering::Relaxed);
        // SAFETY: the caller keeps the contract, which is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller keeps the contract, which is the same.
        unsafe { System.dealloc(pointer, layout) }
    }
}

const MIB: usize = 1 << 20;

/// The most bytes on the heap, beyond what there was, while a cache is built whose values have
/// these lengths; one test after the other.
fn peak(lengths: Vec<usize>) -> usize {
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let store = Store::new();
    let (entries, text) = (lengths.len(), "x");
    let keys = move |_: &mut floe::Inputs| Ok((0..entries as u32).collect());
    let last = lengths[entries - 1];
    let build = move |key: &u32, _: &mut floe::Inputs| Ok(text.repeat(lengths[*key as usize]));
    let cache = store.keyed("values", Policy::new(), keys, build).unwrap();
    let before = LIVE.load(Ordering::Relaxed);
    PEAK.store(before, Ordering::Relaxed);
    let report = store.refresh().unwrap();
    let peak = PEAK.load(Ordering::Relaxed) - before;
    assert!(!report.has_failures(), "{report}");
    let map = cache.get().unwrap();
    assert_eq!(
        (map.len(), map[&(entries as u32 - 1)].len()),
        (entries, last)
    );
    peak
}

/// The values at work and waiting, so many for each processor, what is being serialised, and a
/// buffer.
fn most(for_each: usize) -> usize {
    let processors = std::thread::available_parallelism().map_or(1, |it| it.get());
    (64 + for_each * processors) * MIB
}

#[test]
fn large_values_are_not_collected() {
    let peak = peak(vec![MIB; 300]);
    assert!(peak < most(2), "{} MiB", peak / MIB);
}

#[test]
fn small_values_say_nothing_of_large_ones() {
    let peak = peak(
        (0..2000)
            .map(|it| if it < 1700 { 1 } else { MIB })
            .collect(),
    );
    assert!(peak < most(16), "{} MiB", peak / MIB);
}
