//! What wakes a thread of the owner when something comes.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use rustix::event::epoll;

/// How often in a row it may wake for nothing.
const MOST_FALSE_ALARMS: u32 = 8;

/// An `epoll` instance over the door and all lanes. A child of the owner can change it, so it is
/// replaced by one that no child has when it wakes for nothing too often; and what comes is looked
/// for among the lanes themselves, at each refresh at the latest.
#[derive(Debug)]
pub(super) struct Waker {
    epoll: Arc<OwnedFd>,
    false_alarms: u32,
}

impl Waker {
    pub(super) fn new(door: &OwnedFd) -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let waker = Self {
            epoll: Arc::new(epoll),
            false_alarms: 0,
        };
        waker.add(door)?;
        Ok(waker)
    }

    pub(super) fn descriptor(&self) -> Arc<OwnedFd> {
        Arc::clone(&self.epoll)
    }

    pub(super) fn add(&self, socket: impl AsFd) -> io::Result<()> {
        let data = epoll::EventData::new_u64(0);
        Ok(epoll::add(
            &*self.epoll,
            socket,
            data,
            epoll::EventFlags::IN,
        )?)
    }

    /// To be called before a socket is closed, which a child may have open too.
    pub(super) fn remove(&self, socket: impl AsFd) {
        // A child may have removed it already.
        let _ = epoll::delete(&*self.epoll, socket);
    }

    pub(super) fn found_something(&mut self) {
        self.false_alarms = 0;
    }

    pub(super) fn found_nothing<'a>(
        &mut self,
        door: &OwnedFd,
        mut lanes: impl Iterator<Item = BorrowedFd<'a>>,
    ) {
        self.false_alarms += 1;
        if self.false_alarms < MOST_FALSE_ALARMS {
            return;
        }
        // Without descriptors for another one, the next false alarm tries again.
        let another = Self::new(door);
        let another = another.and_then(|it| lanes.try_for_each(|lane| it.add(lane)).map(|()| it));
        if let Ok(another) = another {
            *self = another;
        }
    }
}
