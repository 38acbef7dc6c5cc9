//! Processes: forking them, waiting for them, ending them, what they pass on to each other.
//!
//! What a signal handler runs, and what runs in a child between fork and exec, is in this file
//! whole: it calls only what is async-signal-safe.
#![allow(unsafe_code)]

use std::ffi::c_int;
use std::marker::PhantomData;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, AtomicUsize};
use std::{hint, io, mem, ptr};

use nix::errno::Errno;
use nix::libc;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{ForkResult, Gid, Pid, getpid};
use rustix::io::{FdFlags, fcntl_setfd};
use rustix::process::{WaitId, WaitIdOptions, waitid};

use super::single;
use crate::error::SpawnError;

/// Standard input, output and error have the numbers before.
const FIRST_FREE: RawFd = 3;

/// The right to fork, for [`spawn_with`](crate::prefork::spawn_with).
// Whoever has one of a single thread starts no other while it has it.
#[derive(Debug)]
pub struct MayFork(PhantomData<*const ()>);

impl MayFork {
    /// Granted to a process with a single thread.
    ///
    /// # Errors
    /// [`SpawnError::Multithreaded`] and [`SpawnError::CountThreads`].
    pub(crate) fn single_threaded() -> Result<Self, SpawnError> {
        single::require()?;
        Ok(Self(PhantomData))
    }

    /// Granted to a process that may have several threads: [`spawn`](crate::prefork::spawn) refuses
    /// there.
    ///
    /// # Safety
    /// Only the calling thread exists in a worker. Everything that another thread was changing at
    /// the moment of the fork stays half changed there, and every lock that it held stays
    /// locked for ever. So the work of a worker, and all that it calls, must not touch such
    /// state. In particular:
    /// * No lock, channel, once-cell or condition variable that another thread may use, also inside
    ///   of libraries: loggers, thread pools, `std::env`, name resolution, time zones.
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
    #[must_use]
    pub unsafe fn multithreaded() -> Self {
        Self(PhantomData)
    }
}

/// Forks this process.
pub(crate) fn fork(_: &MayFork) -> nix::Result<ForkResult> {
    // SAFETY: either this process has one thread, which is here, so that no other one can have left
    // anything half done in the memory that the child inherits; or whoever made the permission
    // vouches for what runs in the child.
    unsafe { nix::unistd::fork() }
}

/// Ends this process at once, with no exit handler and no destructor.
pub(crate) fn exit_at_once(code: i32) -> ! {
    // SAFETY: the call takes a plain number, and nothing can rely on a destructor to run.
    unsafe { libc::_exit(code) }
}

/// How the kernel says a process has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// It exited with this code.
    Exited(i32),
    /// This signal killed it.
    Killed(i32),
}

/// What to do about a child that has ended or will.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Look {
    /// See whether it has ended, and leave it as it is.
    Now,
    /// Wait until it has ended, and leave it as it is.
    Wait,
    /// Wait until it has ended, and reap it: its pid may then be reused.
    Reap,
}

/// The end of a child; `None` if it goes on. `ECHILD` when it is no child (any more).
pub(crate) fn end_of(child: Pid, look: Look) -> nix::Result<Option<End>> {
    let how = match look {
        Look::Now => WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT,
        Look::Wait => WaitIdOptions::NOWAIT,
        Look::Reap => WaitIdOptions::empty(),
    };
    let id = rustix::process::Pid::from_raw(child.as_raw()).ok_or(Errno::ECHILD)?;
    let wait = || waitid(WaitId::Pid(id), WaitIdOptions::EXITED | how);
    let status = rustix::io::retry_on_intr(wait).map_err(as_nix)?;
    Ok(status.map(|status| match status.exit_status() {
        Some(code) => End::Exited(code),
        None => End::Killed(status.terminating_signal().unwrap_or_default()),
    }))
}

