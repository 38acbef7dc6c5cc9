//! Two owners of one directory, of which one cannot have the turn for a time.

use std::fs::{self, File};
use std::path::Path;
use std::time::Duration;

use floe::overlay::{Choice, MergeReport, Rule};
use floe::store::Outcome;
use floe::{Cache, Clock, Delta, Inputs, Moment, Overlay, Policy, Store};
use rustix::fs::{FlockOperation, flock};

use crate::fixture::{Texts, delta, told};

/// An owner who waits for no other.
struct Owner {
    store: Store,
    cache: Cache<Texts>,
}

impl Owner {
    fn of(directory: &Path, policy: Policy) -> Self {
        Self::by(directory, policy, Clock::system())
    }

    fn by(directory: &Path, policy: Policy, clock: Clock) -> Self {
        let store = Store::open(directory.join("store")).unwrap();
        let store = store.with_clock(clock);
        let store = store.with_lock_timeout(Duration::from_millis(1));
        // What could not be saved is tried again at once.
        let policy = policy.backoff(Duration::from_nanos(1), Duration::from_nanos(1));
        let cache = store.merged("texts", policy).unwrap();
        store.refresh().unwrap();
        Self { store, cache }
    }

    fn merge_by(&self, changes: &str, rule: &Rule<String, String>) -> MergeReport {
        let delta = delta(&self.cache.get().unwrap(), changes);
        self.store.merge("texts", &[delta], rule).unwrap()
    }

    /// Merges the entry `a`, as built from a file.
    fn merge_built_from(&self, source: &Path, value: &str) -> MergeReport {
        let mut overlay = Overlay::over(&self.cache.get().unwrap());
        let mut inputs = Inputs::new();
        inputs.read_to_string(source).unwrap().unwrap();
        let (key, value) = ("a".to_owned(), value.to_owned());
        overlay.insert_with_inputs(&key, &value, inputs).unwrap();
        let deltas = [overlay.into_delta().unwrap()];
        let rule = Rule::FirstWins;
        self.store.merge("texts", &deltas, &rule).unwrap()
    }

    fn saves(&self, changes: &str) {
        assert!(self.merge_by(changes, &Rule::LastWins).saved);
    }

    fn told(&self) -> String {
        told(&self.cache.get().unwrap())
    }

    fn generation(&self) -> u64 {
        self.cache.get().unwrap().region().generation()
    }

    fn sees(&self) -> String {
        let report = self.store.refresh().unwrap().caches.remove(0);
        assert_eq!(report.error, None);
        self.told()
    }
}

/// Runs something while a third process has the turn.
fn without_turn<R>(directory: &Path, run: impl FnOnce() -> R) -> R {
    let turn = File::open(directory.join("store/texts.lock")).unwrap();
    flock(&turn, FlockOperation::LockExclusive).unwrap();
    run()
}

fn two(directory: &Path) -> [Owner; 2] {
    let owners = [(); 2].map(|()| Owner::of(directory, Policy::new()));
    owners[0].saves("a=1 b=1");
    assert_eq!(owners[1].sees(), "a=1 b=1");
    owners
}

