//! A start, and a save, in which one system call after the other fails. `strace` makes them fail,
//! in a process of its own: this program again, told so by a variable.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use std::{env, fs};

use floe::{Clock, Frozen, Moment, Policy, Store};
use tempfile::TempDir;

/// Names the folder in which the process is to work.
const FOLDER: &str = "FLOE_FAULTS";
/// A path that is asked for where the work begins, and where it ends.
pub(super) const MARK: &str = "/floe-begins-or-ends-here";
/// What is said where the store itself could not be opened.
const NOT_OPENED: u8 = 3;

/// Works as the process whose calls fail, if this is it.
pub fn work() -> Option<ExitCode> {
    let folder = PathBuf::from(env::var_os(FOLDER)?);
    // What every process of this crate does once is tested elsewhere.
    drop(Store::new());
    fs::metadata(MARK).unwrap_err();
    let store = match Store::open(folder.join("caches")) {
        // So late that no stamp is young.
        Ok(store) => store.with_clock(Clock::manual(Moment::now() + Duration::from_secs(3600))),
        Err(error) => {
            eprintln!("{error}");
            return Some(ExitCode::from(NOT_OPENED));
        }
    };
    let builds = Arc::new(AtomicU32::new(0));
    let (counted, source) = (Arc::clone(&builds), folder.join("sources/one"));
    let policy = Policy::new().revalidate_inputs();
    let whole = store.cache("whole", policy.clone(), move |inputs| {
        counted.fetch_add(1, Ordering::Relaxed);
        Ok(inputs.read_to_string(&source)?.unwrap_or_default())
    });
    let counted = Arc::clone(&builds);
    let keyed = store.keyed(
        "keyed",
        policy,
        |_| Ok(vec![1_u32, 2]),
        move |key: &u32, inputs| {
            counted.fetch_add(1, Ordering::Relaxed);
            let text = inputs.read(folder.join("sources").join(key.to_string()))?;
            Ok(text.unwrap_or_default())
        },
    );
    whole.unwrap();
    keyed.unwrap();
    let report = store.refresh().unwrap();
    let again = store.refresh().unwrap();
    fs::metadata(MARK).unwrap_err();
    println!(
        "built {}\n{report}\nagain {again}",
        builds.load(Ordering::Relaxed)
    );
    Some(ExitCode::SUCCESS)
}

/// Runs the work with what strace is told.
fn traced(folder: &Path, expression: &str) -> (Output, String) {
    let log = folder.join("log");
    let output = Command::new("strace")
        .args(["-f", "-y", "-qq", "-e", "signal=none", "-o"])
        .arg(&log)
        .args(["-e", expression])
        .arg(env::current_exe().unwrap())
        .env(FOLDER, folder)
        .env("RUST_BACKTRACE", "0")
        .output()
        .unwrap();
    (output, fs::read_to_string(log).unwrap_or_default())
}

fn place() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("sources")).unwrap();
    for name in ["one", "1", "2"] {
        let text = format!("the text of {name}\n").repeat(100);
        fs::write(folder.path().join("sources").join(name), text).unwrap();
    }
    folder
}

/// Bytes and inodes of the files of the caches.
fn saved(folder: &Path) -> Vec<(u64, Vec<u8>)> {
    let files = ["whole", "keyed"].map(|name| folder.join(format!("caches/{name}.floe")));
    let saved = files.map(|file| (fs::metadata(&file).unwrap().ino(), fs::read(file).unwrap()));
    saved.into()
}

/// For each kind of call the numbers of those that belong to the work, counted from 1.
pub(super) fn calls(log: &str) -> BTreeMap<&str, Vec<usize>> {
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    let mut calls: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    let mut works = false;
    for line in log.lines() {
        let call = line.split('(').next().unwrap_or_default();
        let call = call.rsplit(' ').next().unwrap_or_default();
        let number = seen.entry(call).or_default();
        *number += 1;
        if line.contains(MARK) {
            works = !works;
        } else if works {
            calls.entry(call).or_default().push(*number);
        }
    }
    calls
}

/// Which errors each call may give that pass.
const PASSING: [(&str, &[&str]); 16] = [
    ("openat", &["EMFILE", "EIO"]),
    ("statx", &["EIO"]),
    ("fstat", &["ENOMEM"]),
    ("newfstatat", &["ENOMEM"]),
    ("read", &["EINTR", "EIO"]),
    ("pread64", &["EINTR", "EIO"]),
    ("lseek", &["EIO"]),
    ("copy_file_range", &["EINTR", "EIO"]),
    ("sendfile", &["EINTR", "ENOMEM"]),
    ("write", &["EINTR", "ENOMEM"]),
    ("memfd_create", &["EMFILE"]),
    ("fchmod", &["EIO"]),
    ("fcntl", &["ENOMEM"]),
    ("getdents64", &["EIO"]),
    ("flock", &["EINTR", "EIO", "ENOLCK"]),
    ("mmap", &["ENOMEM"]),
];