/// A descriptor that becomes readable when the process ends. It must be an unreaped child.
pub(crate) fn watch(child: Pid) -> nix::Result<OwnedFd> {
    use rustix::process::{Pid, PidfdFlags, pidfd_open};
    let child = Pid::from_raw(child.as_raw()).ok_or(Errno::ESRCH)?;
    pidfd_open(child, PidfdFlags::empty()).map_err(as_nix)
}

fn as_nix(errno: rustix::io::Errno) -> Errno {
    Errno::from_raw(errno.raw_os_error())
}

/// The most workers that `SIGTERM` is relayed to.
pub(crate) const MOST_RELAYED: usize = 1024;

// The handler reads only what is atomic: it may interrupt anything.
static WORKERS: [AtomicI32; MOST_RELAYED] = [const { AtomicI32::new(0) }; MOST_RELAYED];
/// The process whose children [`WORKERS`] are. A child forked by other means inherits the table.
static OWNER: AtomicI32 = AtomicI32::new(0);
/// Handlers that walk the table at this moment, on other threads.
static WALKING: AtomicUsize = AtomicUsize::new(0);
/// The previous disposition: `SIG_DFL`, `SIG_IGN` or the address of a handler, and its flags.
static PREVIOUS: AtomicUsize = AtomicUsize::new(libc::SIG_DFL);
static PREVIOUS_FLAGS: AtomicI32 = AtomicI32::new(0);

/// The disposition that `SIGTERM` had before it was relayed.
pub(crate) struct Previous(Disposition);

/// Relays `SIGTERM` to the listed workers from now on, before what its disposition says; `None`
/// where it is ignored, and stays so.
pub(crate) fn relay_sigterm() -> nix::Result<Option<Previous>> {
    let previous = Disposition::in_force()?;
    if previous.0.sa_sigaction == libc::SIG_IGN || previous.relays() {
        return Ok(None);
    }
    PREVIOUS.store(previous.0.sa_sigaction, SeqCst);
    PREVIOUS_FLAGS.store(previous.0.sa_flags, SeqCst);
    previous.relaying().set()?;
    Ok(Some(Previous(previous)))
}

/// Restores a disposition. Leaves a handler alone that somebody else has installed in the meantime.
pub(crate) fn stop_relaying(previous: &Previous) {
    if Disposition::in_force().is_ok_and(|now| now.relays()) {
        // This disposition was in force before, so the kernel takes it.
        let _ = previous.0.set();
    }
}

/// Whether the list is one of this process's children.
pub(crate) fn is_list_own() -> bool {
    OWNER.load(SeqCst) == getpid().as_raw()
}

/// Empties the list, for children of this process.
pub(crate) fn begin_list() {
    for place in &WORKERS {
        place.store(0, SeqCst);
    }
    WALKING.store(0, SeqCst);
    OWNER.store(getpid().as_raw(), SeqCst);
}

/// Lists a worker; `false` if there is no room.
pub(crate) fn enlist(worker: Pid) -> bool {
    let mut places = WORKERS.iter();
    places.any(|place| {
        place
            .compare_exchange(0, worker.as_raw(), SeqCst, SeqCst)
            .is_ok()
    })
}

/// Takes a worker off the list. Once this returns, its pid may be reused.
pub(crate) fn dismiss(worker: Pid) {
    for place in &WORKERS {
        let _ = place.compare_exchange(worker.as_raw(), 0, SeqCst, SeqCst);
    }
    // A handler on another thread may have read the pid just before.
    while WALKING.load(SeqCst) > 0 {
        hint::spin_loop();
    }
}

