//! Work on all processors by threads that are gone afterwards.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// Applies `work` to every item and gives the results in the order of the items.
///
/// When it returns, the kernel knows none of its threads any more: a process that had one thread has one
/// again, and can fork. Where threads cannot be had, the calling thread does the work alone. A panic of
/// `work` is passed on.
pub(super) fn map<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let run = || {
        let claim = || {
            let index = next.fetch_add(1, Ordering::Relaxed);
            items.get(index).map(|item| (index, work(item)))
        };
        std::iter::from_fn(claim).collect::<Vec<_>>()
    };
    let processors = thread::available_parallelism().map_or(1, usize::from);
    let others = processors.min(items.len()).saturating_sub(1);
    let mut results = thread::scope(|scope| {
        let spawn = |_| {
            let builder = thread::Builder::new().name("layer".into());
            builder.spawn_scoped(scope, || (run(), this_thread())).ok()
        };
        let others: Vec<_> = (0..others).map_while(spawn).collect();
        let mut results = run();
        for other in others {
            let (done, path) = other
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            results.extend(done);
            wait_until_gone(path);
        }
        results
    });
    results.sort_unstable_by_key(|(index, _)| *index);
    results.into_iter().map(|(_, result)| result).collect()
}

/// The path by which the kernel shows the calling thread, where it does.
fn this_thread() -> Option<PathBuf> {
    Some(PathBuf::from("/proc").join(std::fs::read_link("/proc/thread-self").ok()?))
}

/// A joined thread has ended its work, but the kernel may count it for a moment longer.
fn wait_until_gone(thread: Option<PathBuf>) {
    while thread.as_ref().is_some_and(|path| path.exists()) {
        thread::yield_now();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_keep_the_order_of_the_items_and_threads_are_gone() {
        for _ in 0..500 {
            let results = map(&[1, 2, 3, 4, 5, 6, 7, 8], |item| (item * 2, this_thread()));
            assert!(
                results
                    .iter()
                    .map(|(item, _)| *item)
                    .eq((2..=16).step_by(2))
            );
            let others = results.into_iter().filter_map(|(_, thread)| thread);
            let mut others = others.filter(|path| Some(path) != this_thread().as_ref());
            assert!(!others.any(|path| path.exists()));
        }
    }

    #[test]
    #[should_panic(expected = "seven")]
    fn a_panic_is_passed_on() {
        map(&[1, 7, 3], |item| assert!(*item != 7, "seven"));
    }
}
