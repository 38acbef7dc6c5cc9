//! `SIGTERM` to the owner reaches its workers.
//!
//! While a process has workers, a handler stands before the disposition that `SIGTERM` had: it
//! signals each worker in a static table, then does what the previous disposition says.
#![allow(unsafe_code)]

use std::{
    hint, mem, ptr,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicI32, AtomicUsize, Ordering::SeqCst},
    },
};

use nix::{
    errno::Errno,
    libc,
    sys::signal::{SigSet, SigmaskHow, Signal, kill},
    unistd::{Pid, getpid},
};

use super::{
    Refusal,
    process::{Look, end_of},
};
use crate::{error::Error, sys::owner::Owner};

/// The most workers that one process can have at a time, in all its pools together.
pub const MOST_WORKERS: usize = 1024;

// The handler reads only what is atomic: it may interrupt anything.
static WORKERS: [AtomicI32; MOST_WORKERS] = [const { AtomicI32::new(0) }; MOST_WORKERS];
/// The process whose children [`WORKERS`] are. A child forked by other means inherits the table.
static OWNER: AtomicI32 = AtomicI32::new(0);
/// Handlers that walk the table at this moment, on other threads.
static WALKING: AtomicUsize = AtomicUsize::new(0);
/// The previous disposition: `SIG_DFL`, `SIG_IGN` or the address of a handler, and its flags.
static PREVIOUS: AtomicUsize = AtomicUsize::new(libc::SIG_DFL);
static PREVIOUS_FLAGS: AtomicI32 = AtomicI32::new(0);

static REGISTRY: Mutex<Registry> = Mutex::new(Registry {
    reserved: 0,
    previous: None,
});

struct Registry {
    /// Places in the table that pools may fill.
    reserved: usize,
    /// What to restore when the last pool is gone; `None` while nothing is installed.
    previous: Option<libc::sigaction>,
}

/// Room for the workers of one pool. The last one dropped restores the disposition of `SIGTERM`.
#[derive(Debug)]
pub(super) struct Places {
    count: usize,
    owner: Owner,
}

