//! Reads `/proc/PID/smaps`.

use std::{fs, io};

use nix::errno::Errno;
use procfs::FromBufRead;
use procfs::process::{MMapPath, MemoryMap, MemoryMaps};

use super::{ProcError, Usage};
use crate::error::Error;

/// The memory of those mappings of process `pid` that are `wanted`.
pub(super) fn sum(pid: u32, wanted: impl Fn(&MemoryMap) -> bool) -> Result<Usage, Error> {
    let mappings = of(pid)?;
    Ok(mappings.iter().filter(|one| wanted(one)).map(memory).sum())
}

/// The mappings of process `pid`, in the order of their addresses.
pub(super) fn of(pid: u32) -> Result<MemoryMaps, Error> {
    let text = read(pid, "smaps")?;
    parse(&text).map_err(|reason| unreadable(pid, "smaps", ProcError::Form { reason }))
}

/// The name of the memfd that a mapping shows, followed by ` (deleted)` as all memfds are.
pub(super) fn memfd(mapping: &MemoryMap) -> Option<&str> {
    match &mapping.pathname {
        MMapPath::Path(path) => path.to_str()?.strip_prefix("/memfd:"),
        _ => None,
    }
}

/// All of a small file of `/proc/PID`.
pub(super) fn read(pid: u32, name: &str) -> Result<Vec<u8>, Error> {
    fs::read(path(pid, name)).map_err(|source| {
        let gone = source.raw_os_error() == Some(Errno::ESRCH as i32);
        let why = match source.kind() {
            io::ErrorKind::NotFound => ProcError::Gone,
            _ if gone => ProcError::Gone,
            io::ErrorKind::PermissionDenied => ProcError::NotPermitted,
            _ => ProcError::Refused(source),
        };
        unreadable(pid, name, why)
    })
}

/// The error about a file of `/proc/PID`.
pub(super) fn unreadable(pid: u32, name: &str, source: ProcError) -> Error {
    let path = path(pid, name);
    Error::ReadProcess {
        pid,
        path,
        reason: source,
    }
}

pub(super) fn path(pid: u32, name: &str) -> String {
    format!("/proc/{pid}/{name}")
}

fn parse(smaps: &[u8]) -> Result<MemoryMaps, String> {
    // Whoever owns the process chooses the paths in it. The parser takes no bytes but UTF-8, and
    // panics on a file that is called like a System V segment but for its number.
    let text = String::from_utf8_lossy(smaps).replace(" /SYSV", " //SYSV");
    MemoryMaps::from_buf_read(text.as_bytes()).map_err(|why| why.to_string())
}

/// The memory of one mapping.
pub(super) fn memory(mapping: &MemoryMap) -> Usage {
    let field = |name: &str| mapping.extension.map.get(name).copied().unwrap_or(0);
    let (private_clean, private_dirty) = (field("Private_Clean"), field("Private_Dirty"));
    Usage {
        uss: private_clean + private_dirty,
        pss: field("Pss"),
        rss: field("Rss"),
        vss: field("Size"),
        swap: field("Swap"),
        anonymous: field("Anonymous"),
        shared_clean: field("Shared_Clean"),
        shared_dirty: field("Shared_Dirty"),
        private_clean,
        private_dirty,
        mappings: 1,
    }
}

#[cfg(test)]
mod tests {
    use super::{memfd, memory, parse};
    use crate::inspect::usage::Usage;

    const SMAPS: &str = "\
7f5c8a000000-7f5c8a400000 r--s 00000000 00:01 2053                       /memfd:floe:recipes.1 (deleted)
Size:               4096 kB
KernelPageSize:        4 kB
MMUPageSize:           4 kB
Rss:                4000 kB
Pss:                1000 kB
Pss_Dirty:          1000 kB
Shared_Clean:         96 kB
Shared_Dirty:       3900 kB
Private_Clean:         1 kB
Private_Dirty:         3 kB
Referenced:         4000 kB
Anonymous:             0 kB
Swap:                 40 kB
SwapPss:              10 kB
THPeligible:           0
VmFlags: rd sh mr ms sd
7ffd1c5e0000-7ffd1c601000 rw-p 00000000 00:00 0                          [stack]
Size:                132 kB
Rss:                  16 kB
Pss:                  16 kB
Private_Dirty:        16 kB
Anonymous:            16 kB
VmFlags: rd wr mr mw me gd ac
";

    #[test]
    fn each_field_is_the_kernels_in_bytes() {
        let mappings = parse(SMAPS.as_bytes()).unwrap();
        let frozen = Usage {
            uss: 4 << 10,
            pss: 1000 << 10,
            rss: 4000 << 10,
            vss: 4096 << 10,
            swap: 40 << 10,
            anonymous: 0,
            shared_clean: 96 << 10,
            shared_dirty: 3900 << 10,
            private_clean: 1 << 10,
            private_dirty: 3 << 10,
            mappings: 1,
        };
        assert_eq!(memory(&mappings.0[0]), frozen);
        assert_eq!(memfd(&mappings.0[0]), Some("floe:recipes.1 (deleted)"));
        assert_eq!(memfd(&mappings.0[1]), None);

        let whole: Usage = mappings.iter().map(memory).sum();
        assert_eq!(whole.mappings, 2);
        assert_eq!(whole.uss, 20 << 10);
        assert_eq!(whole.vss, 4228 << 10);
        assert_eq!(whole.anonymous, 16 << 10);
    }

    #[test]
    fn paths_chosen_by_others_do_no_harm() {
        for path in [
            &b"/SYSV"[..],
            b"/SYSVENCODE",
            b"/SYSV0000\xc3\xa9\xc3\xa9 (deleted)",
            b"/caf\xe9",
            b"/memfd:floe:\xff (deleted)",
            b"/with  two spaces",
        ] {
            let mut smaps = b"1000-2000 r--s 00000000 00:01 7 ".to_vec();
            smaps.extend_from_slice(path);
            smaps.extend_from_slice(b"\nSize: 4 kB\nRss: 4 kB\n");
            let mappings = parse(&smaps).unwrap();
            assert_eq!(memory(&mappings.0[0]).rss, 4096, "{path:?}");
        }
    }

    #[test]
    fn text_of_another_form_is_refused() {
        for smaps in [
            "Rss: 4 kB\n",
            "nonsense\n",
            "1000-2000 r--s 0 00:01 7 \nRss: many kB\n",
        ] {
            assert!(parse(smaps.as_bytes()).is_err(), "{smaps:?}");
        }
        assert!(parse(b"").unwrap().0.is_empty());
    }
}
