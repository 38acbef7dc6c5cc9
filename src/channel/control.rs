//! The control page: what the owner says about the newest generation, in memory that only it can
//! write.
#![allow(unsafe_code)]

use crate::error::ChannelError;
use std::fs::File;
use std::io;
use std::num::NonZeroUsize;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::{
    AtomicI64, AtomicU32, AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};
use std::time::Duration;

use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::mman::{MapFlags, MmapAdvise, ProtFlags, madvise, mmap, munmap};
use rustix::thread::futex;

use super::identity::Identity;
use crate::error::{Error, Result};
use crate::sys::memfd;
use crate::sys::owner::Owner;

// Read-only memory may be loaded from atomically up to the width of a pointer.
const _: () = assert!(size_of::<usize>() == 8, "channels need a 64-bit system");

/// Length of the file and of each map of it.
const LENGTH: NonZeroUsize = NonZeroUsize::new(4096).unwrap();
/// What the page begins with.
const MAGIC: u64 = u64::from_le_bytes(*b"\x89floectl");
/// A deadline that never comes.
const NEVER: i64 = i64::MAX;

/// The words of the page, in the byte order of the machine.
#[repr(C)]
struct Page {
    magic: AtomicU64,
    /// Written last, so that whoever reads a generation reads what belongs to it or is newer.
    generation: AtomicU64,
    device: AtomicU64,
    inode: AtomicU64,
    changed: AtomicI64,
    /// Boot clock in nanoseconds; negative for what was frozen before this boot.
    created: AtomicI64,
    deadline: AtomicI64,
    /// Counts publications, for those who wait for the next.
    publications: AtomicU32,
}

const _: () = assert!(size_of::<Page>() == 64 && size_of::<Page>() <= LENGTH.get());

/// What the owner says of a generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Announcement {
    pub(crate) generation: u64,
    /// The memory file that holds it.
    pub(crate) identity: Identity,
    pub(crate) freshness: Freshness,
}

/// When a generation was frozen and when it expires, on the boot clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Freshness {
    created: i64,
    deadline: i64,
}

impl Freshness {
    /// Of what is `age` old `now` and expires at an age of `expire_after`.
    pub(crate) fn new(now: Duration, age: Duration, expire_after: Option<Duration>) -> Self {
        let created = nanos(now).saturating_sub(nanos(age));
        let deadline = expire_after.map_or(NEVER, |after| created.saturating_add(nanos(after)));
        Self { created, deadline }
    }

    pub(crate) fn age(&self, now: Duration) -> Duration {
        let age = nanos(now).saturating_sub(self.created);
        Duration::from_nanos(age.max(0) as u64)
    }

    /// What is left until it expires, zero from then on; `None` if it never does.
    pub(crate) fn expires_in(&self, now: Duration) -> Option<Duration> {
        let left = self.deadline.saturating_sub(nanos(now)).max(0);
        (self.deadline != NEVER).then(|| Duration::from_nanos(left as u64))
    }
}

fn nanos(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(NEVER)
}

/// The owner's half: the one writable map. Children of the owner do not inherit it.
#[derive(Debug)]
pub(crate) struct ControlWriter {
    page: NonNull<Page>,
    owner: Owner,
}

// SAFETY: the page is written and read through atomics only.
unsafe impl Send for ControlWriter {}
// SAFETY: as above.
unsafe impl Sync for ControlWriter {}

impl ControlWriter {
    /// Makes a page, and the reader's half of it. From then on nobody else can get a writable map
    /// of it.
    pub(crate) fn create(label: &str) -> io::Result<(Self, ControlPage)> {
        let file = memfd::create(label)?;
        file.set_len(LENGTH.get() as u64)?;
        let writer = Self {
            page: map(&file, ProtFlags::PROT_READ | ProtFlags::PROT_WRITE)?,
            owner: Owner::here(),
        };
        // SAFETY: the range is that of the map; the advice changes nothing in this process.
        unsafe { madvise(writer.page.cast(), LENGTH.get(), MmapAdvise::MADV_DONTFORK)? };
        writer.page().magic.store(MAGIC, Relaxed);
        fcntl(&file, FcntlArg::F_ADD_SEALS(seals()))?;
        // Only a map that is made after the seal can never be made writable.
        let reader = ControlPage {
            page: map(&file, ProtFlags::PROT_READ)?,
            fd: OwnedFd::from(file),
        };
        Ok((writer, reader))
    }

    /// Announces a generation, and wakes all who wait for one.
    pub(crate) fn announce(&self, announcement: Announcement) {
        let page = self.page();
        let Identity {
            device,
            inode,
            changed,
        } = announcement.identity;
        page.device.store(device, Relaxed);
        page.inode.store(inode, Relaxed);
        page.changed.store(changed, Relaxed);
        self.renew(announcement.freshness);
        page.generation.store(announcement.generation, Release);
        self.wake();
    }

    /// Makes all who wait for a generation look again.
    pub(crate) fn wake(&self) {
        let publications = &self.page().publications;
        publications.fetch_add(1, Release);
        // It has no way to fail for an address that is mapped.
        let _ = futex::wake(publications, futex::Flags::empty(), i32::MAX as u32);
    }

