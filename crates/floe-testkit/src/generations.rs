//! Generations of a cache that share pages.

use std::path::Path;
use std::sync::{Arc, Mutex};

use floe::store::Cache;
use floe::{Broker, Frozen, Policy, Store};

/// Numbers in a page of 4 KiB.
const NUMBERS: usize = 512;

/// A cache of numbers, of which any pages can be changed.
pub struct Generations {
    store: Store,
    cache: Cache<Vec<u64>>,
    numbers: Arc<Mutex<Vec<u64>>>,
}

impl Generations {
    /// So many pages, of which the first generation is frozen. Equal content makes equal page
    /// files; another name makes other content.
    pub fn new(name: &str, pages: usize) -> Self {
        let seed: u64 = name
            .bytes()
            .fold(7_u64, |seed, byte| seed.rotate_left(5) ^ u64::from(byte));
        let numbers = (0..pages * NUMBERS)
            .map(|number| seed ^ number as u64)
            .collect();
        let numbers: Arc<Mutex<Vec<u64>>> = Arc::new(Mutex::new(numbers));
        let read = Arc::clone(&numbers);
        let build = move |_: &mut floe::Inputs| Ok(read.lock().unwrap().clone());
        let store = Store::new();
        let cache = store.cache(name, Policy::new(), build).unwrap();
        store.refresh().unwrap();
        Self {
            store,
            cache,
            numbers,
        }
    }

    pub fn newest(&self) -> Frozen<Vec<u64>> {
        self.cache.get().unwrap()
    }

    /// The next generation, in which these pages have another first number each.
    pub fn change(&self, pages: impl IntoIterator<Item = usize>) -> Frozen<Vec<u64>> {
        for page in pages {
            let number = &mut self.numbers.lock().unwrap()[page * NUMBERS];
            *number = number.wrapping_add(1 << 32);
        }
        self.store.invalidate(self.cache.name()).unwrap();
        self.store.refresh().unwrap();
        self.newest()
    }

    pub fn serve(&self, path: impl AsRef<Path>) -> Broker {
        self.store.serve(path).unwrap()
    }
}
