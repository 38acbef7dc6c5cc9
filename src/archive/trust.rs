//! The promise that another process has checked what it publishes.
#![forbid(unsafe_code)]

use std::marker::PhantomData;

/// The promise that the owner of a cache has checked what it publishes, so that another process
/// need not check it again.
///
/// With it a generation is opened in the time that a few system calls take, whatever its size: by
/// its seals, its header, its type and the names of its files alone.
///
/// | taken by | opens |
/// |---|---|
/// | [`Live::inherited_trusting`](crate::Live::inherited_trusting) | what the program passed that has started this one |
/// | [`Client::follow_trusting`](crate::Client::follow_trusting) | what the owner behind a broker publishes |
/// | [`Frozen::from_fds_trusting`](crate::Frozen::from_fds_trusting) | descriptors that came in another way |
///
/// ```no_run
/// use floe::{Live, Map, Trust};
///
/// // SAFETY: our server starts us. It is built along with this program, so it has the same
/// // `Map<String, u32>`, and passes nothing but caches that it has frozen itself.
/// let trust = unsafe { Trust::in_owner() };
/// let mut ages: Live<Map<String, u32>> = Live::inherited_trusting("ages", trust)?;
/// println!("{}", ages.get()?["ada"]);
/// # Ok::<(), floe::Error>(())
/// ```
///
/// # What is promised
/// Each generation that is opened with the promise was frozen as a `T` by its owner, or opened
/// by it with all checks. That is so if
///
/// - the owner is the program that is meant: the parent of a program that inherits a cache, the
///   process behind the socket of a broker;
/// - it was built with the same `T`. Its structure is compared, but not what implementations of
///   rkyv's traits ask beyond that;
/// - it is as sound itself as this program wants to be: what it has done to its memory by
///   `unsafe` code, this program reads.
///
/// Nobody else can break it: readers take a region only if it is the one that the owner
/// announces, and sealed. A handle that [connects
/// again](crate::Client::reconnect_every) to another owner checks what that one publishes.
#[derive(Debug)]
pub struct Trust<T>(PhantomData<fn() -> T>);

impl<T> Trust<T> {
    /// The promise, for its one public maker.
    pub(super) const fn given() -> Self {
        Self(PhantomData)
    }
}
