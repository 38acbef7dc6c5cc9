//! What fails in a closure shows, is tried again, and harms nothing.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use floe::store::{Outcome, Report};
use floe::{Clock, Error, Moment, Policy, Store, Verdict};

use crate::fixture::{Sources, contents, pairs, refresh};

/// A cache whose build does what a number says: 0 fails, 1 panics, others are the value.
fn moody(store: &Store, policy: Policy) -> (floe::Cache<u32>, Arc<AtomicU32>) {
    let mood = Arc::new(AtomicU32::new(7));
    let seen = Arc::clone(&mood);
    let cache = store.cache("moody", policy, move |_| {
        match seen.load(Ordering::Relaxed) {
            0 => Err("it rains".into()),
            1 => panic!("it pours"),
            number => Ok(number),
        }
    });
    (cache.unwrap(), mood)
}

#[test]
fn failures_and_panics_leave_the_last_generation() {
    let store = Store::new();
    let backoff = Duration::from_nanos(1);
    let (cache, mood) = moody(&store, Policy::new().backoff(backoff, backoff));
    refresh(&store);
    for (number, reason) in [(0, "it rains"), (1, "the build panicked: it pours")] {
        mood.store(number, Ordering::Relaxed);
        store.invalidate("moody").unwrap();
        let report = refresh(&store);
        assert_eq!((report.outcome, report.generation), (Outcome::Failed, 1));
        assert!(report.error.unwrap().contains(reason));
        assert_eq!(*cache.get().unwrap(), 7);
        let status = store.status().unwrap().remove(0);
        assert!(status.last_error.unwrap().contains(reason));
    }
    mood.store(8, Ordering::Relaxed);
    assert_eq!(refresh(&store).generation, 2);
    let status = store.status().unwrap().remove(0);
    assert_eq!(
        (status.last_error, status.failures, status.published),
        (None, 2, 2)
    );
}

#[test]
fn a_cache_that_was_never_built_tells_when_it_is_tried_again() {
    let store = Store::new().with_clock(Clock::manual(Moment::now()));
    let wait = Duration::from_secs(4);
    let (_, mood) = moody(&store, Policy::new().backoff(wait, wait));
    mood.store(0, Ordering::Relaxed);
    assert_eq!(refresh(&store).outcome, Outcome::Failed);
    let status = store.status().unwrap().remove(0);
    assert_eq!((status.due_in, status.age), (Some(wait), None));
}

#[test]
fn attempts_get_rarer_and_stale_generations_are_served_for_a_while() {
    let (second, start) = (Duration::from_secs(1), Moment::now());
    let clock = Clock::manual(start);
    let store = Store::new().with_clock(clock.clone());
    let policy = Policy::new()
        .refresh_after(10 * second)
        .expire_after(20 * second)
        .stale_if_error(30 * second)
        .backoff(4 * second, 12 * second);
    let (cache, mood) = moody(&store, policy);
    refresh(&store);
    mood.store(0, Ordering::Relaxed);
    // Attempts at 10, 14 = 10 + 4, 22 = 14 + 8, 34 = 22 + 12 and 46 = 34 + 12 seconds.
    let mut attempts = Vec::new();
    for now in 1..60 {
        clock.set(start + now * second);
        if refresh(&store).outcome == Outcome::Failed {
            attempts.push(now);
        }
        // 20 seconds of its own, and 30 more because of the failures.
        assert_eq!(cache.get().is_ok(), now < 50, "at {now} seconds");
    }
    assert_eq!(attempts, [10, 14, 22, 34, 46, 58]);
    assert!(matches!(
        cache.get(),
        Err(Error::Expired { generation: 1, .. })
    ));
    mood.store(9, Ordering::Relaxed);
    clock.set(start + 80 * second);
    assert_eq!(refresh(&store).outcome, Outcome::Published);
    assert_eq!(*cache.get().unwrap(), 9);
}

#[test]
fn one_bad_entry_leaves_the_cache_and_its_neighbours() {
    let sources = Sources::new(&[("a.txt", "A"), ("b.txt", "B")]);
    let store = Store::new();
    let backoff = Duration::from_nanos(1);
    let policy = Policy::new()
        .revalidate_inputs()
        .read_limit(10)
        .backoff(backoff, backoff);
    let (cache, _) = contents(&store, &sources, policy);
    let (other, _) = moody(&store, Policy::new());
    store.refresh().unwrap();
    let before = pairs(&cache);
    sources.write("b.txt", "more than ten bytes");
    let report = store.refresh().unwrap();
    assert!(report.has_failures());
    let error = report.caches[0].error.as_ref().unwrap();
    assert!(
        error.contains("\"b.txt\"") && error.contains("at most 10 bytes"),
        "{error}"
    );
    assert_eq!(pairs(&cache), before);
    assert_eq!(*other.get().unwrap(), 7);
    // Whoever wonders why nothing is new finds the entry.
    let status = store.status().unwrap().remove(0);
    assert!(status.last_error.unwrap().contains("the entry \"b.txt\""));
    // Nothing fails any more where the input is what it was.
    sources.write("b.txt", "B");
    let report = store.refresh().unwrap().caches.remove(0);
    assert_eq!((report.outcome, report.error), (Outcome::Fresh, None));
    assert_eq!(store.status().unwrap()[0].last_error, None);
    // The failure is not forgotten: the change is still there to be built.
    sources.write("b.txt", "more than ten bytes");
    assert!(store.refresh().unwrap().has_failures());
    sources.write("b.txt", "few");
    assert_eq!(store.refresh().unwrap().caches[0].rebuilt, 1);
    assert_eq!(pairs(&cache)[1].1, "few");
}

