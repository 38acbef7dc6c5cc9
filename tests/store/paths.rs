//! What a walk over paths meets, and that what could not be read is an input too.

use std::ffi::OsStr;
use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use floe::{Error, Inputs, Policy, Store};
use nix::sys::stat::Mode;

use crate::fixture::{Sources, refresh};

fn changes(inputs: &Inputs) -> Vec<String> {
    inputs.changed().iter().map(ToString::to_string).collect()
}

fn glob(sources: &Sources, pattern: impl AsRef<Path>) -> Vec<PathBuf> {
    let folder = sources.folder.path();
    let found = Inputs::new().glob(folder.join(pattern)).unwrap();
    let inside = |path: &PathBuf| path.strip_prefix(folder).unwrap().to_owned();
    found.iter().map(inside).collect()
}

fn paths<const N: usize>(paths: [&str; N]) -> [PathBuf; N] {
    paths.map(PathBuf::from)
}

#[test]
fn a_pattern_finds_only_what_is_there() {
    let sources = Sources::new(&[("file", ""), ("a.conf", "")]);
    fs::create_dir_all(sources.path("folder/sub")).unwrap();
    symlink("folder", sources.path("link")).unwrap();
    symlink("file", sources.path("other")).unwrap();
    // As a folder that goes while its parent is walked through.
    symlink("nowhere", sources.path("dangling")).unwrap();
    for nothing in [
        "nothing/**",
        "nothing/*",
        "nothing/**/file",
        "file/**",
        "file/*",
        "file/",
        "other/**",
        "other/",
        "nothing/",
        "folder/**/*.conf",
        "*/*.conf",
        "folder/../nothing",
        "dangling/*",
        "*/x",
    ] {
        assert_eq!(glob(&sources, nothing), paths([]), "{nothing}");
    }
    assert_eq!(glob(&sources, "folder/**"), paths(["folder", "folder/sub"]));
    assert_eq!(glob(&sources, "link/**"), paths(["link", "link/sub"]));
    assert_eq!(glob(&sources, "*/"), paths(["folder", "link"]));
    assert_eq!(glob(&sources, "folder/"), paths(["folder"]));
    assert_eq!(glob(&sources, "**/**/*.conf"), paths(["a.conf"]));
    assert_eq!(glob(&sources, "**/sub"), paths(["folder/sub"]));
    let mut inputs = Inputs::new();
    assert_eq!(inputs.glob("").unwrap(), paths([]));
    assert_eq!(inputs.glob("/").unwrap(), paths(["/"]));
    // The working directory, which for tests is that of the package.
    assert_eq!(inputs.glob("src/**").unwrap()[0], Path::new("src"));
    assert_eq!(inputs.glob(".").unwrap(), paths(["."]));
    assert_eq!(inputs.glob("**").unwrap()[0], Path::new("."));
}

#[test]
fn what_a_pattern_did_not_find_is_seen_when_it_appears() {
    let sources = Sources::new(&[("file", "")]);
    let mut inputs = Inputs::new();
    for pattern in ["nothing/**", "file/**", "file/*/x", "other/"] {
        inputs.glob(sources.path(pattern)).unwrap();
    }
    sources.write("file", "is a file still");
    assert_eq!(changes(&inputs), [""; 0]);
    assert_eq!(inputs.unreadable().count(), 0);
    sources.remove("file");
    for folder in ["nothing", "file", "other"] {
        fs::create_dir(sources.path(folder)).unwrap();
    }
    let seen = [
        "file: can be read now",
        "nothing: appeared",
        "other/: appeared",
    ];
    assert_eq!(
        changes(&inputs),
        seen.map(|it| sources.path(it).display().to_string())
    );
}

#[test]
fn a_folder_whose_name_looks_like_a_pattern_is_found_when_it_is_escaped() {
    let sources = Sources::new(&[("xa.conf", "")]);
    for name in ["[x]", "a*b?", "]!["] {
        let folder = sources.path(name);
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("a.conf"), "").unwrap();
        let pattern = Path::new(&Inputs::escape_pattern(&folder)).join("*.conf");
        let mut inputs = Inputs::new();
        assert_eq!(inputs.glob(&pattern).unwrap(), [folder.join("a.conf")]);
        fs::write(folder.join("b.conf"), "").unwrap();
        assert_eq!(inputs.changed().len(), 1);
    }
    assert_eq!(glob(&sources, "[x]/*.conf"), paths([]));
}

