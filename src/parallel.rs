//! Work on all processors, with threads that are gone when it is done.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

/// The results of some work on each item, in the order of the items, or the failure of the first
/// item that failed. After a failure no further item is begun.
///
/// The threads are joined before this returns, so that a process that had one thread can fork.
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
    let others = match items.len() {
        0 | 1 => 0,
        items => processors().min(items) - 1,
    };
    let mut results = thread::scope(|scope| {
        let spawn = |_| thread::Builder::new().spawn_scoped(scope, run).ok();
        // Where the kernel gives no more threads, those that there are do the work.
        let others: Vec<_> = (0..others).map_while(spawn).collect();
        let mut results = run();
        for other in others {
            match other.join() {
                Ok(done) => results.extend(done),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        results
    });
    results.sort_unstable_by_key(|(number, _)| *number);
    results.into_iter().map(|(_, result)| result).collect()
}

/// How many processors there are for this process; found once, since that reads files.
fn processors() -> usize {
    static PROCESSORS: OnceLock<usize> = OnceLock::new();
    *PROCESSORS.get_or_init(|| thread::available_parallelism().map_or(1, usize::from))
}

/// Runs a closure; a panic becomes its message.
pub(crate) fn catch<R>(closure: impl FnOnce() -> R) -> Result<R, String> {
    catch_unwind(AssertUnwindSafe(closure)).map_err(|panic| message(&*panic))
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("it gave no message").to_owned()
}
