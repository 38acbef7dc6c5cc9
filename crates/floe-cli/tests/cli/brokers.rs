//! Caches of a broker, which this process runs: `floe ls`, `floe metrics`, and SOCKET:NAME.

use std::fs;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::time::Duration;

use floe::{Broker, Content, Counters, Frozen, Publisher};
use serde_json::Value;
use tempfile::TempDir;

use crate::{Saved, floe, recipes};

const HOUR: Duration = Duration::from_secs(3600);

/// A broker on a socket of its own folder.
pub(crate) struct Served {
    pub(crate) broker: Broker,
    pub(crate) directory: TempDir,
    pub(crate) path: String,
}

impl Served {
    pub(crate) fn of<'a>(publishers: impl IntoIterator<Item = &'a Publisher>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("floe.sock");
        Self {
            broker: Broker::serve(&path, publishers).unwrap(),
            path: path.to_str().unwrap().to_owned(),
            directory,
        }
    }

    fn cache(&self, name: &str) -> String {
        format!("{}:{name}", self.path)
    }
}

pub(crate) fn publisher<T: Content>(frozen: &Frozen<T>) -> Publisher {
    Publisher::new(frozen).unwrap()
}

fn number(name: &str) -> Publisher {
    publisher(&Frozen::freeze(name, &7_u8).unwrap())
}

#[test]
fn a_list_tells_how_caches_stand() {
    let cache = Publisher::new(&recipes(1200)).unwrap();
    let cache = cache.expire_after(2 * HOUR).unwrap();
    let why = "no space left\n\u{1b}[2J";
    cache.note(Some(HOUR), Some(why.to_owned())).unwrap();
    let counters = Counters::for_workers(1).unwrap();
    counters.of(0).count(None::<u8>);
    counters.of(0).count(Some(1));
    cache.report(&counters).unwrap();
    let served = Served::of([&cache, &number("value")]);

    let rows = floe(["ls", &served.path, "--format=json"]).json();
    let row = &rows[0];
    let status = cache.status().unwrap();
    assert_eq!(
        (&row["name"], &row["generation"]),
        (&"recipes".into(), &1.into())
    );
    assert_eq!(
        (&row["entries"], &row["bytes"]),
        (&1200.into(), &status.bytes.into())
    );
    assert_eq!((&row["lookups"], &row["misses"]), (&2.into(), &1.into()));
    assert_eq!(row["last_error"], why);
    for (column, hours) in [
        ("age_seconds", 0.0..1.0),
        ("refresh_in_seconds", 0.0..1.0),
        ("expires_in_seconds", 1.0..2.0),
    ] {
        let found = row[column].as_f64().unwrap() / HOUR.as_secs_f64();
        assert!(hours.contains(&found), "{row}");
    }
    assert_eq!(rows[1]["name"], "value");
    for column in ["entries", "refresh_in_seconds", "misses", "last_error"] {
        assert_eq!(rows[1][column], Value::Null);
    }

    let table = floe(["ls", &served.path]).good();
    assert_eq!(table.lines().count(), 3, "{table}");
    let titles = "NAME GEN AGE ENTRIES SIZE DUE EXPIRES LOOKUPS MISSES MERGED REFUSED LAST ERROR";
    let found: Vec<&str> = table.lines().next().unwrap().split_whitespace().collect();
    assert_eq!(found.join(" "), titles);
    assert!(
        table.contains("  1,200  ") && table.contains("no space left??[2J"),
        "{table}"
    );
    let csv = floe(["ls", &served.path, "--format=csv"]).good();
    assert!(
        csv.starts_with("name,generation,age_seconds,entries,bytes,"),
        "{csv}"
    );
}

#[test]
fn what_is_over_is_reported_in_words() {
    let first = Frozen::freeze("short", &1_u8).unwrap();
    let cache = Publisher::new(&first).unwrap();
    let cache = cache.expire_after(Duration::ZERO).unwrap();
    cache.note(Some(Duration::ZERO), None).unwrap();
    let served = Served::of([&cache]);
    let table = floe(["ls", &served.path]).good();
    let words: Vec<&str> = table.lines().nth(1).unwrap().split_whitespace().collect();
    assert!(
        words.ends_with(&["now", "expired", "-", "-", "-", "-"]),
        "{table}"
    );
}

#[test]
fn metrics_are_a_page_for_prometheus() {
    let served = Served::of([&publisher(&recipes(3)), &number("a \"b\"")]);
    let page = floe(["metrics", &served.path]).good();
    assert!(page.starts_with("# HELP floe_generation "), "{page}");
    for line in [
        "# TYPE floe_generation gauge",
        "floe_generation{cache=\"recipes\"} 1",
        "floe_entries{cache=\"recipes\"} 3",
        "floe_failing{cache=\"a \\\"b\\\"\"} 0",
    ] {
        assert!(page.lines().any(|found| found == line), "{line}: {page}");
    }
}

