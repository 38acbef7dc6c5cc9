//! Contributors that mean harm.

use std::cell::RefCell;
use std::fs;
use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsRawFd, RawFd};
use std::process::Command;
use std::time::Duration;

use floe::contribute::{NotTaken, Outcome, Quota};
use floe::error::ChannelError;
use floe::overlay::Contribution;
use floe::{Error, Store, prefork};
use nix::sys::socket::{
    AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType, recvmsg,
    sendmsg, socketpair,
};

use crate::fixture::{LONG, contribute, entries, fold, live, merged, owner, unlimited};
use crate::forking::Gate;

/// How many this process has open.
fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

fn counts(store: &Store) -> floe::contribute::Counts {
    store.status().unwrap()[0].contributions.unwrap()
}

/// One sends without end and never looks at an answer; others are served as if it was not there.
pub(crate) fn a_flood_harms_its_sender_alone() {
    let quota = Quota {
        deltas: 100,
        ..Quota::UNLIMITED
    };
    let limits = unlimited()
        .per_peer(quota)
        .window(100 * LONG)
        .cut_off(50, 100 * LONG);
    let store = owner(limits);
    let live = live(&store);
    let flooded = Gate::new();
    let flood = prefork::spawn(1, |_| {
        let mut live = live.clone();
        let mut overlay = floe::Overlay::over(&live.pin());
        overlay.insert(&"flood".to_owned(), &1).unwrap();
        let mut waiting: Vec<Contribution<String, u64>> = Vec::new();
        let mut told = Vec::new();
        for sent in 0.. {
            match live.contribute(&overlay) {
                Ok(contribution) => waiting.push(contribution),
                Err(Error::Channel(ChannelError::NotContributed { reason, .. })) => {
                    if let NotTaken::CutOff { .. } = reason {
                        break;
                    }
                }
                Err(error) => panic!("{error}"),
            }
            if sent == 20 {
                (0..4).for_each(|_| flooded.open());
            }
            waiting.retain_mut(|it| match it.try_outcome() {
                Some(outcome) => {
                    told.push(outcome.clone());
                    false
                }
                None => true,
            });
        }
        let is = |kind: fn(&Outcome) -> bool| told.iter().filter(|it| kind(it)).count();
        (
            is(|it| matches!(it, Outcome::Merged(_))),
            is(|it| matches!(it, Outcome::NotTaken(NotTaken::OverQuota { .. }))),
        )
    })
    .unwrap();
    let others = prefork::spawn(4, |worker| {
        flooded.pass();
        let word = |number| format!("{} {number}", worker.index());
        (0..25)
            .map(|number| merged(contribute(&live, &word(number))).taken)
            .sum::<u64>()
    })
    .unwrap();
    let free = descriptors();
    let mut most = 0;
    while entries(&store).len() < 101 {
        fold(&store);
        most = most.max(descriptors());
    }
    assert_eq!(others.join().unwrap(), [25; 4]);
    while counts(&store).cut_off == 0 {
        fold_some(&store);
    }
    let (merged, over) = flood.join().unwrap().remove(0);
    assert!(merged <= 100 && over <= 50, "{merged} {over}");
    // A lane for each of five.
    assert!(most <= free + 10, "{most} {free}");
}

fn fold_some(store: &Store) {
    store.fold().unwrap();
    std::thread::sleep(Duration::from_micros(100));
}

/// The door of a cache, as a program would get it that is started by exec.
fn door(store: &Store) -> (Command, RawFd) {
    let mut command = Command::new("true");
    store.pass_to(&mut command).unwrap();
    let mut variables = command.get_envs();
    let found = variables.find(|(key, _)| *key == "FLOE_ACCEPT");
    let value = found.unwrap().1.unwrap().to_str().unwrap().to_owned();
    let number = value.strip_prefix("lengths/").unwrap();
    let number = number.parse().unwrap();
    (command, number)
}

fn send(socket: RawFd, bytes: &[u8], fds: &[RawFd]) {
    let rights = [ControlMessage::ScmRights(fds)];
    let rights = if fds.is_empty() { &[] } else { &rights[..] };
    let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
    // It may be closed already.
    let _ = sendmsg::<()>(socket, &[IoSlice::new(bytes)], rights, flags, None);
}

const CONNECT: &[u8] = b"\x89floect1\x01";
const OFFER: &[u8] = b"\x89floect1\x02";

