//! Which physical frames hold a range of addresses.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;

use super::ProcError;
use super::mappings::{path, unreadable};
use crate::error::Error;

const PRESENT: u64 = 1 << 63;
const NUMBER: u64 = (1 << 55) - 1;

/// The physical frame number of each page of `addresses` in process `pid`; 0 for a page that is not
/// present. `None` if the kernel hides the numbers, as it does without `CAP_SYS_ADMIN`.
///
/// Two processes share a page exactly if its frame is the same in both. This is the strongest proof
/// that nothing was copied. A page is present once it has been touched. Takes 16 bytes of memory
/// for each page while it runs.
///
/// # Errors
/// [`Error::ReadProcess`] if the range exceeds the address space, the process does not exist, or
/// `/proc` is missing.
pub fn frames(pid: u32, addresses: Range<usize>) -> Result<Option<Vec<u64>>, Error> {
    match read(pid, &addresses) {
        Ok(entries) => Ok(decode(&entries)),
        Err(why) if is_hidden(why.kind()) => Ok(None),
        Err(source) => {
            let Range { start, end } = addresses;
            let why = ProcError::Addresses {
                start,
                end,
                reason: source,
            };
            Err(unreadable(pid, "pagemap", why))
        }
    }
}

/// Whether it is the kernel that tells nobody, or a sandbox.
fn is_hidden(why: io::ErrorKind) -> bool {
    use io::ErrorKind::{PermissionDenied, Unsupported};
    matches!(why, PermissionDenied | Unsupported)
}

/// The entries of `/proc/PID/pagemap`, 8 bytes a page.
fn read(pid: u32, addresses: &Range<usize>) -> io::Result<Vec<u8>> {
    let page = procfs::page_size();
    let first = addresses.start as u64 / page;
    let end = (addresses.end as u64).div_ceil(page);
    let length = end.saturating_sub(first).saturating_mul(8);
    let mut entries = Vec::new();
    let length = usize::try_from(length).map_err(io::Error::other)?;
    entries.try_reserve_exact(length)?;
    entries.resize(length, 0);
    File::open(path(pid, "pagemap"))?.read_exact_at(&mut entries, first * 8)?;
    Ok(entries)
}

/// Where the numbers are hidden, they read as 0. No process is ever given frame 0.
fn decode(entries: &[u8]) -> Option<Vec<u64>> {
    let (entries, _) = entries.as_chunks::<8>();
    let frames = entries.iter().map(|entry| {
        let entry = u64::from_ne_bytes(*entry);
        match (entry & PRESENT != 0, entry & NUMBER) {
            (true, 0) => None,
            (true, number) => Some(number),
            (false, _) => Some(0),
        }
    });
    frames.collect()
}

#[cfg(test)]
mod tests {
    use super::{NUMBER, PRESENT, decode};

    fn bytes(entries: &[u64]) -> Vec<u8> {
        entries
            .iter()
            .flat_map(|entry| entry.to_ne_bytes())
            .collect()
    }

    #[test]
    fn only_present_pages_have_a_frame() {
        let swapped = 1 << 62 | 12345;
        let flagged = PRESENT | 1 << 61 | 1 << 56 | 1 << 55 | 77;
        let entries = bytes(&[0, swapped, flagged, PRESENT | NUMBER]);
        assert_eq!(decode(&entries), Some(vec![0, 0, 77, NUMBER]));
    }

    #[test]
    fn hidden_frames_are_none() {
        assert_eq!(decode(&bytes(&[0, PRESENT, 0])), None);
        assert_eq!(decode(&bytes(&[0, 0])), Some(vec![0, 0]));
        assert_eq!(decode(&[]), Some(vec![]));
    }
}
