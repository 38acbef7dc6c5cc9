//! What core dumps hold.

use std::fs;

use floe::{Advice, prefork};

use crate::fixture::{Large, MIB, large_map};

/// Whether the kernel leaves the region out of core dumps of this process.
fn is_left_out(map: &Large) -> bool {
    let smaps = fs::read_to_string("/proc/self/smaps").unwrap();
    let start = format!("{:x}-", map.region().address_range().start);
    let lines = smaps.lines().skip_while(|line| !line.starts_with(&start));
    let flags = lines.skip(1).find_map(|line| line.strip_prefix("VmFlags:"));
    flags.unwrap().split(' ').any(|flag| flag == "dd")
}

pub(crate) fn advice_keeps_a_region_out_of_the_dumps_of_all_workers() {
    let map = large_map(MIB);
    let left_out = || {
        let worker = prefork::spawn(1, |_| is_left_out(&map)).unwrap();
        [is_left_out(&map), worker.join().unwrap()[0]]
    };
    assert_eq!(left_out(), [false; 2]);
    map.region().advise(Advice::NoDump).unwrap();
    assert_eq!(left_out(), [true; 2]);
    map.region().advise(Advice::Dump).unwrap();
    assert_eq!(left_out(), [false; 2]);
}