impl Places {
    pub(super) fn reserve(count: usize) -> Result<Self, Refusal> {
        let mut registry = lock();
        let most = MOST_WORKERS - registry.reserved;
        if count > most {
            return Err(Refusal::TooMany { asked: count, most });
        }
        if registry.reserved == 0 && count > 0 {
            let installed = registry.install();
            installed.map_err(|errno| Refusal::Disposition(errno.into()))?;
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
    pub(super) fn prepare() -> Result<Self, Refusal> {
        let registry = lock();
        let mask = SigSet::from(Signal::SIGTERM)
            .thread_swap_mask(SigmaskHow::SIG_BLOCK)
            .map_err(|errno| Refusal::Disposition(errno.into()))?;
        Ok(Self { registry, mask })
    }

    /// Called in the owner: passes signals on to `worker` from now on.
    pub(super) fn enlist(self, worker: Pid) {
        let place = WORKERS.iter().find(|place| {
            place
                .compare_exchange(0, worker.as_raw(), SeqCst, SeqCst)
                .is_ok()
        });
        debug_assert!(
            place.is_some(),
            "places are reserved before workers are forked"
        );
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

/// Passes no more signals on to `worker`. Once this returns, its pid may be reused.
pub(super) fn dismiss(worker: Pid) {
    for place in &WORKERS {
        let _ = place.compare_exchange(worker.as_raw(), 0, SeqCst, SeqCst);
    }
    // A handler on another thread may have read the pid just before.
    while WALKING.load(SeqCst) > 0 {
        hint::spin_loop();
    }
}

fn lock() -> MutexGuard<'static, Registry> {
    let mut registry = REGISTRY.lock().unwrap_or_else(PoisonError::into_inner);
    if OWNER.load(SeqCst) != getpid().as_raw() {
        registry.forget();
    }
    registry
}

impl Registry {
    fn forget(&mut self) {
        for place in &WORKERS {
            place.store(0, SeqCst);
        }
        WALKING.store(0, SeqCst);
        OWNER.store(getpid().as_raw(), SeqCst);
        self.reserved = 0;
        self.restore();
    }

    fn install(&mut self) -> nix::Result<()> {
        let previous = disposition()?;
        if previous.sa_sigaction == libc::SIG_IGN {
            return Ok(());
        }
        PREVIOUS.store(previous.sa_sigaction, SeqCst);
        PREVIOUS_FLAGS.store(previous.sa_flags, SeqCst);
        let mut action = previous;
        action.sa_sigaction = pass_on as *const () as usize;
        action.sa_flags |= libc::SA_SIGINFO;
        set_disposition(&action)?;
        self.previous = Some(previous);
        Ok(())
    }

    /// Leaves a handler alone that somebody else has installed in the meantime.
    fn restore(&mut self) {
        let Some(previous) = self.previous.take() else {
            return;
        };
        if disposition().is_ok_and(|now| now.sa_sigaction == pass_on as *const () as usize) {
            // This disposition was in force before, so the kernel takes it.
            let _ = set_disposition(&previous);
        }
    }
}

extern "C" fn pass_on(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    let errno = Errno::last_raw();
    if OWNER.load(SeqCst) == getpid().as_raw() {
        WALKING.fetch_add(1, SeqCst);
        for place in &WORKERS {
            let worker = place.load(SeqCst);
            if worker > 0 {
                pass_to(Pid::from_raw(worker));
            }
        }
        WALKING.fetch_sub(1, SeqCst);
    }
    Errno::set_raw(errno);
    go_on(signal, info, context);
}

/// A host that reaps all children frees their numbers: who has one then is no child of this process.
fn pass_to(worker: Pid) {
    if end_of(worker, Look::Now) != Err(Errno::ECHILD) {
        let _ = kill(worker, Signal::SIGTERM);
    }
}

/// Does what the previous disposition says. It is not `SIG_IGN`: nothing is installed over that.
fn go_on(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    let previous = PREVIOUS.load(SeqCst);
    if previous == libc::SIG_DFL {
        // The signal is blocked while its handler runs: it strikes when this one returns.
        // SAFETY: `signal` and `raise` are async-signal-safe and take plain numbers.
        unsafe {
            libc::signal(signal, libc::SIG_DFL);
            libc::raise(signal);
        }
    } else if PREVIOUS_FLAGS.load(SeqCst) & libc::SA_SIGINFO != 0 {
        // SAFETY: `install` took the address from a disposition with SA_SIGINFO, whose handler
        // has this type; the arguments are those of the kernel.
        unsafe {
            let handler: extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void) =
                mem::transmute(previous);
            handler(signal, info, context);
        }
    } else {
        // SAFETY: `install` took the address from a disposition without SA_SIGINFO that is neither
        // SIG_DFL nor SIG_IGN, so it is a handler of this type.
        unsafe {
            let handler: extern "C" fn(libc::c_int) = mem::transmute(previous);
            handler(signal);
        }
    }
}

fn disposition() -> nix::Result<libc::sigaction> {
    let mut now = mem::MaybeUninit::uninit();
    // SAFETY: a null action changes nothing, and `now` has room for the answer, which is there
    // once the call has succeeded.
    unsafe {
        Errno::result(libc::sigaction(
            libc::SIGTERM,
            ptr::null(),
            now.as_mut_ptr(),
        ))?;
        Ok(now.assume_init())
    }
}

/// `action` must be [`pass_on`] or a disposition that was in force in this process.
fn set_disposition(action: &libc::sigaction) -> nix::Result<()> {
    // SAFETY: both callers keep to the rule above. `pass_on` calls only what is async-signal-safe
    // (atomics, getpid, waitid, kill, raise, signal) and the handler before it.
    Errno::result(unsafe { libc::sigaction(libc::SIGTERM, action, ptr::null_mut()) }).map(drop)
}
