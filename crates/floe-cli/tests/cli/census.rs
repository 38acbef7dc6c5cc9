//! `floe census`.

use std::fs;

use floe::Frozen;
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
