//! Handles follow what is published.

use floe::error::ChannelError;
use std::os::fd::AsFd;
use std::time::Duration;

use floe::{Error, Frozen, Publisher, prefork};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::alarm;

use crate::fixture::{Numbers, channel, numbers, publish_next, read};
use crate::forking::{Gate, next_descriptor};

/// Long enough to never pass in a test that succeeds.
const LONG: Duration = Duration::from_secs(60);

pub(crate) fn workers_see_every_generation_whole() {
    const READERS: usize = 8;
    const LAST: u64 = 2000;
    let (publisher, live) = channel();
    let pool = prefork::spawn(READERS, |worker| {
        // Ends a reader that would wait for ever.
        alarm::set(60);
        let mut live = live;
        let mut newest = 0;
        while newest < LAST {
            // Half of them poll as fast as they can, the others sleep.
            if worker.index() % 2 == 0 {
                live.wait_newer(LONG);
            }
            let seen = read(&mut live);
            assert!(seen >= newest, "{seen} after {newest}");
            newest = seen;
        }
        newest
    });
    let free = next_descriptor();
    while publish_next(&publisher) < LAST {}
    assert_eq!(pool.unwrap().join().unwrap(), [LAST; READERS]);
    // The answers of the workers were open before.
    assert!(next_descriptor() <= free);
}

pub(crate) fn a_handle_moves_only_when_it_is_read() {
    let (publisher, mut live) = channel();
    let pinned = live.pin();
    let mut other = live.clone();
    publish_next(&publisher);
    assert_eq!((live.generation(), other.generation()), (1, 1));
    assert_eq!((read(&mut live), other.generation()), (2, 1));
    publish_next(&publisher);
    assert_eq!(read(&mut other), 3, "one that was missed is skipped");
    assert_eq!(live.generation(), 2);
    assert_eq!(
        (pinned.region().generation(), pinned[0].to_native()),
        (1, 1)
    );
    assert_eq!(live.pin().region().generation(), 3);
    drop(publisher);
    assert_eq!(read(&mut live), 3);
}

pub(crate) fn waiting_ends_with_the_next_generation() {
    let (publisher, mut live) = channel();
    assert!(!live.wait_newer(Duration::ZERO));
    assert!(!live.wait_newer(Duration::from_millis(1)));
    let gate = Gate::new();
    let pool = prefork::spawn(2, |_| {
        let mut live = live;
        gate.open();
        (live.wait_newer(LONG), read(&mut live))
    });
    (0..2).for_each(|_| gate.pass());
    publish_next(&publisher);
    assert_eq!(pool.unwrap().join().unwrap(), [(true, 2); 2]);
}

pub(crate) fn a_watch_reports_each_publication() {
    watch_publications(|| ());
}

/// Readers in an event loop see 200 generations, while something is held.
pub(crate) fn watch_publications<R>(hold: impl FnOnce() -> R) {
    const LAST: u64 = 200;
    let (publisher, live) = channel();
    let _held = hold();
    let turn = Gate::new();
    let pool = prefork::spawn(3, |_| {
        let mut live = live;
        let watch = live.watch().unwrap();
        let ready = |timeout| {
            let mut polled = [PollFd::new(watch.as_fd(), PollFlags::POLLIN)];
            poll(&mut polled, timeout) == Ok(1)
        };
        assert!(ready(PollTimeout::ZERO), "it is readable at first");
        watch.clear();
        assert!(!ready(PollTimeout::ZERO), "it is clear");
        turn.open();
        for generation in 2..=LAST {
            while live.generation() < generation {
                assert!(ready(60_000_u16.into()), "{generation} was missed");
                watch.clear();
                live.get_stale();
            }
            turn.open();
        }
    });
    for generation in 2..=LAST + 1 {
        (0..3).for_each(|_| turn.pass());
        if generation <= LAST {
            assert_eq!(publish_next(&publisher), generation);
        }
    }
    pool.unwrap().join().unwrap();
}