#[test]
fn names_that_are_not_utf8_are_found_like_others() {
    let sources = Sources::new(&[("a.conf", "")]);
    let name = |bytes: &[u8]| sources.folder.path().join(OsStr::from_bytes(bytes));
    fs::create_dir(name(b"folder\xff")).unwrap();
    let patterns: [&[u8]; 5] = [
        b"*.conf",
        b"?\xfe.conf",
        b"**/*.conf",
        b"[\xfb-\xff].conf",
        b"*/",
    ];
    let inputs = patterns.map(|pattern| {
        let mut inputs = Inputs::new();
        inputs.glob(name(pattern)).unwrap();
        inputs
    });
    let mut listed = Inputs::new();
    listed.read_dir(sources.folder.path()).unwrap();
    fs::write(name(b"b\xfe.conf"), "").unwrap();
    fs::write(name(b"\xfd.conf"), "").unwrap();
    let inside = name(b"folder\xff/c\xfc.conf");
    fs::write(&inside, "").unwrap();
    let counts = inputs.map(|inputs| inputs.changed().len());
    assert_eq!(counts, [1, 1, 2, 1, 0]);
    assert_eq!(listed.changed().len(), 1);
    let mut inputs = Inputs::new();
    let mut count = |pattern: &[u8]| inputs.glob(name(pattern)).unwrap().len();
    assert_eq!(patterns.map(&mut count), [3, 1, 4, 1, 1]);
    assert_eq!(count(b"b?.conf"), 1);
    assert_eq!(count(b"b??.conf"), 0);
    let escaped = Inputs::escape_pattern(name(b"folder\xff"));
    assert_eq!(
        inputs.glob(Path::new(&escaped).join("*")).unwrap(),
        [inside]
    );
}

#[test]
fn masked_files_are_empty_and_special_ones_are_refused_by_name() {
    let sources = Sources::new(&[]);
    let fifo = sources.path("fifo");
    nix::unistd::mkfifo(&fifo, Mode::S_IRUSR | Mode::S_IWUSR).unwrap();
    let _listener = UnixListener::bind(sources.path("socket")).unwrap();
    symlink("/dev/zero", sources.path("zero")).unwrap();
    let mut inputs = Inputs::new();
    for (name, kind) in [
        ("fifo", "named pipe"),
        ("socket", "socket"),
        ("zero", "character device"),
    ] {
        let error = inputs.read(sources.path(name)).unwrap_err();
        assert!(
            error.to_string().contains(&format!("it is a {kind}")),
            "{error}"
        );
        assert!(matches!(error, Error::ReadFile { path, .. } if path == sources.path(name)));
    }
    symlink("/dev/null", sources.path("masked")).unwrap();
    let read = |inputs: &mut Inputs| inputs.read(sources.path("masked")).unwrap().unwrap();
    assert_eq!(read(&mut inputs), b"");
    assert_eq!(changes(&inputs), [""; 0]);
    // Unmasked, and masked again.
    sources.remove("masked");
    sources.write("masked", "text");
    assert_eq!(changes(&inputs).len(), 1);
    let mut inputs = Inputs::new();
    assert_eq!(read(&mut inputs), b"text");
    sources.remove("masked");
    symlink("/dev/null", sources.path("masked")).unwrap();
    assert_eq!(changes(&inputs).len(), 1);
}

#[test]
fn a_pipe_that_is_refused_lets_no_writer_go_on() {
    let sources = Sources::new(&[]);
    let fifo = sources.path("fifo");
    nix::unistd::mkfifo(&fifo, Mode::S_IRUSR | Mode::S_IWUSR).unwrap();
    // What was opened for reading has been noticed by nobody if the pipe was never opened.
    let watched = nix::sys::inotify::Inotify::init(nix::sys::inotify::InitFlags::IN_NONBLOCK);
    let watched = watched.unwrap();
    let flags = nix::sys::inotify::AddWatchFlags::IN_OPEN;
    watched.add_watch(&fifo, flags).unwrap();
    Inputs::new().read(&fifo).unwrap_err();
    assert_eq!(
        watched.read_events().unwrap_err(),
        nix::errno::Errno::EAGAIN
    );
}

