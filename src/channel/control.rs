//! The control page: what the owner says about the newest generation, in memory that only it can
//! write.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::time::Duration;

use super::memfd_id::MemfdId;
use crate::error::{ChannelError, Error, Result};
use crate::sys::mapping::{PAGE_WORDS, PageReader, PageWriter};
use crate::sys::memfd::FixedFile;

/// What the page begins with.
const MAGIC: u64 = u64::from_le_bytes(*b"\x89floectl");
/// A deadline that never comes.
const NEVER: i64 = i64::MAX;

/// The words of the page. What is signed stands there in two's complement.
enum Word {
    Magic,
    /// Written last, so that whoever reads a generation reads what belongs to it or is newer.
    Generation,
    Device,
    Inode,
    Changed,
    /// Boot clock in nanoseconds; negative for what was frozen before this boot.
    Created,
    Deadline,
}

const _: () = assert!(Word::Deadline as usize + 1 == PAGE_WORDS);

/// What the owner says of a generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Announcement {
    pub(crate) generation: u64,
    /// The memfd that holds it.
    pub(crate) identity: MemfdId,
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

/// The owner's half. In children of the owner it does nothing.
#[derive(Debug)]
pub(crate) struct ControlWriter(PageWriter);

impl ControlWriter {
    /// Makes a page, and the reader's half of it. From then on nobody else can get a writable map
    /// of it.
    pub(crate) fn create(label: &str) -> io::Result<(Self, ControlPage)> {
        let (writer, page) = PageWriter::create(label)?;
        writer.store(Word::Magic as usize, MAGIC, Relaxed);
        let origin = Origin::Owner;
        Ok((Self(writer), ControlPage { page, origin }))
    }

    /// Announces a generation, and wakes all who wait for one.
    pub(crate) fn announce(&self, announcement: Announcement) {
        let MemfdId {
            device,
            inode,
            changed,
        } = announcement.identity;
        self.store(Word::Device, device);
        self.store(Word::Inode, inode);
        self.store(Word::Changed, changed.cast_unsigned());
        self.renew(announcement.freshness);
        let generation = announcement.generation;
        self.0.store(Word::Generation as usize, generation, Release);
        self.wake();
    }

    /// Makes all who wait for a generation look again.
    pub(crate) fn wake(&self) {
        self.0.wake();
    }

    /// Changes the times of the newest generation.
    pub(crate) fn renew(&self, freshness: Freshness) {
        self.store(Word::Created, freshness.created.cast_unsigned());
        self.store(Word::Deadline, freshness.deadline.cast_unsigned());
    }

    fn store(&self, word: Word, value: u64) {
        self.0.store(word as usize, value, Relaxed);
    }
}

/// Who writes a control page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The process that made this value, or the one that this process was forked from.
    Owner,
    /// Anybody.
    Elsewhere,
}

/// The reader's half.
#[derive(Debug)]
pub(crate) struct ControlPage {
    page: PageReader,
    origin: Origin,
}

impl ControlPage {
    /// Maps a descriptor from anywhere, if it is a control page.
    ///
    /// # Errors
    /// [`Error::Unsealed`], [`HeaderError::Sparse`], [`Error::Descriptor`], [`ChannelError::NotControlPage`].
    pub(crate) fn open(fd: OwnedFd) -> Result<Self> {
        let file = FixedFile::open(fd)?;
        if !PageReader::fits(&file) {
            return Err(Error::Channel(ChannelError::NotControlPage));
        }
        let page = PageReader::new(file).map_err(|source| Error::Descriptor { reason: source })?;
        let origin = Origin::Elsewhere;
        let control = Self { page, origin };
        match control.load(Word::Magic) {
            MAGIC => Ok(control),
            _ => Err(Error::Channel(ChannelError::NotControlPage)),
        }
    }

    /// Another map of the same page.
    pub(crate) fn try_clone(&self) -> io::Result<Self> {
        Ok(Self {
            page: self.page.try_clone()?,
            origin: self.origin,
        })
    }

    pub(crate) fn origin(&self) -> Origin {
        self.origin
    }

    /// The number of the newest generation.
    #[inline]
    pub(crate) fn generation(&self) -> u64 {
        self.page.load(Word::Generation as usize, Acquire)
    }

    /// What the owner says of the newest generation. While it announces the next one, parts of
    /// that may be in here.
    pub(crate) fn announcement(&self) -> Announcement {
        Announcement {
            generation: self.generation(),
            identity: MemfdId {
                device: self.load(Word::Device),
                inode: self.load(Word::Inode),
                changed: self.load(Word::Changed).cast_signed(),
            },
            freshness: self.freshness(),
        }
    }

    pub(crate) fn freshness(&self) -> Freshness {
        Freshness {
            created: self.load(Word::Created).cast_signed(),
            deadline: self.load(Word::Deadline).cast_signed(),
        }
    }

    /// How many publications there were, for [`wait`](Self::wait).
    pub(crate) fn publications(&self) -> u32 {
        self.page.events()
    }

    /// Sleeps until there were more publications than `seen`, or for `timeout`; it may also return
    /// for no reason.
    pub(crate) fn wait(&self, seen: u32, timeout: Duration) {
        self.page.wait(seen, timeout);
    }

    fn load(&self, word: Word) -> u64 {
        self.page.load(word as usize, Relaxed)
    }
}

impl AsFd for ControlPage {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.page.as_fd()
    }
}
