//! Brokers and owners that lie to their clients.

use floe::error::{BrokerError, HeaderError};
use std::fs::File;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::thread;

use floe::format::RegionPart;
use floe::{Error, Frozen, Live};
use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, accept, recv, socketpair};

use crate::fixture::{Numbers, Socket, numbers, send};
use crate::forking::next_descriptor;

pub(crate) const CHANNEL: &[u8] = b"\x89floebr1\x02";
const LIST: &[u8] = b"\x89floebr1\x01";

pub(crate) fn memory(bytes: &[u8], seals: SealFlag) -> File {
    let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
    let file = File::from(memfd_create("lie", flags).unwrap());
    file.write_all_at(bytes, 0).unwrap();
    fcntl(&file, FcntlArg::F_ADD_SEALS(seals)).unwrap();
    file
}

pub(crate) fn control_seals() -> SealFlag {
    SealFlag::F_SEAL_FUTURE_WRITE
        | SealFlag::F_SEAL_SHRINK
        | SealFlag::F_SEAL_GROW
        | SealFlag::F_SEAL_SEAL
}

/// The bytes of a control page that announces a memfd.
pub(crate) fn announcement(generation: u64, file: &File) -> Vec<u8> {
    let metadata = file.metadata().unwrap();
    let changed = metadata.ctime() * 1_000_000_000 + metadata.ctime_nsec();
    let words = [
        u64::from_le_bytes(*b"\x89floectl"),
        generation,
        metadata.dev(),
        metadata.ino(),
        changed as u64,
    ];
    let mut page: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
    page.resize(4096, 0);
    page
}

/// A mailbox with one message, and both of its ends.
pub(crate) fn mailbox(message: &[u8], fds: &[RawFd]) -> [OwnedFd; 2] {
    let (family, kind) = (AddressFamily::Unix, SockType::SeqPacket);
    let (sender, reader) = socketpair(family, kind, None, SockFlag::SOCK_CLOEXEC).unwrap();
    send(&sender, message, fds).unwrap();
    [sender, reader]
}

/// Answers one client with a message.
pub(crate) fn answered<R: Send>(
    message: &[u8],
    fds: &[RawFd],
    ask: impl FnOnce(&Socket) -> R + Send,
) -> R {
    let socket = Socket::new();
    let listener = socket.listen();
    thread::scope(|scope| {
        let asked = scope.spawn(|| ask(&socket));
        let client = accept(&listener).unwrap();
        recv(client.as_raw_fd(), &mut [0; 200], MsgFlags::empty()).unwrap();
        send(&client, message, fds).unwrap();
        asked.join().unwrap()
    })
}

/// The error of a client that gets this answer; it leaves no descriptor open.
fn refusal(message: &[u8], fds: &[RawFd]) -> Error {
    let free = next_descriptor();
    let refused = answered(message, fds, |socket| {
        Live::<Numbers>::connect(&socket.path, "numbers").unwrap_err()
    });
    assert_eq!(next_descriptor(), free, "{refused}");
    refused
}

fn first() -> Frozen<Numbers> {
    Frozen::freeze("numbers", &numbers(1)).unwrap()
}

fn file_of(region: &Frozen<Numbers>) -> File {
    File::from(region.region().try_clone_fd().unwrap())
}

pub(crate) fn lies_of_a_broker_are_errors() {
    let region = file_of(&first());
    let control = memory(&announcement(1, &region), control_seals());
    let number = region.as_raw_fd();
    let [_sender, reader] = mailbox(&1_u64.to_ne_bytes(), &[number]);
    let honest = [control.as_raw_fd(), reader.as_raw_fd()];
    let connected = answered(CHANNEL, &honest, |socket| {
        let live = Live::<Numbers>::connect(&socket.path, "numbers");
        live.map(|live| live.generation())
    });
    assert_eq!(connected.unwrap(), 1, "the channel is that of an owner");

    for (message, fds) in [
        (&b""[..], &honest[..]),
        (b"HTTP/1.1 400", &[]),
        (b"\x89floebr2\x02", &honest),
        (b"\x89floebr1\x09", &honest),
        (CHANNEL, &[]),
        (CHANNEL, &honest[..1]),
        (LIST, &honest),
    ] {
        let refused = refusal(message, fds);
        let named = matches!(
            refused,
            Error::Broker(BrokerError::NotBroker { .. }) | Error::Broker(BrokerError::Step { .. })
        );
        assert!(named, "{message:?}: {refused}");
    }
    let refused = refusal(CHANNEL, &[number; 250]);
    let not_broker = matches!(refused, Error::Broker(BrokerError::NotBroker { .. }));
    assert!(not_broker, "{refused}");

    let null = File::open("/dev/null").unwrap();
    let all = control_seals() | SealFlag::F_SEAL_WRITE;
    let endless = memory(&[b'['; 100_000], all);
    for list in [&null, &endless, &region] {
        let listed = answered(LIST, &[list.as_raw_fd()], |socket| {
            floe::broker::list(&socket.path)
        });
        assert!(
            matches!(listed, Err(Error::Broker(BrokerError::Step { .. }))),
            "{listed:?}"
        );
    }
}

