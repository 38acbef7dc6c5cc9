//! A worker cannot change the control page of a channel.

use std::os::fd::{BorrowedFd, RawFd};
use std::ptr::NonNull;
use std::{fs, process};

use floe::{Frozen, Publisher, prefork};
use nix::errno::Errno;

use crate::attack::{ATTACKS, Target, attacked};

/// Where the control page is mapped, and how; a writable map comes first.
fn control_maps() -> Vec<(String, u64)> {
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let mut found = Vec::new();
    for line in maps.lines().filter(|line| line.contains("floe-control:")) {
        let (range, rest) = line.split_once(' ').unwrap();
        let start = u64::from_str_radix(range.split_once('-').unwrap().0, 16).unwrap();
        found.push((rest[..4].to_owned(), start));
    }
    found.sort_by(|left, right| right.cmp(left));
    found
}

/// The descriptor of the control page.
fn control_descriptor() -> RawFd {
    let entries = fs::read_dir("/proc/self/fd").unwrap();
    let mut numbers = entries.filter_map(|entry| {
        let path = entry.unwrap().path();
        let link = fs::read_link(&path).ok()?;
        let is_control = link.to_string_lossy().contains("floe-control:");
        is_control.then(|| path.file_name()?.to_str()?.parse().ok())?
    });
    let number = numbers.next().unwrap();
    assert_eq!(numbers.next(), None);
    number
}

pub(crate) fn no_attack_changes_the_control_page() {
    let publisher = Publisher::new(&Frozen::freeze("number", &1_u64).unwrap()).unwrap();
    let mut live = publisher.subscribe::<u64>().unwrap();
    let maps = control_maps();
    assert_eq!((&*maps[0].0, &*maps[1].0), ("rw-s", "r--s"));
    let inherited = prefork::spawn(1, |_| control_maps()).unwrap();
    assert_eq!(inherited.join().unwrap(), [&maps[1..]]);

    let target = Target {
        // SAFETY: the publisher keeps it open.
        fd: unsafe { BorrowedFd::borrow_raw(control_descriptor()) },
        address: NonNull::new(maps[1].1 as *mut _).unwrap(),
        length: 4096,
        owner: process::id(),
    };
    for (name, refusals, attack) in ATTACKS {
        let got = Errno::from_raw(attacked(&target, attack));
        assert!(refusals.contains(&got), "{name}: {got}");
        assert_eq!(
            (*live.get_stale(), live.generation()),
            (1.into(), 1),
            "{name}"
        );
    }
    publisher
        .publish(&publisher.freeze(&2_u64).unwrap())
        .unwrap();
    assert_eq!((*live.get_stale(), live.generation()), (2.into(), 2));
}