/// Merges of one without the turn, those of the other meanwhile, and what both have in the end.
#[test]
fn nothing_of_two_owners_that_merged_apart_is_lost() {
    for (apart, meanwhile, expected) in [
        (&["c=1"][..], &["d=1"][..], "a=1 b=1 c=1 d=1"),
        (&["c=1"], &["d=1", "e=1", "f=1"], "a=1 b=1 c=1 d=1 e=1 f=1"),
        (&["c=1", "d=1", "e=1"], &["f=1"], "a=1 b=1 c=1 d=1 e=1 f=1"),
        // What is gone stays so, unless it is another by then.
        (&["-a"], &["d=1"], "b=1 d=1"),
        (&["-a"], &["a=2"], "a=2 b=1"),
        (&["c=1"], &["-a"], "b=1 c=1"),
        // As if it was merged now.
        (&["a=2"], &["a=3"], "a=2 b=1"),
        (&["c=1"], &["c=1"], "a=1 b=1 c=1"),
        (&["c=1", "d=1"], &["c=1"], "a=1 b=1 c=1 d=1"),
        (&["c=1", "-c", "c=2"], &["c=1"], "a=1 b=1 c=2"),
    ] {
        for merges in [false, true] {
            let folder = tempfile::tempdir().unwrap();
            let [one, other] = two(folder.path());
            let mut live = one.store.live::<Texts>("texts").unwrap();
            without_turn(folder.path(), || {
                for changes in apart {
                    assert!(!one.merge_by(changes, &Rule::LastWins).saved);
                }
            });
            meanwhile.iter().for_each(|changes| other.saves(changes));
            let before = one.generation();
            if merges {
                one.saves("z=1");
                assert_eq!(one.told(), format!("{expected} z=1"));
                assert_eq!(other.sees(), one.told());
                other.saves("-z");
            }
            assert_eq!(one.sees(), expected);
            // Readers follow.
            assert!(one.generation() >= before);
            live.get().unwrap();
            assert_eq!(live.generation(), one.generation());
            assert_eq!(other.sees(), expected);
            let newcomer = Owner::of(folder.path(), Policy::new());
            assert_eq!(newcomer.told(), expected);
            let quiet = one.store.refresh().unwrap().caches.remove(0);
            assert_eq!(quiet.outcome, Outcome::Fresh);
        }
    }
}

/// Another owner has saved the very generation that this one could not save.
#[test]
fn what_others_have_saved_is_apart_no_more() {
    let folder = tempfile::tempdir().unwrap();
    let [one, other] = two(folder.path());
    without_turn(folder.path(), || one.merge_by("c=1", &Rule::LastWins));
    other.saves("c=1");
    assert_eq!(one.generation(), other.generation());
    assert_eq!(one.sees(), "a=1 b=1 c=1");
    without_turn(folder.path(), || one.merge_by("d=1", &Rule::LastWins));
    other.saves("-c");
    assert_eq!(one.sees(), "a=1 b=1 d=1");
    assert_eq!(other.sees(), "a=1 b=1 d=1");
}

#[test]
fn a_rule_joins_what_was_merged_apart() {
    let longest = Rule::<String, String>::by(|_, kept, offered| match offered {
        Some(offered) if offered.len() > kept.len() => Choice::Take,
        _ => Choice::Keep,
    });
    for (rule, expected) in [
        (Rule::FirstWins, "a=333"),
        (Rule::LastWins, "a=22"),
        (longest, "a=333"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let [one, other] = [(); 2].map(|()| Owner::of(folder.path(), Policy::new()));
        without_turn(folder.path(), || one.merge_by("a=22", &rule));
        other.saves("a=333");
        assert_eq!(one.sees(), expected);
        assert_eq!(other.sees(), expected);
    }
    let folder = tempfile::tempdir().unwrap();
    let [one, other] = two(folder.path());
    let panics = Rule::<String, String>::by(|_, kept, _: Option<&_>| match kept.as_str() {
        "1" => Choice::Take,
        _ => panic!("it cannot decide"),
    });
    without_turn(folder.path(), || one.merge_by("a=2", &panics));
    other.saves("a=3 c=1");
    // What the other one has saved is not overwritten.
    let report = one.store.refresh().unwrap().caches.remove(0);
    assert!(report.error.unwrap().contains("it cannot decide"));
    assert_eq!(
        (one.told(), other.sees()),
        ("a=2 b=1".into(), "a=3 b=1 c=1".into())
    );
    other.saves("a=1");
    assert_eq!(one.sees(), "a=2 b=1 c=1");
}

#[test]
fn what_was_merged_apart_has_its_inputs() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("source");
    fs::write(&source, "1").unwrap();
    let policy = || Policy::new().revalidate_inputs();
    let [one, other] = [(); 2].map(|()| Owner::of(folder.path(), policy()));
    let mut overlay = Overlay::over(&one.cache.get().unwrap());
    let mut inputs = Inputs::new();
    let text = inputs.read_to_string(&source).unwrap().unwrap();
    overlay
        .insert_with_inputs(&"a".to_owned(), &text, inputs)
        .unwrap();
    overlay.insert(&"b".to_owned(), &text).unwrap();
    let deltas = [overlay.into_delta().unwrap()];
    without_turn(folder.path(), || {
        one.store.merge("texts", &deltas, &Rule::FirstWins).unwrap()
    });
    other.saves("c=1");
    assert_eq!(one.sees(), "a=1 b=1 c=1");
    assert_eq!(other.sees(), "a=1 b=1 c=1");
    fs::write(&source, "2").unwrap();
    assert_eq!(other.sees(), "b=1 c=1");
    assert_eq!(one.sees(), "b=1 c=1");
}

