//! Forking, and the system calls about children for which there is no safe wrapper.
#![allow(unsafe_code)]

use std::{
    io::{self, Write},
    mem::MaybeUninit,
    os::fd::{FromRawFd, OwnedFd, RawFd},
};

use nix::{
    errno::Errno,
    libc,
    unistd::{ForkResult, Pid, fork},
};

use super::{Answer, Pool, Refusal, Worker, answer::Letter, relay::Fork, threads};
use crate::{error::Error, sys::panics::catch};

/// Forks `count` workers; each runs its own copy of `work` and hands back what it returns.
///
/// A worker consumes its copy of the closure, so it can drop what was moved into it; the owner's
/// copy is dropped when this returns. What a drop does outside of memory is done for all of them:
/// a temporary directory moved into the closure is deleted at once. A worker ends without running
/// the owner's destructors or exit handlers.
///
/// Costs one fork and one memfd a worker, the descriptor of which is open until the worker has
/// been waited for. Zero workers are fine.
///
/// # Errors
/// [`Error::Fork`]. [`Refusal::Multithreaded`] unless this process has a single thread: another
/// thread could hold a lock which would then stay locked in the worker for ever. A thread that has
/// just been joined is given up to 100 ms to vanish. [`Refusal::TooMany`] when there is no room for
/// them. [`Refusal::AnswerMemory`] or [`Refusal::Kernel`] when the system runs out of something: the
/// workers already started are then ended and reaped, as by dropping the pool.
pub fn spawn<F, R>(count: usize, work: F) -> Result<Pool<R>, Error>
where
    F: FnOnce(Worker) -> R,
    R: Answer,
{
    threads::require_single()?;
    // SAFETY: this process has one thread, which is here, so no other one can have left anything
    // half done in the memory that a worker inherits.
    unsafe { spawn_multithreaded(count, work) }
}

/// As [`spawn`], but from a process that may have several threads.
///
/// # Safety
/// Only the calling thread exists in a worker. Everything that another thread was changing at the
/// moment of the fork stays half changed there, and every lock that it held stays locked for ever.
/// So `work`, and all that it calls, must not touch such state. In particular:
/// * No lock, channel, once-cell or condition variable that another thread may use, also inside of
///   libraries: loggers, thread pools, `std::env`, name resolution, time zones.
/// * Joining, waking or messaging a thread of the owner never succeeds.
/// * Memory that other threads write without a lock (by `unsafe` code) may be torn.
/// * The allocator is safe to use with glibc, which repairs its own locks in the child; another
///   global allocator must promise the same.
///
/// These are safe: reading frozen caches; `print!` and `eprintln!` and panics, since the locks
/// of stdout and stderr are held by the calling thread while it forks (though not while another
/// thread replaces the panic hook); and all that the worker makes itself.
///
/// A `SIGTERM` that another thread handles just while a worker is being forked may miss that
/// worker.
///
/// # Errors
/// As [`spawn`], but never [`Refusal::Multithreaded`].
pub unsafe fn spawn_multithreaded<F, R>(count: usize, work: F) -> Result<Pool<R>, Error>
where
    F: FnOnce(Worker) -> R,
    R: Answer,
{
    let mut pool = Pool::reserve(count)?;
    for index in 0..count {
        let letter = Letter::create().map_err(|source| Refusal::AnswerMemory {
            worker: index,
            reason: source,
        })?;
        // Text waiting in the buffer would be printed by each worker once more.
        let (mut stdout, stderr) = (io::stdout().lock(), io::stderr().lock());
        let _ = stdout.flush();
        let around = Fork::prepare()?;
        // SAFETY: the caller vouches for what `work` does in the child; what runs there besides
        // uses no lock but those of stdout, stderr and the registry, which this thread holds.
        match unsafe { fork() } {
            Ok(ForkResult::Parent { child }) => {
                around.enlist(child);
                pool.add(index, child, letter);
            }
            Ok(ForkResult::Child) => {
                around.forget();
                drop((stdout, stderr));
                // The answers of its siblings would keep their memory for as long as it lives.
                drop(pool);
                run(Worker { index, count }, work, &letter)
            }
            Err(errno) => {
                let (worker, source) = (index, errno.into());
                return Err(Refusal::Kernel {
                    worker,
                    reason: source,
                }
                .into());
            }
        }
    }
    Ok(pool)
}

/// The exit code of a worker whose result could not be written.
const UNSENT: i32 = 102;

/// The life of a worker. It never returns into the frames that it has inherited.
fn run<F, R>(worker: Worker, work: F, letter: &Letter) -> !
where
    F: FnOnce(Worker) -> R,
    R: Answer,
{
    // What a panic has left broken cannot be seen: this process ends, and all that leaves it is
    // the message.
    let code = match catch(|| letter.send(Ok(work(worker)))) {
        Ok(true) => 0,
        Ok(false) => UNSENT,
        Err(message) => {
            letter.send::<R>(Err(message));
            101
        }
    };
    let _ = io::stdout().flush();
    let _ = io::stderr().flush();
    // SAFETY: `_exit` ends the process at once, with no handler and no destructor to rely on.
    unsafe { libc::_exit(code) }
}

/// How the kernel says a process has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// It exited with this code.
    Exited(i32),
    /// This signal killed it.
    Killed(i32),
}

/// What to do about a child that has ended or will.
#[derive(Debug, Clone, Copy)]
pub(super) enum Look {
    /// See whether it has ended, and leave it as it is.
    Now,
    /// Wait until it has ended, and leave it as it is.
    Wait,
    /// Wait until it has ended, and reap it: its pid may then be reused.
    Reap,
}

/// The end of a child; `None` if it goes on. `ECHILD` when it is no child (any more).
pub(super) fn end_of(child: Pid, look: Look) -> nix::Result<Option<End>> {
    let how = match look {
        Look::Now => libc::WNOHANG | libc::WNOWAIT,
        Look::Wait => libc::WNOWAIT,
        Look::Reap => 0,
    };
    let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
    let id = child.as_raw().unsigned_abs();
    let info = loop {
        // SAFETY: `info` has room for what the call writes; all zeros are a valid siginfo_t, and
        // mean that there is nothing to report.
        let done = Errno::result(unsafe {
            libc::waitid(libc::P_PID, id, info.as_mut_ptr(), libc::WEXITED | how)
        });
        match done {
            Err(Errno::EINTR) => {}
            // SAFETY: it was zeroed above, so it is initialised whatever the call wrote.
            _ => break done.map(|_| unsafe { info.assume_init() })?,
        }
    };
    // SAFETY: the call has succeeded, so the fields are those of SIGCHLD, or zero.
    let (pid, status) = unsafe { (info.si_pid(), info.si_status()) };
    Ok(match info.si_code {
        _ if pid == 0 => None,
        libc::CLD_EXITED => Some(End::Exited(status)),
        _ => Some(End::Killed(status)),
    })
}

/// A descriptor that becomes readable when the process ends. It must be an unreaped child.
pub(super) fn watch(child: Pid) -> nix::Result<OwnedFd> {
    // SAFETY: the call takes plain numbers.
    let opened = unsafe { libc::syscall(libc::SYS_pidfd_open, child.as_raw(), 0) };
    let descriptor = Errno::result(opened)?;
    // SAFETY: the kernel has just opened it for this caller alone; descriptors fit RawFd.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor as RawFd) })
}
