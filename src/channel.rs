//! How workers that run learn of a new generation.
//!
//! A channel is two descriptors, which every reader of a cache shares:
//! - the *control page*, a memfd that only the owner can write. It says which generation is
//!   the newest, in which memfd it lies, and when it expires.
//! - the *mailbox*, a socket whose queue holds one message with the newest region. Readers peek at
//!   it, so that it stays for the others.
//!
//! To look whether something has changed is one load from the control page. No reader writes, locks
//! or registers anything, so one that dies, at whatever moment, leaves nothing behind; and the
//! owner's death leaves the readers with what they have.
//!
//! # Publishing
//! The order makes that there is always a message to peek at, and that what the control page
//! announces is in the mailbox:
//! 1. send the new region, behind the old one;
//! 2. take out the old one;
//! 3. write the control page, its generation last, and wake those who wait in it;
//! 4. send the new region once more, which wakes those who poll the mailbox, and take out the
//!    surplus.
//!
//! The kernel counts the descriptors that are in flight for each user. Where there may be no more of
//! them, 2 comes before 1, and in 4 a byte is sent.
//!
//! # The end
//! A channel ends when its publisher is dropped, which shuts the mailbox down, or with the process of
//! the owner, which the kernel knows as the one that made the mailbox, whoever holds it since.
//!
//! # Trust
//! Whoever holds the mailbox can empty it, and a forked worker can put anything into it, since it
//! inherits the owner's end as well. That cannot change what anybody reads: a region is taken only
//! if it is the memfd that the control page announces (a process that may trace the owner can
//! do anything in it, and needs no channel for that). Readers then keep the generation that
//! they have; the next publication fills the mailbox again. Options of the socket that somebody has set
//! are undone by whoever finds nothing. Where a mailbox is shut down, or still does not hold what was
//! sent, it gets replaced, for those who come later.
#![forbid(unsafe_code)]

pub mod broker;
mod control;
mod counters;
mod handover;
mod live;
mod mailbox;
mod options;
mod publisher;
mod status;
mod subscription;

pub use broker::{Broker, Client};
pub(crate) use control::{ControlPage, Freshness};
pub use counters::{Counter, Counters};
pub(crate) use handover::Inherited;
pub use live::{Live, Watch};
pub use publisher::Publisher;
pub use status::{ChannelStatus, prometheus};
pub(crate) use subscription::{RETRY, Subscription, is_passing};
