//! Work on all processors, with threads that are gone when it is done.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::num::NonZero;
use std::ops::Range;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
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

/// Does some work on each item, and hands the results over one at a time in the order of the items.
/// Each hand-over says how many items may be at work, or done and waiting for earlier ones, from
/// then on; until the first has said so, and at least, there is one for each thread.
///
/// The failure is that of the first item that failed. After it no further item is begun.
pub(crate) fn in_order<T: Sync, R: Send, E: Send>(
    items: &[T],
    work: impl Fn(&T) -> Result<R, E> + Sync,
    take: impl FnMut(&T, R) -> Result<usize, E> + Send,
) -> Result<(), E> {
    let threads = processors().get().min(items.len()).max(1);
    let in_order = InOrder {
        state: Mutex::new(State {
            begun: 0,
            taken: 0,
            waiting: BTreeMap::new(),
            take: Some(take),
            failed: None,
            ended: false,
            asleep: 0,
        }),
        changed: Condvar::new(),
        ahead: AtomicUsize::new(threads),
        threads,
    };
    on(threads, || in_order.work(items, &work));
    let state = in_order.state.into_inner();
    let failed = state.unwrap_or_else(PoisonError::into_inner).failed;
    failed.map_or(Ok(()), |(_, error)| Err(error))
}

/// Most items that a thread begins at once.
const MOST_AT_ONCE: usize = 16;

/// Items that are worked on out of order, and leave in order.
struct InOrder<R, E, F> {
    state: Mutex<State<R, E, F>>,
    changed: Condvar,
    /// How many more may be begun than are taken. Known as soon as a result is handed over.
    ahead: AtomicUsize,
    threads: usize,
}

struct State<R, E, F> {
    begun: usize,
    taken: usize,
    /// Results of items that follow each other, by the number of the first.
    waiting: BTreeMap<usize, Vec<R>>,
    /// Missing while a thread hands a result over.
    take: Option<F>,
    /// The failure of the first item that failed.
    failed: Option<(usize, E)>,
    /// A thread panics: nobody is to wait for it.
    ended: bool,
    /// Threads that wait until they may begin something.
    asleep: usize,
}

impl<R, E, F> InOrder<R, E, F> {
    fn work<T>(&self, items: &[T], work: &impl Fn(&T) -> Result<R, E>)
    where
        F: FnMut(&T, R) -> Result<usize, E>,
    {
        let _ends = EndsOnPanic(self);
        while let Some(numbers) = self.begin(items.len()) {
            let first = numbers.start;
            let mut results = Vec::with_capacity(numbers.len());
            let mut failed = None;
            for number in numbers {
                match work(&items[number]) {
                    Ok(result) => results.push(result),
                    Err(error) => {
                        failed = Some((number, error));
                        break;
                    }
                }
            }
            let mut state = self.lock();
            state.waiting.insert(first, results);
            if let Some((number, error)) = failed {
                state.fail(number, error);
            }
            self.hand_over(state, items);
        }
    }

    /// The next items, when they may be begun; none if there is nothing more to do.
    fn begin(&self, items: usize) -> Option<Range<usize>> {
        let mut state = self.lock();
        loop {
            let left = items - state.begun;
            if state.ended || state.failed.is_some() || left == 0 {
                return None;
            }
            let ahead = self.ahead.load(Ordering::Relaxed);
            let free = (state.taken.saturating_add(ahead)).saturating_sub(state.begun);
            if free > 0 {
                // Several of many, so that little items are not outweighed by the lock.
                let share = left.min(ahead) / (4 * self.threads);
                let first = state.begun;
                state.begun += share.clamp(1, MOST_AT_ONCE).min(free);
                return Some(first..state.begun);
            }
            state.asleep += 1;
            let woken = self.changed.wait(state);
            state = woken.unwrap_or_else(PoisonError::into_inner);
            state.asleep -= 1;
        }
    }

    /// Hands over what is next, if it is there and no other thread does.
    fn hand_over<'a, T>(&'a self, mut state: MutexGuard<'a, State<R, E, F>>, items: &[T])
    where
        F: FnMut(&T, R) -> Result<usize, E>,
    {
        while let Some((mut number, results, mut take)) = state.next() {
            drop(state);
            let mut taken = Ok(());
            for result in results {
                match take(&items[number], result) {
                    Ok(ahead) => self.ahead.store(ahead.max(self.threads), Ordering::Relaxed),
                    Err(error) => {
                        taken = Err(error);
                        break;
                    }
                }
                number += 1;
            }
            state = self.lock();
            state.take = Some(take);
            state.taken = number;
            if let Err(error) = taken {
                state.fail(number, error);
            }
            self.wake(&state);
        }
        self.wake(&state);
    }

