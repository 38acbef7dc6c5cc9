//! A contribution on its way, as its contributor sees it.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, poll};

use super::lane::Lane;
use super::outcome::Outcome;
use super::protocol::{LONGEST_REPLY, read_answer};
use crate::channel::{Subscription, mailbox};
use crate::error::NotTaken;
use crate::error::{ChannelError, Error, Result};
use crate::sys::limits;
use crate::sys::message::receive_from;
use crate::sys::peer::{self, Process};

/// Most messages that one look passes over which are no answers of the owner: a child of the owner can
/// send them without end.
const MOST_FORGED: usize = 64;
/// How often those who wait see whether the owner still lives, where the kernel cannot say so.
const OWNER_LOOKED_AFTER: Duration = Duration::from_secs(1);
/// How long a child of the contributor waits behind a message that is no answer, which it leaves
/// where it is, before it looks whether that is gone.
const LOOKED_BEHIND_AFTER: Duration = Duration::from_millis(50);

/// What a look finds.
enum Look {
    Outcome(Outcome),
    /// A message that is no answer, and stays for the parent of this process.
    Blocked,
    Nothing,
}

/// A contribution whose answer may come.
#[derive(Debug)]
pub(crate) struct Sent {
    answer: OwnedFd,
    lane: Arc<Lane>,
    subscription: Arc<Subscription>,
    owner: i32,
    outcome: Option<Outcome>,
}

/// Sends the files of a delta to the owner of a cache, on a lane that is made for the first one.
///
/// # Errors
/// [`ChannelError::NotAccepting`], [`ChannelError::NotContributed`] and [`ChannelError::Step`].
pub(crate) fn contribute(
    subscription: &Arc<Subscription>,
    kept: &mut Option<Arc<Lane>>,
    files: &[BorrowedFd<'_>],
) -> Result<Sent> {
    let name = || subscription.name.clone();
    let not_taken = |reason| {
        Error::Channel(ChannelError::NotContributed {
            name: name(),
            reason,
        })
    };
    let failed = |source: io::Error| match source.kind() {
        io::ErrorKind::WouldBlock => not_taken(NotTaken::Full),
        _ if mailbox::is_crowded(&source) => not_taken(NotTaken::InFlight {
            limit: limits::most_descriptors(),
        }),
        _ => Error::Channel(ChannelError::Step {
            name: name(),
            step: "send a contribution",
            reason: source,
        }),
    };
    let Some(door) = subscription.door() else {
        return Err(Error::Channel(ChannelError::NotAccepting { name: name() }));
    };
    if subscription.is_orphaned() {
        return Err(not_taken(NotTaken::OwnerEnded));
    }
    let (owner, _) = peer::number_and_user(subscription.mailbox()).map_err(failed)?;
    let mut is_new = false;
    loop {
        let lane = match kept.take().filter(|lane| lane.is_own()) {
            Some(lane) => lane,
            None => {
                is_new = true;
                let opened = Lane::open(door).map_err(|error| match is_closed(&error) {
                    true => not_taken(NotTaken::Closed),
                    false => failed(error),
                });
                Arc::new(opened?)
            }
        };
        match lane.offer(files) {
            Ok(answer) => {
                *kept = Some(Arc::clone(&lane));
                return Ok(Sent {
                    answer,
                    lane,
                    subscription: Arc::clone(subscription),
                    owner,
                    outcome: None,
                });
            }
            Err(closed) if is_closed(&closed) => match lane.goodbye(owner) {
                Some(reason @ NotTaken::CutOff { .. }) => return Err(not_taken(reason)),
                reason if is_new => return Err(not_taken(reason.unwrap_or(NotTaken::Closed))),
                // The owner has made room for another; it takes a new one.
                _ => {}
            },
            Err(error) => {
                *kept = Some(lane);
                return Err(failed(error));
            }
        }
    }
}

fn is_closed(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset | io::ErrorKind::NotConnected
    )
}

impl Sent {
    /// What has become of it, if that is known by now.
    pub(crate) fn outcome(&mut self) -> Option<&Outcome> {
        if self.outcome.is_none()
            && let Look::Outcome(outcome) = self.look(true)
        {
            self.outcome = Some(outcome);
        }
        self.outcome.as_ref()
    }

    /// The same, for which it waits.
    pub(crate) fn wait(&mut self, timeout: Duration) -> Option<&Outcome> {
        let began = Instant::now();
        while self.outcome.is_none() {
            // A process that has ended before is found by the next look.
            let owner = match peer::process(self.subscription.mailbox()) {
                Process::Known(owner) => Some(owner),
                Process::Ended | Process::Unknown => None,
            };
            let look = self.look(true);
            let left = timeout.saturating_sub(began.elapsed());
            let readable = |fd| PollFd::new(fd, PollFlags::POLLIN);
            let (mut polled, longest) = match look {
                Look::Outcome(outcome) => {
                    self.outcome = Some(outcome);
                    break;
                }
                Look::Blocked => (Vec::new(), LOOKED_BEHIND_AFTER),
                Look::Nothing => {
                    let mut polled = vec![readable(self.answer.as_fd())];
                    polled.extend(owner.as_ref().map(|owner| readable(owner.as_fd())));
                    (polled, OWNER_LOOKED_AFTER)
                }
            };
            if left.is_zero() {
                break;
            }
            // Rounded up, so that it does not look again before its time.
            let pause = left.min(longest).as_millis() as u16 + 1;
            if let Err(Errno::ENOMEM | Errno::EINVAL) = poll(&mut polled, pause) {
                std::thread::sleep(left.min(longest));
            }
        }
        self.outcome.as_ref()
    }

    /// Looks once for an answer, and for the end of the owner.
    fn look(&self, again: bool) -> Look {
        let mut bytes = [0; LONGEST_REPLY];
        // A child of the contributor leaves the answer to its parent.
        let peeks = !self.lane.is_of_this_process();
        for _ in 0..MOST_FORGED {
            match receive_from(&self.answer, &mut bytes, peeks) {
                Ok((0, _)) => {
                    // The owner lets go of what it cannot answer when it closes a lane.
                    let why = self.lane.goodbye(self.owner);
                    let ended = || {
                        self.subscription
                            .is_orphaned()
                            .then_some(NotTaken::OwnerEnded)
                    };
                    let why = why.or_else(ended).unwrap_or(NotTaken::Lost);
                    return Look::Outcome(Outcome::NotTaken(why));
                }
                Ok((length, sender)) => {
                    let is_owner = sender.is_some_and(|it| it.pid() == self.owner);
                    if let Some(outcome) = read_answer(&bytes[..length]).filter(|_| is_owner) {
                        return Look::Outcome(outcome);
                    }
                    // A child of the owner pretends to be it.
                    if peeks {
                        return Look::Blocked;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => {
                    return Look::Outcome(Outcome::NotTaken(NotTaken::Lost));
                }
                Err(_) if !self.subscription.is_orphaned() => return Look::Nothing,
                // It may have answered before it ended.
                Err(_) if again => {
                    return match self.look(false) {
                        Look::Nothing => Look::Outcome(Outcome::NotTaken(NotTaken::OwnerEnded)),
                        last => last,
                    };
                }
                Err(_) => return Look::Nothing,
            }
        }
        Look::Nothing
    }
}

impl AsFd for Sent {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.answer.as_fd()
    }
}
