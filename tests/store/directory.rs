//! A store that is opened again judges what was saved, and builds nothing that is still true.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};

use floe::store::Outcome;
use floe::{Error, Policy, Store};

use crate::fixture::{Sources, contents, names, pairs, refresh};

#[test]
fn a_restart_builds_what_changed_meanwhile() {
    let sources = Sources::new(&[("a.txt", "A"), ("b.txt", "B")]);
    let home = tempfile::tempdir().unwrap();
    let directory = home.path().join("caches");
    {
        let store = Store::open(&directory).unwrap();
        contents(&store, &sources, Policy::new().revalidate_inputs());
        assert_eq!(refresh(&store).generation, 1);
    }
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(
        (mode(&directory), mode(&directory.join("contents.floe"))),
        (0o700, 0o600)
    );

    let store = Store::open(&directory).unwrap();
    let (cache, built) = contents(&store, &sources, Policy::new().revalidate_inputs());
    assert!(matches!(cache.get(), Err(Error::NotBuilt { .. })));
    let report = refresh(&store);
    assert_eq!((report.outcome, report.generation), (Outcome::Loaded, 1));
    assert!(built.take().is_empty());
    assert_eq!(pairs(&cache).len(), 2);
    drop(store);

    sources.write("b.txt", "B2");
    let store = Store::open(&directory).unwrap();
    let (cache, built) = contents(&store, &sources, Policy::new().revalidate_inputs());
    refresh(&store);
    let created = cache.get().unwrap().region().created();
    sources.write("b.txt", "B3");
    let report = refresh(&store);
    assert_eq!((report.outcome, report.generation), (Outcome::Published, 3));
    assert_eq!(built.take(), ["b.txt"]);
    // What was carried over has not become younger.
    assert_eq!(cache.get().unwrap().region().created(), created);
    assert_eq!(pairs(&cache)[1].1, "B3");
}

#[test]
fn another_key_is_never_served() {
    let home = tempfile::tempdir().unwrap();
    let build = |key: &str| {
        let store = Store::open(home.path().join("caches")).unwrap();
        let policy = Policy::new().keyed_by(key);
        let value = key.to_owned();
        let cache = store
            .cache("value", policy, move |_| Ok(value.clone()))
            .unwrap();
        let report = refresh(&store);
        assert_eq!(cache.get().unwrap().as_str(), key);
        (report.outcome, report.generation)
    };
    assert_eq!(build("arm"), (Outcome::Published, 1));
    assert_eq!(build("arm"), (Outcome::Loaded, 1));
    assert_eq!(build("x86"), (Outcome::Published, 2));
}

#[test]
fn what_does_not_fit_is_built_again() {
    let home = tempfile::tempdir().unwrap();
    let directory = home.path().join("caches");
    let store = Store::open(&directory).unwrap();
    store.cache("value", Policy::new(), |_| Ok(1_u32)).unwrap();
    refresh(&store);
    drop(store);
    let file = directory.join("value.floe");
    let bytes = fs::read(&file).unwrap();
    let mut flipped = bytes.clone();
    flipped[600] ^= 1;
    for damaged in [&bytes[..100], &bytes[..bytes.len() - 1], &flipped, b"text"] {
        fs::write(&file, damaged).unwrap();
        let store = Store::open(&directory).unwrap();
        let cache = store.cache("value", Policy::new(), |_| Ok(2_u32)).unwrap();
        let report = refresh(&store);
        assert_eq!(report.outcome, Outcome::Published);
        assert!(report.error.unwrap().contains("value.floe"));
        assert_eq!(*cache.get().unwrap(), 2);
    }
    // Another type of the same name.
    let store = Store::open(&directory).unwrap();
    let cache = store
        .cache("value", Policy::new(), |_| Ok("text".to_owned()))
        .unwrap();
    assert_eq!(refresh(&store).outcome, Outcome::Published);
    assert_eq!(cache.get().unwrap().as_str(), "text");
}

#[test]
fn what_is_made_from_a_cache_is_built_anew_when_that_begins_again() {
    let home = tempfile::tempdir().unwrap();
    let directory = home.path().join("caches");
    let build = |text: &'static str| {
        let store = Store::open(&directory).unwrap();
        let first = store.cache("first", Policy::new(), move |_| Ok(text.to_owned()));
        let first = first.unwrap();
        let second = store.cache("second", Policy::new().revalidate_inputs(), move |inputs| {
            Ok(inputs.cache(&first)?.to_string())
        });
        let report = store.refresh().unwrap();
        (
            report.caches[0].generation,
            report.caches[1].outcome,
            second.unwrap().get().unwrap().to_string(),
        )
    };
    let text = |text: &str| text.to_owned();
    assert_eq!(build("one"), (1, Outcome::Published, text("one")));
    let file = directory.join("first.floe");
    let whole = fs::read(&file).unwrap();
    // Nothing is known of the number.
    fs::write(&file, "text").unwrap();
    fs::remove_file(directory.join("first.lock")).unwrap();
    assert_eq!(build("two"), (1, Outcome::Published, text("two")));
    // The header still tells it.
    fs::write(&file, &whole[..whole.len() - 1]).unwrap();
    assert_eq!(build("two"), (2, Outcome::Loaded, text("two")));
}