#[test]
fn caches_are_targets_of_every_verb() {
    let cache = publisher(&recipes(30));
    let served = Served::of([&cache]);
    let target = served.cache("recipes");
    for verb in ["inspect", "census", "dump", "verify"] {
        let output = floe([verb, &target]).good();
        assert!(output.contains("recipe"), "{verb}: {output}");
    }
    assert!(floe(["inspect", &target]).good().contains("a memfd"));
    assert!(floe(["verify", &target]).good().contains("seals, digests"));
    assert_eq!(floe(["dump", &target, "recipe-7"]).json()["priority"], -7);
    let line = floe(["dump", &target, "recipe-2x9"]).refused(3);
    assert!(
        line.contains(&target) && line.contains("\"recipe-29\""),
        "{line}"
    );
}

#[test]
fn the_newest_generation_is_read() {
    let cache = number("number");
    let served = Served::of([&cache]);
    cache.publish(&cache.freeze(&8_u8).unwrap()).unwrap();
    let target = served.cache("number");
    assert_eq!(floe(["dump", &target]).good(), "8\n");
    let inspected = floe(["inspect", "--json", &target]).json();
    assert_eq!(inspected["generation"], 2);
}

#[test]
fn wrong_names_are_answered_with_the_names() {
    let served = Served::of([&number("first"), &number("the: second")]);
    assert_eq!(floe(["dump", &served.cache("the: second")]).good(), "7\n");
    let socket = &served.path;
    for verb in ["inspect", "census", "dump"] {
        let line = floe([verb, &served.cache("third")]).refused(1);
        assert!(
            line.contains("\"third\"") && line.ends_with("[\"first\", \"the: second\"]"),
            "{line}"
        );
        for nameless in [socket, &served.cache("")] {
            let line = floe([verb, nameless]).refused(1);
            let targets = format!("{socket}:first, {socket}:the: second");
            assert!(line.ends_with(&targets), "{line}");
        }
        let line = floe([verb, &served.cache("a/b")]).refused(1);
        assert!(line.contains("\"a/b\""), "{line}");
    }
    let none = Served::of([]);
    assert_eq!(floe(["ls", &none.path]).good().lines().count(), 1);
    let line = floe(["dump", &none.path]).refused(1);
    assert!(line.ends_with("offers no cache"), "{line}");
}

/// A colon in a path means nothing, and what is found under the whole name is that.
#[test]
fn a_path_that_exists_wins() {
    let served = Served::of([&number("number")]);
    let beside = served.cache("number");
    fs::copy(Saved::of(&recipes(2)).path(), &beside).unwrap();
    assert_eq!(floe(["dump", &beside, "recipe-1"]).json()["priority"], -1);

    let folder = served.directory.path().join("a:b");
    fs::create_dir(&folder).unwrap();
    let path = folder.join("floe:sock");
    let _broker = Broker::serve(&path, [&number("number")]).unwrap();
    let target = format!("{}:number", path.display());
    assert_eq!(floe(["dump", &target]).good(), "7\n");
}

/// The verbs that take a socket alone.
const LISTS: [&str; 4] = ["ls", "watch", "metrics", "mem"];

#[track_caller]
fn no_broker(path: &str, expected: &str) {
    for verb in LISTS {
        let line = floe([verb, path]).refused(1);
        assert!(
            line.contains(path) && line.contains(expected),
            "{verb}: {line}"
        );
    }
}

#[test]
fn what_is_no_broker_is_an_error() {
    let directory = tempfile::tempdir().unwrap();
    let place = |name: &str| -> PathBuf { directory.path().join(name) };
    let path = |name: &str| place(name).to_str().unwrap().to_owned();
    no_broker(&path("nowhere"), "No such file");
    let line = floe(["dump", &path("nowhere:recipes")]).refused(1);
    assert!(
        line.contains("the file does not exist") && line.contains("nowhere is not a socket"),
        "{line}"
    );

    fs::write(place("file"), "text").unwrap();
    no_broker(&path("file"), "not the socket of a broker");
    // A colon does not make a socket of a file.
    let line = floe(["dump", &path("file:recipes")]).refused(1);
    assert!(line.contains("file is not a socket"), "{line}");

    let _stream = UnixListener::bind(place("stream")).unwrap();
    no_broker(&path("stream"), "is not a broker");
    drop(UnixListener::bind(place("dead")).unwrap());
    no_broker(&path("dead"), "is its owner running?");
    for name in ["stream", "dead"] {
        let expected = ["is not a broker", "is its owner running?"];
        for target in [path(name), path(&format!("{name}:recipes"))] {
            let line = floe(["dump", &target]).refused(1);
            assert!(expected.iter().any(|it| line.contains(it)), "{line}");
        }
    }
}
