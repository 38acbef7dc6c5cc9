//! `floe census`.

use std::fs;
use std::os::fd::AsRawFd;

use floe::Frozen;
use floe_testkit::generations::Generations;
use serde_json::Value;

use crate::{Saved, floe, recipes};

fn sum(rows: &Value, column: &str) -> u64 {
    let rows = rows.as_array().unwrap();
    rows.iter().map(|row| row[column].as_u64().unwrap()).sum()
}

#[test]
fn the_rows_add_up_to_the_archive() {
    let saved = Saved::of(&recipes(200));
    let inspected = floe(["inspect", "--json", saved.path()]).json();
    for by in ["kind", "path"] {
        let rows = floe(["census", saved.path(), "--by", by, "--format", "json"]).json();
        assert_eq!(
            sum(&rows, "bytes"),
            inspected["sections"][0]["length"],
            "{by}"
        );
        let names: Vec<&str> = rows
            .as_array()
            .unwrap()
            .iter()
            .map(|row| row[by].as_str().unwrap())
            .collect();
        assert!(names.contains(&"(padding)"), "{names:?}");
        assert_eq!(rows[0]["index"], 0);
        let last = rows.as_array().unwrap().last().unwrap();
        assert!((last["cumulative"].as_f64().unwrap() - 1.0).abs() < 1e-9);
    }
}

#[test]
fn people_see_the_columns_that_they_know() {
    let saved = Saved::of(&recipes(200));
    let table = floe(["census", saved.path()]).good();
    let titles = table
        .lines()
        .find(|line| line.starts_with("INDEX"))
        .unwrap();
    let titles: Vec<&str> = titles.split_whitespace().collect();
    assert_eq!(
        titles,
        ["INDEX", "COUNT", "%", "SIZE", "%", "CUM", "MAX", "KIND"]
    );
    assert!(table.lines().last().unwrap().ends_with("total"), "{table}");
    assert!(table.starts_with("recipes "), "{table}");
}

#[test]
fn duplicated_text_is_reported_by_path() {
    let words = vec!["a word that is written often".to_owned(); 10];
    let saved = Saved::of(&Frozen::freeze("words", &words).unwrap());
    let csv = floe(["census", saved.path(), "--by=path", "--format=csv"]).good();
    let titles = "index,count,count_share,bytes,share,cumulative,largest,saves,path";
    assert_eq!(csv.lines().next(), Some(titles));
    let text = words[0].len();
    let items = csv.lines().nth(1).unwrap();
    assert!(items.contains(&format!(",{},", 9 * text)), "{items}");
}

#[test]
fn pictures_show_every_field() {
    let saved = Saved::of(&recipes(200));
    let directory = tempfile::tempdir().unwrap();
    for form in ["--svg", "--html"] {
        let path = directory.path().join("picture");
        assert_eq!(
            floe([
                "census".as_ref(),
                saved.path.as_os_str(),
                form.as_ref(),
                path.as_os_str()
            ])
            .good(),
            ""
        );
        let picture = fs::read_to_string(&path).unwrap();
        for field in ["license", "tasks[]", "flags[key]", "(padding)", "recipes"] {
            assert!(picture.contains(field), "{form}: {field}");
        }
        assert_eq!(floe(["census", saved.path(), form, "-"]).good(), picture);
        let run = floe(["census", saved.path(), form, "/nowhere/picture"]);
        assert!(run.refused(1).contains("cannot write /nowhere/picture"));
    }
}

/// Each section says what of it earlier generations wrote; together they are the region.
#[test]
fn sections_tell_what_is_shared() {
    let cache = Generations::new("census", 400);
    let second = cache.change([100]);
    let fd = second.region().as_fd().unwrap().as_raw_fd();
    let path = format!("/proc/{}/fd/{fd}", std::process::id());
    let rows = floe(["census", &path, "--by=section", "--format=json"]).json();
    let inspected = floe(["inspect", "--json", &path]).json();
    assert_eq!(sum(&rows, "bytes"), second.region().size());
    assert_eq!(
        sum(&rows, "own") + sum(&rows, "shared"),
        second.region().size()
    );
    let own = &inspected["pages"]["files"][0]["used"];
    assert_eq!(sum(&rows, "own"), own.as_u64().unwrap() * 4096);
    let names: Vec<&str> = rows
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["section"].as_str().unwrap())
        .collect();
    assert_eq!(
        names,
        [
            "(header)",
            "archive",
            "inputs",
            "schema",
            "layout",
            "(padding)"
        ]
    );
    assert!(rows[1]["shared_share"].as_f64().unwrap() > 0.99, "{rows}");
    assert_eq!(rows[4]["shared"], 0);

    let first = |arguments: &[&str]| {
        let text = floe(arguments).good();
        text.lines().next().unwrap().to_owned()
    };
    let shared = "% of it pages of earlier generations";
    let line = first(&["census", &path, "--by=section"]);
    assert!(
        line.starts_with("census  region of ") && line.ends_with(shared),
        "{line}"
    );
    let line = first(&["census", &path]);
    assert!(
        line.contains(" in one value; region of ") && line.ends_with(shared),
        "{line}"
    );
    let saved = Saved::of(&recipes(3));
    let line = first(&["census", saved.path()]);
    assert!(line.ends_with("no page of an earlier generation"), "{line}");
}
