//! Programs and clients that trust the owner check no values, and everything else.

use std::fs::File;
use std::os::fd::{AsRawFd, RawFd};

use floe::error::HeaderError;
use floe::format::RegionPart;
use floe::{Broker, Client, Error, Frozen, Live, Trust};
use floe_testkit::sign::sign;
use nix::fcntl::SealFlag;

use crate::fixture::{Numbers, Socket, channel, numbers, publish_next, read};
use crate::hostile_brokers::{CHANNEL, announcement, answered, control_seals, mailbox, memory};
use crate::programs::{Follower, trusting};

fn trust() -> Trust<Numbers> {
    // SAFETY: what these tests open has the values of a vector of numbers, whatever else it lacks.
    unsafe { Trust::in_owner() }
}

pub(crate) fn a_program_follows_the_parent_that_it_trusts() {
    let (publisher, _live) = channel();
    let mut command = trusting("numbers");
    publisher.pass_to(&mut command).unwrap();
    let mut follower = Follower::start(command);
    assert_eq!(follower.says(), "1 0", "it passes nothing on itself");
    for _ in 0..3 {
        follower.follows_to(publish_next(&publisher));
    }
    assert!(follower.ends());
}

pub(crate) fn a_client_follows_the_owner_that_it_trusts() {
    let (publisher, _live) = channel();
    let socket = Socket::new();
    let broker = Broker::serve(&socket.path, [&publisher]).unwrap();
    let client = Client::new(&socket.path);
    let mut live = client.follow_trusting("numbers", trust()).unwrap();
    assert_eq!(read(&mut live), 1);
    let newest = publish_next(&publisher);
    assert_eq!(read(&mut live), newest);
    assert_eq!(live.last_error().map(ToString::to_string), None);
    broker.stop();
}

/// A memfd with the bytes of a region, of which the digest of the file is wrong.
fn undigested(region: &Frozen<Numbers>) -> File {
    let mut header = region.region().bytes().to_vec();
    let length = u32::from_le_bytes(header[20..24].try_into().unwrap());
    let rest = header.split_off(length as usize);
    // The digest of no bytes.
    sign(&mut header);
    memory(&[header, rest].concat(), all_seals())
}

fn all_seals() -> SealFlag {
    SealFlag::F_SEAL_WRITE | SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_SEAL
}

/// What a client gets from an owner that announces a file.
fn followed(file: &File, trusts: bool) -> Result<u64, Error> {
    let control = memory(&announcement(1, file), control_seals());
    let fds: [RawFd; 1] = [file.as_raw_fd()];
    let [_sender, reader] = mailbox(&1_u64.to_ne_bytes(), &fds);
    let channel = [control.as_raw_fd(), reader.as_raw_fd()];
    answered(CHANNEL, &channel, |socket| {
        let client = Client::new(&socket.path);
        let live: Result<Live<Numbers>, Error> = match trusts {
            true => client.follow_trusting("numbers", trust()),
            false => client.follow("numbers"),
        };
        live.map(|mut live| read(&mut live))
    })
}

pub(crate) fn who_trusts_reads_no_digest() {
    let region = Frozen::freeze("numbers", &numbers(1)).unwrap();
    let file = undigested(&region);
    assert_eq!(followed(&file, true).unwrap(), 1);
    let refused = followed(&file, false).unwrap_err();
    assert!(
        matches!(
            refused,
            Error::Header(HeaderError::Damaged {
                part: RegionPart::File(0)
            })
        ),
        "{refused}"
    );
    let file = || file.try_clone().unwrap().into();
    assert!(Frozen::from_fds_trusting(vec![file()], trust()).is_ok());
    assert!(Frozen::<Numbers>::from_fds(vec![file()]).is_err());
}

pub(crate) fn who_trusts_refuses_what_is_not_sealed_or_of_another_type() {
    let said = |file: &File| followed(file, true).unwrap_err().to_string();
    let region = Frozen::freeze("numbers", &numbers(1)).unwrap();
    let unsealed = memory(region.region().bytes(), SealFlag::F_SEAL_SHRINK);
    assert!(said(&unsealed).contains("not fully sealed"));

    let text = Frozen::freeze("numbers", &String::new()).unwrap();
    let text = File::from(text.region().try_clone_fd().unwrap());
    assert!(said(&text).contains("holds another type"));

    let header = memory(&[0; 4096], all_seals());
    assert!(said(&header).contains("not a floe region"));
    let empty = memory(&[], all_seals());
    assert!(followed(&empty, true).is_err());

    // Another file than the one that the owner announces is none of its.
    let other = File::from(region.region().try_clone_fd().unwrap());
    let control = memory(&announcement(1, &other), control_seals());
    let mine = memory(region.region().bytes(), all_seals());
    let [_sender, reader] = mailbox(&1_u64.to_ne_bytes(), &[mine.as_raw_fd()]);
    let channel = [control.as_raw_fd(), reader.as_raw_fd()];
    let refused = answered(CHANNEL, &channel, |socket| {
        Client::new(&socket.path)
            .follow_trusting("numbers", trust())
            .map(drop)
    });
    let refused = refused.unwrap_err().to_string();
    assert!(refused.contains("from its mailbox"), "{refused}");
}
