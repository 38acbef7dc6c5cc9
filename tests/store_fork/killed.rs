//! An owner that is killed at one system call after the other while it rebuilds a cache whose
//! generations share pages. `strace` kills it: this program again, told so by a variable.

use std::cell::RefCell;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::{env, fs, io};

use floe::map::ArchivedMap;
use floe::usage::Usage;
use floe::{Cache, Inputs, Live, Map, Policy, Store, prefork};
use tempfile::TempDir;

use crate::faults::{MARK, calls};
use crate::forking::Gate;

type Texts = Map<String, String>;

/// Names the folder in which the process is to work.
const FOLDER: &str = "FLOE_KILLED";
/// How many changes come before the one in which the process is killed.
const BEFORE: &str = "FLOE_KILLED_AFTER";
const NAME: &str = "texts";
/// Owners that are killed at once.
const AT_ONCE: usize = 4;
/// Enough for a region in pages.
const ENTRIES: u32 = 2600;

fn key(number: u32) -> String {
    format!("key-{number:06}")
}

fn text(version: u32) -> String {
    format!("{version:08} {}", "x".repeat(200))
}

/// Each change is a new version of one entry, and the next generation.
struct Owner {
    store: Store,
    cache: Cache<Texts>,
    version: Arc<AtomicU32>,
}

impl Owner {
    fn open(folder: &Path) -> Self {
        let store = Store::open(folder.join("caches")).unwrap();
        let version = Arc::new(AtomicU32::new(0));
        let now = Arc::clone(&version);
        let keys = |_: &mut Inputs| Ok((0..ENTRIES).map(key).collect());
        let build = move |_: &String, _: &mut Inputs| Ok(text(now.load(Ordering::Relaxed)));
        let cache = store.keyed(NAME, Policy::new(), keys, build).unwrap();
        Self {
            store,
            cache,
            version,
        }
    }

    fn refresh(&self) {
        let report = self.store.refresh().unwrap();
        assert!(!report.has_failures(), "{report}");
    }

    fn change(&self, change: u32) {
        self.version.store(change, Ordering::Relaxed);
        let key = key(change);
        self.store.invalidate_key(NAME, key.as_str()).unwrap();
        self.refresh();
    }

    fn files(&self) -> usize {
        self.cache.get().unwrap().region().as_fds().unwrap().len()
    }
}

/// Asserts that a generation has all changes up to its number, and no other.
fn check(map: &ArchivedMap<String, String>, generation: u64) {
    assert_eq!(map.len(), ENTRIES as usize);
    for number in 0..ENTRIES {
        let is_changed = number > 0 && u64::from(number) < generation;
        let version = if is_changed { number } else { 0 };
        assert_eq!(map[key(number).as_str()], text(version));
    }
}

/// Works as the process that is killed, if this is it, or as the next owner.
pub fn work() -> Option<ExitCode> {
    let folder = PathBuf::from(env::var_os(FOLDER)?);
    let owner = Owner::open(&folder);
    owner.refresh();
    let Ok(before) = env::var(BEFORE) else {
        go_on(&owner);
        return Some(ExitCode::SUCCESS);
    };
    let before: u32 = before.parse().unwrap();
    (1..=before).for_each(|change| owner.change(change));
    let live: Live<Texts> = owner.store.live(NAME).unwrap();
    let files = owner.files();
    let (end, alive) = io::pipe().unwrap();
    let (alive, live, ready) = (
        RefCell::new(Some(alive)),
        RefCell::new(Some(live)),
        Gate::new(),
    );
    let readers = prefork::spawn(1, |_| {
        drop(alive.take());
        read(&mut live.take().unwrap(), &end, &ready);
    });
    ready.pass();
    println!("began");
    fs::metadata(MARK).unwrap_err();
    owner.change(before + 1);
    fs::metadata(MARK).unwrap_err();
    println!("files {files} {}", owner.files());
    drop((owner, alive));
    readers.unwrap().join().unwrap();
    Some(ExitCode::SUCCESS)
}

fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

/// Reads a generation, and once the owner has ended the one that is the newest then.
fn read(live: &mut Live<Texts>, mut end: &io::PipeReader, ready: &Gate) {
    let first = live.generation();
    check(live.get_stale(), first);
    let open = descriptors();
    ready.open();
    assert_eq!(end.read(&mut [0]).unwrap(), 0);
    live.get_stale();
    let generation = live.generation();
    assert!((first..=first + 1).contains(&generation));
    check(live.get_stale(), generation);
    assert!(live.last_error().is_none(), "{:?}", live.last_error());
    let (_, regions) = Usage::with_regions(std::process::id()).unwrap();
    let generations = regions.iter().filter(|region| region.name == NAME);
    let mut generations: Vec<u64> = generations.map(|region| region.generation).collect();
    generations.sort_unstable();
    // The first one is that of the owner's handles, which this process was forked with.
    let expected = if generation == first {
        vec![first]
    } else {
        vec![first, generation]
    };
    assert_eq!(generations, expected);
    let files = live.pin().region().as_fds().unwrap().len();
    let most = if generation == first {
        open
    } else {
        open + files
    };
    assert_eq!(descriptors(), most, "no other descriptor is left open");
    println!("read {generation}");
}