extern "C" fn pass_on(signal: c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    let errno = Errno::last_raw();
    if is_list_own() {
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

/// A host that reaps all children frees their numbers: who has one then is no child of this
/// process.
fn pass_to(worker: Pid) {
    if end_of(worker, Look::Now) != Err(Errno::ECHILD) {
        let _ = kill(worker, Signal::SIGTERM);
    }
}

/// Does what the previous disposition says. It is not `SIG_IGN`: nothing is installed over that.
fn go_on(signal: c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    let previous = PREVIOUS.load(SeqCst);
    if previous == libc::SIG_DFL {
        // The signal is blocked while its handler runs: it strikes when this one returns.
        // SAFETY: `signal` and `raise` are async-signal-safe and take plain numbers.
        unsafe {
            libc::signal(signal, libc::SIG_DFL);
            libc::raise(signal);
        }
    } else if PREVIOUS_FLAGS.load(SeqCst) & libc::SA_SIGINFO != 0 {
        // SAFETY: `relay_sigterm` took the address from a disposition with SA_SIGINFO, whose
        // handler has this type; the arguments are those of the kernel.
        unsafe {
            let handler: extern "C" fn(c_int, *mut libc::siginfo_t, *mut libc::c_void) =
                mem::transmute(previous);
            handler(signal, info, context);
        }
    } else {
        // SAFETY: `relay_sigterm` took the address from a disposition without SA_SIGINFO that is
        // neither SIG_DFL nor SIG_IGN, so it is a handler of this type.
        unsafe {
            let handler: extern "C" fn(c_int) = mem::transmute(previous);
            handler(signal);
        }
    }
}

/// What `SIGTERM` does: as the kernel told it, or with [`pass_on`] in the place of what it told. It
/// is made by [`in_force`](Self::in_force) and [`relaying`](Self::relaying) alone.
struct Disposition(libc::sigaction);

impl Disposition {
    fn in_force() -> nix::Result<Self> {
        let mut now = mem::MaybeUninit::uninit();
        // SAFETY: a null action changes nothing, and `now` has room for the answer, which is there
        // once the call has succeeded.
        unsafe {
            Errno::result(libc::sigaction(
                libc::SIGTERM,
                ptr::null(),
                now.as_mut_ptr(),
            ))?;
            Ok(Self(now.assume_init()))
        }
    }

    fn relaying(&self) -> Self {
        let mut action = self.0;
        action.sa_sigaction = pass_on as *const () as usize;
        action.sa_flags |= libc::SA_SIGINFO;
        Self(action)
    }

    fn relays(&self) -> bool {
        self.0.sa_sigaction == pass_on as *const () as usize
    }

    fn set(&self) -> nix::Result<()> {
        // SAFETY: a handler that was in force may be again, with its own flags. `pass_on` is of the
        // type that its flags say, and calls only what is async-signal-safe (atomics,
        // getpid, waitid, kill, raise, signal) and the handler before.
        let set = unsafe { libc::sigaction(libc::SIGTERM, &self.0, ptr::null_mut()) };
        Errno::result(set).map(drop)
    }
}

/// Leaves descriptors open in the program that a command starts, and in no other.
pub(crate) fn keep_open_in(command: &mut Command, descriptors: Vec<OwnedFd>) {
    let keep_open = move || {
        for fd in &descriptors {
            fcntl_setfd(fd, FdFlags::empty())?;
        }
        Ok(())
    };
    // SAFETY: the closure makes system calls on descriptors that it owns, and neither allocates nor
    // locks, so it may run in the child of a process with several threads.
    unsafe { command.pre_exec(keep_open) };
}

/// Whether this program has more rights than its parent, as a set-user-ID program has.
pub(crate) fn has_more_rights_than_its_parent() -> bool {
    // SAFETY: the call takes a plain number.
    unsafe { libc::getauxval(libc::AT_SECURE) != 0 }
}

/// A descriptor of its own for a number that may be no descriptor at all. It leaves the other open,
/// so that it can be found more than once.
pub(crate) fn inherited(number: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: the call takes plain numbers, and changes no descriptor that there is.
    let duplicate = unsafe { libc::fcntl(number, libc::F_DUPFD_CLOEXEC, FIRST_FREE) };
    let duplicate = Errno::result(duplicate)?;
    // SAFETY: the kernel has just opened it for this caller alone.
    Ok(unsafe { OwnedFd::from_raw_fd(duplicate) })
}

/// Keeps an inherited descriptor from the children of this program.
pub(crate) fn close_on_exec(number: RawFd) {
    // SAFETY: the call takes plain numbers, and closes nothing in this process.
    unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) };
}

