//! A directory that cannot be written: a child sees it so, in a mount namespace of its own.

use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::{fs, ptr};

use floe::store::{CacheReport, Outcome};
use floe::{Cache, Frozen, Policy, Store, prefork};
use nix::libc;

/// Mounts a small file system in memory, or changes how it is mounted.
fn mount(folder: &Path, flags: libc::c_ulong, options: &str) {
    let folder = CString::new(folder.as_os_str().as_bytes()).unwrap();
    let options = CString::new(options).unwrap();
    // SAFETY: all pointers are to strings that live on.
    let mounted = unsafe {
        libc::mount(
            c"floe".as_ptr(),
            folder.as_ptr(),
            c"tmpfs".as_ptr(),
            flags,
            options.as_ptr().cast(),
        )
    };
    assert_eq!(mounted, 0, "{}", std::io::Error::last_os_error());
}

/// Does something in a process that may mount what it likes: nobody else sees it, and it is gone
/// with the process.
fn with_mounts(body: impl Fn(&Path)) {
    let folder = tempfile::tempdir().unwrap();
    let pool = prefork::spawn(1, |_| {
        let private = libc::MS_REC | libc::MS_PRIVATE;
        // SAFETY: both change the mounts of this process alone; the strings live on.
        let own = unsafe {
            libc::unshare(libc::CLONE_NEWNS) == 0
                && libc::mount(
                    ptr::null(),
                    c"/".as_ptr(),
                    ptr::null(),
                    private,
                    ptr::null(),
                ) == 0
        };
        assert!(own, "{}", std::io::Error::last_os_error());
        body(folder.path());
    });
    pool.unwrap().join().unwrap();
}

/// A cache of the text of a file.
fn text(folder: &Path) -> (Store, Cache<String>) {
    let store = Store::open(folder.join("disk/caches")).unwrap();
    let source = folder.join("source");
    let backoff = std::time::Duration::from_nanos(1);
    let policy = Policy::new().revalidate_inputs().backoff(backoff, backoff);
    let cache = store.cache("text", policy, move |inputs| {
        Ok(inputs.read_to_string(&source)?.unwrap_or_default())
    });
    (store, cache.unwrap())
}

fn refresh(store: &Store) -> CacheReport {
    store.refresh().unwrap().caches.remove(0)
}

fn saved(folder: &Path) -> (u64, String) {
    let saved = Frozen::<String>::load(folder.join("disk/caches/text.floe")).unwrap();
    (saved.region().generation(), saved.as_str().to_owned())
}

/// A cache that is baked into an image, and one whose disk becomes read-only under it.
pub fn a_read_only_directory_is_read_and_builds_go_on_in_memory() {
    with_mounts(|folder| {
        let (disk, source) = (folder.join("disk"), folder.join("source"));
        fs::create_dir(&disk).unwrap();
        mount(&disk, 0, "mode=0755");
        fs::write(&source, "first").unwrap();
        let (running, _) = text(folder);
        assert_eq!(refresh(&running).error, None);
        let read_only = libc::MS_REMOUNT | libc::MS_RDONLY;
        mount(&disk, read_only, "");

        let (store, cache) = text(folder);
        let report = refresh(&store);
        assert_eq!((report.outcome, report.error), (Outcome::Loaded, None));
        for (text, told) in [("second", true), ("third", false)] {
            fs::write(&source, text).unwrap();
            for (store, what) in [(&store, "opened"), (&running, "running")] {
                let report = refresh(store);
                assert_eq!(report.outcome, Outcome::Published, "{what}");
                let error = report.error.unwrap_or_default();
                assert_eq!(
                    error.contains("Read-only file system"),
                    told,
                    "{what}: {error}"
                );
                let status = store.status().unwrap().remove(0);
                assert!(status.directory.unwrap().contains("Read-only"), "{what}");
            }
            assert_eq!(cache.get().unwrap().as_str(), text);
        }
        mount(&disk, libc::MS_REMOUNT, "");
        assert_eq!(saved(folder), (1, "first".to_owned()));
        let report = refresh(&store);
        assert_eq!((report.outcome, report.error), (Outcome::Fresh, None));
        assert_eq!(saved(folder), (3, "third".to_owned()));
        assert_eq!(store.status().unwrap()[0].directory, None);
    });
}

/// Without an inode for the lock, without space for the file.
pub fn a_full_disk_is_reported_once_and_builds_go_on_in_memory() {
    with_mounts(|folder| {
        let (disk, source) = (folder.join("disk"), folder.join("source"));
        fs::create_dir(&disk).unwrap();
        // The root, the directory, the file of the writers; then the ballast and the lock.
        for options in [
            "nr_inodes=3,mode=0755",
            "nr_inodes=5,mode=0755",
            "size=20k,mode=0755",
        ] {
            mount(&disk, 0, options);
            fs::write(&source, "first").unwrap();
            let (store, cache) = text(folder);
            let ballast = disk.join("ballast");
            let _ = fs::write(&ballast, vec![1; 1 << 20]);
            for (text, told) in [("first", true), ("second", false)] {
                fs::write(&source, text).unwrap();
                let report = refresh(&store);
                assert_eq!(report.outcome, Outcome::Published, "{options}");
                let error = report.error.unwrap_or_default();
                assert_eq!(error.contains("No space left"), told, "{options}: {error}");
                assert_eq!(cache.get().unwrap().as_str(), text);
            }
            let _ = fs::remove_file(&ballast);
            mount(&disk, libc::MS_REMOUNT, "nr_inodes=100,size=1m");
            assert_eq!(refresh(&store).error, None, "{options}");
            assert_eq!(saved(folder), (2, "second".to_owned()), "{options}");
        }
    });
}
