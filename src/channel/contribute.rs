//! What workers find out, on its way back to the owner.
//!
//! An owner that accepts contributions has a *door*: a socket pair, one end of which all readers
//! of the cache share. A contributor makes a *lane*, a socket pair of its own, and sends one end
//! through the door. Each contribution is one message on the lane, with the page files of a delta
//! and one end of a third socket pair, on which the answer comes.
//!
//! # Why so
//! - One message comes whole or not at all, so a contributor that is killed half-way leaves
//!   nothing half done, and nobody waits for the rest of anything.
//! - A lane has a queue of its own. Who floods it is told that it is full, and fills nobody else's;
//!   the owner takes from the lanes in turn. A lane can be closed, which cuts off one contributor.
//! - Each answer has a socket of its own, so whoever waits for one needs no lock, and one that
//!   nobody waits for is no burden.
//! - Nothing is registered or written in shared memory, and a contributor that dies closes its lane.
//!
//! # Forks
//! Children of the owner inherit its ends, which no flag prevents. They keep the sockets open when
//! the owner dies, so contributors do not rely on the end of a stream: they also watch the process
//! that has made the mailbox, which is the owner. A child might take what is meant for the owner,
//! and answer it; so an answer counts only if the kernel says that the owner's process has sent it.
//! What an owner closes it shuts down first, which counts for all who have it open. A lane belongs
//! to the process that has made it: a child of a worker makes its own.
//!
//! The owner does not trust its `epoll`, which children can change: it wakes a thread, no more.
#![forbid(unsafe_code)]

mod acceptor;
mod door;
mod lane;
mod limits;
mod offer;
mod outcome;
mod peers;
mod protocol;
mod sent;
#[cfg(test)]
mod tests;
mod waker;

pub use crate::error::{Measure, NotTaken};
pub(crate) use acceptor::Acceptor;
pub use door::Counts;
pub(crate) use door::Door;
pub(crate) use lane::Lane;
pub use limits::{Limits, Quota};
pub(crate) use offer::Offer;
pub use outcome::{Merged, Outcome};
pub use peers::Contributor;
pub(crate) use sent::{Sent, contribute};
