//! Usage, help, and pipes that close early.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use crate::{Saved, floe, recipes};

const VERBS: [&str; 9] = [
    "inspect", "census", "dump", "verify", "mem", "ls", "names", "watch", "metrics",
];

#[test]
fn wrong_usage_is_2() {
    let (pid, both) = ("1", "mem --tree 1 1");
    for line in [
        "",
        "melt",
        "inspect",
        "census",
        "dump",
        "verify",
        "mem",
        both,
        "inspect a b",
        "dump a b c",
        "dump --json --jsonl a",
        "census --svg a --html b c",
        "census --by age a",
        "mem --format xml 1",
        "mem --watch=0 1",
        "mem --watch=x 1",
        "mem --tree one",
        "ls",
        "ls a b",
        "ls --format xml a",
        "names a",
        "names --format xml",
        "watch",
        "watch --every 0 a",
        "metrics",
    ] {
        let run = floe(line.split_whitespace());
        assert_eq!((run.code, run.output.as_str()), (2, ""), "{line}");
        assert!(run.errors.contains("--help"), "{line}: {}", run.errors);
    }
    assert!(floe(["mem", pid, "--format", "csv"]).code < 2);
}

#[test]
fn help_is_complete() {
    let text = floe(["--help"]).good();
    for verb in VERBS {
        assert!(text.contains(&format!("\n  {verb} ")), "{text}");
        let text = floe([verb, "--help"]).good();
        assert!(
            text.contains("Examples:")
                && text.contains("Exit codes:")
                && text.contains("Usage: floe"),
            "{text}"
        );
        assert!(
            text.lines().all(|line| line.chars().count() <= 100),
            "{text}"
        );
    }
    assert!(text.contains("Exit codes:"), "{text}");
    for verb in ["inspect", "dump"] {
        let text = floe([verb, "--help"]).good();
        let words: Vec<&str> = text.split_whitespace().collect();
        let words = words.join(" ");
        assert!(words.contains("`floe verify` is the full check"), "{text}");
    }
}

/// Whoever reads the output stops after a line: that is no failure, and nothing is said.
#[test]
fn a_closed_pipe_ends_it_quietly() {
    let saved = Saved::of(&recipes(3000));
    let own = std::process::id().to_string();
    for arguments in [
        &["dump", saved.path()][..],
        &["dump", "--jsonl", saved.path()],
        &["mem", "--watch=0.001", &own],
    ] {
        let mut child = Command::new(env!("CARGO_BIN_EXE_floe"))
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut reader = BufReader::new(child.stdout.take().unwrap());
        reader.read_line(&mut String::new()).unwrap();
        drop(reader);
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
        assert_eq!(output.stderr, b"", "{arguments:?}");
    }
}

#[test]
fn no_colours_without_a_terminal() {
    let saved = Saved::of(&recipes(3));
    let own = std::process::id().to_string();
    for arguments in [
        ["inspect", saved.path()],
        ["verify", saved.path()],
        ["mem", &own],
    ] {
        assert!(!floe(arguments).good().contains('\u{1b}'));
    }
}
