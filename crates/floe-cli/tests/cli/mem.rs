//! `floe mem`.

use std::fs::{self, Permissions};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use floe::Frozen;
use floe::usage::bytes;
use floe_testkit::generations::Generations;
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

/// Nobody but root may look into a process whose program may be run, but not be read.
#[test]
fn a_tree_goes_on_past_what_may_not_be_read() {
    let directory = tempfile::tempdir().unwrap();
    fs::set_permissions(directory.path(), Permissions::from_mode(0o755)).unwrap();
    let closed = directory.path().join("cat");
    copy("/bin/cat", &closed);
    fs::set_permissions(&closed, Permissions::from_mode(0o111)).unwrap();
    // The folder of builds need not be anybody's to enter.
    let tool = directory.path().join("floe");
    copy(env!("CARGO_BIN_EXE_floe"), &tool);

    let script = r#""$0"; true"#;
    let mut root = as_nobody("sh");
    root.args(["-c", script]).arg(&closed);
    let mut root = root
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = root.stdin.take().unwrap();
    std::io::Write::write_all(&mut stdin, b"x").unwrap();
    std::io::Read::read_exact(root.stdout.as_mut().unwrap(), &mut [0]).unwrap();
    let child = child_of(&root);
    let mem = |arguments: &[&str]| {
        let output = as_nobody(&tool).arg("mem").args(arguments).output();
        let output = output.unwrap();
        crate::Run {
            code: output.status.code().unwrap(),
            output: String::from_utf8(output.stdout).unwrap(),
            errors: String::from_utf8(output.stderr).unwrap(),
        }
    };
    let pid = root.id().to_string();
    let missing = "1 process could not be read: permission denied";

    let run = mem(&["--tree", &pid, "--format=json"]);
    assert_eq!((run.code, run.errors), (0, format!("floe: {missing}\n")));
    let rows: Vec<Value> = serde_json::from_str(&run.output).unwrap();
    assert!(rows[0]["uss"].is_u64(), "{rows:?}");
    assert_eq!(
        (&rows[1]["pid"], &rows[1]["name"]),
        (&child.into(), &"cat".into())
    );
    assert_eq!(
        (&rows[1]["uss"], &rows[1]["vss"]),
        (&Value::Null, &Value::Null)
    );
    assert_eq!(rows.len(), 2);
    let table = mem(&["--tree", &pid]).good();
    assert!(table.ends_with(&format!("{missing}\n")), "{table}");

    for arguments in [
        vec![child.to_string()],
        vec!["--tree".to_owned(), child.to_string()],
    ] {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let line = mem(&arguments).refused(1);
        assert!(line.contains("not permitted"), "{line}");
    }
    drop(stdin);
    root.wait().unwrap();
}

/// Copies a program. Another process does it: a child that another test forks meanwhile would hold
/// the copy open for writing, and nobody could run it.
fn copy(program: &str, to: &Path) {
    let status = Command::new("cp").arg(program).arg(to).status().unwrap();
    assert!(status.success());
}

/// A program that has no rights beyond those of its user.
fn as_nobody(program: impl AsRef<Path>) -> Command {
    let mut command = Command::new(program.as_ref());
    if fs::metadata("/proc/self").unwrap().uid() == 0 {
        command.uid(65534).gid(65534);
    }
    command
}

/// The only child of a process.
fn child_of(parent: &Child) -> u32 {
    let id = parent.id();
    let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap();
    children.trim().parse().unwrap()
}

#[test]
fn forms_agree() {
    let frozen = recipes(300);
    let pid = std::process::id().to_string();
    let csv = floe(["mem", &pid, "--format", "csv"]).good();
    assert!(
        csv.starts_with(
            "pid,name,region,generation,uss,pss,rss,vss,anonymous,swap,files,beyond,added\n"
        ),
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

/// What generations share counts once, and a held one costs what the newest does not have of it.
#[test]
fn a_held_generation_costs_what_the_newest_does_not_use() {
    let cache = Generations::new("held", 400);
    let lengths = |frozen: &Frozen<Vec<u64>>| -> Vec<u64> {
        let fds = frozen.region().as_fds().unwrap().into_iter();
        let path = |fd| format!("/proc/self/fd/{}", AsRawFd::as_raw_fd(&fd));
        fds.map(|fd| fs::metadata(path(fd)).unwrap().len())
            .collect()
    };
    let first = cache.newest();
    let second = cache.change((0..20).map(|number| 15 * number));
    // All pages of the second one's file have other bytes in the third one.
    let third = cache.change((0..20).map(|number| 15 * number));
    let base = first.region().size();
    let (own_second, own_third) = (lengths(&second)[0], lengths(&third)[0]);
    assert_eq!(lengths(&third), [own_third, base]);

    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("floe.sock");
    let broker = cache.serve(&socket);
    let pid = std::process::id();
    let by_pid = floe(["mem", &pid.to_string(), "--format=json"]).json();
    let run = floe(["mem", socket.to_str().unwrap(), "--format=json"]);
    let by_broker: Value = serde_json::from_str(&run.output).unwrap();
    for rows in [by_pid, by_broker] {
        let rows = rows.as_array().unwrap().iter();
        let own = rows.filter(|row| row["pid"] == pid && row["region"] == "held");
        let costs: Vec<[u64; 4]> = own
            .map(|row| {
                ["generation", "files", "beyond", "added"].map(|key| row[key].as_u64().unwrap())
            })
            .collect();
        let expected = [
            [1, base, 0, base],
            [2, base + own_second, own_second, own_second],
            [3, base + own_third, 0, own_third],
        ];
        assert_eq!(costs, expected);
    }

    let table = floe(["mem", &pid.to_string()]).good();
    let total = table
        .lines()
        .rfind(|line| line.contains("all generations  held"))
        .unwrap();
    let all = bytes(base + own_second + own_third).to_string();
    let ending = format!("{all}  {}", bytes(own_second));
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words(total).ends_with(&words(&ending)), "{ending}: {table}");
    drop((broker, second, third));
}

/// Caches of one name are apart, whoever has frozen them.
#[test]
fn caches_of_one_name_are_not_generations_of_each_other() {
    let (one, other) = (
        Generations::new("namesake", 200),
        Generations::new("namesake", 300),
    );
    let second = other.change([7]);
    let rows = rows(floe([
        "mem",
        &std::process::id().to_string(),
        "--format=json",
    ]));
    let own = rows.iter().filter(|row| row["region"] == "namesake");
    let costs: Vec<(u64, u64)> = own
        .map(|row| {
            (
                row["generation"].as_u64().unwrap(),
                row["beyond"].as_u64().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        costs,
        [(1, 0), (2, 0)],
        "the only one of its cache is the newest"
    );
    drop((one, second));
}
