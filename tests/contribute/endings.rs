//! Owners and contributors that end before their time.

use std::cell::RefCell;

use floe::contribute::{NotTaken, Outcome};
use floe::error::ChannelError;
use floe::{Error, Overlay, prefork};
use nix::sys::signal::{Signal, kill};
use nix::unistd::alarm;

use crate::fixture::{contribute, entries, fold, live, merged, owner, unlimited};
use crate::forking::{Gate, forever, pid_of};

/// The owner never looks at what is in its queue. A sibling holds all that the owner held.
pub(crate) fn a_killed_owner_is_told_to_those_who_wait() {
    let (sent, told) = (Gate::new(), Gate::new());
    let mut owners = prefork::spawn::<_, ()>(1, |_| {
        let store = owner(unlimited());
        let mut live = live(&store);
        let _keeper = prefork::spawn::<_, ()>(1, |_| {
            alarm::set(60);
            told.pass();
        });
        let _worker = prefork::spawn::<_, ()>(1, |_| {
            alarm::set(60);
            let mut overlay = Overlay::following(live.clone());
            overlay.insert(&"word".to_owned(), &4).unwrap();
            let mut contribution = overlay.contribute().unwrap();
            let mut looks = contribute(&live, "looks");
            assert!(looks.try_outcome().is_none());
            sent.open();
            let ended = Some(&Outcome::NotTaken(NotTaken::OwnerEnded));
            assert_eq!(contribution.wait(crate::fixture::LONG), ended);
            assert_eq!(looks.try_outcome(), ended);
            assert_eq!(
                (
                    overlay.get("word").map(|it| it.to_native()),
                    overlay.changes().count()
                ),
                (Some(4), 1)
            );
            // What is not taken goes to the next owner, or to a file.
            let delta = contribution.into_delta();
            assert_eq!(delta.added()["word"], 4);
            let again = live.contribute_delta(&delta);
            assert!(matches!(
                again,
                Err(Error::Channel(ChannelError::NotContributed {
                    reason: NotTaken::OwnerEnded,
                    ..
                }))
            ));
            told.open();
            told.open();
        });
        forever()
    })
    .unwrap();
    sent.pass();
    kill(pid_of(&owners, 0), Signal::SIGKILL).unwrap();
    told.pass();
    assert!(owners.wait_one().unwrap().unwrap().result.is_err());
}

pub(crate) fn a_killed_contributor_leaves_what_it_sent() {
    let store = owner(unlimited());
    let live = live(&store);
    let sent = Gate::new();
    let mut workers = prefork::spawn::<_, ()>(2, |worker| {
        let mut overlay = Overlay::following(live.clone());
        let word = format!("{}", worker.index());
        overlay.insert(&word, &1).unwrap();
        if worker.index() == 0 {
            let _waits = overlay.contribute().unwrap();
            sent.open();
            forever();
        }
        // Killed with a connection on which nothing came, and a delta that is only sealed.
        let _delta = overlay.to_delta().unwrap();
        sent.open();
        forever();
    })
    .unwrap();
    (0..2).for_each(|_| sent.pass());
    for worker in 0..2 {
        kill(pid_of(&workers, worker), Signal::SIGKILL).unwrap();
    }
    for _ in 0..2 {
        assert!(workers.wait_one().unwrap().unwrap().result.is_err());
    }
    let reports = fold(&store);
    assert_eq!((reports.len(), reports[0].deltas.len()), (1, 1));
    assert_eq!(entries(&store), [("0".to_owned(), 1)]);
    let counts = || store.status().unwrap()[0].contributions.unwrap();
    assert!(store.fold().unwrap().is_empty());
    assert_eq!((counts().connected, counts().merged), (0, 1));
}

/// A child has the store, and drops it; what the owner holds is neither answered nor lost.
pub(crate) fn children_of_the_owner_leave_its_queue_alone() {
    let store = owner(unlimited().batches(2, crate::fixture::LONG));
    let live = live(&store);
    let first = Gate::new();
    let second = Gate::new();
    let workers = prefork::spawn(2, |worker| {
        let gate = if worker.index() == 0 { &first } else { &second };
        gate.pass();
        merged(contribute(&live, &worker.index().to_string())).taken
    })
    .unwrap();
    // A thread holds the first one, and waits for the second.
    let background = store.refresh_in_background(crate::fixture::LONG, |_| {});
    first.open();
    while store.status().unwrap()[0].contributions.unwrap().connected == 0 {
        std::thread::yield_now();
    }
    drop(background);
    let mut kept = Some(store);
    let child = prefork::spawn(1, |_| {
        let store = kept.take().unwrap();
        let refused = matches!(store.fold(), Err(Error::NotOwner { .. }));
        drop(store);
        refused
    });
    assert_eq!(child.unwrap().join().unwrap(), [true]);
    let store = kept.unwrap();
    second.open();
    while entries(&store).len() < 2 {
        store.fold().unwrap();
    }
    assert_eq!(workers.join().unwrap(), [1, 1]);
}

pub(crate) fn a_child_of_a_contributor_leaves_it_the_answer() {
    let store = owner(unlimited());
    let contribution = contribute(&live(&store), "word");
    store.fold().unwrap();
    let contribution = RefCell::new(Some(contribution));
    let taken = || merged(contribution.take().unwrap()).taken;
    let child = prefork::spawn(1, |_| taken());
    assert_eq!(child.unwrap().join().unwrap(), [1]);
    assert_eq!(taken(), 1);
}
