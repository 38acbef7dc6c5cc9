//! What building a cache takes of the heap.

use std::sync::{Mutex, PoisonError};

use counting_allocator::peak_during;
use floe::{Policy, Store};

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
    let (report, peak) = peak_during(|| store.refresh().unwrap());
    assert!(!report.has_failures(), "{report}");
    let map = cache.get().unwrap();
    assert_eq!(
        (map.len(), map[&(entries as u32 - 1)].len()),
        (entries, last)
    );
    peak as usize
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
