//! Ages, by a clock that the tests set.

use std::time::Duration;

use floe::store::Outcome;
use floe::{Clock, Error, Facts, Moment, Policy, Store, Verdict};

use crate::fixture::{Sources, contents, refresh};

const SECOND: Duration = Duration::from_secs(1);

/// The verdict of a policy that lets nothing be older than a minute, on what was built at one
/// moment and is judged at another: seconds since boot, seconds since 1970, and the boot.
fn is_expired(built: (u64, u64, u8), now: (u64, u64, u8)) -> bool {
    let moment = |(since_boot, since_1970, boot)| {
        let seconds = Duration::from_secs;
        Moment::new(seconds(since_boot), seconds(since_1970), [boot; 16])
    };
    let policy = Policy::new().expire_after(60 * SECOND);
    let verdict = policy.verdict(&Facts::of(moment(built)), moment(now));
    matches!(verdict, Verdict::Expired(_))
}

#[test]
fn no_clock_makes_anything_young() {
    for (what, built, now, expired) in [
        ("both agree", (100, 5000, 1), (130, 5030, 1), false),
        ("both agree", (100, 5000, 1), (160, 5060, 1), true),
        ("wall set back", (100, 5000, 1), (130, 10, 1), false),
        ("wall set back, old", (100, 5000, 1), (160, 5000, 1), true),
        ("boot clock set back", (100, 5000, 1), (99, 5001, 1), true),
        // The boot clock stood still, or the wall clock was set ahead: nobody can tell.
        ("restored snapshot", (100, 5000, 1), (130, 9000, 1), true),
        ("another boot", (900, 5000, 1), (1, 5030, 2), false),
        ("another boot, old", (1, 5000, 1), (2, 5060, 2), true),
        ("another boot, wall back", (1, 5000, 1), (9, 4999, 2), true),
        // So much has passed since this boot at least.
        ("another boot, wall slow", (1, 5000, 1), (70, 5001, 2), true),
        (
            "time namespace ahead",
            (100, 5000, 1),
            (9000, 5001, 1),
            true,
        ),
        ("time namespace behind", (100, 5000, 1), (41, 5061, 1), true),
    ] {
        assert_eq!(is_expired(built, now), expired, "{what}");
    }
}

#[test]
fn a_boot_that_is_not_known_is_not_taken_for_the_same() {
    for (what, built, now, expired) in [
        ("it may be the same", (100, 5000, 0), (130, 5030, 0), false),
        ("rebooted", (100, 5000, 0), (102, 5066, 0), true),
        ("rebooted lately", (100, 5000, 0), (50, 5059, 0), false),
        ("rebooted long ago", (100, 5000, 0), (70, 5001, 0), true),
        ("it was known then", (100, 5000, 1), (102, 5066, 0), true),
        ("it is known now", (100, 5000, 0), (102, 5066, 1), true),
        ("boot clock says more", (100, 5000, 0), (170, 5001, 0), true),
        ("wall set back", (100, 5000, 0), (130, 4999, 0), true),
    ] {
        assert_eq!(is_expired(built, now), expired, "{what}");
    }
}

#[test]
fn nothing_is_concluded_from_a_clock_that_cannot_be_read() {
    for (what, built, now, expired) in [
        ("no boot clock", (0, 5000, 1), (0, 5030, 1), false),
        ("no boot clock", (0, 5000, 1), (0, 5060, 1), true),
        ("no boot clock then", (0, 5000, 1), (9000, 5030, 1), false),
        ("no boot clock now", (9000, 5000, 1), (0, 5060, 1), true),
        ("no wall clock", (100, 0, 1), (130, 0, 1), false),
        ("no wall clock", (100, 0, 1), (160, 0, 1), true),
        ("no wall clock, another boot", (1, 0, 1), (2, 0, 2), true),
        ("no wall clock, unknown boot", (1, 0, 0), (2, 0, 0), true),
        ("no clock", (0, 0, 1), (0, 0, 1), true),
    ] {
        assert_eq!(is_expired(built, now), expired, "{what}");
    }
}

