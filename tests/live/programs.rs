//! Programs that were started by exec follow what they were passed.

use std::io::{self, BufRead, BufReader, Lines, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, ExitCode, Stdio};
use std::time::Duration;
use std::{env, fs};

use floe::{Live, Trust};

use crate::fixture::{Numbers, channel, publish_next, read};

/// Arguments that make this program follow a cache instead of running tests.
const INHERIT: &str = "follow-inherited";
const CONNECT: &str = "follow-broker";
const TRUST: &str = "follow-trusting";
/// What it is given to wait for the end of its owner, and says then.
const ORPHANED: &str = "orphaned";

/// What this program does if it is told to: it says which generation it reads, and again for each
/// line that it is given; or it waits until its owner has ended.
pub(crate) fn run(arguments: &[String]) -> Option<ExitCode> {
    let live = match arguments {
        [kind, name] if kind == INHERIT => Live::<Numbers>::inherited(name),
        [kind, name] if kind == TRUST => {
            // SAFETY: this program is its own parent, and has frozen a vector of numbers.
            let trust = unsafe { Trust::in_owner() };
            Live::<Numbers>::inherited_trusting(name, trust)
        }
        [kind, path, name] if kind == CONNECT => Live::<Numbers>::connect(path, name),
        _ => return None,
    };
    let mut live = match live {
        Ok(live) => live,
        Err(error) => {
            println!("{error}");
            return Some(ExitCode::FAILURE);
        }
    };
    println!("{} {}", read(&mut live), descriptors_after_exec());
    for line in io::stdin().lines() {
        let line = line.unwrap();
        if line == ORPHANED {
            assert!(!live.wait_newer(Duration::from_secs(60)) && live.is_orphaned());
            println!("{ORPHANED}");
            continue;
        }
        let awaited: u64 = line.parse().unwrap();
        while live.generation() < awaited {
            assert!(live.wait_newer(Duration::from_secs(60)));
        }
        println!("{}", read(&mut live));
    }
    Some(ExitCode::SUCCESS)
}

/// How many descriptors of this library a child gets.
fn descriptors_after_exec() -> usize {
    let output = Command::new("ls").args(["-l", "/proc/self/fd"]).output();
    let text = String::from_utf8(output.unwrap().stdout).unwrap();
    assert!(text.contains("/proc/"), "{text}");
    let is_ours = |line: &&str| line.contains("memfd:floe") || line.contains("socket:");
    text.lines().filter(is_ours).count()
}

/// A program that follows a cache.
pub(crate) struct Follower {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Follower {
    pub(crate) fn start(mut command: Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    pub(crate) fn says(&mut self) -> String {
        self.lines.next().unwrap().unwrap()
    }

    pub(crate) fn follows_to(&mut self, generation: u64) {
        writeln!(self.child.stdin.as_ref().unwrap(), "{generation}").unwrap();
        assert_eq!(self.says(), generation.to_string());
    }

    pub(crate) fn ends(mut self) -> bool {
        drop(self.child.stdin.take());
        self.child.wait().unwrap().success()
    }
}

pub(crate) fn inheriting(name: &str) -> Command {
    let mut command = Command::new("/proc/self/exe");
    command.args([INHERIT, name]);
    command
}

pub(crate) fn trusting(name: &str) -> Command {
    let mut command = Command::new("/proc/self/exe");
    command.args([TRUST, name]);
    command
}

pub(crate) fn connecting(path: &Path, name: &str) -> Command {
    let mut command = Command::new("/proc/self/exe");
    command.arg(CONNECT).arg(path).arg(name);
    command
}

pub(crate) fn a_program_follows_what_it_was_passed() {
    let (publisher, mut live) = channel();
    let mut command = inheriting("numbers");
    publisher.pass_to(&mut command).unwrap();
    let mut follower = Follower::start(command);
    assert_eq!(follower.says(), "1 0", "it passes nothing on itself");
    for _ in 0..3 {
        follower.follows_to(publish_next(&publisher));
    }
    drop(publisher);
    follower.follows_to(read(&mut live));
    assert!(follower.ends());
}

pub(crate) fn nothing_is_passed_to_others() {
    let (publisher, _live) = channel();
    assert_eq!(descriptors_after_exec(), 0);
    let mut passed = inheriting("numbers");
    publisher.pass_to(&mut passed).unwrap();
    assert_eq!(descriptors_after_exec(), 0);
    let mut listing = Command::new("ls");
    listing.args(["-l", "/proc/self/fd"]);
    publisher.pass_to(&mut listing).unwrap();
    let text = String::from_utf8(listing.output().unwrap().stdout).unwrap();
    assert_eq!(text.matches("memfd:floe-control:numbers").count(), 1);
    assert_eq!(text.matches("socket:").count(), 1);
    assert_eq!(text.matches("memfd:floe:").count(), 0);
}

pub(crate) fn a_program_gets_an_error_that_names_what_is_wrong() {
    let said = |mut command: Command| {
        let output = command.output().unwrap();
        assert!(!output.status.success());
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(said(inheriting("numbers")).contains("FLOE_LIVE is not set"));
    let (publisher, _live) = channel();
    let passed = |name| {
        let mut command = inheriting(name);
        publisher.pass_to(&mut command).unwrap();
        command
    };
    let unknown = said(passed("letters"));
    assert!(
        unknown.contains("\"letters\"") && unknown.contains("[\"numbers\"]"),
        "{unknown}"
    );

    let text = floe::Frozen::freeze("text", &String::new()).unwrap();
    let text = floe::Publisher::new(&text).unwrap();
    let mut command = inheriting("text");
    text.pass_to(&mut command).unwrap();
    publisher.pass_to(&mut command).unwrap();
    assert!(said(command).contains("holds another type"));

    for (value, problem) in [
        ("", "FLOE_LIVE"),
        ("numbers/3", "FLOE_LIVE"),
        ("numbers/3/x", "FLOE_LIVE"),
        ("numbers/-1/-1", "cannot inspect or map the descriptor"),
        ("numbers/998/999", "cannot inspect or map the descriptor"),
        ("numbers/0/1", "not fully sealed"),
    ] {
        let mut command = inheriting("numbers");
        command.env("FLOE_LIVE", value);
        let said = said(command);
        assert!(said.contains(problem), "{value}: {said}");
    }
}

pub(crate) fn a_program_with_more_rights_than_its_parent_inherits_nothing() {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let program = directory.path().join("program");
    fs::copy("/proc/self/exe", &program).unwrap();
    chown(&program, Some(65534), None).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o4755)).unwrap();
    assert_eq!(fs::metadata(&program).unwrap().mode() & 0o7777, 0o4755);

    let (publisher, _live) = channel();
    let mut command = Command::new(&program);
    command.args([INHERIT, "numbers"]);
    publisher.pass_to(&mut command).unwrap();
    let output = command.output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("more rights than its parent"), "{said}");
}
