//! Work on all processors by threads that are gone afterwards.

use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::{fs, thread};

/// Applies `work` to every item and gives the results in the order of the items.
///
/// When it returns, the kernel knows none of its threads any more: a process that had one thread
/// has one again, and can fork. A panic of `work` is passed on.
pub(super) fn map<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let processors = thread::available_parallelism().map_or(1, usize::from);
    let share = items.len().div_ceil(processors).max(1);
    let run = |items: &[T]| (items.iter().map(&work).collect::<Vec<_>>(), this_thread());
    let mut results = Vec::with_capacity(items.len());
    thread::scope(|scope| {
        let parts = items.chunks(share).map(|items| scope.spawn(|| run(items)));
        for part in parts.collect::<Vec<_>>() {
            let (done, thread) = part.join().unwrap_or_else(|panic| resume_unwind(panic));
            results.extend(done);
            // A joined thread has ended its work, but the kernel may count it for a moment longer.
            while thread.as_ref().is_some_and(|thread| thread.exists()) {
                thread::yield_now();
            }
        }
    });
    results
}

/// The path by which the kernel shows the calling thread, where it does.
fn this_thread() -> Option<PathBuf> {
    Some(Path::new("/proc").join(fs::read_link("/proc/thread-self").ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_keep_the_order_of_the_items_and_threads_are_gone() {
        for _ in 0..500 {
            let results = map(&[1, 2, 3, 4, 5, 6, 7, 8], |item| (item * 2, this_thread()));
            let (doubled, threads): (Vec<_>, Vec<_>) = results.into_iter().unzip();
            assert_eq!(doubled, [2, 4, 6, 8, 10, 12, 14, 16]);
            assert!(!threads.into_iter().flatten().any(|thread| thread.exists()));
        }
    }

    #[test]
    #[should_panic(expected = "seven")]
    fn a_panic_is_passed_on() {
        map(&[1, 7, 3], |item| assert!(*item != 7, "seven"));
    }
}