#[test]
fn loops_and_paths_too_long_hide_nothing_else() {
    let sources = Sources::new(&[("a.conf", "")]);
    symlink("loop", sources.path("loop")).unwrap();
    // Deeper than any path can be.
    let mut at = OwnedFd::from(fs::File::open(sources.folder.path()).unwrap());
    let long = "d".repeat(250);
    for _ in 0..20 {
        rustix::fs::mkdirat(&at, &*long, rustix::fs::Mode::RWXU).unwrap();
        let flags = rustix::fs::OFlags::DIRECTORY;
        at = rustix::fs::openat(&at, &*long, flags, rustix::fs::Mode::empty()).unwrap();
    }
    let mut inputs = Inputs::new();
    let mut glob = |pattern: &str| inputs.glob(sources.path(pattern)).unwrap();
    assert_eq!(glob("**/*.conf"), [sources.path("a.conf")]);
    assert_eq!(glob("*/*.conf"), paths([]));
    assert_eq!(glob("*/x"), paths([]));
    // The loop by name and as a folder, and what is behind the longest path.
    assert!(inputs.unreadable().any(|path| path == sources.path("loop")));
    assert!(
        inputs
            .unreadable()
            .any(|path| path.as_os_str().len() > 4096)
    );
    assert_eq!(changes(&inputs), [""; 0]);
    sources.remove("loop");
    fs::create_dir(sources.path("loop")).unwrap();
    assert!(
        changes(&inputs)
            .iter()
            .any(|it| it.ends_with("loop: can be read now"))
    );
    // Who names them is told.
    symlink("round", sources.path("round")).unwrap();
    for named in ["round/*", "round/x", &format!("{}/*", "n".repeat(300))] {
        let error = Inputs::new().glob(sources.path(named)).unwrap_err();
        assert!(matches!(error, Error::ReadFile { .. }), "{error}");
    }
}

/// Something that cannot be read, and how it is mended.
struct Mended {
    name: &'static str,
    hurt: fn(&Path),
    mend: fn(&Path),
}

const MENDED: [Mended; 4] = [
    Mended {
        name: "a folder",
        hurt: |path| fs::create_dir(path).unwrap(),
        mend: |path| fs::remove_dir(path).unwrap(),
    },
    Mended {
        name: "a pipe",
        hurt: |path| nix::unistd::mkfifo(path, Mode::S_IRUSR).unwrap(),
        mend: |path| fs::remove_file(path).unwrap(),
    },
    Mended {
        name: "a loop",
        hurt: |path| symlink(path, path).unwrap(),
        mend: |path| fs::remove_file(path).unwrap(),
    },
    Mended {
        name: "a file that is too large",
        hurt: |path| fs::write(path, "0123456789").unwrap(),
        mend: |_| {},
    },
];

#[test]
fn what_could_not_be_read_is_an_input() {
    for Mended { name, hurt, mend } in MENDED {
        let sources = Sources::new(&[]);
        let path = sources.path("text");
        hurt(&path);
        let store = Store::new();
        // A closure that goes on in spite of the error.
        let read = path.clone();
        let cache = store.cache(
            "text",
            Policy::new().revalidate_inputs().read_limit(9),
            move |inputs| {
                Ok(inputs
                    .read_to_string(&read)
                    .ok()
                    .flatten()
                    .unwrap_or_default())
            },
        );
        let cache = cache.unwrap();
        assert_eq!(refresh(&store).generation, 1, "{name}");
        assert_eq!(
            refresh(&store).outcome,
            floe::store::Outcome::Fresh,
            "{name}"
        );
        mend(&path);
        fs::write(&path, "mended").unwrap();
        assert_eq!(refresh(&store).generation, 2, "{name}");
        assert_eq!(cache.get().unwrap().as_str(), "mended", "{name}");
    }
}

#[test]
fn every_way_to_ask_records_that_it_failed() {
    let sources = Sources::new(&[("file", "")]);
    symlink("loop", sources.path("loop")).unwrap();
    let asks: [fn(&mut Inputs, &Path) -> Option<Error>; 5] = [
        |inputs, path| inputs.read(path).err(),
        |inputs, path| inputs.read_dir(path).err(),
        |inputs, path| inputs.stat(path).err(),
        |inputs, path| inputs.exists(path).err(),
        |inputs, path| inputs.glob(path.join("*")).err(),
    ];
    let mut all = asks.map(|ask| {
        let mut inputs = Inputs::new();
        assert!(ask(&mut inputs, &sources.path("loop")).is_some());
        assert_eq!(
            inputs.unreadable().collect::<Vec<_>>(),
            [sources.path("loop")]
        );
        assert_eq!(changes(&inputs), [""; 0]);
        inputs
    });
    sources.remove("loop");
    for inputs in &all {
        assert_eq!(
            changes(inputs),
            [format!("{}: is gone", sources.path("loop").display())]
        );
    }
    fs::create_dir(sources.path("loop")).unwrap();
    // A folder that is to be read as a file fails in another way.
    let reading = all[0].changed().remove(0).to_string();
    assert!(reading.contains("Is a directory"), "{reading}");
    for inputs in &mut all[1..] {
        assert!(changes(inputs)[0].ends_with("can be read now"));
    }
    let mut inputs = Inputs::new();
    inputs.read_dir(sources.path("file")).unwrap_err();
    assert_eq!(changes(&inputs), [""; 0]);
}
