//! The socket of a broker in the file system.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::sync::Barrier;
use std::thread;

use floe::{Broker, Error, Live, prefork};
use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::sockopt::PeerPidfd;
use nix::sys::socket::{Backlog, getsockopt, listen};
use nix::sys::stat::{Mode, umask};

use crate::fixture::{Numbers, Socket, channel};
use crate::forking::Gate;

pub(crate) fn a_socket_is_for_its_user_alone() {
    let (publisher, _live) = channel();
    for mask in [0, 0o777] {
        let before = umask(Mode::from_bits_truncate(mask));
        let socket = Socket::new();
        fs::set_permissions(socket.path.parent().unwrap(), Permissions::from_mode(0o700)).unwrap();
        let broker = Broker::serve(&socket.path, [&publisher]);
        umask(before);
        let _broker = broker.unwrap();
        let mode = fs::metadata(&socket.path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600 & !mask, "{mask:o}");
    }
}

fn assert_in_use(served: floe::Result<Broker>) {
    let Err(Error::Serve { source, .. }) = served else {
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
    assert_eq!(floe::list(&socket.path).unwrap().len(), 1);
    // Another has taken its place meanwhile.
    fs::remove_file(&socket.path).unwrap();
    let successor = serve().unwrap();
    drop(broker);
    assert_eq!(floe::list(&socket.path).unwrap().len(), 1);
    drop(successor);

    let stream = UnixListener::bind(&socket.path).unwrap();
    assert_in_use(serve());
    let not_ours = floe::list(&socket.path).unwrap_err();
    assert!(matches!(not_ours, Error::NotBroker { .. }), "{not_ours}");
    drop(stream);
    fs::remove_file(&socket.path).unwrap();
    File::create(&socket.path).unwrap();
    assert_in_use(serve());
    let not_ours = floe::list(&socket.path).unwrap_err();
    assert!(matches!(not_ours, Error::Broker { .. }), "{not_ours}");
}

/// A child forked off a broker has its socket open.
pub(crate) fn a_socket_of_a_dead_process_is_replaced() {
    let (publisher, _live) = channel();
    let socket = Socket::new();
    let listener = socket.listen();
    if matches!(
        getsockopt(&socket.connect(), PeerPidfd),
        Err(Errno::ENOPROTOOPT)
    ) {
        eprintln!("not tested: needs Linux 6.5");
        return;
    }
    assert_in_use(Broker::serve(&socket.path, [&publisher]));
    let owner = prefork::spawn(1, |_| listen(&listener, Backlog::MAXCONN).unwrap());
    owner.unwrap().join().unwrap();
    let _broker = Broker::serve(&socket.path, [&publisher]).unwrap();
    assert_eq!(floe::list(&socket.path).unwrap().len(), 1);
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

pub(crate) fn another_user_is_refused() {
    let (publisher, _live) = channel();
    let socket = Socket::new();
    fs::set_permissions(socket.path.parent().unwrap(), Permissions::from_mode(0o755)).unwrap();
    let (served, refused, opened) = (Gate::new(), Gate::new(), Gate::new());
    let pool = prefork::spawn(1, |_| {
        // SAFETY: the call takes a plain number.
        assert_eq!(unsafe { libc::setuid(65534) }, 0);
        let connect = || Live::<Numbers>::connect(&socket.path, "numbers").unwrap_err();
        served.pass();
        let by_mode = connect().to_string();
        refused.open();
        opened.pass();
        (by_mode, matches!(connect(), Error::BrokerRefused { .. }))
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
