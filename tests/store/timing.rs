//! Ages, by a clock that the tests set.

use std::time::Duration;

use floe::store::Outcome;
use floe::{Clock, Error, Facts, Moment, Policy, Store, Verdict};

use crate::fixture::{Sources, contents, refresh};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_clock_that_was_set_back_makes_nothing_young() {
    let policy = Policy::new().expire_after(60 * SECOND);
    let moment = |since_boot, since_1970, boot| {
        let seconds = Duration::from_secs;
        Moment::new(seconds(since_boot), seconds(since_1970), [boot; 16])
    };
    let verdict = |built, now| policy.verdict(&Facts::of(built), now);
    // Within a boot the wall clock does not count, across boots the boot clock does not.
    assert_eq!(
        verdict(moment(100, 5000, 1), moment(130, 9000, 1)),
        Verdict::Fresh
    );
    assert_eq!(
        verdict(moment(100, 5000, 1), moment(130, 10, 1)),
        Verdict::Fresh
    );
    assert_eq!(
        verdict(moment(900, 5000, 1), moment(1, 5030, 2)),
        Verdict::Fresh
    );
    for (built, now) in [
        (moment(100, 5000, 1), moment(160, 5000, 1)),
        (moment(100, 5000, 1), moment(99, 5001, 1)),
        (moment(1, 5000, 1), moment(900, 4999, 2)),
        (moment(1, 5000, 1), moment(2, 5060, 2)),
    ] {
        assert!(
            matches!(verdict(built, now), Verdict::Expired(_)),
            "{built:?} {now:?}"
        );
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
fn inputs_are_checked_no_more_often_than_stated() {
    let sources = Sources::new(&[("a.txt", "A")]);
    let start = Moment::now();
    let clock = Clock::manual(start);
    let store = Store::new().with_clock(clock.clone());
    let (_, built) = contents(
        &store,
        &sources,
        Policy::new().inputs().revalidate_every(10 * SECOND),
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
        .inputs()
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
