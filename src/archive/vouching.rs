//! Memory files whose value this process has checked, told to the children that it forks.
//!
//! The owner of a [`Voucher`] writes which file that is into a page that no other process can
//! write: children do not inherit its map, and the page is sealed against any other. Whoever reads
//! the page as it came from there, which only this process and its children can, is given a
//! [`Vouched`] for that file, and need not check it again.
//!
//! A process that was not forked from the owner is given one for what it has a [`Trust`] for.
//!
//! [`Checked`](super::checked::Checked) relies on this file: a `Vouched<T>` is made of nothing but
//! a file in which a `Checked<T>` lies, or one for which there is a `Trust<T>`. Only
//! [`Prepared::announce`] writes the words that tell it.
#![forbid(unsafe_code)]

use std::any::TypeId;
use std::io;
use std::marker::PhantomData;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::Ordering::{self, Relaxed};
use std::time::Duration;

use super::checked::Checked;
use super::content::Content;
use super::trust::Trust;
use crate::sys::mapping::{PAGE_WORDS, PageReader, PageWriter};
use crate::sys::memfd::FixedFile;
use crate::sys::memfd_id::MemfdId;

/// The words of the page that say no more than what somebody writes there.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Word {
    Magic = 0,
    Generation = 1,
    Created = 5,
    Deadline = 6,
}

/// Those that tell the file.
const DEVICE: usize = 2;
const INODE: usize = 3;
const CHANGED: usize = 4;

const _: () = assert!(Word::Deadline as usize + 1 == PAGE_WORDS);

/// The writer's half. In children of the owner it does nothing.
#[derive(Debug)]
pub(crate) struct Voucher {
    page: PageWriter,
    /// The type of all values that are vouched for.
    content: TypeId,
}

/// A file that can be announced.
pub(crate) struct Prepared<'a> {
    voucher: &'a Voucher,
    identity: MemfdId,
}

impl Voucher {
    /// Makes a page, and the reader's half of it. From then on nobody else can get a writable map
    /// of it.
    pub(crate) fn create<T: Content>(label: &str) -> io::Result<(Self, VoucherPage)> {
        let (writer, reader) = PageWriter::create(label)?;
        let content = TypeId::of::<T>();
        let voucher = Self {
            page: writer,
            content,
        };
        let page = VoucherPage {
            page: reader,
            content: Some(content),
        };
        Ok((voucher, page))
    }

    /// Finds out in which memfd a value lies.
    ///
    /// # Errors
    /// `InvalidInput` for a value of another type, `Unsupported` for one that lies on the heap.
    pub(crate) fn prepare<T: Content>(&self, value: &Checked<T>) -> io::Result<Prepared<'_>> {
        if TypeId::of::<T>() != self.content {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let files = value.region().fds().ok_or(io::ErrorKind::Unsupported)?;
        Ok(Prepared {
            voucher: self,
            identity: MemfdId::of(files[0])?,
        })
    }

    pub(crate) fn store(&self, word: Word, value: u64, order: Ordering) {
        self.page.store(word as usize, value, order);
    }

    /// Wakes all who wait for an event.
    pub(crate) fn wake(&self) {
        self.page.wake();
    }
}

impl Prepared<'_> {
    /// Vouches for this file, and for no other any more.
    pub(crate) fn announce(self) {
        let MemfdId {
            device,
            inode,
            changed,
        } = self.identity;
        let page = &self.voucher.page;
        page.store(DEVICE, device, Relaxed);
        page.store(INODE, inode, Relaxed);
        page.store(CHANGED, changed.cast_unsigned(), Relaxed);
    }
}

/// The reader's half.
#[derive(Debug)]
pub(crate) struct VoucherPage {
    page: PageReader,
    /// The type of what is vouched for; nothing is, if the page came from elsewhere and is not
    /// believed.
    content: Option<TypeId>,
}

impl VoucherPage {
    /// Whether a file is as long as a page.
    pub(crate) fn fits(file: &FixedFile) -> bool {
        PageReader::fits(file)
    }

    /// Maps the page of a process that this one knows nothing of: it vouches for nothing.
    ///
    /// # Errors
    /// `InvalidInput` for a file of another length.
    pub(crate) fn foreign(file: FixedFile) -> io::Result<Self> {
        Ok(Self {
            page: PageReader::new(file)?,
            content: None,
        })
    }

    /// Takes what this page announces as checked, too.
    pub(crate) fn believe<T: Content>(&mut self, _: &Trust<T>) {
        self.content = Some(TypeId::of::<T>());
    }

    /// Another map of the same page.
    pub(crate) fn try_clone(&self) -> io::Result<Self> {
        Ok(Self {
            page: self.page.try_clone()?,
            content: self.content,
        })
    }

    /// The file that is announced, by whomever. While the next one is, it may be neither.
    pub(crate) fn identity(&self) -> MemfdId {
        MemfdId {
            device: self.page.load(DEVICE, Relaxed),
            inode: self.page.load(INODE, Relaxed),
            changed: self.page.load(CHANGED, Relaxed).cast_signed(),
        }
    }

    /// The proof that the first of these files is that of a checked `T`; the files, if nobody
    /// vouches for it here.
    pub(crate) fn vouch<T: Content>(
        &self,
        files: Vec<OwnedFd>,
    ) -> Result<Vouched<T>, Vec<OwnedFd>> {
        let is_own = self.content == Some(TypeId::of::<T>());
        // Both halves of an announcement that changes meanwhile belong to real regions, so no other
        // file fits them.
        let is_announced = |first| MemfdId::of(first).is_ok_and(|it| it == self.identity());
        match is_own && files.first().is_some_and(is_announced) {
            true => Ok(Vouched(files, PhantomData)),
            false => Err(files),
        }
    }

    #[inline]
    pub(crate) fn load(&self, word: Word, order: Ordering) -> u64 {
        self.page.load(word as usize, order)
    }

    /// How many events there were, for [`wait`](Self::wait).
    pub(crate) fn events(&self) -> u32 {
        self.page.events()
    }

    /// Sleeps until there were more events than `seen`, or for `timeout`; it may also return for no
    /// reason.
    pub(crate) fn wait(&self, seen: u32, timeout: Duration) {
        self.page.wait(seen, timeout);
    }
}

impl AsFd for VoucherPage {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.page.as_fd()
    }
}

/// Page files of which the first is that of a `T` which was frozen and checked by this process, by
/// one that it was forked from, or by one that it trusts. It names the others.
pub(crate) struct Vouched<T>(Vec<OwnedFd>, PhantomData<fn() -> T>);

impl<T> Vouched<T> {
    /// Files that there is a promise for.
    pub(crate) fn promised(files: Vec<OwnedFd>, _: &Trust<T>) -> Self {
        Self(files, PhantomData)
    }

    pub(super) fn into_files(self) -> Vec<OwnedFd> {
        self.0
    }
}

#[cfg(test)]
mod tests;