/// The next owner has what was saved, and makes the next generation of it.
fn go_on(owner: &Owner) {
    let generation = owner.cache.get().unwrap().region().generation();
    check(&owner.cache.get().unwrap(), generation);
    owner.change(generation as u32);
    let next = owner.cache.get().unwrap();
    // The number that the killed owner was about to give is not given again.
    assert!((generation + 1..=generation + 2).contains(&next.region().generation()));
    check(&next, generation + 1);
    println!("went on {generation}");
}

fn start(folder: &Path, before: Option<u32>, expression: &[&str]) -> Child {
    let mut command = Command::new("strace");
    command.args(["-qq", "-e", "signal=none", "-o"]);
    command.arg(folder.join("log"));
    command.args(expression).arg(env::current_exe().unwrap());
    command.env(FOLDER, folder).env_remove(BEFORE);
    if let Some(before) = before {
        command.env(BEFORE, before.to_string());
    }
    command.stdin(Stdio::null());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

/// What processes say that run at once, each in a folder of its own.
fn run<'a>(
    folders: impl IntoIterator<Item = &'a TempDir>,
    before: Option<u32>,
    expression: impl Fn(usize) -> Vec<String>,
) -> Vec<Output> {
    let start = |(number, folder): (usize, &TempDir)| {
        let expression = expression(number);
        let expression: Vec<&str> = expression.iter().map(String::as_str).collect();
        start(folder.path(), before, &expression)
    };
    let started: Vec<Child> = folders.into_iter().enumerate().map(start).collect();
    let outputs = started.into_iter().map(Child::wait_with_output);
    outputs.map(Result::unwrap).collect()
}

fn traced(what: &[&str]) -> Vec<String> {
    what.iter()
        .flat_map(|what| ["-e".to_owned(), (*what).to_owned()])
        .collect()
}

/// Kills the owner in the change after some others, at each system call of that.
fn killed_after(before: u32, files: &str) {
    let folder = tempfile::tempdir().unwrap();
    let whole = run([&folder], Some(before), |_| traced(&["trace=all"])).remove(0);
    let log = fs::read_to_string(folder.path().join("log")).unwrap();
    let generation = u64::from(before) + 1;
    let expected = format!("began\nfiles {files}\nread {}\n", generation + 1);
    assert_eq!(
        String::from_utf8_lossy(&whole.stdout),
        expected,
        "{whole:?}"
    );
    let (mut killed, mut newer, mut early) = (0, 0, 0);
    let calls = calls(&log);
    let calls = calls
        .iter()
        .flat_map(|(call, numbers)| numbers.iter().map(move |it| (call, it)));
    let calls: Vec<_> = calls.collect();
    for calls in calls.chunks(AT_ONCE) {
        let folders: Vec<TempDir> = calls.iter().map(|_| tempfile::tempdir().unwrap()).collect();
        let what =
            |job: usize| format!("inject={}:signal=KILL:when={}", calls[job].0, calls[job].1);
        let outputs = run(&folders, Some(before), |job| {
            traced(&[&format!("trace={}", calls[job].0), &what(job)])
        });
        let nexts = run(&folders, None, |_| traced(&["trace=none"]));
        for (job, (output, next)) in outputs.iter().zip(&nexts).enumerate() {
            let (what, folder) = (what(job), &folders[job]);
            let text = String::from_utf8_lossy(&output.stdout);
            // How often threads wait for each other, and map memory of their own, is not the same
            // each time: some are killed before they began.
            if !output.status.success() && text.is_empty() {
                early += 1;
                continue;
            }
            let read = |generation: u64| text.ends_with(&format!("read {generation}\n"));
            assert!(
                read(generation) || read(generation + 1),
                "{what}: {output:?}"
            );
            killed += usize::from(!output.status.success());
            newer += usize::from(read(generation + 1));

            let text = String::from_utf8_lossy(&next.stdout);
            let went_on = |saved: u64| text == format!("went on {saved}\n");
            let saved = went_on(generation) || went_on(generation + 1);
            assert!(saved && next.status.success(), "{what}: {next:?}");
            let caches = fs::read_dir(folder.path().join("caches")).unwrap();
            let names: Vec<_> = caches.map(|it| it.unwrap().file_name()).collect();
            let is_left = |name: &std::ffi::OsString| name.to_string_lossy().starts_with(".floe-");
            assert!(!names.iter().any(is_left), "{what}: {names:?}");
        }
    }
    assert!(
        killed > 30 && newer > 0 && newer < killed && early < killed / 4,
        "{killed}, {newer}, {early}"
    );
}

pub fn an_owner_killed_in_a_rebuild_harms_nobody() {
    killed_after(0, "1 2");
}

/// The pages that the one change before wrote move into the file of this one.
pub fn an_owner_killed_in_a_repack_harms_nobody() {
    killed_after(1, "2 2");
}
