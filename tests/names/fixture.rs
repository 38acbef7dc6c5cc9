//! Names that no other test has, and maps to publish under them.

use std::fs;
use std::path::PathBuf;
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};

use floe::posix::{self, Object};
use floe::{Error, Frozen, Map, prefork};

pub(crate) type Numbers = Map<String, u32>;

/// A name, and whatever has it when it is dropped is removed.
pub(crate) struct Name(pub(crate) String);

impl Name {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        Self(format!("floe-test-{}-{count}", process::id()))
    }

    pub(crate) fn path(&self) -> PathBuf {
        PathBuf::from("/dev/shm").join(&self.0)
    }

    /// What `floe names` would show of it.
    pub(crate) fn listed(&self) -> Option<Object> {
        posix::list()
            .unwrap()
            .into_iter()
            .find(|it| it.name == self.0)
    }
}

impl Drop for Name {
    fn drop(&mut self) {
        // Where it is a link, that leads to what was put there for it.
        let _ = fs::read_link(self.path()).and_then(fs::remove_file);
        let _ = fs::remove_file(self.path());
        let _ = fs::remove_dir(self.path());
    }
}

/// A map of so many entries.
pub(crate) fn numbers(count: u32) -> Frozen<Numbers> {
    let entries = (0..count).map(|number| (format!("key-{number}"), number));
    Map::freeze("numbers", entries).unwrap()
}

pub(crate) fn open(name: &Name) -> Result<Frozen<Numbers>, Error> {
    Frozen::open_posix(&name.0)
}

/// The tests keep the promise: nobody else knows the name.
pub(crate) fn map(name: &Name) -> Result<Frozen<Numbers>, Error> {
    // SAFETY: what an owner has published here is a `Numbers`, and none of these tests changes it
    // while it is mapped; whatever else has the name is refused by its header.
    unsafe { Frozen::map_posix(&name.0) }
}

/// Runs something in a child, whose rights, limits and mounts are its own.
#[track_caller]
pub(crate) fn in_child(body: impl Fn()) {
    prefork::spawn(1, |_| body()).unwrap().join().unwrap();
}

/// The files of drafts that are there.
pub(crate) fn drafts() -> Vec<String> {
    let entries = fs::read_dir("/dev/shm").unwrap().map(|it| it.unwrap());
    let names = entries.map(|it| it.file_name().into_string().unwrap());
    names.filter(|it| it.starts_with(".floe-posix-")).collect()
}
