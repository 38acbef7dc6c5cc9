//! What a worker needs to follow a cache: two descriptors, and a third one to contribute to it.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::control::{Announcement, ControlPage};
use super::mailbox;
use crate::error::{ChannelError, Error, Result};
use crate::frozen::{Content, Frozen, Trust};
use crate::sys::memfd_id::MemfdId;
use crate::sys::peer;

/// How long to wait before a generation that could not be taken is tried again.
pub(crate) const RETRY: Duration = Duration::from_millis(1);
/// How long a new reader waits for its first generation.
const PATIENCE: Duration = Duration::from_millis(200);

/// The readers' end of a channel.
#[derive(Debug)]
pub(crate) struct Subscription {
    pub(crate) name: String,
    pub(crate) control: ControlPage,
    mailbox: OwnedFd,
    /// Where contributors knock, if the owner accepts contributions.
    door: Option<Arc<OwnedFd>>,
}

impl Subscription {
    pub(crate) fn new(name: String, control: ControlPage, mailbox: OwnedFd) -> Self {
        Self {
            name,
            control,
            mailbox,
            door: None,
        }
    }

    pub(crate) fn with_door(mut self, door: Option<Arc<OwnedFd>>) -> Self {
        self.door = door;
        self
    }

    /// Another handle on the same channel, with another door.
    pub(crate) fn try_clone_with_door(&self, door: Option<Arc<OwnedFd>>) -> io::Result<Self> {
        Ok(Self {
            name: self.name.clone(),
            control: self.control.try_clone()?,
            mailbox: self.mailbox.try_clone()?,
            door,
        })
    }

    /// Believes the owner that it has checked what it publishes.
    pub(crate) fn trusting<T: Content>(mut self, trust: &Trust<T>) -> Self {
        self.control.believe(trust);
        self
    }

    /// The page files of the newest generation, of which the owner announces the first, whoever has
    /// put them into the mailbox.
    ///
    /// # Errors
    /// [`ChannelError::Mailbox`]. While the owner publishes, this is a matter of a moment.
    pub(crate) fn fetch(&self) -> Result<(Announcement, Vec<OwnedFd>)> {
        let announcement = self.control.announcement();
        let failed = |source| {
            Error::Channel(ChannelError::Mailbox {
                name: self.name.clone(),
                generation: announcement.generation,
                reason: source,
            })
        };
        let letter = mailbox::peek(&self.mailbox).map_err(failed)?;
        let identity = MemfdId::of(&letter.files[0]).map_err(failed)?;
        // Both halves of an announcement that changes meanwhile belong to real regions, so a
        // forged one fits neither.
        if identity != announcement.identity || letter.generation != announcement.generation {
            return Err(self.disturbed(announcement.generation));
        }
        Ok((announcement, letter.files))
    }

    /// The value in the generation that the owner announces. One that this process announced, one
    /// that it was forked from, or an owner that it trusts, was checked there; any other is checked
    /// here, where it differs from the one that the reader has.
    ///
    /// # Errors
    /// Those of [`fetch`](Self::fetch) and of [`Frozen::from_fd`].
    pub(crate) fn open_newest<T: Content>(
        &self,
        earlier: Option<&Frozen<T>>,
    ) -> Result<(Announcement, Frozen<T>)> {
        let (announcement, fds) = self.fetch()?;
        let frozen: Frozen<T> = match (self.control.vouch(fds), earlier) {
            (Ok(vouched), _) => Frozen::from_vouched(vouched)?,
            (Err(fds), Some(earlier)) => Frozen::from_fds_after(earlier, fds)?,
            (Err(fds), None) => Frozen::from_fds(fds)?,
        };
        if frozen.region().generation() != announcement.generation
            || frozen.region().name() != self.name
        {
            return Err(self.disturbed(announcement.generation));
        }
        Ok((announcement, frozen))
    }

    /// Makes an attempt again for a while, for it may come in the middle of a publication.
    pub(crate) fn patiently<R>(&self, attempt: impl Fn(&Self) -> Result<R>) -> Result<R> {
        let until = Instant::now() + PATIENCE;
        loop {
            let seen = self.control.publications();
            match attempt(self) {
                Err(error) if is_passing(&error) && Instant::now() < until => {
                    self.control.wait(seen, RETRY);
                }
                result => return result,
            }
        }
    }

    /// The error for what is in the mailbox instead of a generation.
    pub(crate) fn disturbed(&self, generation: u64) -> Error {
        Error::Channel(ChannelError::Mailbox {
            name: self.name.clone(),
            generation,
            reason: io::ErrorKind::InvalidData.into(),
        })
    }

    /// Whether nobody will publish here any more: the owner has ended or closed the channel, or
    /// somebody has shut the mailbox down.
    pub(crate) fn is_orphaned(&self) -> bool {
        mailbox::is_closed(self.mailbox()) || peer::has_ended(&self.mailbox)
    }

    pub(crate) fn door(&self) -> Option<&Arc<OwnedFd>> {
        self.door.as_ref()
    }

    pub(crate) fn mailbox(&self) -> BorrowedFd<'_> {
        self.mailbox.as_fd()
    }
}

/// Whether another attempt may succeed. A region that was refused will be refused again.
pub(crate) fn is_passing(error: &Error) -> bool {
    matches!(
        error,
        Error::Channel(ChannelError::Mailbox { .. }) | Error::Descriptor { .. }
    )
}
