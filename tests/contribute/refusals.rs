//! What is not taken, and why.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use floe::contribute::{Limits, Measure, NotTaken, Outcome};
use floe::error::ChannelError;
use floe::overlay::{Choice, Rule};
use floe::{Error, Intern, Live, Map, Overlay, Policy, Schema, Store, prefork};
use nix::sys::signal::{SigHandler, Signal, signal};
use nix::unistd::{Gid, Uid, setgroups, setresgid, setresuid};

use crate::fixture::{
    LONG, Lengths, contribute, entries, live, merged, owner, refused, told, unlimited,
};
use crate::forking::{Gate, Resource, next_descriptor, set_limit};

fn is_not_accepted(error: &Error) -> bool {
    matches!(error, Error::Channel(ChannelError::NotAccepting { .. }))
}

pub(crate) fn what_nobody_accepts_is_not_sent() {
    let store = Store::new();
    store
        .merged::<String, u64>("lengths", Policy::new())
        .unwrap();
    store.refresh().unwrap();
    let early = live(&store);
    let contribute_to = |live: Live<Lengths>| {
        let mut overlay = Overlay::following(live);
        overlay.insert(&"word".to_owned(), &4).unwrap();
        overlay.contribute()
    };
    assert!(is_not_accepted(&contribute_to(early.clone()).unwrap_err()));
    let mut apart = Overlay::<String, u64>::over(&early.clone().pin());
    apart.insert(&"word".to_owned(), &4).unwrap();
    assert!(is_not_accepted(&apart.contribute().unwrap_err()));

    let accept = || {
        let rule = Rule::FirstWins;
        store.accept::<String, u64>("lengths", rule, Limits::new())
    };
    accept().unwrap();
    assert!(is_not_accepted(&contribute_to(early).unwrap_err()));
    let handle = live(&store);
    let waiting = contribute_to(handle.clone()).unwrap();
    store.stop_accepting("lengths").unwrap();
    assert_eq!(refused(waiting), NotTaken::Closed);
    assert!(is_not_accepted(&contribute_to(live(&store)).unwrap_err()));
    let closed = contribute_to(handle).unwrap_err();
    assert!(closed.to_string().contains("closed"), "{closed}");
    accept().unwrap();
    let waiting = contribute_to(live(&store)).unwrap();
    store.refresh().unwrap();
    assert_eq!(merged(waiting).taken, 1);
    assert_eq!(store.refresh().unwrap().merges, []);

    let wrong = store.accept::<u64, u64>("lengths", Rule::FirstWins, Limits::new());
    assert!(matches!(wrong, Err(Error::SchemaMismatch { .. })));
    let unknown = store.accept::<u64, u64>("others", Rule::FirstWins, Limits::new());
    assert!(matches!(unknown, Err(Error::UnknownCache { .. })));
    let keyed = |_: &mut floe::Inputs| Ok(vec![1_u64]);
    store
        .keyed("built", Policy::new(), keyed, |_, _| Ok(1_u64))
        .unwrap();
    let built = store.accept::<u64, u64>("built", Rule::FirstWins, Limits::new());
    assert!(matches!(built, Err(Error::Delta { .. })));
}