#[test]
fn a_build_that_changed_nothing_is_not_repeated_after_a_restart() {
    let sources = Sources::new(&[("a.txt", "A 1"), ("b.txt", "B 1")]);
    let home = tempfile::tempdir().unwrap();
    let outcomes = || {
        let store = Store::open(home.path().join("caches")).unwrap();
        let (folder, path) = (sources.folder.path().to_owned(), sources.path("a.txt"));
        let first_word = |text: Option<String>| text.unwrap().split(' ').next().unwrap().to_owned();
        let whole = store.cache("whole", Policy::new().revalidate_inputs(), move |inputs| {
            Ok(first_word(inputs.read_to_string(&path)?))
        });
        whole.unwrap();
        let list = folder.clone();
        let keyed = store.keyed(
            "keyed",
            Policy::new().revalidate_inputs(),
            move |inputs| names(&list, inputs),
            move |name: &String, inputs| Ok(first_word(inputs.read_to_string(folder.join(name))?)),
        );
        let report = store.refresh().unwrap();
        let keyed = keyed.unwrap().get().unwrap();
        assert_eq!(keyed["b.txt"].as_str(), "B");
        let caches = report.caches.into_iter();
        caches
            .map(|it| (it.outcome, it.generation))
            .collect::<Vec<_>>()
    };
    let both = |outcome, generation| vec![(outcome, generation); 2];
    assert_eq!(outcomes(), both(Outcome::Published, 1));
    assert_eq!(outcomes(), both(Outcome::Loaded, 1));
    sources.write("a.txt", "A and more");
    assert_eq!(outcomes(), both(Outcome::Unchanged, 1));
    assert_eq!(outcomes(), both(Outcome::Loaded, 1));
}

#[test]
fn directories_of_others_and_planted_links_are_refused() {
    let home = tempfile::tempdir().unwrap();
    let path = |name: &str| home.path().join(name);
    fs::create_dir(path("open")).unwrap();
    fs::set_permissions(path("open"), Permissions::from_mode(0o755)).unwrap();
    drop(Store::open(path("own")).unwrap());
    symlink("own", path("link")).unwrap();
    fs::write(path("file"), "").unwrap();
    for name in ["open", "open/", "link", "file", "file/", "none/below"] {
        let error = Store::open(path(name)).unwrap_err();
        assert!(matches!(error, Error::Directory { .. }), "{name}: {error}");
    }

    let directory = path("caches");
    let victim = path("victim");
    fs::write(&victim, "precious").unwrap();
    for planted in ["value.floe", "value.lock"] {
        let store = Store::open(&directory).unwrap();
        let cache = store.cache("value", Policy::new(), |_| Ok(1_u32)).unwrap();
        symlink(&victim, directory.join(planted)).unwrap();
        let report = refresh(&store);
        assert!(report.error.unwrap().contains(planted));
        assert!(cache.get().is_ok(), "{planted}");
        assert_eq!(fs::read_to_string(&victim).unwrap(), "precious");
        fs::remove_dir_all(&directory).unwrap();
    }
}

#[test]
fn a_link_is_no_directory_however_it_is_spelt() {
    let home = tempfile::tempdir().unwrap();
    let path = |name: &str| home.path().join(name);
    drop(Store::open(path("own")).unwrap());
    symlink("own", path("link")).unwrap();
    symlink("nowhere", path("dangling")).unwrap();
    for (name, target) in [
        ("link", "own"),
        ("link/", "own"),
        ("link//", "own"),
        ("link/.", "own"),
        ("dangling", "nowhere"),
        ("dangling/", "nowhere"),
    ] {
        let error = Store::open(path(name)).unwrap_err().to_string();
        let told = format!("it is a symbolic link to {target}; pass the path that it leads to");
        assert!(error.contains(&told), "{name}: {error}");
    }
    // On the way to it links are followed.
    symlink(".", path("here")).unwrap();
    for name in ["own", "own/", "here/own", "link/../own/"] {
        Store::open(path(name)).unwrap();
    }
}

#[test]
fn what_a_killed_writer_left_is_swept() {
    let home = tempfile::tempdir().unwrap();
    let directory = home.path().join("caches");
    let store = Store::open(&directory).unwrap();
    // A cache may have a name that looks like theirs.
    store
        .cache(".floe-x", Policy::new(), |_| Ok(1_u32))
        .unwrap();
    refresh(&store);
    fs::write(directory.join(".floe-killed"), "half").unwrap();
    fs::create_dir(directory.join(".floe-folder")).unwrap();
    Store::open(&directory).unwrap();
    assert!(!directory.join(".floe-killed").exists());
    for name in [".floe-x.floe", ".floe-x.lock", ".floe-folder"] {
        assert!(directory.join(name).exists(), "{name}");
    }
}