pub(crate) fn lies_of_an_owner_are_errors() {
    let region = file_of(&first());
    let page = announcement(1, &region);
    let [_sender, reader] = mailbox(&1_u64.to_ne_bytes(), &[region.as_raw_fd()]);
    let control = |bytes: &[u8], seals| {
        let control = memory(bytes, seals);
        refusal(CHANNEL, &[control.as_raw_fd(), reader.as_raw_fd()]).to_string()
    };
    for missing in control_seals() {
        let refused = control(&page, control_seals() - missing);
        assert!(refused.contains("not fully sealed"), "{refused}");
    }
    for other in [&page[..64], &[0; 4096], &page.repeat(2)] {
        let refused = control(other, control_seals());
        assert!(refused.contains("not the control page"), "{refused}");
    }

    let control = memory(&page, control_seals());
    let refused = |generation: u64, announced: Option<&File>, fds: &[RawFd]| {
        let [_sender, reader] = mailbox(&generation.to_ne_bytes(), fds);
        let control = announced.map_or(control.try_clone().unwrap(), |file| {
            memory(&announcement(generation, file), control_seals())
        });
        refusal(CHANNEL, &[control.as_raw_fd(), reader.as_raw_fd()]).to_string()
    };
    let number = region.as_raw_fd();
    let not_its_message = "from its mailbox";
    for said in [
        refused(2, None, &[number]),
        refused(2, Some(&region), &[number]),
        refused(1, None, &[]),
        refused(1, None, &[number; 250]),
        refused(1, None, &[file_of(&first()).as_raw_fd()]),
    ] {
        assert!(said.contains(not_its_message), "{said}");
    }
    let null = File::open("/dev/null").unwrap();
    let said = refused(1, Some(&null), &[null.as_raw_fd()]);
    assert!(said.contains(not_its_message), "{said}");

    let region = first();
    let bytes = region.region().bytes();
    let unsealed = memory(bytes, SealFlag::F_SEAL_SHRINK);
    let said = refused(1, Some(&unsealed), &[unsealed.as_raw_fd()]);
    assert!(said.contains("not fully sealed"), "{said}");
    let mut damaged = bytes.to_vec();
    damaged[600] ^= 1;
    let all = SealFlag::F_SEAL_WRITE | SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW;
    let damaged = memory(&damaged, all | SealFlag::F_SEAL_SEAL);
    let said = refused(1, Some(&damaged), &[damaged.as_raw_fd()]);
    assert!(
        said.contains("what stands behind its header is not what was written"),
        "{said}"
    );
    let other = file_of(&Frozen::freeze("letters", &numbers(1)).unwrap());
    let said = refused(1, Some(&other), &[other.as_raw_fd()]);
    assert!(said.contains(not_its_message), "{said}");
    let text = Frozen::freeze("numbers", &String::new()).unwrap();
    let text = File::from(text.region().try_clone_fd().unwrap());
    let said = refused(1, Some(&text), &[text.as_raw_fd()]);
    assert!(said.contains("holds another type"), "{said}");
}

/// The owner keeps a writable map of its page, and makes its clients follow a lie.
pub(crate) fn a_lying_owner_cannot_take_back() {
    let region = file_of(&first());
    let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
    let control = File::from(memfd_create("lie", flags).unwrap());
    control.set_len(4096).unwrap();
    // SAFETY: the page is read and written as bytes; its readers expect it to change.
    let mut map = unsafe { memmap2::MmapMut::map_mut(&control) }.unwrap();
    map.copy_from_slice(&announcement(1, &region));
    fcntl(&control, FcntlArg::F_ADD_SEALS(control_seals())).unwrap();
    let [sender, reader] = mailbox(&1_u64.to_ne_bytes(), &[region.as_raw_fd()]);
    let channel = [control.as_raw_fd(), reader.as_raw_fd()];
    let mut live = answered(CHANNEL, &channel, |socket| {
        Live::<Numbers>::connect(&socket.path, "numbers")
    })
    .unwrap();
    let mut replace = |generation: u64, file: &File| {
        map.copy_from_slice(&announcement(generation, file));
        let fds = [file.as_raw_fd()];
        send(&sender, &generation.to_ne_bytes(), &fds).unwrap();
        recv(reader.as_raw_fd(), &mut [0; 8], MsgFlags::empty()).unwrap();
    };
    let mut damaged = first().region().bytes().to_vec();
    damaged[24] = 5;
    let all = SealFlag::F_SEAL_WRITE | SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW;
    let damaged = memory(&damaged, all | SealFlag::F_SEAL_SEAL);
    replace(5, &damaged);
    assert_eq!((live.get_stale()[0].to_native(), live.generation()), (1, 1));
    let why = live.last_error().unwrap();
    assert!(
        matches!(
            why,
            Error::Header(HeaderError::Damaged {
                part: RegionPart::Header
            })
        ),
        "{why}"
    );
    replace(0, &region);
    assert_eq!((live.get_stale()[0].to_native(), live.generation()), (1, 1));
}
