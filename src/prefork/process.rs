//! Forking workers, and what they do until they end.
#![forbid(unsafe_code)]

use std::fmt::Display;
use std::io::{self, Write};

use nix::unistd::ForkResult;

use super::answer::{Letter, Outcome};
use super::relay::Fork;
use super::{Answer, Pool, SpawnError, Worker};
use crate::error::Error;
use crate::sys::panics::catch;
use crate::sys::process::{MayFork, exit_at_once, fork};

/// Forks `count` workers. Each runs its own copy of `work` and hands back what that returns.
///
/// A worker consumes its copy of the closure, so it can drop what was moved into it. The owner's
/// copy is dropped when this returns: a temporary directory moved into the closure is deleted then,
/// also for the workers. A worker ends without running the owner's destructors or exit handlers.
///
/// Costs one fork and one memfd for each worker; the descriptor stays open until the worker has
/// been waited for. `count` may be zero.
///
/// # Errors
/// [`Error::Fork`], with one of these reasons:
/// - [`SpawnError::Multithreaded`] if this process has several threads: a lock that another thread
///   holds would stay locked in the worker for ever. A thread that has just been joined gets up to
///   100 ms to vanish.
/// - [`SpawnError::TooMany`] if this process has no room for so many.
/// - [`SpawnError::AnswerMemory`] or [`SpawnError::Kernel`] if the system runs out of something.
///   The workers already started are then ended and reaped.
pub fn spawn<F, R>(count: usize, work: F) -> Result<Pool<R>, Error>
where
    F: FnOnce(Worker) -> R,
    R: Answer,
{
    spawn_with(&MayFork::single_threaded()?, count, work)
}

/// As [`spawn`], for work that can fail. The value in `Ok` is the result; an error reaches the
/// owner as [`WorkerError::Failed`](super::WorkerError::Failed), and [`Pool::join`] fails with it.
///
/// The error arrives as text, as `{:#}` prints it, cut after 64 KiB. To distinguish errors in the
/// owner, return them as a result from [`spawn`].
///
/// ```
/// use floe::{Map, prefork};
///
/// let limits = Map::freeze("limits", [("jobs".to_owned(), "4".to_owned())])?;
/// let read = |key: &'static str| {
///     let worker = |_| limits[key].as_str().parse::<u32>();
///     prefork::spawn_try(2, worker)?.join()
/// };
/// assert_eq!(read("jobs")?, [4, 4]);
///
/// let failed = prefork::spawn_try(1, |_| "many".parse::<u32>())?.join().unwrap_err();
/// assert!(failed.to_string().ends_with("failed: invalid digit found in string"));
/// # Ok::<(), floe::Error>(())
/// ```
///
/// # Errors
/// As [`spawn`]. Errors of the closures come from [`Pool::join`].
pub fn spawn_try<F, R, E>(count: usize, work: F) -> Result<Pool<R>, Error>
where
    F: FnOnce(Worker) -> Result<R, E>,
    R: Answer,
    E: Display,
{
    spawn_try_with(&MayFork::single_threaded()?, count, work)
}

/// As [`spawn`], but allowed in a process with several threads by a [`MayFork`].
///
/// # Errors
/// As [`spawn`], but never [`SpawnError::Multithreaded`].
pub fn spawn_with<F, R>(may_fork: &MayFork, count: usize, work: F) -> Result<Pool<R>, Error>
where
    F: FnOnce(Worker) -> R,
    R: Answer,
{
    let work = |worker| Outcome::Done(work(worker));
    start(may_fork, count, work)
}

/// As [`spawn_try`], but allowed in a process with several threads by a [`MayFork`].
///
/// # Errors
/// As [`spawn_try`], but never [`SpawnError::Multithreaded`].
pub fn spawn_try_with<F, R, E>(may_fork: &MayFork, count: usize, work: F) -> Result<Pool<R>, Error>
where
    F: FnOnce(Worker) -> Result<R, E>,
    R: Answer,
    E: Display,
{
    let work = |worker| match work(worker) {
        Ok(result) => Outcome::Done(result),
        Err(error) => Outcome::Failed(format!("{error:#}")),
    };
    start(may_fork, count, work)
}

fn start<F, R>(may_fork: &MayFork, count: usize, work: F) -> Result<Pool<R>, Error>
where
    F: FnOnce(Worker) -> Outcome<R>,
    R: Answer,
{
    let mut pool = Pool::reserve(count)?;
    for index in 0..count {
        let letter = Letter::create().map_err(|source| SpawnError::AnswerMemory {
            worker: index,
            reason: source,
        })?;
        // Text waiting in the buffer would be printed by each worker once more.
        let (mut stdout, stderr) = (io::stdout().lock(), io::stderr().lock());
        let _ = stdout.flush();
        let around = Fork::prepare()?;
        // What runs in the child beside `work` uses no lock but those of stdout, stderr and the
        // registry, which this thread holds.
        match fork(may_fork) {
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
                return Err(SpawnError::Kernel {
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
    F: FnOnce(Worker) -> Outcome<R>,
    R: Answer,
{
    // What a panic has left broken cannot be seen: this process ends, and all that leaves it is
    // the message.
    let send = || {
        let outcome = work(worker);
        let code = i32::from(matches!(outcome, Outcome::Failed(_)));
        if letter.send(outcome) { code } else { UNSENT }
    };
    let code = catch(send).unwrap_or_else(|message| {
        letter.send::<R>(Outcome::Panicked(message));
        101
    });
    let _ = io::stdout().flush();
    let _ = io::stderr().flush();
    exit_at_once(code)
}