pub(crate) fn what_is_no_delta_of_the_cache_is_refused() {
    let store = owner(unlimited().delta_entries(2).delta_bytes(1 << 20));
    let mut handle = live(&store);
    let other = Map::freeze("others", [("word".to_owned(), 4_u64)]).unwrap();
    let mut overlay = Overlay::over(&other);
    overlay.insert(&"gcc".to_owned(), &3).unwrap();
    let foreign = handle.contribute(&overlay).unwrap();
    let mut overlay = Overlay::over(&handle.pin());
    for word in ["a", "b", "c"] {
        overlay.insert(&word.to_owned(), &1).unwrap();
    }
    let many = handle.contribute(&overlay).unwrap();
    overlay.clear();
    overlay.insert(&"x".repeat(1 << 20), &1).unwrap();
    let large = handle.contribute(&overlay).unwrap();
    let good = contribute(&handle, "word");
    store.fold().unwrap();
    let why = refused(foreign);
    assert!(
        matches!(&why, NotTaken::Invalid { reason } if reason.contains("others")),
        "{why}"
    );
    assert!(matches!(
        refused(many),
        NotTaken::TooLarge {
            what: Measure::Entries,
            most: 2,
            got: 3
        }
    ));
    assert!(matches!(
        refused(large),
        NotTaken::TooLarge {
            what: Measure::Bytes,
            ..
        }
    ));
    assert_eq!(merged(good).taken, 1);
    assert_eq!(entries(&store), [("word".to_owned(), 4)]);
}

pub(crate) fn keys_are_for_those_who_may_write_them() {
    let store = owner(unlimited());
    let rule = Rule::LastWins;
    let user = Uid::current().as_raw();
    store
        .accept_where::<String, u64>("lengths", rule, unlimited(), move |who, key| {
            who.user == user && who.process != 0 && key.as_str() != "secret"
        })
        .unwrap();
    let handle = live(&store);
    let good = contribute(&handle, "open");
    let bad = contribute(&handle, "secret");
    let mut overlay = Overlay::following(handle.clone());
    overlay.insert(&"more".to_owned(), &4).unwrap();
    overlay.insert(&"secret".to_owned(), &6).unwrap();
    let both = overlay.contribute().unwrap();
    store.fold().unwrap();
    assert_eq!(merged(good).taken, 1);
    for refusal in [refused(bad), refused(both)] {
        assert!(matches!(refusal, NotTaken::Forbidden { key } if key.contains("secret")));
    }
    assert_eq!(entries(&store), [("open".to_owned(), 4)]);
}

/// Texts that are written once.
#[derive(Debug, Clone, PartialEq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
#[rkyv(derive(Schema))]
struct Shared {
    #[rkyv(with = rkyv::with::Map<Intern>)]
    texts: Vec<String>,
}

pub(crate) fn what_comes_to_more_than_its_bytes_is_limited_too() {
    let store = Store::new();
    let policy = Policy::new();
    store.merged::<String, Shared>("shared", policy).unwrap();
    let limits = unlimited().delta_bytes(64 << 10);
    let rule = Rule::FirstWins;
    store
        .accept::<String, Shared>("shared", rule, limits)
        .unwrap();
    store.refresh().unwrap();
    let mut live = store.live::<Map<String, Shared>>("shared").unwrap();
    let mut outcome = |uses: usize| {
        let mut overlay = Overlay::over(&live.pin());
        let texts = vec!["x".repeat(10_000); uses];
        overlay
            .insert(&uses.to_string(), &Shared { texts })
            .unwrap();
        let mut contribution = live.contribute(&overlay).unwrap();
        assert!(contribution.delta().region().size() < 32 << 10);
        store.fold().unwrap();
        contribution.wait(LONG).unwrap().clone()
    };
    assert!(matches!(outcome(10), Outcome::Merged(_)));
    let most = 4 * (64 << 10);
    match outcome(100) {
        Outcome::NotTaken(NotTaken::TooLarge {
            what,
            most: told,
            got,
        }) => {
            assert_eq!((what, told), (Measure::Bytes, most));
            assert!((900_000..1_100_000).contains(&got), "{got}");
        }
        other => panic!("{other:?}"),
    }
}

