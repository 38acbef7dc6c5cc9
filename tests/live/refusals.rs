//! Brokers and readers whose process may do less than they need.

use std::fs::{self, File};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::thread;

use floe::{Broker, Frozen, Map, MapBuilder, prefork};
use floe_testkit::forking::Resource;
use nix::errno::Errno;
use nix::libc;
use nix::poll::{PollFd, PollFlags, poll};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, alarm, fork};

use crate::fixture::{Socket, channel, send};
use crate::forking::set_limit;

const LIST: &[u8] = b"\x89floebr1\x01";

/// Lets the kernel refuse a call to this thread and those that it starts.
fn refuse(call: libc::c_long, errno: Errno) {
    let statement = |code: u32, k: u32, jf| libc::sock_filter {
        code: code as u16,
        jt: 0,
        jf,
        k,
    };
    let give = libc::BPF_RET | libc::BPF_K;
    let mut filter = [
        statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0),
        statement(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, call as u32, 1),
        statement(give, libc::SECCOMP_RET_ERRNO | errno as u32, 0),
        statement(give, libc::SECCOMP_RET_ALLOW, 0),
    ];
    let program = libc::sock_fprog {
        len: filter.len() as u16,
        filter: filter.as_mut_ptr(),
    };
    // SAFETY: the calls take plain numbers, and a program that lives until they return.
    unsafe {
        assert_eq!(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
        let mode = libc::SECCOMP_MODE_FILTER;
        assert_eq!(
            libc::prctl(libc::PR_SET_SECCOMP, mode, &raw const program),
            0
        );
    }
}

/// Runs a test in a child, which a broker that never ends does not outlive.
fn in_child(test: impl FnOnce()) {
    // SAFETY: this process has one thread.
    match unsafe { fork() }.unwrap() {
        ForkResult::Parent { child } => {
            assert_eq!(waitpid(child, None), Ok(WaitStatus::Exited(child, 0)));
        }
        ForkResult::Child => {
            alarm::set(60);
            let passed = catch_unwind(AssertUnwindSafe(test)).is_ok();
            // SAFETY: the call takes a plain number.
            unsafe { libc::_exit(i32::from(!passed)) }
        }
    }
}

/// What the kernel tells of the thread of the broker.
struct Thread(File);

impl Thread {
    fn of_the_broker() -> Self {
        let is_it = |task: &PathBuf| {
            let name = fs::read_to_string(task.join("comm")).unwrap();
            name == "floe-broker\n"
        };
        loop {
            let tasks = fs::read_dir("/proc/self/task").unwrap();
            let mut tasks = tasks.map(|task| task.unwrap().path());
            // It gives itself its name.
            if let Some(task) = tasks.find(is_it) {
                return Self(File::open(task.join("status")).unwrap());
            }
        }
    }

    /// How often it has gone to sleep.
    fn sleeps(&self) -> u64 {
        let mut text = [0; 4096];
        let length = self.0.read_at(&mut text, 0).unwrap();
        let text = str::from_utf8(&text[..length]).unwrap();
        let mut lines = text.lines();
        let count = lines.find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        count.unwrap().trim().parse().unwrap()
    }

    /// One that spins never comes to it.
    fn sleeps_again_and_again(&self) {
        let before = self.sleeps();
        while self.sleeps() < before + 5 {
            thread::yield_now();
        }
    }
}

fn is_dismissed(client: &OwnedFd) -> bool {
    let mut polled = [PollFd::new(client.as_fd(), PollFlags::POLLIN)];
    poll(&mut polled, 60_000_u16) == Ok(1)
}

pub(crate) fn a_lowered_limit_is_survived() {
    in_child(|| {
        let (publisher, _live) = channel();
        let socket = Socket::new();
        let broker = Broker::serve(&socket.path, [&publisher]).unwrap();
        let thread = Thread::of_the_broker();
        // Connections are taken in their order, so they are all taken then.
        let connected = |count| {
            let clients: Vec<OwnedFd> = (0..count).map(|_| socket.connect()).collect();
            assert_eq!(floe::broker::list(&socket.path).unwrap().len(), 1);
            clients
        };
        let silent = connected(20);
        let lifted = set_limit(Resource::RLIMIT_NOFILE, 10);
        send(&silent[0], b"nonsense", &[]).unwrap();
        assert!(silent.iter().all(is_dismissed));
        set_limit(Resource::RLIMIT_NOFILE, lifted);
        let silent = connected(1);
        set_limit(Resource::RLIMIT_NOFILE, 1);
        send(&silent[0], b"nonsense", &[]).unwrap();
        assert!(is_dismissed(&silent[0]));
        thread.sleeps_again_and_again();
        drop(broker);
    });
}

pub(crate) fn a_broker_that_may_not_accept_waits() {
    in_child(|| {
        let (publisher, _live) = channel();
        let socket = Socket::new();
        refuse(libc::SYS_accept4, Errno::EPERM);
        let broker = Broker::serve(&socket.path, [&publisher]).unwrap();
        let client = socket.connect();
        send(&client, LIST, &[]).unwrap();
        Thread::of_the_broker().sleeps_again_and_again();
        drop(broker);
        assert!(is_dismissed(&client));
    });
}

pub(crate) fn a_broker_ends_without_a_byte() {
    in_child(|| {
        let (publisher, _live) = channel();
        let socket = Socket::new();
        let broker = Broker::serve(&socket.path, [&publisher]).unwrap();
        assert_eq!(floe::broker::list(&socket.path).unwrap().len(), 1);
        refuse(libc::SYS_write, Errno::EIO);
        drop(broker);
    });
}

/// Large regions are checked by threads, which are gone then; where there are none, without.
pub(crate) fn a_large_region_is_checked_without_threads() {
    in_child(|| {
        let mut builder = MapBuilder::<u64, String>::new("large").unwrap();
        for key in 0..30_000 {
            builder.insert(&key, &"x".repeat(200)).unwrap();
        }
        let map = builder.finish().unwrap();
        assert!(map.region().size() > 6 << 20);
        let checked = || {
            let fds = map.region().try_clone_fds().unwrap();
            let checked = Frozen::<Map<u64, String>>::from_fds(fds).unwrap();
            assert!(checked.iter().eq(map.iter()));
        };
        checked();
        let worker = prefork::spawn(1, |_| checked()).unwrap();
        worker.join().unwrap();
        refuse(libc::SYS_clone3, Errno::EPERM);
        refuse(libc::SYS_clone, Errno::EPERM);
        assert!(thread::Builder::new().spawn(|| ()).is_err());
        checked();
    });
}
