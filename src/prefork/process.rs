//! Forking workers, and what they do until they end.
#![forbid(unsafe_code)]

use std::fmt::Display;
use std::io::{self, Write};

use nix::unistd::ForkResult;

use super::{
    Answer, Pool, SpawnError, Worker,
    answer::{Letter, Outcome},
    relay::Fork,
};
use crate::error::Error;
use crate::sys::panics::catch;
use crate::sys::process::{MayFork, exit_at_once, fork};

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
/// [`Error::Fork`]. [`SpawnError::Multithreaded`] unless this process has a single thread: another
/// thread could hold a lock which would then stay locked in the worker for ever. A thread that has
/// just been joined is given up to 100 ms to vanish. [`SpawnError::TooMany`] when there is no room for
/// them. [`SpawnError::AnswerMemory`] or [`SpawnError::Kernel`] when the system runs out of something: the
/// workers already started are then ended and reaped, as by dropping the pool.
pub fn spawn<F, R>(count: usize, work: F) -> Result<Pool<R>, Error>
where
    F: FnOnce(Worker) -> R,
    R: Answer,
{
    spawn_with(&MayFork::single_threaded()?, count, work)
}

/// As [`spawn`], for work that can fail: what the closure returns in `Ok` is the result, and an error
/// reaches the owner as [`WorkerError::Failed`](super::WorkerError::Failed), so that [`Pool::join`]
/// fails with it.
///
/// The error arrives as text, as `{:#}` prints it, of which 64 KiB are kept. To tell errors apart in the
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
/// As [`spawn`]; what the closures return comes from [`Pool::join`].
pub fn spawn_try<F, R, E>(count: usize, work: F) -> Result<Pool<R>, Error>
where
    F: FnOnce(Worker) -> Result<R, E>,
    R: Answer,
    E: Display,
{
    spawn_try_with(&MayFork::single_threaded()?, count, work)
}

/// As [`spawn`], but also from a process with several threads, for whoever has the right to.
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

/// As [`spawn_try`], but also from a process with several threads, for whoever has the right to.
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
