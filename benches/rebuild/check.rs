//! Checking many unchanged files, against asking the kernel for each and no more.
#![allow(unsafe_code)]

use std::ffi::CString;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use floe::Policy;
use floe::store::Outcome;
use floe_testkit::measure::best;
use nix::libc;

use crate::layer_files::store_of_old_files;
use crate::machine::ReadBytes;

const ROUNDS: usize = 7;

pub(crate) struct Check {
    pub(crate) statx_seconds: f64,
    pub(crate) check_seconds: f64,
    pub(crate) bytes_read: u64,
}

pub(crate) fn measure(files: usize) -> Check {
    let tree = tempfile::tempdir().expect("a folder");
    let path = |number: usize| {
        let folder = tree.path().join(format!("folder-{}", number / 100));
        folder.join(format!("file-{number}"))
    };
    let paths: Vec<PathBuf> = (0..files).map(path).collect();
    for path in &paths {
        fs::create_dir_all(path.parent().expect("a parent")).expect("folders");
        fs::write(path, path.as_os_str().as_bytes()).expect("a file");
    }
    let store = store_of_old_files();
    let listed = paths.clone();
    let keys = move |_: &mut floe::Inputs| Ok((0..listed.len() as u64).collect());
    let read = paths.clone();
    let build = move |key: &u64, inputs: &mut floe::Inputs| {
        let bytes = inputs.read(&read[*key as usize])?.expect("the file");
        Ok(bytes.len() as u64)
    };
    let cache = store.keyed("lengths", Policy::new().revalidate_inputs(), keys, build);
    let cache = cache.expect("a cache");
    let refresh = || store.refresh().expect("the owner refreshes").caches[0].outcome;
    assert_eq!(refresh(), Outcome::Published);
    assert_eq!(cache.get().expect("a map").len(), files);

    let names = paths
        .iter()
        .map(|path| CString::new(path.as_os_str().as_bytes()));
    let names: Vec<CString> = names.collect::<Result<_, _>>().expect("no zero bytes");
    let (statx_seconds, sizes) = best(ROUNDS, || names.iter().map(size).sum::<u64>());
    assert!(sizes > 0);
    let read = ReadBytes::start();
    let (check_seconds, outcome) = best(ROUNDS, refresh);
    let bytes_read = read.stop();
    assert_eq!(outcome, Outcome::Fresh);
    Check {
        statx_seconds,
        check_seconds,
        bytes_read,
    }
}

/// The size of a file, by one system call.
fn size(name: &CString) -> u64 {
    // SAFETY: the name ends with a zero byte, and the buffer has room for the answer.
    unsafe {
        let mut answer: libc::statx = std::mem::zeroed();
        let mask = libc::STATX_BASIC_STATS;
        assert_eq!(
            libc::statx(libc::AT_FDCWD, name.as_ptr(), 0, mask, &mut answer),
            0
        );
        answer.stx_size
    }
}
