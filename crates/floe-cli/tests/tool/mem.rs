//! `floe mem`.

use std::process::{Command, Stdio};

use floe::Frozen;
use serde_json::Value;

use crate::brokers::{Served, publisher};
use crate::{floe, recipes};

fn rows(run: crate::Run) -> Vec<Value> {
    run.json().as_array().unwrap().clone()
}

#[test]
fn regions_are_rows_of_their_own() {
    let frozen = recipes(300);
    let second = frozen.clone();
    let pid = std::process::id().to_string();
    let rows = rows(floe(["mem", &pid, "--format", "json"]));
    let process = &rows[0];
    assert_eq!(process["pid"].to_string(), pid);
    assert_eq!(process["region"], Value::Null);
    // Other tests of this process may freeze at the same time.
    let regions: Vec<&Value> = rows
        .iter()
        .filter(|row| row["region"] == "recipes")
        .collect();
    let region = regions.iter().find(|row| {
        let vss = row["vss"].as_u64().unwrap();
        vss >= second.region().size() && vss - second.region().size() < 1 << 16
    });
    let region = region.expect("the region is mapped");
    assert_eq!(region["generation"], 1);
    assert_eq!(region["anonymous"], 0);
    assert_eq!(region["pid"], process["pid"]);
}

#[test]
fn a_tree_has_all_descendants() {
    let mut child = Command::new("sh")
        .args(["-c", "cat; true"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let root = child.id().to_string();
    // The shell has forked once its child echoes.
    let mut stdin = child.stdin.take().unwrap();
    std::io::Write::write_all(&mut stdin, b"x").unwrap();
    std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut [0]).unwrap();
    let rows = rows(floe(["mem", "--tree", &root, "--format=json"]));
    let names: Vec<&str> = rows
        .iter()
        .map(|row| row["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["sh", "cat"]);
    drop(stdin);
    child.wait().unwrap();
    let line = floe(["mem", "--tree", &root]).refused(1);
    assert!(
        line.contains(&format!("process {root}: it is gone")),
        "{line}"
    );
    floe(["mem", &root]).refused(1);
}

#[test]
fn forms_agree() {
    let frozen = recipes(300);
    let pid = std::process::id().to_string();
    let csv = floe(["mem", &pid, "--format", "csv"]).good();
    assert!(
        csv.starts_with("pid,name,region,generation,uss,pss,rss,vss,anonymous,swap\n"),
        "{csv}"
    );
    assert!(csv.contains(",recipes,1,"), "{csv}");
    let table = floe(["mem", &pid]).good();
    assert!(
        table.lines().next().unwrap().contains("ANONYMOUS"),
        "{table}"
    );
    assert!(table.contains("total"), "{table}");
    drop(frozen);
}

/// Watching ends when the last process has.
#[test]
fn watching_ends_with_the_processes() {
    let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
    let mut watch = Command::new(env!("CARGO_BIN_EXE_floe"))
        .args([
            "mem",
            "--watch=0.01",
            "--format=json",
            &child.id().to_string(),
        ])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(watch.stdout.take().unwrap()));
    for _ in 0..2 {
        let rows: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
        assert_eq!(rows[0]["name"], "cat");
    }
    drop(child.stdin.take());
    child.wait().unwrap();
    assert!(lines.all(|line| line.is_ok()));
    assert!(watch.wait().unwrap().success());
}

/// Generations of other caches are left out; processes that map none as well.
#[test]
fn a_broker_tells_who_maps_which_generation() {
    let first = Frozen::freeze("mapped", &1_u8).unwrap();
    let other = recipes(3);
    let cache = publisher(&first);
    let served = Served::of([&cache]);
    let second = cache.freeze(&2_u8).unwrap();
    cache.publish(&second).unwrap();

    let run = floe(["mem", &served.path, "--format", "json"]);
    let unreadable = std::fs::read("/proc/1/maps").is_err();
    assert!(
        !unreadable || run.errors.contains("could not be read"),
        "{}",
        run.errors
    );
    assert_eq!(run.code, 0);
    let rows: Vec<Value> = serde_json::from_str(&run.output).unwrap();
    let own: Vec<&Value> = rows
        .iter()
        .filter(|row| row["pid"] == std::process::id())
        .collect();
    let regions: Vec<_> = own
        .iter()
        .map(|row| (&row["region"], &row["generation"]))
        .collect();
    let mapped = Value::from("mapped");
    let expected = [
        (&Value::Null, &Value::Null),
        (&mapped, &1.into()),
        (&mapped, &2.into()),
    ];
    assert_eq!(regions, expected);
    let mappers = rows.iter().filter(|row| row["region"] == "mapped");
    assert_eq!(
        mappers.count(),
        rows.iter()
            .filter(|row| row["region"] != Value::Null)
            .count()
    );

    let table = floe(["mem", &served.path]).output;
    let words = table.split_whitespace().collect::<Vec<_>>().join(" ");
    for generation in [1, 2] {
        // One that another test starts maps what this one does, until it is another program.
        let told = |count| words.contains(&format!(" {count} mapped {generation} "));
        assert!(told("process") || told("processes"), "{table}");
    }
    assert!(
        !unreadable || table.contains("could not be read"),
        "{table}"
    );
    drop((first, second, other));
}
