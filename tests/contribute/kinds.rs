//! Workers that were forked, that were started by exec, and that nobody has started.

use std::process::{Command, ExitCode, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use floe::{Live, prefork};

use crate::fixture::{LONG, Lengths, contribute, entries, fold, live, merged, owner, unlimited};
use crate::forking::Gate;

/// Arguments that make this program contribute instead of running tests.
const INHERIT: &str = "contribute-inherited";
const CONNECT: &str = "contribute-broker";

/// What this program does if it is told to.
pub(crate) fn run(arguments: &[String]) -> Option<ExitCode> {
    let live = match arguments {
        [kind] if kind == INHERIT => Live::<Lengths>::inherited("lengths"),
        [kind, path] if kind == CONNECT => Live::<Lengths>::connect(path, "lengths"),
        _ => return None,
    };
    let live = live.unwrap();
    let merged = merged(contribute(&live, &arguments[0]));
    assert_eq!(merged.taken, 1);
    Some(ExitCode::SUCCESS)
}

fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new("/proc/self/exe");
    command.args(arguments).stdout(Stdio::null());
    command
}

pub(crate) fn workers_of_all_kinds_contribute() {
    let store = owner(unlimited());
    let live = live(&store);
    let forked = prefork::spawn(2, |worker| {
        let word = format!("forked {}", worker.index());
        merged(contribute(&live, &word)).taken
    })
    .unwrap();
    let mut inheriting = program(&[INHERIT]);
    store.pass_to(&mut inheriting).unwrap();
    let mut inheriting = inheriting.spawn().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("broker");
    let broker = store.serve(&path).unwrap();
    let mut unrelated = program(&[CONNECT, path.to_str().unwrap()]);
    let mut unrelated = unrelated.spawn().unwrap();
    while entries(&store).len() < 4 {
        fold(&store);
    }
    assert_eq!(forked.join().unwrap(), [1, 1]);
    assert!(inheriting.wait().unwrap().success());
    assert!(unrelated.wait().unwrap().success());
    drop(broker);
    let keys: Vec<_> = entries(&store).into_iter().map(|(key, _)| key).collect();
    assert_eq!(keys, [CONNECT, INHERIT, "forked 0", "forked 1"]);
}

/// Only what comes can wake the thread: its interval never ends.
pub(crate) fn a_thread_wakes_for_what_comes() {
    let store = owner(unlimited().without_batches());
    let mut live = live(&store);
    let started = Gate::new();
    let workers = prefork::spawn(3, |worker| {
        started.pass();
        let word = format!("{}", worker.index());
        let generation = merged(contribute(&live, &word)).generation;
        while live.pin().len() < 3 {
            assert!(live.wait_newer(LONG));
        }
        generation
    })
    .unwrap();
    let (sender, reports) = mpsc::channel();
    let background = store.refresh_in_background(100 * LONG, move |report| {
        for merge in &report.merges {
            let _ = sender.send(merge.deltas.len());
        }
    });
    (0..3).for_each(|_| started.open());
    let mut generations = workers.join().unwrap();
    generations.sort_unstable();
    assert_eq!(generations, [2, 3, 4]);
    drop(background);
    assert_eq!(reports.iter().collect::<Vec<_>>(), [1, 1, 1]);
    // One that accepts only once the thread is there.
    store
        .merged::<String, u64>("later", floe::Policy::new())
        .unwrap();
    store.refresh().unwrap();
    let background = store.refresh_in_background(100 * LONG, |_| {});
    let rule = floe::overlay::Rule::FirstWins;
    store
        .accept::<String, u64>("later", rule, unlimited())
        .unwrap();
    let later = store.live("later").unwrap();
    assert_eq!(merged(contribute(&later, "word")).taken, 1);
    drop(background);
}

pub(crate) fn a_thread_gathers_batches() {
    for (limits, batches) in [
        (unlimited().batches(3, 100 * LONG), vec![3]),
        (
            unlimited().batch_bytes(1).batches(10, 100 * LONG),
            vec![1; 3],
        ),
        (unlimited().batches(1000, Duration::from_millis(1)), vec![]),
    ] {
        let store = owner(limits);
        let live = live(&store);
        let started = Gate::new();
        let workers = prefork::spawn(3, |worker| {
            started.pass();
            let word = format!("{}", worker.index());
            merged(contribute(&live, &word)).taken
        })
        .unwrap();
        let (sender, reports) = mpsc::channel();
        let background = store.refresh_in_background(100 * LONG, move |report| {
            for merge in &report.merges {
                let _ = sender.send(merge.deltas.len());
            }
        });
        (0..3).for_each(|_| started.open());
        assert_eq!(workers.join().unwrap(), [1, 1, 1]);
        drop(background);
        let got: Vec<usize> = reports.iter().collect();
        assert_eq!(got.iter().sum::<usize>(), 3);
        assert!(batches.is_empty() || got == batches, "{got:?}");
    }
}

/// A handle that has contributed is not shared with a child: each has a connection of its own.
pub(crate) fn a_child_of_a_worker_contributes() {
    let store = owner(unlimited());
    let mut live = live(&store);
    let workers = prefork::spawn(1, |_| {
        let delta = |word: &str| {
            let mut overlay = floe::Overlay::over(&live.clone().pin());
            overlay.insert(&word.to_owned(), &1).unwrap();
            overlay.into_delta().unwrap()
        };
        let (own, of_child) = (delta("worker"), delta("child"));
        let own = live.contribute_delta(&own).unwrap();
        let child = prefork::spawn(1, |_| {
            merged(live.contribute_delta(&of_child).unwrap()).taken
        });
        (merged(own).taken, child.unwrap().join().unwrap())
    })
    .unwrap();
    while entries(&store).len() < 2 {
        fold(&store);
    }
    assert_eq!(workers.join().unwrap(), [(1, vec![1])]);
    assert_eq!(store.status().unwrap()[0].contributions.unwrap().merged, 2);
}
