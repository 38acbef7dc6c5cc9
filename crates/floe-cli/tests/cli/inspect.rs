//! `floe inspect`.

use std::fs;
use std::os::fd::AsRawFd;
use std::process::Command;

use floe::Frozen;
use floe::usage::bytes;
use floe_testkit::generations::Generations;
use serde_json::Value;

use crate::{Saved, floe, recipes};

#[test]
fn a_map_tells_what_it_holds() {
    let frozen = recipes(1200);
    let saved = Saved::of(&frozen);
    let text = floe(["inspect", saved.path()]).good();
    for expected in [
        "recipes, generation 1",
        "a map of 1,200 entries",
        &frozen.region().fingerprint().to_string(),
        "Map<String, Recipe>",
        "license: String, interned",
        "tasks: Vec<String>, interned",
        "flags: BTreeMap<String, Vec<u16>>",
        "└─ Archive",
        "a file",
    ] {
        assert!(text.contains(expected), "{expected} is missing:\n{text}");
    }
}

#[test]
fn a_memory_file_is_read_where_it_is() {
    let frozen = Frozen::freeze("words", &vec!["a".to_owned(), "b".to_owned()]).unwrap();
    let fd = frozen.region().as_fd().unwrap().as_raw_fd();
    let path = format!("/proc/{}/fd/{fd}", std::process::id());
    let text = floe(["inspect", &path]).good();
    assert!(text.contains("one value: Vec<String>"), "{text}");
    assert!(text.contains("a memfd"), "{text}");
    assert!(!text.contains("SHARED"), "{text}");
}

#[test]
fn json_has_all_of_it() {
    let frozen = recipes(3);
    let object = floe(["inspect", "--json", Saved::of(&frozen).path()]).json();
    assert_eq!(object["name"], "recipes");
    assert_eq!(object["entries"], 3);
    assert_eq!(object["size"], frozen.region().size());
    assert_eq!(object["sections"][0]["section"], "archive");
    let schema: &Value = &object["schema"];
    assert_eq!(schema["types"][0]["name"], "Map");
}

/// Page files of a process, of a broker, and of nobody else.
#[test]
fn page_files_and_runs_are_shown() {
    let cache = Generations::new("inspected", 400);
    cache.change((0..20).map(|number| 15 * number));
    let third = cache.change([200]);
    let path = descriptor(&third);
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("floe.sock");
    let broker = cache.serve(&socket);
    let by_broker = format!("{}:inspected", socket.display());

    for target in [&path, &by_broker] {
        let text = floe(["inspect", target]).good();
        assert!(text.contains("lies in     3 page files of "), "{text}");
        let titles = "FILE GEN PAGES USED % RUNS SIZE DIGEST";
        let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
        let mut lines = text.lines().map(words).skip_while(|line| line != titles);
        let rows: Vec<String> = lines.by_ref().skip(1).take(4).collect();
        for (number, start) in ["0 3 ", "1 2 ", "2 1 ", "total "].iter().enumerate() {
            assert!(rows[number].starts_with(start), "{text}");
        }

        let object = floe(["inspect", "--json", target]).json();
        let pages = &object["pages"];
        let generations: Vec<&Value> = list(&pages["files"]).map(|it| &it["generation"]).collect();
        assert_eq!(generations, [3, 2, 1]);
        let sum: u64 = list(&pages["runs"])
            .map(|run| run["pages"].as_u64().unwrap())
            .sum();
        assert_eq!(sum * 4096, third.region().size());
        assert_eq!(pages["files"][0]["digest"].as_str().unwrap().len(), 64);
        let archive = &object["sections"][0];
        assert!(archive["shared"].as_u64() < archive["length"].as_u64());

        let runs = floe(["inspect", "--runs", target]).good();
        let mut lines = runs.lines().map(words);
        assert_eq!(lines.next().unwrap(), "FROM PAGES SIZE GEN FILE AT HOLDS");
        assert_eq!(lines.next().unwrap(), "0 1 4.0 KiB 3 0 0 header");
        assert_eq!(lines.clone().count() + 1, list(&pages["runs"]).count());
        let last = lines.next_back().unwrap();
        assert!(last.ends_with(" 3 0 1 layout"), "{runs}");
        let rows = lines.map(|line| line.split(' ').map(str::to_owned).collect::<Vec<_>>());
        let of_second: Vec<_> = rows.filter(|row| row[4] == "2").collect();
        assert_eq!(of_second.len(), 20);
        assert!(
            of_second.iter().all(|row| row[7..] == ["archive"]),
            "{runs}"
        );
    }
    let (folder, number) = path.rsplit_once('/').unwrap();
    let mut within = Command::new(env!("CARGO_BIN_EXE_floe"));
    let output = within
        .current_dir(folder)
        .args(["inspect", number])
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    drop(broker);
}