    /// Wakes those who wait, if there are any: to wake nobody is a system call as well.
    fn wake(&self, state: &State<R, E, F>) {
        if state.asleep > 0 {
            self.changed.notify_all();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<R, E, F>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<R, E, F> State<R, E, F> {
    fn fail(&mut self, number: usize, error: E) {
        if self
            .failed
            .as_ref()
            .is_none_or(|(first, _)| number < *first)
        {
            self.failed = Some((number, error));
        }
    }

    /// What is to be handed over next, and by what. What stands behind a failure is not.
    fn next(&mut self) -> Option<(usize, Vec<R>, F)> {
        let number = self.taken;
        if self
            .failed
            .as_ref()
            .is_some_and(|(first, _)| number >= *first)
        {
            return None;
        }
        let take = self.take.take()?;
        match self.waiting.remove(&number) {
            Some(results) => Some((number, results, take)),
            None => {
                self.take = Some(take);
                None
            }
        }
    }
}

struct EndsOnPanic<'a, R, E, F>(&'a InOrder<R, E, F>);

impl<R, E, F> Drop for EndsOnPanic<'_, R, E, F> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.lock().ended = true;
            self.0.changed.notify_all();
        }
    }
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

/// Does one piece of work on another thread, if there can be one, while this one does the other; or
/// both on this one, the first before the second.
///
/// The thread is joined before this returns, so that a process that had one thread can fork.
pub(crate) fn both<A: Send, B>(first: impl Fn() -> A + Sync, second: impl FnOnce() -> B) -> (A, B) {
    if processors().get() == 1 {
        return (first(), second());
    }
    thread::scope(
        |scope| match thread::Builder::new().spawn_scoped(scope, &first) {
            Ok(other) => {
                let second = second();
                let first = other.join().unwrap_or_else(|panic| resume_unwind(panic));
                (first, second)
            }
            Err(_) => (first(), second()),
        },
    )
}

/// How many processors there are for this process; found once, since that reads files.
pub(crate) fn processors() -> NonZero<usize> {
    static PROCESSORS: OnceLock<NonZero<usize>> = OnceLock::new();
    *PROCESSORS.get_or_init(|| thread::available_parallelism().unwrap_or(NonZero::<usize>::MIN))
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::atomic::AtomicUsize;

    use super::*;

    #[test]
    fn results_are_handed_over_in_order() {
        let items: Vec<u64> = (0..5000).collect();
        let (at_work, mut taken) = (AtomicUsize::new(0), Vec::new());
        let most = 2 * processors().get();
        let work = |item: &u64| {
            let others = at_work.fetch_add(1, Ordering::Relaxed);
            assert!(others < most, "{others} are at work or wait");
            // Work of uneven length.
            let steps = (0..item * 7919 % 2000).fold(0, |sum, it| std::hint::black_box(sum ^ it));
            Ok::<_, Infallible>((item * 2, steps))
        };
        let done = in_order(&items, work, |item, (double, _)| {
            at_work.fetch_sub(1, Ordering::Relaxed);
            assert_eq!(double, item * 2);
            taken.push(*item);
            Ok(most)
        });
        assert_eq!((done, taken), (Ok(()), items));
    }

    #[test]
    fn the_first_failure_is_reported_and_nothing_behind_it_is_taken() {
        let items: Vec<usize> = (0..1000).collect();
        for fails in [0, 1, 500, 999] {
            let (mut taken, is_bad) = (0, |item: &usize| *item >= fails);
            let worked = in_order(
                &items,
                |item| if is_bad(item) { Err(*item) } else { Ok(()) },
                |item, ()| {
                    taken = *item + 1;
                    Ok(64)
                },
            );
            assert_eq!((worked, taken), (Err(fails), fails));
            let take = |item: &usize, ()| if is_bad(item) { Err(*item) } else { Ok(64) };
            assert_eq!(in_order(&items, |_| Ok(()), take), Err(fails));
        }
    }

    #[test]
    fn a_panic_ends_everybody() {
        let items: Vec<usize> = (0..1000).collect();
        for panics in ["work", "take"] {
            let run = || {
                let bad = |place, item: &usize| assert!(place != panics || *item < 500);
                in_order(
                    &items,
                    |item| {
                        bad("work", item);
                        Ok::<_, Infallible>(())
                    },
                    |item, ()| {
                        bad("take", item);
                        Ok(64)
                    },
                )
            };
            assert!(crate::sys::panics::catch(run).is_err());
        }
    }
}