/// Both drop an entry as its file was changed, and one has built it again without the turn, which
/// gave the same value.
#[test]
fn what_was_built_again_apart_is_there_with_its_new_inputs() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("source");
    fs::write(&source, "1").unwrap();
    let policy = || Policy::new().revalidate_inputs();
    let [one, other] = [(); 2].map(|()| Owner::of(folder.path(), policy()));
    assert!(one.merge_built_from(&source, "same").saved);
    assert_eq!(other.sees(), "a=same");
    without_turn(folder.path(), || {
        one.merge_by("b=1", &Rule::FirstWins);
        fs::write(&source, "2").unwrap();
        one.store.refresh().unwrap();
        assert_eq!(one.told(), "b=1");
        one.merge_built_from(&source, "same");
        assert_eq!(one.told(), "a=same b=1");
    });
    assert_eq!(other.sees(), "");
    other.saves("c=1");
    assert_eq!(one.sees(), "a=same b=1 c=1");
    assert_eq!(other.sees(), "a=same b=1 c=1");
    fs::write(&source, "3").unwrap();
    assert_eq!(one.sees(), "b=1 c=1");
}

/// A file that was only touched is no change of what was read from it.
#[test]
fn what_was_touched_apart_is_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("source");
    fs::write(&source, "1").unwrap();
    // So late that no stamp is young.
    let clock = || Clock::manual(Moment::now() + Duration::from_secs(3600));
    let policy = || Policy::new().revalidate_inputs();
    let [one, other] = [(); 2].map(|()| Owner::by(folder.path(), policy(), clock()));
    one.merge_built_from(&source, "1");
    assert_eq!(other.sees(), "a=1");
    without_turn(folder.path(), || {
        one.merge_by("b=1", &Rule::LastWins);
        fs::write(&source, "1").unwrap();
        one.store.refresh().unwrap();
        one.merge_by("c=1", &Rule::LastWins);
    });
    other.saves("a=2");
    assert_eq!(one.sees(), "a=2 b=1 c=1");
}

#[test]
fn a_delta_that_was_made_under_another_configuration_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let owner = |configuration| Owner::of(folder.path(), Policy::new().keyed_by(configuration));
    let one = owner("one");
    let made = |owner: &Owner| delta(&owner.cache.get().unwrap(), "a=1");
    let path = folder.path().join("delta");
    made(&one).save(&path).unwrap();
    let early = Delta::load(&path).unwrap();
    // Another empty generation, which its overlays know by.
    let two = owner("two");
    let deltas = [early, made(&two)];
    let report = two.store.merge("texts", &deltas, &Rule::FirstWins).unwrap();
    let refused = report.deltas[0].refused.as_ref().unwrap().to_string();
    assert!(refused.contains("another value of keyed_by"), "{refused}");
    assert_eq!((report.deltas[1].added, two.told()), (1, "a=1".to_owned()));
}
