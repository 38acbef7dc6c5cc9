//! A user who may have no more descriptors in flight.

use floe::error::{BrokerError, ChannelError};
use std::os::fd::{AsRawFd, OwnedFd};

use floe::{Broker, Error, Frozen, Publisher, prefork};
use floe_testkit::forking::Resource;
use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, recv, socketpair};

use crate::fixture::{Numbers, channel, mailbox, numbers, publish_next, read, send};
use crate::following::watch_publications;
use crate::forking::set_limit;

/// A user whom nothing else on the machine belongs to.
const NOBODY_ELSE: u32 = 64_321;
const LIMIT: u64 = 64;

/// Runs a test in a child that is another user with a low limit.
fn as_a_crowded_user(test: impl FnOnce()) {
    let child = prefork::spawn(1, |_| {
        set_limit(Resource::RLIMIT_NOFILE, LIMIT);
        // SAFETY: the calls take plain numbers.
        assert_eq!(unsafe { libc::setgid(NOBODY_ELSE) }, 0);
        // SAFETY: as above.
        assert_eq!(unsafe { libc::setuid(NOBODY_ELSE) }, 0);
        test();
    });
    child.unwrap().join().unwrap();
}

/// Messages with descriptors that nobody receives.
struct Hog([OwnedFd; 2]);

impl Hog {
    /// As many as there can be, and one more than counts as too many.
    fn new() -> Self {
        let (family, kind) = (AddressFamily::Unix, SockType::SeqPacket);
        let (sender, reader) = socketpair(family, kind, None, SockFlag::SOCK_CLOEXEC).unwrap();
        let hog = Self([sender, reader]);
        while hog.send(1).is_ok() {}
        assert_eq!(hog.send(1), Err(Errno::ETOOMANYREFS));
        hog
    }

    fn send(&self, descriptors: usize) -> nix::Result<usize> {
        let carried = vec![self.0[0].as_raw_fd(); descriptors];
        send(&self.0[0], b".", &carried)
    }

    fn receive(&self) {
        recv(self.0[1].as_raw_fd(), &mut [0], MsgFlags::MSG_DONTWAIT).unwrap();
    }
}

pub(crate) fn a_crowded_owner_publishes() {
    as_a_crowded_user(|| {
        watch_publications(Hog::new);
        let (publisher, mut live) = channel();
        let mut late = live.clone();
        let hog = Hog::new();
        for generation in 2..100 {
            assert_eq!(publish_next(&publisher), generation);
            assert_eq!(read(&mut live), generation);
        }
        drop(hog);
        assert_eq!(publish_next(&publisher), 100);
        assert_eq!((read(&mut live), read(&mut late)), (100, 100));
    });
}

pub(crate) fn lack_of_descriptors_in_flight_is_reported_and_passes() {
    as_a_crowded_user(|| {
        let (publisher, mut live) = channel();
        let late = live.clone();
        let [_, reader] = mailbox();
        let hog = Hog::new();
        // Two in one message are one more than too many.
        hog.receive();
        hog.send(2).unwrap();
        let next = publisher.freeze(&numbers(2)).unwrap();
        let refused = publisher.publish(&next).unwrap_err();
        assert!(
            matches!(
                refused,
                Error::Channel(ChannelError::InFlight { limit: LIMIT, .. })
            ),
            "{refused}"
        );
        assert_eq!((read(&mut live), live.last_error().is_none()), (1, true));
        let first = Frozen::freeze("others", &numbers(1)).unwrap();
        let refused = Publisher::new(&first).unwrap_err();
        assert!(
            matches!(refused, Error::Channel(ChannelError::InFlight { .. })),
            "{refused}"
        );

        // What was taken out to make room is put back, for those who come new.
        (0..2).for_each(|_| hog.receive());
        publisher.renew().unwrap();
        let peek = MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT;
        assert_eq!(recv(reader.as_raw_fd(), &mut [0; 8], peek), Ok(8));
        publisher.publish(&next).unwrap();
        for mut live in [live, late, publisher.subscribe::<Numbers>().unwrap()] {
            assert_eq!(read(&mut live), 2);
        }
    });
}

pub(crate) fn a_crowded_broker_says_so() {
    as_a_crowded_user(|| {
        let (publisher, _live) = channel();
        let directory = tempfile::tempdir_in("/tmp").unwrap();
        let path = directory.path().join("broker");
        let broker = Broker::serve(&path, [&publisher]).unwrap();
        let hog = Hog::new();
        let refused = floe::broker::list(&path).unwrap_err();
        assert!(
            matches!(refused, Error::Broker(BrokerError::Busy { .. })),
            "{refused}"
        );
        hog.receive();
        assert_eq!(floe::broker::list(&path).unwrap().len(), 1);
        drop(broker);
    });
}
