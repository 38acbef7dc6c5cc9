//! What a generation costs the machine: its page files, and the mappings of its image.

use std::fs;

use floe::Region;
use nix::sys::stat::fstat;

/// Lengths of the page files, the generation's own first.
pub(crate) fn file_lengths(region: &Region) -> Vec<u64> {
    let files = region.as_fds().expect("a region of memfds");
    let length = |fd| fstat(fd).expect("a memfd").st_size.cast_unsigned();
    files.into_iter().map(length).collect()
}

/// The mappings that the image consists of.
pub(crate) fn runs(region: &Region) -> usize {
    let image = region.bytes().as_ptr_range();
    let (start, end) = (image.start.addr(), image.end.addr());
    let maps = fs::read_to_string("/proc/self/maps").expect("/proc");
    let within = |line: &&str| {
        let range = line.split_once(' ').and_then(|(it, _)| it.split_once('-'));
        let (from, to) = range.expect("a range");
        let number = |text| usize::from_str_radix(text, 16).expect("an address");
        number(from) < end && number(to) > start
    };
    maps.lines().filter(within).count()
}
