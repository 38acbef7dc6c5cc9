//! A worker that means harm reaches nobody's data.

use floe::error::ChannelError;
use std::ffi::c_int;
use std::os::fd::{AsRawFd, BorrowedFd};

use floe::{Error, Frozen, Live, prefork};
use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::{MsgFlags, Shutdown, recv, shutdown};

use crate::fixture::{Numbers, channel, mailbox, numbers, publish_next, read, send};
use crate::forking::next_descriptor;

/// Lets a worker do something to the mailbox.
fn disturb(act: impl FnOnce([BorrowedFd<'static>; 2])) {
    prefork::spawn(1, |_| act(mailbox()))
        .unwrap()
        .join()
        .unwrap();
}

fn drain(reader: BorrowedFd) {
    while recv(reader.as_raw_fd(), &mut [0; 8], MsgFlags::MSG_DONTWAIT).is_ok() {}
}

fn is_missed(live: &Live<Numbers>) -> bool {
    matches!(
        live.last_error(),
        Some(Error::Channel(ChannelError::Mailbox { .. }))
    )
}

pub(crate) fn a_drained_mailbox_is_filled_again() {
    let (publisher, mut live) = channel();
    let mut late = live.clone();
    publish_next(&publisher);
    assert_eq!(read(&mut live), 2);
    disturb(|[_, reader]| drain(reader));
    assert_eq!(read(&mut late), 1, "it keeps what it has");
    assert!(is_missed(&late), "{:?}", late.last_error());
    assert_eq!(publish_next(&publisher), 3);
    assert_eq!((read(&mut live), read(&mut late)), (3, 3));
    assert!(late.last_error().is_none());
}

pub(crate) fn readers_can_send_nothing_to_the_owner() {
    let (_publisher, _live) = channel();
    disturb(|[_, reader]| assert_eq!(send(reader, b"message", &[]), Err(Errno::EPIPE)));
}

pub(crate) fn a_flooded_mailbox_is_cleared() {
    let (publisher, mut live) = channel();
    for message in [&b""[..], b"garbage!", &[7; 500]] {
        disturb(|[writer, _]| while send(writer, message, &[]).is_ok() {});
        // The first takes out what is in the way, also if its own message is lost.
        publish_next(&publisher);
        let last = publish_next(&publisher);
        assert_eq!(read(&mut live), last);
    }
}

pub(crate) fn a_forged_region_is_not_taken() {
    let (publisher, live) = channel();
    let free = next_descriptor();
    for carried in [1, 250] {
        let mut late = live.clone();
        let generation = publish_next(&publisher);
        disturb(|[writer, reader]| {
            drain(reader);
            // A region of the right name, type and generation, but not the owner's.
            let first = Frozen::freeze("numbers", &numbers(1)).unwrap();
            let forger = floe::Publisher::new(&first).unwrap();
            let forged = loop {
                let forged = forger.freeze(&numbers(999)).unwrap();
                if forged.region().generation() == generation {
                    break forged;
                }
                forger.publish(&forged).unwrap();
            };
            let fds = vec![forged.region().as_fd().unwrap().as_raw_fd(); carried];
            send(writer, &generation.to_ne_bytes(), &fds).unwrap();
        });
        assert_eq!(read(&mut late), 1);
        assert!(is_missed(&late), "{:?}", late.last_error());
    }
    assert_eq!(next_descriptor(), free, "none is leaked");
    let mut live = live;
    let last = publish_next(&publisher);
    assert_eq!(read(&mut live), last);
}

pub(crate) fn a_mailbox_that_is_shut_down_keeps_its_readers() {
    let (publisher, mut live) = channel();
    disturb(|[_, reader]| shutdown(reader.as_raw_fd(), Shutdown::Both).unwrap());
    let next = publisher.freeze(&numbers(2)).unwrap();
    publisher.publish(&next).unwrap();
    assert_eq!(read(&mut live), 1);
    let mut fresh = publisher.subscribe::<Numbers>().unwrap();
    assert_eq!(read(&mut fresh), 2);
    publish_next(&publisher);
    assert_eq!((read(&mut live), read(&mut fresh)), (1, 3));
}

/// Sets an option of a socket.
fn set<T>(socket: BorrowedFd, option: c_int, value: T) {
    // SAFETY: the kernel reads a `T`, which is what lies at its address until the call returns.
    let set = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            option,
            (&raw const value).cast(),
            size_of::<T>() as libc::socklen_t,
        )
    };
    // Older kernels do not know every option.
    let set = Errno::result(set);
    assert!(matches!(set, Ok(_) | Err(Errno::ENOPROTOOPT)), "{set:?}");
}

pub(crate) fn options_of_a_mailbox_are_undone() {
    const SO_PASSRIGHTS: c_int = 83;
    for (option, value) in [
        (libc::SO_PASSCRED, 1),
        (libc::SO_PASSSEC, 1),
        (libc::SO_PASSPIDFD, 1),
        (libc::SO_TIMESTAMP, 1),
        (libc::SO_TIMESTAMPNS, 1),
        (libc::SO_PEEK_OFF, 0),
        (SO_PASSRIGHTS, 0),
    ] {
        let (publisher, mut live) = channel();
        let mut late = live.clone();
        for generation in [2, 3] {
            disturb(|ends| ends.iter().for_each(|end| set(*end, option, value)));
            assert_eq!(publish_next(&publisher), generation);
            let mut fresh = publisher.subscribe::<Numbers>().unwrap();
            let read = [&mut live, &mut late, &mut fresh].map(read);
            assert_eq!(read, [generation; 3], "option {option}");
        }
    }
}

pub(crate) fn a_mailbox_that_takes_no_message_is_replaced() {
    let (publisher, mut live) = channel();
    disturb(|[_, reader]| {
        let mut nothing_passes = libc::sock_filter {
            code: (libc::BPF_RET | libc::BPF_K) as u16,
            jt: 0,
            jf: 0,
            k: 0,
        };
        let program = libc::sock_fprog {
            len: 1,
            filter: &raw mut nothing_passes,
        };
        set(reader, libc::SO_ATTACH_FILTER, program);
        set(reader, libc::SO_LOCK_FILTER, 1);
    });
    publish_next(&publisher);
    assert_eq!(read(&mut live), 1);
    let mut fresh = publisher.subscribe::<Numbers>().unwrap();
    publish_next(&publisher);
    assert_eq!((read(&mut live), read(&mut fresh)), (1, 3));
}