/// The supplementary groups of the process at the other end of a socket, as they were when it
/// connected. Linux has as many as 65,536.
///
/// # Errors
/// `ENOPROTOOPT` before Linux 4.13.
pub(crate) fn peer_groups(socket: impl AsFd) -> io::Result<Vec<Gid>> {
    const MOST: usize = 65_536;
    let mut groups: Vec<libc::gid_t> = vec![0; 32];
    loop {
        let mut length = size_of_val(&groups[..]) as libc::socklen_t;
        // SAFETY: the socket is open while it is borrowed; the kernel writes at most `length` bytes
        // at the address of `groups`, which has them, and any bytes are valid group numbers.
        let got = unsafe {
            libc::getsockopt(
                socket.as_fd().as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_PEERGROUPS,
                groups.as_mut_ptr().cast(),
                &raw mut length,
            )
        };
        let count = length as usize / size_of::<libc::gid_t>();
        match Errno::result(got) {
            Ok(_) => {
                groups.truncate(count);
                return Ok(groups.into_iter().map(Gid::from_raw).collect());
            }
            // The kernel says how many there are.
            Err(Errno::ERANGE) if count > groups.len() && count <= MOST => groups.resize(count, 0),
            Err(errno) => return Err(errno.into()),
        }
    }
}

/// Sets an option of a socket that is a number.
///
/// # Errors
/// What the kernel says, `ENOPROTOOPT` for an option that it does not know.
pub(crate) fn set_socket_option(socket: impl AsFd, option: c_int, value: c_int) -> nix::Result<()> {
    // SAFETY: the socket is open while it is borrowed; the kernel reads one `c_int` at the address
    // of `value`, which is one and lives until the call returns.
    let set = unsafe {
        libc::setsockopt(
            socket.as_fd().as_raw_fd(),
            libc::SOL_SOCKET,
            option,
            (&raw const value).cast(),
            size_of::<c_int>() as libc::socklen_t,
        )
    };
    Errno::result(set).map(drop)
}

/// A word that is erased in the children that libc forks: always the same one. Should libc have no
/// memory for that, it stays as it is there.
pub(crate) fn word_erased_on_fork() -> &'static AtomicU64 {
    static WORD: AtomicU64 = AtomicU64::new(0);
    static REGISTERED: AtomicBool = AtomicBool::new(false);
    extern "C" fn erase() {
        WORD.store(0, Relaxed);
    }
    if !REGISTERED.load(Relaxed) {
        // SAFETY: the handler does nothing but store to an atomic of its own; that it may do so
        // twice is no matter.
        unsafe { libc::pthread_atfork(None, None, Some(erase)) };
        REGISTERED.store(true, Relaxed);
    }
    &WORD
}

/// Writes down a descriptor that the children which libc forks are to close. Whoever closes it
/// stores -1 in the place that it got before. None if all places are taken.
#[cfg(feature = "posix-shm")]
pub(crate) fn closed_on_fork(fd: RawFd) -> Option<&'static AtomicI32> {
    static PLACES: [AtomicI32; 64] = [const { AtomicI32::new(-1) }; 64];
    static REGISTERED: AtomicBool = AtomicBool::new(false);
    extern "C" fn close_all() {
        for place in &PLACES {
            let fd = place.swap(-1, Relaxed);
            if fd >= 0 {
                // SAFETY: the call takes a plain number. It is that of a `PrivateFile` of the
                // parent, which in this child neither uses nor closes it.
                unsafe { libc::close(fd) };
            }
        }
    }
    // Two threads may both register it, which does no harm; one that went on before it is there would.
    if !REGISTERED.load(Relaxed) {
        // SAFETY: the handler makes system calls and changes atomics of its own.
        let failed = unsafe { libc::pthread_atfork(None, None, Some(close_all)) };
        if failed != 0 {
            return None;
        }
        REGISTERED.store(true, Relaxed);
    }
    let take = |place: &&AtomicI32| place.compare_exchange(-1, fd, Relaxed, Relaxed).is_ok();
    PLACES.iter().find(take)
}
