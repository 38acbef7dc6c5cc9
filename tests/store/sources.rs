//! Whatever happens to a source, it is seen; whatever does not, is not read.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::time::Duration;

use floe::inputs::Difference;
use floe::store::Outcome;
use floe::{Clock, Error, Inputs, Moment, Policy, Store};

use crate::fixture::{Sources, refresh};

fn changes(inputs: &Inputs) -> Vec<String> {
    inputs.changed().iter().map(ToString::to_string).collect()
}

/// Bytes that this thread has asked the kernel to read.
fn bytes_read() -> u64 {
    let io = fs::read_to_string("/proc/thread-self/io").unwrap();
    io.lines()
        .next()
        .unwrap()
        .strip_prefix("rchar: ")
        .unwrap()
        .parse()
        .unwrap()
}

#[test]
fn an_edit_within_a_tick_and_of_the_same_size_is_seen() {
    let sources = Sources::new(&[]);
    for round in 0..200 {
        let path = sources.path("file");
        fs::write(&path, format!("one {round:05}")).unwrap();
        let mut inputs = Inputs::new();
        inputs.read(&path).unwrap();
        fs::write(&path, format!("two {round:05}")).unwrap();
        assert_eq!(inputs.changed().len(), 1, "round {round}");
    }
}

#[test]
fn unchanged_inputs_are_not_read() {
    let sources = Sources::new(&[("a", "1"), ("b", "2")]);
    let later = Moment::now() + Duration::from_secs(60);
    let store = Store::new().with_clock(Clock::manual(later));
    let folder = sources.folder.path().to_owned();
    let cache = store.cache("texts", Policy::new().revalidate_inputs(), move |inputs| {
        inputs.read_dir(&folder)?;
        let texts = ["a", "b"].map(|name| inputs.read(folder.join(name)));
        Ok(texts.map(|text| text.unwrap().unwrap()).concat())
    });
    cache.unwrap();
    refresh(&store);
    let before = bytes_read();
    let own = bytes_read() - before;
    assert_eq!(refresh(&store).outcome, Outcome::Fresh);
    // The numbers that the kernel shows may have got longer.
    assert!(bytes_read() - before <= 2 * own + 8);
}

#[test]
fn replacements_links_and_absences_are_seen() {
    let sources = Sources::new(&[
        ("renamed", "same"),
        ("one", "1"),
        ("two", "2"),
        ("gone", ""),
    ]);
    symlink("one", sources.path("link")).unwrap();
    let mut inputs = Inputs::new();
    for name in ["renamed", "link", "gone", "absent", "unchanged-absent"] {
        inputs.read(sources.path(name)).unwrap();
    }
    assert!(!inputs.exists(sources.path("appears")).unwrap());
    assert!(inputs.exists(sources.path("two")).unwrap());
    assert_eq!(changes(&inputs), [""; 0]);

    sources.write("other", "diff");
    fs::rename(sources.path("other"), sources.path("renamed")).unwrap();
    fs::remove_file(sources.path("link")).unwrap();
    symlink("two", sources.path("link")).unwrap();
    sources.remove("gone");
    sources.write("absent", "here");
    sources.write("appears", "");
    // That it is there is all that was asked of this one.
    sources.write("two", "another 2");
    let expected = [
        "absent: appeared",
        "appears: appeared",
        "gone: is gone",
        "link: content changed",
        "renamed: content changed",
    ];
    let expected = expected.map(|it| format!("{}/{it}", sources.folder.path().display()));
    assert_eq!(changes(&inputs), expected);
    fs::remove_file(sources.path("two")).unwrap();
    assert_eq!(
        inputs.changed().last().unwrap().difference(),
        &Difference::Gone
    );
}

#[test]
fn directories_are_known_by_the_names_in_them() {
    let sources = Sources::new(&[("a.bb", ""), ("b.inc", "")]);
    fs::create_dir(sources.path("sub")).unwrap();
    let folder = sources.folder.path();
    let mut all = Inputs::new();
    assert_eq!(all.read_dir(folder).unwrap().unwrap().len(), 3);
    let mut recipes = Inputs::new();
    let pattern = format!("{}/**/*.bb", folder.display());
    assert_eq!(recipes.glob(&pattern).unwrap(), [sources.path("a.bb")]);
    let mut nothing = Inputs::new();
    assert!(
        nothing
            .glob(format!("{}/none/*.bb", folder.display()))
            .unwrap()
            .is_empty()
    );
    assert!(nothing.read_dir(sources.path("none")).unwrap().is_none());

    sources.write("c.inc", "");
    assert_eq!(
        changes(&all),
        [format!("{}: directory gained c.inc", folder.display())]
    );
    assert!(changes(&recipes).is_empty());
    fs::write(sources.path("sub/d.bb"), "").unwrap();
    assert_eq!(
        changes(&recipes),
        [format!("{}/sub: directory gained d.bb", folder.display())]
    );
    sources.remove("a.bb");
    let lost = format!("{}: directory lost a.bb", folder.display());
    assert_eq!(changes(&recipes)[0], lost);
    assert!(changes(&nothing).is_empty());
    fs::create_dir(sources.path("none")).unwrap();
    assert_eq!(
        changes(&nothing),
        [format!("{}/none: appeared", folder.display())]
    );
    // A name that stands for something else is another entry.
    fs::remove_file(sources.path("b.inc")).unwrap();
    fs::create_dir(sources.path("b.inc")).unwrap();
    assert!(changes(&all)[0].contains("gained b.inc"));
}

#[test]
fn metadata_and_values_are_compared() {
    let sources = Sources::new(&[("a", "1")]);
    let mut inputs = Inputs::new();
    assert!(inputs.stat(sources.path("a")).unwrap().is_some());
    inputs.value("version", "1");
    assert!(changes(&inputs).is_empty());
    fs::set_permissions(sources.path("a"), Permissions::from_mode(0o640)).unwrap();
    assert!(changes(&inputs)[0].ends_with("a: metadata changed"));
    inputs.value("version", "2");
    assert_eq!(changes(&inputs).last().unwrap(), "value version changed");
}

#[test]
fn what_cannot_be_read_is_named() {
    let sources = Sources::new(&[("large", "123456789")]);
    fs::create_dir(sources.path("sub")).unwrap();
    let mut inputs = Inputs::new();
    let error = inputs.read(sources.path("sub")).unwrap_err();
    assert!(matches!(&error, Error::ReadFile { path, .. } if *path == sources.path("sub")));
    assert!(error.to_string().contains("Is a directory"), "{error}");
    let error = inputs.read_dir(sources.path("large")).unwrap_err();
    assert!(error.to_string().contains("large"), "{error}");
    assert!(matches!(
        inputs.glob("a[").unwrap_err(),
        Error::Pattern { .. }
    ));
    // A file where a directory was expected is an absence, as the kernel says.
    assert_eq!(inputs.read(sources.path("large/x")).unwrap(), None);
}
