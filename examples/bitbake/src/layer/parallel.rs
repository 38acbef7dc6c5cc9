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

    use std::collections::BTreeSet;
    use std::sync::Mutex;

    #[test]
    fn results_keep_the_order_of_the_items() {
        let items: Vec<usize> = (0..1000).collect();
        assert_eq!(
            map(&items, |item| item * 2),
            (0..2000).step_by(2).collect::<Vec<_>>()
        );
        assert!(map(&[] as &[u8], |item| *item).is_empty());
    }

    #[test]
    fn threads_are_gone_afterwards() {
        for _ in 0..2000 {
            let threads = Mutex::new(BTreeSet::new());
            let own = this_thread();
            map(&[(); 64], |()| {
                threads.lock().expect("no panic").insert(this_thread())
            });
            let threads = threads.into_inner().expect("no panic");
            let left = threads
                .iter()
                .flatten()
                .filter(|path| path.exists() && Some(*path) != own.as_ref());
            assert_eq!(left.count(), 0);
        }
    }

    #[test]
    #[should_panic(expected = "seven")]
    fn a_panic_is_passed_on() {
        map(&[1, 7, 3], |item| assert!(*item != 7, "seven"));
    }
}
