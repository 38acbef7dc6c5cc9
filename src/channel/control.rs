//! The control page: what the owner says about the newest generation, in memory that only it can
//! write.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::time::Duration;

use crate::archive::vouching::{self, Vouched, Voucher, VoucherPage, Word};
use crate::error::{ChannelError, Error};
use crate::frozen::{Content, Frozen, Trust};
use crate::sys::memfd::FixedFile;
use crate::sys::memfd_id::MemfdId;

/// What the page begins with.
const MAGIC: u64 = u64::from_le_bytes(*b"\x89floectl");
/// A deadline that never comes.
const NEVER: i64 = i64::MAX;

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
pub(crate) struct ControlWriter(Voucher);

/// A generation whose memfd was found, so that it can be announced.
pub(crate) struct Prepared<'a> {
    control: &'a ControlWriter,
    file: vouching::Prepared<'a>,
    generation: u64,
}

impl ControlWriter {
    /// Makes a page, and the reader's half of it. From then on nobody else can get a writable map
    /// of it.
    pub(crate) fn create<T: Content>(label: &str) -> io::Result<(Self, ControlPage)> {
        let (voucher, page) = Voucher::create::<T>(label)?;
        voucher.store(Word::Magic, MAGIC, Relaxed);
        Ok((Self(voucher), ControlPage(page)))
    }

    /// Makes ready to announce a generation of the type that the page was made for.
    pub(crate) fn prepare<T: Content>(&self, next: &Frozen<T>) -> io::Result<Prepared<'_>> {
        Ok(Prepared {
            control: self,
            file: self.0.prepare(next.as_checked())?,
            generation: next.region().generation(),
        })
    }

    /// Makes all who wait for a generation look again.
    pub(crate) fn wake(&self) {
        self.0.wake();
    }

    /// Changes the times of the newest generation.
    pub(crate) fn renew(&self, freshness: Freshness) {
        let Freshness { created, deadline } = freshness;
        self.0
            .store(Word::Created, created.cast_unsigned(), Relaxed);
        self.0
            .store(Word::Deadline, deadline.cast_unsigned(), Relaxed);
    }
}

impl Prepared<'_> {
    /// Announces the generation, and wakes all who wait for one.
    pub(crate) fn announce(self, freshness: Freshness) {
        self.file.announce();
        self.control.renew(freshness);
        // Last, so that whoever reads a generation reads what belongs to it or is newer.
        let voucher = &self.control.0;
        voucher.store(Word::Generation, self.generation, Release);
        voucher.wake();
    }
}

/// The reader's half.
#[derive(Debug)]
pub(crate) struct ControlPage(VoucherPage);

impl ControlPage {
    /// Maps a descriptor from anywhere, if it is a control page.
    ///
    /// # Errors
    /// [`Error::Unsealed`], [`HeaderError::Sparse`], [`Error::Descriptor`],
    /// [`ChannelError::NotControlPage`].
    pub(crate) fn open(fd: OwnedFd) -> Result<Self, Error> {
        let file = FixedFile::open(fd)?;
        if !VoucherPage::fits(&file) {
            return Err(Error::Channel(ChannelError::NotControlPage));
        }
        let page = VoucherPage::foreign(file);
        let control = Self(page.map_err(|source| Error::Descriptor { reason: source })?);
        match control.load(Word::Magic) {
            MAGIC => Ok(control),
            _ => Err(Error::Channel(ChannelError::NotControlPage)),
        }
    }

    /// Takes what the owner announces here as checked, too.
    pub(crate) fn believe<T: Content>(&mut self, trust: &Trust<T>) {
        self.0.believe(trust);
    }

    /// Another map of the same page.
    pub(crate) fn try_clone(&self) -> io::Result<Self> {
        self.0.try_clone().map(Self)
    }

    /// The proof that a file holds a checked `T`, if this process, one that it was forked from or
    /// one that it believes announces it; otherwise the file.
    pub(crate) fn vouch<T: Content>(
        &self,
        files: Vec<OwnedFd>,
    ) -> Result<Vouched<T>, Vec<OwnedFd>> {
        self.0.vouch(files)
    }

    /// The number of the newest generation.
    #[inline]
    pub(crate) fn generation(&self) -> u64 {
        self.0.load(Word::Generation, Acquire)
    }

    /// What the owner says of the newest generation. While it announces the next one, parts of
    /// that may be in here.
    pub(crate) fn announcement(&self) -> Announcement {
        Announcement {
            generation: self.generation(),
            identity: self.0.identity(),
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
        self.0.events()
    }

    /// Sleeps until there were more publications than `seen`, or for `timeout`; it may also return
    /// for no reason.
    pub(crate) fn wait(&self, seen: u32, timeout: Duration) {
        self.0.wait(seen, timeout);
    }

    fn load(&self, word: Word) -> u64 {
        self.0.load(word, Relaxed)
    }
}

impl AsFd for ControlPage {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
