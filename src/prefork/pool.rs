//! The owner's side: running workers, and how they end.
#![forbid(unsafe_code)]

use std::marker::PhantomData;
use std::os::fd::{AsFd, OwnedFd};
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::answer::{Letter, MOST_ANSWER};
use super::relay::Places;
use super::{Answer, SpawnError, WorkerError};
use crate::error::Error;
use crate::sys::process::{End, Look, dismiss, end_of, watch};

/// The time between `SIGTERM` and `SIGKILL` when a pool ends its workers.
pub const GRACE: Duration = Duration::from_secs(1);

/// How often workers are looked at that the kernel cannot watch.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Running workers. Dropping the pool ends and reaps them all; see [`Pool::terminate`].
///
/// Only the process that spawned the workers can use the pool. In a worker that inherits one, its
/// functions return [`Error::NotOwner`] and dropping it does nothing.
#[derive(Debug)]
#[must_use = "dropping a pool ends its workers"]
pub struct Pool<R> {
    /// Those that have not been waited for, in order.
    workers: Vec<Running>,
    /// Bytes that an answer may have.
    most: u64,
    /// Dropped after the workers are gone, which is when `drop` returns.
    places: Places,
    result: PhantomData<fn() -> R>,
}

/// A worker that has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Exit<R> {
    /// Its number in the pool, from 0.
    pub worker: usize,
    /// Its process, which is gone; the number may be in use again.
    pub pid: u32,
    /// What it returned, or why there is no result.
    pub result: Result<R, WorkerError>,
}

impl<R> Pool<R> {
    /// The processes of the workers that have not been waited for, in the order of workers. None of
    /// these numbers is reused meanwhile, not even that of a worker that has ended.
    pub fn pids(&self) -> Vec<u32> {
        self.workers.iter().map(Running::id).collect()
    }

    /// Refuses results larger than `most` bytes in archived form; the default is [`MOST_ANSWER`].
    /// Use it for untrusted workers: a result becomes memory of this process.
    ///
    /// A larger result is a [`WorkerError::TooLarge`].
    pub fn limit_answers(mut self, most: u64) -> Self {
        self.most = most;
        self
    }
}

impl<R: Answer> Pool<R> {
    /// Waits for all workers and returns their results, in the order of workers.
    ///
    /// # Errors
    /// [`Error::WorkerFailed`] as soon as one ends without a result; the pool then ends the others.
    /// Otherwise as [`Pool::wait_one`].
    pub fn join(mut self) -> Result<Vec<R>, Error> {
        let mut exits = Vec::with_capacity(self.workers.len());
        while let Some(exit) = self.wait_one()? {
            exits.push((exit.worker, exit.into_result()?));
        }
        exits.sort_unstable_by_key(|(worker, _)| *worker);
        Ok(exits.into_iter().map(|(_, result)| result).collect())
    }

    /// Waits for all workers and returns how each has ended, in the order of workers, without those
    /// that [`Pool::wait_one`] has returned before.
    ///
    /// # Errors
    /// [`Error::NotOwner`] in a process that did not spawn the workers. [`Error::WaitWorker`] if
    /// the kernel refuses; the pool then ends the remaining workers.
    pub fn wait(mut self) -> Result<Vec<Exit<R>>, Error> {
        self.places.check_owner()?;
        let mut exits = Vec::with_capacity(self.workers.len());
        while !self.workers.is_empty() {
            exits.push(self.reap(0)?);
        }
        Ok(exits)
    }

    /// Waits for the next worker to end; `None` when all have been waited for.
    ///
    /// While it waits, it uses one descriptor for each remaining worker. If there are too few, or
    /// the kernel has no such descriptors (before Linux 5.3), it polls a hundred times a
    /// second.
    ///
    /// # Errors
    /// [`Error::NotOwner`] in a process that did not spawn the workers. [`Error::WaitWorker`] if
    /// the kernel refuses.
    pub fn wait_one(&mut self) -> Result<Option<Exit<R>>, Error> {
        self.places.check_owner()?;
        if self.workers.is_empty() {
            return Ok(None);
        }
        let ended = match self.workers.iter().position(|worker| !worker.goes_on()) {
            Some(ended) => ended,
            None => self.first_to_end()?,
        };
        self.reap(ended).map(Some)
    }

    /// Ends all workers and returns how each has ended. Sends `SIGTERM`, then `SIGKILL` to those
    /// that still run after [`GRACE`]. A result that was returned before counts.
    ///
    /// # Errors
    /// As [`Pool::wait`].
    pub fn terminate(self) -> Result<Vec<Exit<R>>, Error> {
        self.places.check_owner()?;
        self.end();
        self.wait()
    }