pub(crate) fn what_does_not_continue_a_cache_is_refused() {
    let (publisher, mut live) = channel();
    let freeze = |name| Frozen::freeze(name, &numbers(2)).unwrap();
    let refused = publisher.publish(&freeze("letters")).unwrap_err();
    assert!(
        matches!(refused, Error::Channel(ChannelError::OtherCache { .. })),
        "{refused}"
    );
    let refused = publisher.publish(&freeze("numbers")).unwrap_err();
    assert!(
        matches!(
            refused,
            Error::Channel(ChannelError::NotNewer {
                newest: 1,
                got: 1,
                ..
            })
        ),
        "{refused}"
    );
    let text = publisher.freeze(&String::new()).unwrap();
    let refused = publisher.publish(&text).unwrap_err();
    assert!(matches!(refused, Error::SchemaMismatch { .. }), "{refused}");
    let refused = publisher.subscribe::<String>().unwrap_err();
    assert!(matches!(refused, Error::SchemaMismatch { .. }), "{refused}");
    let heap = Frozen::freeze_on_heap("numbers", &numbers(1)).unwrap();
    let refused = Publisher::new(&heap).unwrap_err();
    assert!(matches!(refused, Error::NoDescriptor { .. }), "{refused}");
    assert_eq!(read(&mut live), 1);
}

pub(crate) fn a_child_cannot_publish() {
    let (publisher, mut live) = channel();
    let pool = prefork::spawn(1, |_| {
        let next = Frozen::freeze("numbers", &numbers(1)).unwrap();
        let refusals = [
            publisher.publish(&next),
            publisher.renew(),
            publisher.subscribe::<Numbers>().map(drop),
            publisher.freeze(&numbers(2)).map(drop),
            publisher.builder::<u32, u32>().map(drop),
        ];
        drop(publisher);
        refusals.map(|refusal| matches!(refusal, Err(Error::NotOwner { .. })))
    });
    assert_eq!(pool.unwrap().join().unwrap(), [[true; 5]]);
    let (publisher, mut other) = channel();
    publish_next(&publisher);
    assert_eq!((read(&mut live), read(&mut other)), (1, 2));
}

pub(crate) fn an_expired_cache_is_not_given() {
    let (publisher, mut live) = channel();
    assert!(live.get().is_ok() && live.expires_in().is_none());
    let next = publisher.freeze(&numbers(2)).unwrap();
    publisher.publish(&next).unwrap();
    publisher.set_expire_after(Some(Duration::ZERO)).unwrap();
    let refused = live.get().unwrap_err();
    assert!(
        matches!(refused, Error::Expired { generation: 2, .. }),
        "{refused}"
    );
    assert!(live.is_expired());
    assert_eq!(read(&mut live), 2, "plain reading goes on");
    let next = publisher.freeze(&numbers(3)).unwrap();
    publisher.set_expire_after(Some(LONG)).unwrap();
    publisher.publish(&next).unwrap();
    assert_eq!(live.get().unwrap()[0], 3);
    assert!(live.expires_in().unwrap() > LONG / 2);
}

pub(crate) fn a_renewed_cache_is_young_again() {
    let (publisher, mut live) = channel();
    let next = publisher.freeze(&numbers(2)).unwrap();
    publisher.publish(&next).unwrap();
    publisher.set_expire_after(Some(Duration::ZERO)).unwrap();
    assert!(live.get().is_err());
    let age = live.age();
    publisher.set_expire_after(Some(LONG)).unwrap();
    publisher.renew().unwrap();
    assert_eq!(live.get().unwrap()[0], 2);
    publisher.set_expire_after(Some(Duration::ZERO)).unwrap();
    publisher.renew().unwrap();
    assert!(live.get().is_err());
    publisher.set_expire_after(None).unwrap();
    publisher.renew().unwrap();
    assert!(live.get().is_ok() && live.expires_in().is_none());
    assert!(age > Duration::ZERO);
}