#[test]
fn generations_age_from_their_last_rebuild() {
    let start = Moment::now();
    let clock = Clock::manual(start);
    let store = Store::new().with_clock(clock.clone());
    let policy = Policy::new()
        .refresh_after(10 * SECOND)
        .expire_after(20 * SECOND);
    let cache = store.cache("one", policy, |_| Ok(1_u32)).unwrap();
    refresh(&store);
    clock.set(start + 9 * SECOND);
    assert_eq!(refresh(&store).outcome, Outcome::Fresh);
    assert_eq!(store.status().unwrap()[0].due_in, Some(SECOND));
    clock.set(start + 11 * SECOND);
    assert_eq!(refresh(&store).outcome, Outcome::Unchanged);
    clock.set(start + 30 * SECOND);
    assert_eq!(*cache.get().unwrap(), 1);
    clock.set(start + 31 * SECOND);
    assert!(matches!(cache.get(), Err(Error::Expired { .. })));
}

#[test]
fn what_is_served_expires_by_either_clock_before_the_next_refresh() {
    let start = Moment::new(100 * SECOND, 5000 * SECOND, [1; 16]);
    let clock = Clock::manual(start);
    let store = Store::new().with_clock(clock.clone());
    let policy = Policy::new().expire_after(60 * SECOND);
    let cache = store.cache("one", policy, |_| Ok(1_u32)).unwrap();
    refresh(&store);
    for (since_boot, since_1970, served) in [
        (159, 5059, true),
        (160, 5000, false),
        // A snapshot was restored.
        (101, 9000, false),
        (101, 4000, true),
    ] {
        let now = Moment::new(since_boot * SECOND, since_1970 * SECOND, [1; 16]);
        clock.set(now);
        assert_eq!(cache.get().is_ok(), served, "{since_boot} {since_1970}");
    }
}

#[test]
fn inputs_are_checked_no_more_often_than_stated() {
    let sources = Sources::new(&[("a.txt", "A")]);
    let start = Moment::now();
    let clock = Clock::manual(start);
    let store = Store::new().with_clock(clock.clone());
    let (_, built) = contents(
        &store,
        &sources,
        Policy::new()
            .revalidate_inputs()
            .revalidate_every(10 * SECOND),
    );
    refresh(&store);
    built.take();
    sources.write("a.txt", "changed");
    assert_eq!(refresh(&store).outcome, Outcome::Fresh);
    clock.set(start + 10 * SECOND);
    assert_eq!(refresh(&store).outcome, Outcome::Published);
}

#[test]
fn building_one_entry_neither_checks_nor_rejuvenates_the_others() {
    let sources = Sources::new(&[("a.txt", "A"), ("b.txt", "B")]);
    let start = Moment::now();
    let clock = Clock::manual(start);
    let store = Store::new().with_clock(clock.clone());
    let policy = Policy::new()
        .revalidate_inputs()
        .revalidate_every(10 * SECOND)
        .refresh_after(25 * SECOND);
    let (_, built) = contents(&store, &sources, policy);
    refresh(&store);
    built.take();
    sources.write("a.txt", "changed");
    let expected: [&[&str]; 4] = [
        &["b.txt"],
        &["a.txt", "b.txt"],
        &["b.txt"],
        &["a.txt", "b.txt"],
    ];
    for (step, names) in (1..).zip(expected) {
        clock.set(start + step * 7 * SECOND);
        store.invalidate_key("contents", "b.txt").unwrap();
        refresh(&store);
        assert_eq!(built.take(), names, "after {} seconds", 7 * step);
    }
}

#[test]
fn verdicts_of_ones_own_count_beside_the_others() {
    let policy = Policy::new().custom(|facts, _| match facts.bytes > 100 {
        true => Verdict::RefreshDue("it is large".to_owned()),
        false => Verdict::Fresh,
    });
    let mut facts = Facts::of(Moment::now());
    assert_eq!(policy.verdict(&facts, facts.built), Verdict::Fresh);
    facts.bytes = 101;
    assert_eq!(
        policy.verdict(&facts, facts.built).to_string(),
        "refresh due: it is large"
    );
}