    /// Waits for the worker at `position`, reads its answer and takes it off the list.
    fn reap(&mut self, position: usize) -> Result<Exit<R>, Error> {
        let worker = &self.workers[position];
        let end = worker.reap().map_err(|source| worker.refused(source))?;
        let worker = self.workers.remove(position);
        Ok(Exit {
            worker: worker.index,
            pid: worker.id(),
            result: worker.letter.read(self.most).unwrap_or(Err(match end {
                Some(End::Exited(code)) => WorkerError::Exited { code },
                Some(End::Killed(signal)) => WorkerError::Killed { signal },
                None => WorkerError::Lost,
            })),
        })
    }
}

impl<R> Drop for Pool<R> {
    fn drop(&mut self) {
        // In another process these pids may by now belong to children of its own.
        if self.places.check_owner().is_err() {
            return;
        }
        self.end();
        for worker in &self.workers {
            // The kernel can only say that the worker is no child any more, which is the aim.
            let _ = worker.reap();
        }
    }
}

impl<R> Exit<R> {
    /// The result, or an error that names the worker.
    ///
    /// # Errors
    /// [`Error::WorkerFailed`] if there is no result.
    pub fn into_result(self) -> Result<R, Error> {
        self.result.map_err(|source| Error::WorkerFailed {
            worker: self.worker,
            pid: self.pid,
            reason: source,
        })
    }
}

impl<R> Pool<R> {
    pub(super) fn reserve(count: usize) -> Result<Self, SpawnError> {
        let places = Places::reserve(count)?;
        Ok(Self {
            workers: Vec::with_capacity(count),
            most: MOST_ANSWER,
            places,
            result: PhantomData,
        })
    }

    pub(super) fn add(&mut self, index: usize, pid: Pid, letter: Letter) {
        self.workers.push(Running { index, pid, letter });
    }

    /// Ends all workers, but reaps none: those that take no notice of `SIGTERM` are killed.
    fn end(&self) {
        self.signal(Signal::SIGTERM);
        let deadline = Instant::now() + GRACE;
        while self.workers.iter().any(Running::goes_on) && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(1));
        }
        self.signal(Signal::SIGKILL);
    }

    /// The position of a worker that has ended, all of which go on at first.
    fn first_to_end(&self) -> Result<usize, Error> {
        if let Ok(ended) = self.watch() {
            return Ok(ended);
        }
        loop {
            for (position, worker) in self.workers.iter().enumerate() {
                match end_of(worker.pid, Look::Now) {
                    Ok(None) => {}
                    Ok(Some(_)) | Err(Errno::ECHILD) => return Ok(position),
                    Err(source) => return Err(worker.refused(source)),
                }
            }
            thread::sleep(LOOK_EVERY);
        }
    }

    /// Sleeps until a worker has ended, if the kernel lets its processes be watched.
    fn watch(&self) -> nix::Result<usize> {
        let mut watched: Vec<OwnedFd> = Vec::with_capacity(self.workers.len());
        for (position, worker) in self.workers.iter().enumerate() {
            match watch(worker.pid) {
                Ok(descriptor) => watched.push(descriptor),
                // It has just ended, and the host lets nobody wait for it.
                Err(Errno::ESRCH) => return Ok(position),
                Err(errno) => return Err(errno),
            }
        }
        let mut polled: Vec<PollFd> = watched
            .iter()
            .map(|watched| PollFd::new(watched.as_fd(), PollFlags::POLLIN))
            .collect();
        loop {
            match poll(&mut polled, PollTimeout::NONE) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno),
            }
            if let Some(ended) = polled.iter().position(|one| one.any() == Some(true)) {
                return Ok(ended);
            }
        }
    }

    fn signal(&self, signal: Signal) {
        for worker in self.workers.iter().filter(|worker| worker.goes_on()) {
            // A child that is not reaped can be signalled, if it has not changed its user.
            let _ = kill(worker.pid, signal);
        }
    }
}

#[derive(Debug)]
struct Running {
    index: usize,
    pid: Pid,
    letter: Letter,
}

impl Running {
    fn id(&self) -> u32 {
        self.pid.as_raw().unsigned_abs()
    }

    /// Whether it has not ended, as far as the kernel tells: a worker is signalled rather in vain
    /// than not at all.
    fn goes_on(&self) -> bool {
        match end_of(self.pid, Look::Now) {
            Ok(end) => end.is_none(),
            Err(errno) => errno != Errno::ECHILD,
        }
    }

    /// Waits for the worker and reaps it; `None` if somebody else has.
    fn reap(&self) -> nix::Result<Option<End>> {
        // No signal must be passed on once its pid is free for others.
        let waited = end_of(self.pid, Look::Wait);
        dismiss(self.pid);
        match waited.and_then(|_| end_of(self.pid, Look::Reap)) {
            Err(Errno::ECHILD) => Ok(None),
            end => end,
        }
    }

    fn refused(&self, source: Errno) -> Error {
        Error::WaitWorker {
            worker: self.index,
            pid: self.id(),
            reason: source.into(),
        }
    }
}
