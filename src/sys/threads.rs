//! Work on all processors, with threads that are gone when it is done.

use std::num::NonZero;
use std::panic::resume_unwind;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

/// The results of some work on each item, in the order of the items, or the failure of the first
/// item that failed. After a failure no further item is begun.
pub(crate) fn map<T: Sync, R: Send, E: Send>(
    items: &[T],
    work: impl Fn(&T) -> Result<R, E> + Sync,
) -> Result<Vec<R>, E> {
    let (next, failed) = (AtomicUsize::new(0), AtomicBool::new(false));
    let run = || {
        let claim = || {
            if failed.load(Ordering::Relaxed) {
                return None;
            }
            let number = next.fetch_add(1, Ordering::Relaxed);
            let result = work(items.get(number)?);
            failed.fetch_or(result.is_err(), Ordering::Relaxed);
            Some((number, result))
        };
        std::iter::from_fn(claim).collect::<Vec<_>>()
    };
    let threads = match items.len() {
        0 | 1 => 1,
        items => processors().get().min(items),
    };
    let mut results: Vec<_> = on(threads, run).into_iter().flatten().collect();
    results.sort_unstable_by_key(|(number, _)| *number);
    results.into_iter().map(|(_, result)| result).collect()
}

/// Does some work on this thread and on others, so many in all, and returns what each came to.
/// Where the kernel gives no more threads, those that there are do the work.
///
/// The threads are joined before this returns, so that a process that had one thread can fork.
pub(crate) fn on<R: Send>(threads: usize, work: impl Fn() -> R + Sync) -> Vec<R> {
    thread::scope(|scope| {
        let spawn = |_| thread::Builder::new().spawn_scoped(scope, &work).ok();
        let others: Vec<_> = (1..threads).map_while(spawn).collect();
        let mut results = vec![work()];
        for other in others {
            match other.join() {
                Ok(result) => results.push(result),
                Err(panic) => resume_unwind(panic),
            }
        }
        results
    })
}

/// How many processors there are for this process; found once, since that reads files.
pub(crate) fn processors() -> NonZero<usize> {
    static PROCESSORS: OnceLock<NonZero<usize>> = OnceLock::new();
    *PROCESSORS.get_or_init(|| thread::available_parallelism().unwrap_or(NonZero::<usize>::MIN))
}