#[test]
fn a_page_file_alone_is_refused_with_what_is_missing() {
    let cache = Generations::new("page file", 400);
    let size = cache.newest().region().size();
    let second = cache.change([7]);
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("copy.floe");
    fs::copy(descriptor(&second), &copy).unwrap();
    let copy = copy.to_str().unwrap();
    for verb in ["inspect", "census", "dump"] {
        let line = floe([verb, copy]).refused(1);
        for expected in [
            copy,
            "one page file of a region, which generation 2 wrote",
            &format!("needs 1 more: {} (BLAKE3 ", bytes(size)),
            "Region::save",
        ] {
            assert!(line.contains(expected), "{verb}: {line}");
        }
    }
    let run = floe(["verify", copy]);
    assert!(
        run.code == 1 && run.output.contains("needs 1 more: "),
        "{}",
        run.output
    );
}

#[test]
fn the_picture_has_a_row_for_each_generation() {
    let cache = Generations::new("drawn <b>", 400);
    let first = cache.newest();
    let second = cache.change((0..20).map(|number| 15 * number));
    let third = cache.change([200]);
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("pages.svg");
    let out = out.to_str().unwrap();
    assert_eq!(
        floe(["inspect", &descriptor(&third), "--svg", out]).good(),
        ""
    );
    let picture = fs::read_to_string(out).unwrap();
    assert!(picture.contains("drawn &lt;b&gt;") && !picture.contains("<b>"));
    let numbers: Vec<&str> = picture
        .split("class=\"number\"")
        .skip(1)
        .map(|text| text.split(['>', '<']).nth(1).unwrap())
        .collect();
    assert_eq!(numbers, ["3", "2", "1"]);
    for expected in [
        "Generation 3 is made of",
        "20 pages that generation 2 wrote",
        "80.0 KiB",
        ">archive<",
        "generation 3 wrote 1 of them (header)",
    ] {
        assert!(picture.contains(expected), "{expected}: {picture}");
    }
    assert_eq!(
        floe(["inspect", &descriptor(&third), "--svg", "-"]).good(),
        picture
    );
    let line = floe([
        "inspect",
        &descriptor(&third),
        "--svg",
        "/nowhere/pages.svg",
    ])
    .refused(1);
    assert!(line.contains("cannot write /nowhere/pages.svg"), "{line}");

    // Those that nobody holds have no row, but what is left of them has its colour.
    drop((first, second));
    let path = folder.path().join("third.floe");
    third.region().save(&path).unwrap();
    drop((third, cache));
    // A child of another test holds them from its fork to its exec.
    let draw = |_| floe(["inspect", path.to_str().unwrap(), "--svg", "-"]).good();
    let is_alone = |picture: &String| picture.matches("class=\"number\"").count() == 1;
    let alone = (0..100).map(draw).find(is_alone).unwrap();
    assert!(!alone.contains("generation 2"), "{alone}");
    assert!(alone.contains("no other generation was found"), "{alone}");
}

/// A page file outlives its generation, and with it the knowledge of pages that have gone.
#[test]
fn the_picture_tells_pages_that_were_freed() {
    let cache = Generations::new("freed", 400);
    let apart = || (0..20).map(|number| 15 * number);
    cache.change(apart());
    let third = cache.change([200]);
    let own = third.region().try_clone_fds().unwrap().swap_remove(0);
    let picture =
        |frozen: &Frozen<Vec<u64>>| floe(["inspect", &descriptor(frozen), "--svg", "-"]).good();
    assert!(!picture(&third).contains("class=\"gone\""));
    drop(third);
    let newest = cache.change(apart());
    let drawn = picture(&newest);
    assert!(
        drawn.contains("class=\"gone\"") && drawn.contains("freed since"),
        "{drawn}"
    );
    drop(own);
}

fn descriptor(frozen: &Frozen<Vec<u64>>) -> String {
    let fd = frozen.region().as_fd().unwrap().as_raw_fd();
    format!("/proc/{}/fd/{fd}", std::process::id())
}

fn list(value: &Value) -> impl Iterator<Item = &Value> + Clone {
    value.as_array().unwrap().iter()
}