pub(crate) fn nonsense_costs_no_descriptor() {
    let store = owner(unlimited().cut_off(10_000, Duration::ZERO));
    let live = live(&store);
    let (_command, door) = door(&store);
    let free = descriptors();
    let hostile = prefork::spawn::<_, ()>(3, |worker| {
        let (family, kind) = (AddressFamily::Unix, SockType::SeqPacket);
        let pair = || socketpair(family, kind, None, SockFlag::SOCK_CLOEXEC).unwrap();
        let null = fs::File::open("/dev/null").unwrap();
        for round in 0..100 {
            let (lane, of_owner) = pair();
            send(door, CONNECT, &[of_owner.as_raw_fd()]);
            send(door, CONNECT, &[null.as_raw_fd(); 200]);
            send(door, b"nonsense", &[null.as_raw_fd()]);
            let (answer, of_owner) = pair();
            let lane = lane.as_raw_fd();
            for fds in [
                &[][..],
                &[of_owner.as_raw_fd()],
                &[null.as_raw_fd()],
                &[of_owner.as_raw_fd(), null.as_raw_fd()],
                &[of_owner.as_raw_fd(), lane, answer.as_raw_fd()],
                &[of_owner.as_raw_fd(); 250],
            ] {
                send(lane, OFFER, fds);
                send(lane, &vec![b'x'; 1000 * (1 + round % 9)], fds);
            }
            std::thread::sleep(Duration::from_micros(50 * worker.index() as u64));
        }
    })
    .unwrap();
    let good = prefork::spawn(1, |_| {
        let word = |number: u64| format!("{number}");
        (0..50)
            .map(|number| merged(contribute(&live, &word(number))).taken)
            .sum::<u64>()
    })
    .unwrap();
    while entries(&store).len() < 50 {
        fold_some(&store);
    }
    assert_eq!(good.join().unwrap(), [50]);
    hostile.join().unwrap();
    while counts(&store).connected > 0 {
        fold_some(&store);
    }
    assert!(counts(&store).refused > 0);
    drop((_command, live));
    assert!(descriptors() < free, "no descriptor is left");
}

/// A child of the owner takes a contribution that the owner did not look at, and answers it.
pub(crate) fn an_answer_of_a_sibling_is_not_believed() {
    let store = owner(unlimited());
    let live = live(&store);
    let [connected, go, sent, stolen] = [(); 4].map(|()| Gate::new());
    let worker = prefork::spawn(1, |_| {
        let mut live = live.clone();
        let mut overlay = floe::Overlay::over(&live.pin());
        overlay.insert(&"first".to_owned(), &1).unwrap();
        let first = live.contribute(&overlay).unwrap();
        connected.open();
        go.pass();
        let mut contribution = live.contribute(&overlay).unwrap();
        sent.open();
        stolen.pass();
        let outcome = contribution.wait(LONG).cloned();
        drop(first);
        assert_eq!(outcome, Some(Outcome::NotTaken(NotTaken::Lost)));
    })
    .unwrap();
    connected.pass();
    fold(&store);
    // It inherits the owner's end of the connection.
    let thief = prefork::spawn(1, |_| {
        go.open();
        sent.pass();
        let taken = steal_all();
        stolen.open();
        taken
    })
    .unwrap();
    assert_eq!(thief.join().unwrap(), [1]);
    worker.join().unwrap();
}

/// A child of a contributor leaves what is no answer where it is, for its parent.
pub(crate) fn a_child_waits_quietly_behind_what_is_no_answer() {
    let store = owner(unlimited());
    let mut live = live(&store);
    let mut overlay = floe::Overlay::over(&live.pin());
    overlay.insert(&"word".to_owned(), &4).unwrap();
    let first = live.contribute(&overlay).unwrap();
    fold(&store);
    let waiting = RefCell::new(Some(live.contribute(&overlay).unwrap()));
    let thief = prefork::spawn(1, |_| {
        // It would take the answer too.
        drop(waiting.take());
        steal_all()
    });
    assert_eq!(thief.unwrap().join().unwrap(), [1]);
    let child = prefork::spawn(1, |_| {
        let mut contribution = waiting.take().unwrap();
        let before = processor_time();
        assert_eq!(contribution.wait(Duration::from_secs(2)), None);
        processor_time() - before
    });
    let used = child.unwrap().join().unwrap()[0];
    assert!(used < Duration::from_millis(200), "{used:?}");
    let outcome = waiting.take().unwrap().wait(LONG).cloned();
    assert_eq!(outcome, Some(Outcome::NotTaken(NotTaken::Lost)));
    drop(first);
}

/// What this process has taken of the processors.
fn processor_time() -> Duration {
    let clock = nix::time::ClockId::CLOCK_PROCESS_CPUTIME_ID;
    nix::time::clock_gettime(clock).unwrap().into()
}

/// Takes a contribution out of each socket of this process that has one.
fn steal_all() -> usize {
    let mut taken = 0;
    for entry in fs::read_dir("/proc/self/fd").unwrap() {
        let path = entry.unwrap().path();
        let is_socket =
            fs::read_link(&path).is_ok_and(|link| link.to_string_lossy().starts_with("socket:"));
        if is_socket {
            let number = path.file_name().unwrap().to_str().unwrap();
            taken += usize::from(steal(number.parse().unwrap()));
        }
    }
    taken
}

/// Takes a contribution out of a socket, and says that it was merged.
fn steal(socket: RawFd) -> bool {
    let mut bytes = [0; 64];
    let mut slices = [IoSliceMut::new(&mut bytes)];
    let mut space = nix::cmsg_space!([RawFd; 8]);
    let flags = MsgFlags::MSG_DONTWAIT;
    let Ok(message) = recvmsg::<()>(socket, &mut slices, Some(&mut space), flags) else {
        return false;
    };
    let descriptors: Vec<RawFd> = message
        .cmsgs()
        .unwrap()
        .flat_map(|part| match part {
            ControlMessageOwned::ScmRights(fds) => fds,
            _ => Vec::new(),
        })
        .collect();
    let is_offer = message.iovs().next() == Some(OFFER);
    if is_offer {
        let answer =
            b"\x89floect1\x03{\"Merged\":{\"generation\":2,\"taken\":1,\"kept\":0,\"equal\":0}}";
        send(descriptors[0], answer, &[]);
    }
    for descriptor in descriptors {
        let _ = nix::unistd::close(descriptor);
    }
    is_offer
}
