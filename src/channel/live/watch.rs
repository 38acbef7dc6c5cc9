//! Readiness for event loops.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use rustix::event::{Timespec, epoll};

use crate::sys::peer::{self, Process};

/// A descriptor that becomes readable when a generation may have been published since the last
/// [`clear`](Self::clear), for `poll`, `select`, `epoll` and async runtimes.
///
/// It is readable at first, and may be readable without a publication. Clear it *before* `get`, so
/// that no publication is missed. Make it in the process that uses it: a forked child shares it
/// with its parent, and one of them would clear it for both.
///
/// It also becomes readable when the owner closes the channel or ends; check
/// [`Live::is_orphaned`](super::Live::is_orphaned) then. A handle that has connected again follows
/// another channel, and needs a new watch.
///
/// Each watch takes two descriptors: it is an epoll instance with an edge-triggered registration of
/// the mailbox, which is shared and always readable.
///
/// ```
/// use floe::{Frozen, Publisher};
/// use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
/// use std::os::fd::AsFd;
///
/// let publisher = Publisher::new(&Frozen::freeze("answer", &41_u32)?)?;
/// let mut live = publisher.subscribe::<u32>()?;
/// let watch = live.watch()?;
/// watch.clear();
/// publisher.publish(&publisher.freeze(&42_u32)?)?;
///
/// let mut polled = [PollFd::new(watch.as_fd(), PollFlags::POLLIN)];
/// assert_eq!(poll(&mut polled, PollTimeout::NONE), Ok(1));
/// watch.clear();
/// assert_eq!(*live.get()?, 42);
/// # Ok::<(), floe::Error>(())
/// ```
#[derive(Debug)]
pub struct Watch {
    epoll: OwnedFd,
    /// Closing it would end its registration.
    _owner: Option<OwnedFd>,
}

impl Watch {
    pub(super) fn on(mailbox: BorrowedFd<'_>) -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let every_arrival = epoll::EventFlags::IN | epoll::EventFlags::ET;
        let add = |fd: BorrowedFd| {
            let data = epoll::EventData::new_u64(0);
            epoll::add(&epoll, fd, data, every_arrival)
        };
        add(mailbox)?;
        let owner = match peer::process(mailbox) {
            Process::Known(owner) => Some(owner),
            // What has ended already is to be asked of the handle.
            Process::Ended | Process::Unknown => None,
        };
        owner.as_ref().map_or(Ok(()), |owner| add(owner.as_fd()))?;
        Ok(Self {
            epoll,
            _owner: owner,
        })
    }

    /// Makes the descriptor wait for the next publication.
    pub fn clear(&self) {
        let now = Timespec::default();
        let mut arrived = Vec::with_capacity(2);
        let spare = rustix::buffer::spare_capacity(&mut arrived);
        // Failing for an interrupt, it stays readable, which is allowed at any time.
        let _ = epoll::wait(&self.epoll, spare, Some(&now));
    }
}

impl AsFd for Watch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }
}

/// Some event loops want a number.
impl AsRawFd for Watch {
    fn as_raw_fd(&self) -> RawFd {
        self.epoll.as_raw_fd()
    }
}