pub(crate) fn a_rule_that_panics_costs_one_delta() {
    let store = owner(unlimited());
    let rule = Rule::by(|_, kept: &<u64 as rkyv::Archive>::Archived, _| {
        assert!(*kept != 4, "it cannot decide");
        Choice::Take
    });
    store
        .accept::<String, u64>("lengths", rule, unlimited())
        .unwrap();
    let handle = live(&store);
    let first = contribute(&handle, "word");
    store.fold().unwrap();
    assert_eq!(merged(first).taken, 1);
    let mut overlay = Overlay::over(&handle.clone().pin());
    overlay.insert(&"word".to_owned(), &5).unwrap();
    let panics = handle.clone().contribute(&overlay).unwrap();
    let good = contribute(&handle, "other");
    store.fold().unwrap();
    let why = refused(panics);
    assert!(matches!(why, NotTaken::Failed { .. }), "{why}");
    assert!(why.to_string().contains("it cannot decide"), "{why}");
    assert_eq!(merged(good).taken, 1);
}

pub(crate) fn a_restriction_that_panics_costs_one_delta() {
    let store = owner(unlimited());
    let allows = |_, key: &<String as rkyv::Archive>::Archived| {
        assert!(key != "word", "it cannot tell");
        true
    };
    let rule = Rule::FirstWins;
    store
        .accept_where::<String, u64>("lengths", rule, unlimited(), allows)
        .unwrap();
    let handle = live(&store);
    let (before, panics) = (contribute(&handle, "one"), contribute(&handle, "word"));
    let behind = contribute(&handle, "other");
    store.fold().unwrap();
    let why = refused(panics);
    assert!(why.to_string().contains("it cannot tell"), "{why}");
    assert_eq!(merged(before).taken, 1);
    assert_eq!(merged(behind).taken, 1);
}

pub(crate) fn an_owner_without_memory_says_so() {
    let store = owner(unlimited());
    let handle = live(&store);
    let sent = contribute(&handle, "word");
    // SAFETY: ignoring a signal runs no code.
    let handler = unsafe { signal(Signal::SIGXFSZ, SigHandler::SigIgn) }.unwrap();
    let limit = set_limit(Resource::RLIMIT_FSIZE, 0);
    let reports = store.fold();
    set_limit(Resource::RLIMIT_FSIZE, limit);
    // SAFETY: the handler is the one that was there before.
    unsafe { signal(Signal::SIGXFSZ, handler) }.unwrap();
    assert!(reports.unwrap().is_empty());
    let why = refused(sent);
    assert!(matches!(&why, NotTaken::Failed { .. }), "{why}");
    let again = contribute(&handle, "word");
    store.fold().unwrap();
    assert_eq!(merged(again).taken, 1);
}

pub(crate) fn what_cannot_be_merged_is_refused_alone() {
    let store = owner(unlimited());
    let handle = live(&store);
    let first = ["a", "b", "c", "d"].map(|key| contribute(&handle, key));
    let mut overlay = Overlay::over(&handle.clone().pin());
    overlay.insert(&"x".repeat(1 << 20), &1).unwrap();
    let large = handle.clone().contribute(&overlay).unwrap();
    let last = ["e", "f", "g"].map(|key| contribute(&handle, key));
    // SAFETY: ignoring a signal runs no code.
    let handler = unsafe { signal(Signal::SIGXFSZ, SigHandler::SigIgn) }.unwrap();
    let limit = set_limit(Resource::RLIMIT_FSIZE, 1 << 19);
    let reports = store.fold();
    set_limit(Resource::RLIMIT_FSIZE, limit);
    // SAFETY: the handler is the one that was there before.
    unsafe { signal(Signal::SIGXFSZ, handler) }.unwrap();
    // Half of them, a quarter, and one.
    let reports = reports.unwrap().into_iter();
    let merges: Vec<usize> = reports.map(|it| it.deltas.len()).collect();
    assert_eq!(merges, [4, 1, 2]);
    assert!(matches!(refused(large), NotTaken::Failed { .. }));
    let others = first.into_iter().chain(last);
    assert!(others.map(merged).all(|it| it.taken == 1));
    assert_eq!(entries(&store).len(), 7);
}

