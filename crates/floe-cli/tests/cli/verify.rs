//! `floe verify`.

use std::fs::File;
use std::io::Write;
use std::os::fd::AsRawFd;

use floe::Frozen;

use crate::{Saved, floe, recipes};

#[test]
fn good_regions_have_a_line_each() {
    let frozen = recipes(40);
    let fd = frozen.region().as_fd().unwrap().as_raw_fd();
    let memory = format!("/proc/{}/fd/{fd}", std::process::id());
    let (map, value) = (
        Saved::of(&frozen),
        Frozen::freeze("value", &1.5_f32).unwrap(),
    );
    let value = Saved::of(&value);
    let text = floe(["verify", map.path(), value.path(), &memory]).good();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 3, "{text}");
    assert!(
        lines[0].starts_with("good") && lines[0].contains(map.path()),
        "{text}"
    );
    assert!(
        !lines[0].contains("seals") && lines[2].contains("seals"),
        "{text}"
    );
}

/// One bad region among others is told, and the others are still looked at.
#[test]
fn faults_are_reported_one_line_each() {
    let frozen = recipes(40);
    let mut bytes = frozen.region().bytes().to_vec();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    let (good, bad) = (Saved::of(&frozen), Saved::bytes(&bytes));
    let run = floe(["verify", bad.path(), "/nowhere", good.path()]);
    assert_eq!((run.code, run.errors.as_str()), (1, ""));
    let lines: Vec<&str> = run.output.lines().collect();
    assert_eq!(lines.len(), 3, "{}", run.output);
    assert!(
        lines[0].contains(bad.path()) && lines[0].contains("behind its header"),
        "{}",
        lines[0]
    );
    assert!(
        lines[1].contains("/nowhere") && lines[2].starts_with("good"),
        "{}",
        run.output
    );
}

/// A memfd that somebody can still change is no region, however right its bytes are.
#[test]
fn a_memory_file_without_seals_is_bad() {
    let fd = nix::sys::memfd::memfd_create("floe:open.1", nix::sys::memfd::MFdFlags::empty());
    let mut file = File::from(fd.unwrap());
    file.write_all(recipes(2).region().bytes()).unwrap();
    let path = format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd());
    let run = floe(["verify", &path]);
    assert_eq!(run.code, 1);
    assert!(run.output.contains("not fully sealed"), "{}", run.output);
}