/// Whatever fails once in a start, the caches are loaded and not built, or it is told; and the
/// files are what they were.
pub fn a_start_overwrites_no_good_file() {
    let folder = place();
    let folder = folder.path();
    let (built, _) = traced(folder, "trace=none");
    assert!(
        String::from_utf8_lossy(&built.stdout).starts_with("built 3\n"),
        "{built:?}"
    );
    let before = saved(folder);
    let names: Vec<&str> = PASSING.iter().map(|(call, _)| *call).collect();
    let (loaded, log) = traced(folder, &format!("trace={}", names.join(",")));
    assert!(
        String::from_utf8_lossy(&loaded.stdout).starts_with("built 0\n"),
        "{loaded:?}"
    );
    let calls = calls(&log);
    let mut points = 0;
    for (call, errors) in PASSING {
        let numbers = calls.get(call).into_iter().flatten();
        for (number, error) in numbers.flat_map(|it| errors.iter().map(move |error| (it, error))) {
            points += 1;
            let what = format!("inject={call}:error={error}:when={number}");
            let (output, log) = traced(folder, &what);
            let injected = log.lines().find(|line| line.contains("INJECTED"));
            let text = String::from_utf8_lossy(&output.stdout);
            let told = format!("{what}: {injected:?}\n{text}{output:?}");
            assert!(saved(folder) == before, "{told}");
            // A source that cannot be read may be read by who builds.
            let of_source = injected.is_some_and(|line| line.contains("/sources/"));
            let sound = match output.status.code() {
                Some(0) => text.starts_with("built 0\n") || of_source,
                code => code == Some(NOT_OPENED.into()),
            };
            assert!(sound, "{told}");
        }
    }
    assert!(points > 40, "{points} points");
}

/// What can never be read says nothing of its content either.
pub fn a_file_that_cannot_be_read_is_left_as_it_is() {
    let folder = place();
    let folder = folder.path();
    traced(folder, "trace=none");
    let before = saved(folder);
    for calls in ["copy_file_range,sendfile", "memfd_create:when=1..4"] {
        let call = calls.split(':').next().unwrap();
        let when = calls.strip_prefix(call).unwrap();
        let (output, _) = traced(folder, &format!("inject={call}:error=EIO{when}"));
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(saved(folder) == before, "{calls}: {text}");
        assert!(output.status.success(), "{calls}: {output:?}");
        if call == "copy_file_range,sendfile" {
            let (first, again) = text.split_once("again ").unwrap();
            assert!(
                first.starts_with("built 3\n") && first.contains("generation 2"),
                "{text}"
            );
            assert!(first.contains("the file is kept"), "{text}");
            // That is told once.
            assert!(
                again.contains("fresh") && !again.contains("the file is kept"),
                "{text}"
            );
        }
    }
}

/// Locks, modes and syncs that a file system does not know are done without; unlocking may fail.
pub fn what_a_file_system_lacks_is_done_without() {
    for (lacks, told) in [
        ("inject=flock:error=EOPNOTSUPP", Some("has no locks")),
        ("inject=flock:error=ENOSYS", Some("has no locks")),
        ("inject=flock:error=EINTR:when=3+2", None),
        ("inject=flock:error=ENOLCK:when=2+2", None),
        ("inject=flock:error=EIO:when=2+2", None),
        ("inject=fsync:error=EINVAL", None),
        ("inject=fsync:error=EOPNOTSUPP", None),
        ("inject=chmod,fchmodat:error=EPERM", None),
        // That of a memfd is none of the directory.
        ("inject=fchmod:error=EPERM:when=in caches", None),
    ] {
        let folder = place();
        let lacks = match lacks.strip_suffix("in caches") {
            None => lacks.to_owned(),
            Some(when) => {
                let (_, log) = traced(place().path(), "trace=fchmod");
                let mut calls = log.lines().zip(1..);
                let (_, number) = calls.find(|it| it.0.contains("/caches/")).unwrap();
                format!("{when}{number}")
            }
        };
        let (output, _) = traced(folder.path(), &lacks);
        let text = String::from_utf8_lossy(&output.stdout);
        let (first, again) = text
            .split_once("again ")
            .unwrap_or_else(|| panic!("{lacks}: {output:?}"));
        assert!(output.status.success(), "{lacks}: {output:?}");
        assert!(first.starts_with("built 3\n"), "{lacks}: {text}");
        if let Some(told) = told {
            assert_eq!(
                (first.matches(told).count(), again.matches(told).count()),
                (1, 0),
                "{text}"
            );
        }
        let whole = folder.path().join("caches/whole.floe");
        assert!(Frozen::<String>::load(whole).is_ok(), "{lacks}: {text}");
    }
}
