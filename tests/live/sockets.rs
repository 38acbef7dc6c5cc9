//! The socket of a broker in the file system.

use floe::error::BrokerError;
use std::fs::{self, File, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{self, Command};
use std::sync::Barrier;
use std::{env, thread};

use floe::{Broker, Client, Error, Live, prefork};
use nix::fcntl::{Flock, FlockArg};
use nix::libc;
use nix::sys::socket::{Backlog, listen};
use nix::sys::stat::{Mode, umask};

use crate::fixture::{Numbers, Socket, channel};
use crate::forking::Gate;

pub(crate) fn a_socket_is_for_its_user_alone() {
    let (publisher, _live) = channel();
    for mask in [0, 0o177, 0o777] {
        let before = umask(Mode::from_bits_truncate(mask));
        let socket = Socket::new();
        fs::set_permissions(socket.path.parent().unwrap(), Permissions::from_mode(0o700)).unwrap();
        let broker = Broker::serve(&socket.path, [&publisher]);
        umask(before);
        let _broker = broker.unwrap();
        let mode = fs::metadata(&socket.path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{mask:o}");
        assert_eq!(floe::broker::list(&socket.path).unwrap().len(), 1);
    }
}

fn assert_in_use(served: floe::Result<Broker>) {
    let Err(Error::Broker(BrokerError::Serve { reason: source, .. })) = served else {
        panic!("{served:?}")
    };
    assert_eq!(source.raw_os_error(), Some(libc::EADDRINUSE));
}

pub(crate) fn only_a_dead_socket_is_replaced() {
    let (publisher, _live) = channel();
    let socket = Socket::new();
    let serve = || Broker::serve(&socket.path, [&publisher]);
    // Left behind by a broker that was killed.
    drop(socket.listen());
    assert!(socket.path.exists());
    let broker = serve().unwrap();
    assert_in_use(serve());
    assert_eq!(floe::broker::list(&socket.path).unwrap().len(), 1);
    // Another has taken its place meanwhile.
    fs::remove_file(&socket.path).unwrap();
    let successor = serve().unwrap();
    drop(broker);
    assert_eq!(floe::broker::list(&socket.path).unwrap().len(), 1);
    drop(successor);

    let stream = UnixListener::bind(&socket.path).unwrap();
    assert_in_use(serve());
    let not_ours = floe::broker::list(&socket.path).unwrap_err();
    assert!(
        matches!(not_ours, Error::Broker(BrokerError::NotBroker { .. })),
        "{not_ours}"
    );
    drop(stream);
    fs::remove_file(&socket.path).unwrap();
    File::create(&socket.path).unwrap();
    assert_in_use(serve());
    let not_ours = floe::broker::list(&socket.path).unwrap_err();
    assert!(
        matches!(not_ours, Error::Broker(BrokerError::Step { .. })),
        "{not_ours}"
    );
}

/// A child forked off a broker has its socket open.
pub(crate) fn a_socket_of_a_dead_process_is_replaced() {
    let (publisher, _live) = channel();
    let socket = Socket::new();
    let listener = socket.listen();
    assert_in_use(Broker::serve(&socket.path, [&publisher]));
    let owner = prefork::spawn(1, |_| listen(&listener, Backlog::MAXCONN).unwrap());
    owner.unwrap().join().unwrap();
    let _broker = Broker::serve(&socket.path, [&publisher]).unwrap();
    assert_eq!(floe::broker::list(&socket.path).unwrap().len(), 1);
}

pub(crate) fn of_two_brokers_that_start_at_once_one_serves() {
    let (publisher, _live) = channel();
    let socket = Socket::new();
    for round in 0..1000 {
        let start = Barrier::new(2);
        let serve = || {
            start.wait();
            Broker::serve(&socket.path, [&publisher])
        };
        let served = thread::scope(|scope| {
            let other = scope.spawn(serve);
            [serve(), other.join().unwrap()]
        });
        let (serving, refused): (Vec<_>, Vec<_>) = served.into_iter().partition(Result::is_ok);
        assert_eq!(serving.len(), 1, "round {round}");
        refused.into_iter().for_each(assert_in_use);
    }
}

fn serves(path: &Path) {
    let (publisher, _live) = channel();
    let broker = Broker::serve(path, [&publisher]).unwrap();
    assert_eq!(floe::broker::list(path).unwrap().len(), 1);
    assert!(Live::<Numbers>::connect(path, "numbers").is_ok());
    assert_in_use(Broker::serve(path, [&publisher]));
    drop(broker);
    let left = fs::read_dir(path.parent().unwrap()).unwrap();
    assert_eq!(left.count(), 0, "nothing is left behind");
}

/// As systemd advises for `/tmp`; whoever can read a folder can lock it.
pub(crate) fn a_lock_on_the_folder_holds_up_nobody() {
    let socket = Socket::new();
    let folder = File::open(socket.path.parent().unwrap()).unwrap();
    let _lock = Flock::lock(folder, FlockArg::LockExclusiveNonblock).unwrap();
    serves(&socket.path);
}

pub(crate) fn long_paths_are_served() {
    let directory = tempfile::tempdir().unwrap();
    let folder = directory.path().join("folder".repeat(20));
    fs::create_dir(&folder).unwrap();
    let short = directory.path().join("folder/short");
    fs::create_dir(short.parent().unwrap()).unwrap();
    for path in [
        folder.join("broker"),
        folder.join("b".repeat(255)),
        short.with_file_name("b".repeat(255)),
    ] {
        serves(&path);
        // What a killed broker leaves.
        fs::rename(left_behind(), &path).unwrap();
        serves(&path);
        fs::write(&path, "a file").unwrap();
        let (publisher, _live) = channel();
        assert_in_use(Broker::serve(&path, [&publisher]));
        assert_eq!(fs::read(&path).unwrap(), b"a file");
        fs::remove_file(&path).unwrap();
    }
}

/// A socket that nobody listens on.
fn left_behind() -> PathBuf {
    let path = env::temp_dir().join(format!("floe-test-{}", process::id()));
    drop(UnixListener::bind(&path).unwrap());
    path
}

/// Acts as another user, in a child.
fn as_user<R: prefork::Answer>(user: u32, groups: &[libc::gid_t], act: impl FnOnce() -> R) -> R {
    let pool = prefork::spawn(1, |_| {
        become_user(user, groups);
        act()
    });
    pool.unwrap().join().unwrap().remove(0)
}

fn become_user(user: u32, groups: &[libc::gid_t]) {
    // SAFETY: the calls take plain numbers, and as many groups as there are at the address.
    unsafe {
        assert_eq!(libc::setgroups(groups.len(), groups.as_ptr()), 0);
        assert_eq!(libc::setgid(user), 0);
        assert_eq!(libc::setuid(user), 0);
    }
}

pub(crate) fn a_folder_need_not_be_readable() {
    let socket = Socket::new();
    let folder = socket.path.parent().unwrap();
    chown(folder, Some(65534), None).unwrap();
    fs::set_permissions(folder, Permissions::from_mode(0o300)).unwrap();
    as_user(65534, &[], || {
        assert!(fs::read_dir(folder).is_err());
        let (publisher, _live) = channel();
        let _broker = Broker::serve(&socket.path, [&publisher]).unwrap();
        assert_eq!(floe::broker::list(&socket.path).unwrap().len(), 1);
    });
}

/// As a user could do to others in `/tmp`.
pub(crate) fn a_lock_of_another_user_holds_up_nobody() {
    let socket = Socket::new();
    let name = socket.path.file_name().unwrap().as_encoded_bytes();
    let lock = format!(".floe-{:016x}.lock", xxhash_rust::xxh3::xxh3_64(name));
    let lock = socket.path.with_file_name(lock);
    let held = File::create(&lock).unwrap();
    chown(&lock, Some(65534), None).unwrap();
    let _lock = Flock::lock(held, FlockArg::LockExclusiveNonblock).unwrap();
    let (publisher, _live) = channel();
    fs::rename(left_behind(), &socket.path).unwrap();
    let _broker = Broker::serve(&socket.path, [&publisher]).unwrap();
    assert_eq!(floe::broker::list(&socket.path).unwrap().len(), 1);
    assert_in_use(Broker::serve(&socket.path, [&publisher]));
    assert!(lock.exists());
}

pub(crate) fn a_broker_of_another_user_is_not_believed() {
    let socket = Socket::new();
    fs::set_permissions(socket.path.parent().unwrap(), Permissions::from_mode(0o777)).unwrap();
    let (served, asked) = (Gate::new(), Gate::new());
    let pool = prefork::spawn(1, |_| {
        become_user(65534, &[]);
        let (publisher, _live) = channel();
        let _broker = Broker::serve(&socket.path, [&publisher]).unwrap();
        served.open();
        asked.pass();
    });
    served.pass();
    let path = &socket.path;
    for refused in [
        floe::broker::list(path).map(drop),
        floe::broker::fetch(path, "numbers").map(drop),
        Live::<Numbers>::connect(path, "numbers").map(drop),
        Client::new(path).trust_user(65533).list().map(drop),
    ] {
        let refused = refused.unwrap_err();
        let named = matches!(
            refused,
            Error::Broker(BrokerError::Foreign { user: 65534, .. })
        );
        assert!(named, "{refused}");
    }
    let client = Client::new(path).trust_user(65534);
    assert_eq!(client.list().unwrap().len(), 1);
    assert!(client.fetch("numbers").is_ok());
    let mut live = client.follow::<Numbers>("numbers").unwrap();
    assert_eq!(live.get_stale()[0], 1);
    // The tool, where it was built.
    if let Some(tool) = option_env!("CARGO_BIN_EXE_floe").filter(|it| Path::new(it).exists()) {
        let list = |more: &[&str]| Command::new(tool).arg("ls").arg(path).args(more).output();
        let refused = list(&[]).unwrap();
        assert!(
            str::from_utf8(&refused.stderr)
                .unwrap()
                .contains("--trust-user")
        );
        assert!(list(&["--trust-user", "65534"]).unwrap().status.success());
    }
    asked.open();
    pool.unwrap().join().unwrap();
}

/// By its own group, by a supplementary one, and neither: behind the mode of the socket, the broker
/// asks the kernel itself.
pub(crate) fn a_group_is_served() {
    const GROUP: u32 = 64_322;
    let (publisher, _live) = channel();
    let socket = Socket::new();
    fs::set_permissions(socket.path.parent().unwrap(), Permissions::from_mode(0o755)).unwrap();
    let (served, asked, opened) = (Gate::new(), Gate::new(), Gate::new());
    let many: Vec<libc::gid_t> = (GROUP - 100..=GROUP).collect();
    let clients = [(GROUP, vec![]), (64_321, many), (64_321, vec![GROUP + 1])];
    let pool = prefork::spawn(clients.len(), |worker| {
        let (user, groups) = &clients[worker.index()];
        become_user(*user, groups);
        let ask = || {
            let client = Client::new(&socket.path);
            let live = client.follow::<Numbers>("numbers");
            live.map_or_else(
                |error| error.to_string(),
                |mut live| live.get_stale()[0].to_string(),
            )
        };
        served.pass();
        let by_mode = ask();
        asked.open();
        opened.pass();
        (by_mode, ask())
    });
    let before = umask(Mode::from_bits_truncate(0o077));
    let broker = Broker::serve_group(&socket.path, GROUP, [&publisher]);
    umask(before);
    let _broker = broker.unwrap();
    let metadata = fs::metadata(&socket.path).unwrap();
    assert_eq!((metadata.mode() & 0o777, metadata.gid()), (0o660, GROUP));
    clients.iter().for_each(|_| served.open());
    clients.iter().for_each(|_| asked.pass());
    fs::set_permissions(&socket.path, Permissions::from_mode(0o666)).unwrap();
    clients.iter().for_each(|_| opened.open());
    let answers = pool.unwrap().join().unwrap();
    let read = ("1".to_owned(), "1".to_owned());
    assert_eq!(answers[..2], [read.clone(), read]);
    let (by_mode, by_groups) = &answers[2];
    assert!(by_mode.contains("Permission denied"), "{by_mode}");
    assert!(
        by_groups.contains("a group that this process is not in"),
        "{by_groups}"
    );
}

pub(crate) fn another_user_is_refused() {
    let (publisher, _live) = channel();
    let socket = Socket::new();
    fs::set_permissions(socket.path.parent().unwrap(), Permissions::from_mode(0o755)).unwrap();
    let (served, refused, opened) = (Gate::new(), Gate::new(), Gate::new());
    let pool = prefork::spawn(1, |_| {
        become_user(65534, &[]);
        let connect = || Live::<Numbers>::connect(&socket.path, "numbers").unwrap_err();
        served.pass();
        let by_mode = connect().to_string();
        refused.open();
        opened.pass();
        (
            by_mode,
            matches!(connect(), Error::Broker(BrokerError::Refused { .. })),
        )
    });
    let _broker = Broker::serve(&socket.path, [&publisher]).unwrap();
    served.open();
    refused.pass();
    fs::set_permissions(&socket.path, Permissions::from_mode(0o666)).unwrap();
    opened.open();
    let (by_mode, by_credentials) = pool.unwrap().join().unwrap().remove(0);
    assert!(by_mode.contains("Permission denied"), "{by_mode}");
    assert!(by_credentials);
}
