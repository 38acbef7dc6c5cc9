//! How workers that run learn of a new generation.
//!
//! A channel is two descriptors, which every reader of a cache shares:
//! - the *control page*, a memfd that only the owner can write. It says which generation is the
//!   newest, in which memfd it lies, and when it expires.
//! - the *mailbox*, a socket whose queue holds one message with the newest region. Readers peek at
//!   it, so that it stays for the others.
//!
//! A reader looks for a new generation by one load from the control page. It writes, locks and
//! registers nothing, so a reader that dies leaves nothing behind. When the owner dies, readers
//! keep what they have.
//!
//! # Publishing
//! The order ensures that there is always a message to peek at, and that the mailbox holds what the
//! control page announces:
//! 1. send the new region, behind the old one;
//! 2. take out the old one;
//! 3. write the control page, its generation last, and wake those who wait in it;
//! 4. send the new region once more, which wakes those who poll the mailbox, and take out the
//!    surplus.
//!
//! The kernel limits the descriptors in flight for each user. At the limit, step 2 comes before
//! step 1, and step 4 sends a byte.
//!
//! # The end
//! A channel ends when its publisher is dropped, which shuts the mailbox down, or when the owner's
//! process ends: the kernel knows it as the one that made the mailbox, whoever holds that since.
//!
//! # Trust
//! Every holder of the mailbox can empty it, and a forked worker can put anything into it, since it
//! inherits the owner's end too. That changes nothing that anybody reads: a reader takes a region
//! only if it is the memfd that the control page announces. (A process that may trace the owner can
//! do anything in it, and needs no channel for that.) Readers keep the generation that they have,
//! and the next publication fills the mailbox again. A reader that finds nothing resets the options
//! of the socket. The owner replaces a mailbox that is shut down or does not hold what was sent,
//! for those who come later.
#![forbid(unsafe_code)]

pub mod broker;
pub mod contribute;
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