    /// Changes the times of the newest generation.
    pub(crate) fn renew(&self, freshness: Freshness) {
        self.page().created.store(freshness.created, Relaxed);
        self.page().deadline.store(freshness.deadline, Relaxed);
    }

    /// The caller has made sure that this is the owner.
    fn page(&self) -> &Page {
        debug_assert!(self.owner.check("a control page").is_ok());
        // SAFETY: in the owner the page is mapped, readable and writable, until `drop`; `Page` is
        // made of atomics, for which any bytes are valid.
        unsafe { self.page.as_ref() }
    }
}

impl Drop for ControlWriter {
    fn drop(&mut self) {
        // A child has something else at this address, or nothing.
        if self.owner.check("a control page").is_ok() {
            unmap(self.page);
        }
    }
}

/// The reader's half.
#[derive(Debug)]
pub(crate) struct ControlPage {
    page: NonNull<Page>,
    fd: OwnedFd,
}

// SAFETY: the page is read through atomics only.
unsafe impl Send for ControlPage {}
// SAFETY: as above.
unsafe impl Sync for ControlPage {}

impl ControlPage {
    /// Maps a descriptor from anywhere, if it is a control page.
    ///
    /// # Errors
    /// [`Error::Unsealed`], [`HeaderError::Sparse`], [`Error::Descriptor`], [`ChannelError::NotControlPage`].
    pub(crate) fn open(fd: OwnedFd) -> Result<Self> {
        let length = memfd::sealed_length(&fd, seals())?;
        if length != LENGTH.get() as u64 {
            return Err(Error::Channel(ChannelError::NotControlPage));
        }
        let file = File::from(fd);
        let page = map(&file, ProtFlags::PROT_READ)
            .map_err(|source| Error::Descriptor { reason: source })?;
        let control = Self {
            page,
            fd: OwnedFd::from(file),
        };
        match control.page().magic.load(Relaxed) {
            MAGIC => Ok(control),
            _ => Err(Error::Channel(ChannelError::NotControlPage)),
        }
    }

    /// The number of the newest generation.
    #[inline]
    pub(crate) fn generation(&self) -> u64 {
        self.page().generation.load(Acquire)
    }

    /// What the owner says of the newest generation. While it announces the next one, parts of
    /// that may be in here.
    pub(crate) fn announcement(&self) -> Announcement {
        let page = self.page();
        Announcement {
            generation: self.generation(),
            identity: Identity {
                device: page.device.load(Relaxed),
                inode: page.inode.load(Relaxed),
                changed: page.changed.load(Relaxed),
            },
            freshness: self.freshness(),
        }
    }

    pub(crate) fn freshness(&self) -> Freshness {
        Freshness {
            created: self.page().created.load(Relaxed),
            deadline: self.page().deadline.load(Relaxed),
        }
    }

    /// How many publications there were, for [`wait`](Self::wait).
    pub(crate) fn publications(&self) -> u32 {
        self.page().publications.load(Acquire)
    }

    /// Sleeps until there were more publications than `seen`, or for `timeout`; it may also return
    /// for no reason.
    pub(crate) fn wait(&self, seen: u32, timeout: Duration) {
        let timeout = futex::Timespec {
            tv_sec: i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: timeout.subsec_nanos().into(),
        };
        // Whatever it returns for, the caller looks again.
        let _ = futex::wait(
            &self.page().publications,
            futex::Flags::empty(),
            seen,
            Some(&timeout),
        );
    }

    fn page(&self) -> &Page {
        // SAFETY: `create` made the file with this length, or `open` checked it, and the seal
        // SHRINK keeps it; so the page is mapped and readable until `drop`. `Page` is made of
        // atomics, for which any bytes are valid, also while another process writes them. They
        // are only loaded, which read-only memory allows up to the width of a pointer.
        unsafe { self.page.as_ref() }
    }
}

impl AsFd for ControlPage {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Drop for ControlPage {
    fn drop(&mut self) {
        unmap(self.page);
    }
}

/// Nobody can map it writable any more, cut it or seal it further; maps that were writable before
/// still are.
fn seals() -> SealFlag {
    SealFlag::F_SEAL_FUTURE_WRITE
        | SealFlag::F_SEAL_SHRINK
        | SealFlag::F_SEAL_GROW
        | SealFlag::F_SEAL_SEAL
}

fn map(file: &File, protection: ProtFlags) -> io::Result<NonNull<Page>> {
    // SAFETY: without an address, a new mapping touches no memory in use.
    let page = unsafe { mmap(None, LENGTH, protection, MapFlags::MAP_SHARED, file, 0)? };
    Ok(page.cast())
}

fn unmap(page: NonNull<Page>) {
    // SAFETY: both halves unmap the map that they made, once, when they are dropped; references
    // into it borrow them. Refused, the addresses are lost, no more.
    let _ = unsafe { munmap(page.cast(), LENGTH.get()) };
}