/// However few it may open, the contributor is told, and not blamed.
pub(crate) fn an_owner_without_descriptors_says_so() {
    let store = owner(unlimited().cut_off(1, LONG));
    let mut handle = live(&store);
    let worker = contribute(&handle, "word");
    let mut outcomes = vec![];
    let mut waiting = vec![worker];
    for free in 0..8 {
        let limit = set_limit(Resource::RLIMIT_NOFILE, next_descriptor() as u64 + free);
        store.fold().unwrap();
        set_limit(Resource::RLIMIT_NOFILE, limit);
        for sent in waiting.drain(..) {
            outcomes.push(told(sent));
        }
        let mut overlay = Overlay::over(&handle.pin());
        overlay.insert(&format!("{free}"), &free).unwrap();
        waiting.push(handle.contribute(&overlay).unwrap());
    }
    store.fold().unwrap();
    outcomes.extend(waiting.into_iter().map(told));
    let is_told = |it: &Outcome| {
        matches!(
            it,
            Outcome::Merged(_) | Outcome::NotTaken(NotTaken::Lost | NotTaken::Failed { .. })
        )
    };
    assert!(outcomes.iter().all(is_told), "{outcomes:?}");
    let merged = |it: &Outcome| matches!(it, Outcome::Merged(_));
    assert!(!merged(&outcomes[0]) && merged(outcomes.last().unwrap()));
    let count = outcomes.iter().filter(|it| merged(it)).count();
    assert_eq!(entries(&store).len(), count);
}

const NOBODY: u32 = 65534;

fn become_nobody() -> nix::Result<()> {
    let (user, group) = (Uid::from_raw(NOBODY), Gid::from_raw(NOBODY));
    setgroups(&[])?;
    setresgid(group, group, group)?;
    setresuid(user, user, user)
}

pub(crate) fn a_worker_that_becomes_another_user_contributes() {
    let store = owner(unlimited());
    let live = live(&store);
    let worker = prefork::spawn(1, |_| {
        let mut live = live.clone();
        let mut overlay = Overlay::over(&live.pin());
        overlay.insert(&"before".to_owned(), &1).unwrap();
        let before = live.contribute(&overlay).unwrap();
        become_nobody().unwrap();
        overlay.clear();
        overlay.insert(&"after".to_owned(), &1).unwrap();
        let after = live.contribute(&overlay).unwrap();
        (merged(before).taken, merged(after).taken)
    })
    .unwrap();
    while entries(&store).len() < 2 {
        crate::fixture::fold(&store);
    }
    assert_eq!(worker.join().unwrap(), [(1, 1)]);
}

pub(crate) fn clients_of_another_user_contribute_if_they_may() {
    for may in [false, true] {
        let limits = if may {
            unlimited().other_users()
        } else {
            unlimited()
        };
        let store = owner(limits);
        let directory = tempfile::tempdir().unwrap();
        let mode = fs::Permissions::from_mode(0o755);
        fs::set_permissions(directory.path(), mode).unwrap();
        let path = directory.path().join("broker");
        let served = Gate::new();
        let client = prefork::spawn_try(1, |_| {
            become_nobody().map_err(|errno| errno.to_string())?;
            served.pass();
            let client = floe::Client::new(&path).trust_user(0);
            let handle = client
                .follow("lengths")
                .map_err(|error| error.to_string())?;
            let mut overlay = Overlay::<String, u64>::following(handle);
            overlay.insert(&"word".to_owned(), &4).unwrap();
            match overlay.contribute() {
                Ok(mut sent) => {
                    Ok::<_, String>(matches!(sent.wait(LONG), Some(Outcome::Merged(_))))
                }
                Err(error) => Ok(!is_not_accepted(&error)),
            }
        })
        .unwrap();
        let _broker = store.serve_group(&path, NOBODY).unwrap();
        served.open();
        if may {
            crate::fixture::fold(&store);
        }
        assert_eq!(client.join().unwrap(), [may]);
    }
}
