//! Work on all processors by threads that have ended when it is done.

use std::panic::resume_unwind;
use std::thread;

/// Applies `work` to every item and gives the results in the order of the items.
///
/// A panic of `work` is passed on. Where the system has no more threads, the caller's does the work.
pub(super) fn map<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let processors = thread::available_parallelism().map_or(1, usize::from);
    let share = items.len().div_ceil(processors).max(1);
    let run = &|items: &[T]| items.iter().map(&work).collect::<Vec<_>>();
    thread::scope(|scope| {
        let spawn = |items| {
            let thread = thread::Builder::new().spawn_scoped(scope, move || run(items));
            (items, thread)
        };
        let parts: Vec<_> = items.chunks(share).map(spawn).collect();
        let results = parts.into_iter().flat_map(|(items, thread)| match thread {
            Ok(thread) => thread.join().unwrap_or_else(|panic| resume_unwind(panic)),
            Err(_) => run(items),
        });
        results.collect()
    })
}

#[cfg(test)]
mod tests {
    use super::map;

    #[test]
    fn results_keep_the_order_of_the_items() {
        let doubled = map(&[1, 2, 3, 4, 5, 6, 7, 8], |item| item * 2);
        assert_eq!(doubled, [2, 4, 6, 8, 10, 12, 14, 16]);
    }

    #[test]
    #[should_panic(expected = "seven")]
    fn a_panic_is_passed_on() {
        map(&[1, 7, 3], |item| assert!(*item != 7, "seven"));
    }
}
