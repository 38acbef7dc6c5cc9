//! Relays `SIGTERM` from the owner to its workers.
//!
//! While a process has workers, a handler stands before the disposition that `SIGTERM` had: it
//! signals each worker in a static table, then does what the previous disposition says.
#![forbid(unsafe_code)]

use std::sync::{Mutex, MutexGuard, PoisonError};

use nix::sys::signal::{SigSet, SigmaskHow, Signal};
use nix::unistd::Pid;

use super::SpawnError;
use crate::error::Error;
use crate::sys::owner::Owner;
use crate::sys::process::{self, Previous};

/// The most workers that one process can have at a time, in all its pools.
pub const MOST_WORKERS: usize = process::MOST_RELAYED;

static REGISTRY: Mutex<Registry> = Mutex::new(Registry {
    reserved: 0,
    previous: None,
});

struct Registry {
    /// Places in the table that pools may fill.
    reserved: usize,
    /// What to restore when the last pool is gone; `None` while nothing is installed.
    previous: Option<Previous>,
}

/// Room for the workers of one pool. The last one dropped restores the disposition of `SIGTERM`.
#[derive(Debug)]
pub(super) struct Places {
    count: usize,
    owner: Owner,
}

impl Places {
    pub(super) fn reserve(count: usize) -> Result<Self, SpawnError> {
        let mut registry = lock();
        let most = MOST_WORKERS - registry.reserved;
        if count > most {
            return Err(SpawnError::TooMany { asked: count, most });
        }
        if registry.reserved == 0 && count > 0 {
            let previous = process::relay_sigterm();
            registry.previous = previous.map_err(|errno| SpawnError::Disposition(errno.into()))?;
        }
        registry.reserved += count;
        Ok(Self {
            count,
            owner: Owner::here(),
        })
    }

    /// Refuses in any process but that which made the reservation: there it is void.
    pub(super) fn check_owner(&self) -> Result<(), Error> {
        self.owner.check("a pool of workers")
    }
}

impl Drop for Places {
    fn drop(&mut self) {
        if self.check_owner().is_err() {
            return;
        }
        let mut registry = lock();
        registry.reserved -= self.count;
        if registry.reserved == 0 {
            registry.restore();
        }
    }
}

/// The time around a fork: `SIGTERM` waits on this thread, and no other thread changes the table,
/// so that the child finds it whole. The end of it lets the signal in.
pub(super) struct Fork {
    registry: MutexGuard<'static, Registry>,
    mask: SigSet,
}

impl Fork {
    pub(super) fn prepare() -> Result<Self, SpawnError> {
        let registry = lock();
        let mask = SigSet::from(Signal::SIGTERM)
            .thread_swap_mask(SigmaskHow::SIG_BLOCK)
            .map_err(|errno| SpawnError::Disposition(errno.into()))?;
        Ok(Self { registry, mask })
    }

    /// Called in the owner: passes signals on to `worker` from now on.
    pub(super) fn enlist(self, worker: Pid) {
        let is_listed = process::enlist(worker);
        debug_assert!(is_listed, "places are reserved before workers are forked");
    }

    /// Called in the worker: the owner's workers are none of its own.
    pub(super) fn forget(mut self) {
        self.registry.forget();
    }
}

impl Drop for Fork {
    fn drop(&mut self) {
        // The mask came from the kernel, and setting a valid one cannot fail.
        let _ = self.mask.thread_set_mask();
    }
}

fn lock() -> MutexGuard<'static, Registry> {
    let mut registry = REGISTRY.lock().unwrap_or_else(PoisonError::into_inner);
    if !process::is_list_own() {
        registry.forget();
    }
    registry
}

impl Registry {
    fn forget(&mut self) {
        process::begin_list();
        self.reserved = 0;
        self.restore();
    }

    fn restore(&mut self) {
        if let Some(previous) = self.previous.take() {
            process::stop_relaying(&previous);
        }
    }
}