#[test]
fn what_a_verdict_of_ones_own_revokes_is_not_served() {
    let hour = Duration::from_secs(3600);
    let backoff = Duration::from_nanos(1);
    for policy in [
        Policy::new(),
        Policy::new().expire_after(hour).stale_if_error(hour),
    ] {
        let store = Store::new();
        let revoked = Arc::new(AtomicU32::new(0));
        let asked = Arc::clone(&revoked);
        let policy = policy.backoff(backoff, backoff).custom(move |_, _| {
            match asked.load(Ordering::Relaxed) {
                0 => Verdict::Fresh,
                _ => Verdict::Expired("it was revoked".to_owned()),
            }
        });
        let (cache, mood) = moody(&store, policy);
        refresh(&store);
        revoked.store(1, Ordering::Relaxed);
        for fails in [0, 1] {
            mood.store(fails, Ordering::Relaxed);
            assert_eq!(refresh(&store).outcome, Outcome::Failed);
            assert!(matches!(cache.get(), Err(Error::Expired { .. })));
        }
        mood.store(9, Ordering::Relaxed);
        assert_eq!(refresh(&store).outcome, Outcome::Published);
        assert_eq!(*cache.get().unwrap(), 9);
    }
}

#[test]
fn a_verdict_that_panics_is_a_failure_too() {
    let store = Store::new();
    let policy = Policy::new().custom(|_, _| panic!("no verdict"));
    let cache = store.cache("judged", policy, |_| Ok(1_u32)).unwrap();
    assert_eq!(refresh(&store).outcome, Outcome::Published);
    let report = refresh(&store);
    assert_eq!((report.outcome, report.generation), (Outcome::Failed, 1));
    assert!(report.error.unwrap().contains("no verdict"));
    assert_eq!(*cache.get().unwrap(), 1);
}

#[test]
fn what_was_mended_is_built_without_waiting() {
    let sources = Sources::new(&[("a.txt", "bad"), ("b.txt", "bad")]);
    let store = Store::new().with_clock(Clock::manual(Moment::now()));
    let (a, b) = (sources.path("a.txt"), sources.path("b.txt"));
    let build = move |inputs: &mut floe::Inputs| {
        let mut text = inputs.read_to_string(&a)?.unwrap_or_default();
        if text == "see b" {
            text = inputs.read_to_string(&b)?.unwrap_or_default();
        }
        match text.as_str() {
            "bad" => Err("it is bad".into()),
            _ => Ok(text),
        }
    };
    let cache = store
        .cache("text", Policy::new().revalidate_inputs(), build)
        .unwrap();
    // The clock stands still: whatever waits waits for ever.
    let outcomes = |count| -> Vec<Outcome> {
        std::iter::repeat_with(|| refresh(&store).outcome)
            .take(count)
            .collect()
    };
    assert_eq!(outcomes(2), [Outcome::Failed, Outcome::Waiting]);
    sources.write("a.txt", "good");
    assert_eq!(outcomes(2), [Outcome::Published, Outcome::Fresh]);
    // Of what the generation was built from only the first file is known.
    sources.write("a.txt", "see b");
    assert_eq!(outcomes(2), [Outcome::Failed, Outcome::Waiting]);
    sources.write("b.txt", "better");
    assert_eq!(outcomes(2), [Outcome::Published, Outcome::Fresh]);
    assert_eq!(&**cache.get().unwrap(), "better");
}

#[test]
fn what_can_be_read_again_is_built_without_waiting() {
    let sources = Sources::new(&[]);
    let (path, fine) = (sources.path("text"), sources.path("fine"));
    std::fs::create_dir(&path).unwrap();
    let store = Store::new().with_clock(Clock::manual(Moment::now()));
    let read = path.clone();
    let build = move |inputs: &mut floe::Inputs| {
        inputs.read(&fine)?;
        Ok(inputs.read_to_string(&read)?.unwrap_or_default())
    };
    let policy = Policy::new().revalidate_inputs().read_limit(9);
    let cache = store.cache("text", policy, build).unwrap();
    // The clock stands still: whatever waits waits for ever.
    let outcomes = || [refresh(&store).outcome, refresh(&store).outcome];
    assert_eq!(outcomes(), [Outcome::Failed, Outcome::Waiting]);
    std::fs::remove_dir(&path).unwrap();
    std::fs::write(&path, [0xff]).unwrap();
    assert_eq!(outcomes(), [Outcome::Failed, Outcome::Waiting]);
    sources.write("text", "0123456789");
    assert_eq!(outcomes(), [Outcome::Failed, Outcome::Waiting]);
    sources.write("text", "01234567890");
    assert_eq!(outcomes(), [Outcome::Waiting; 2]);
    sources.write("text", "mended");
    assert_eq!(outcomes(), [Outcome::Published, Outcome::Fresh]);
    assert_eq!(cache.get().unwrap().as_str(), "mended");
}

#[test]
fn failures_in_the_background_reach_a_listener_that_may_panic() {
    let store = Store::new();
    let cache = store.cache::<u32>("bad", Policy::new(), |_| Err("no such thing".into()));
    cache.unwrap();
    let (said, hears) = mpsc::channel();
    let listener = move |report: &Report| {
        said.send(report.clone()).unwrap();
        panic!("a listener that panics");
    };
    let background = store.refresh_in_background(Duration::from_secs(3600), listener);
    let background = background.unwrap();
    for _ in 0..2 {
        let report = hears.recv_timeout(Duration::from_secs(60)).unwrap();
        assert!(report.has_failures());
        let error = report.caches[0].error.as_deref().unwrap();
        assert!(error.contains("no such thing"), "{error}");
        background.wake();
    }
}
