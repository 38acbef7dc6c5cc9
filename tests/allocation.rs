//! Reading allocates nothing.
#![allow(unsafe_code)]

use floe_testkit::zoo;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::hint::black_box;

use floe::MapBuilder;
use zoo::recipe;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: every call is forwarded to the system's allocator; the count is a plain thread-local
// without a destructor.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller keeps the contract, which is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract, which is the same.
        unsafe { System.dealloc(pointer, layout) }
    }
}

/// Allocations of this thread in `work`.
fn allocations(work: impl FnOnce()) -> u64 {
    let before = ALLOCATIONS.get();
    work();
    ALLOCATIONS.get() - before
}

#[test]
fn reading_allocates_nothing() {
    let mut builder = MapBuilder::new("recipes").unwrap();
    for number in 0..1000 {
        builder
            .insert(&format!("recipe {number}"), &recipe(number))
            .unwrap();
    }
    let frozen = builder.finish().unwrap();
    let keys: Vec<String> = (0..2000).map(|number| format!("recipe {number}")).collect();

    assert_ne!(
        allocations(|| drop(black_box(Box::new(1)))),
        0,
        "the counter counts"
    );
    let read = allocations(|| {
        for key in &keys {
            black_box(frozen.get(key).map(|recipe| recipe.tasks.len()));
            black_box(frozen.contains_key(key.as_str()));
        }
        for value in frozen.get_many(&keys) {
            black_box(value.map(|recipe| recipe.depends.len()));
        }
        for (key, value) in &*frozen {
            black_box((key.len(), value.flags.len()));
        }
        let clone = frozen.clone();
        black_box((
            clone.region().name(),
            clone.region().generation(),
            clone.region().created(),
            clone.region().size(),
        ));
    });
    assert_eq!(read, 0);
}
