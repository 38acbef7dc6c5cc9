//! What the targets share that fork: a runner of one thread, and ways to wait for each other.
use std::env;
use std::fs::{self, File};
use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::MetadataExt;
use std::process::ExitCode;

use floe::prefork::Pool;
use libtest_mimic::{Arguments, Trial};
use nix::poll::{PollFd, PollFlags, poll};
pub use nix::sys::resource::Resource;
use nix::sys::resource::{getrlimit, setrlimit};
use nix::unistd::{Pid, pause};

/// Tests by their paths: `trials![a::test, b::test]`.
#[macro_export]
macro_rules! trials {
    ($($test:path),* $(,)?) => {
        vec![$($crate::forking::trial(stringify!($test), || $test())),*]
    };
}
pub use trials;

/// Trials that need something of the machine: `trials_needing![Need::Root; a::test, b::test]`.
#[macro_export]
macro_rules! trials_needing {
    ($need:expr; $($test:path),* $(,)?) => {
        $crate::forking::needing($need, $crate::forking::trials![$($test),*])
    };
}
pub use trials_needing;

/// What some trials need of the machine.
#[derive(Debug, Clone, Copy)]
pub enum Need {
    /// Another user to become, mounts, namespaces.
    Root,
    /// A program in one of the folders of `PATH`.
    Program(&'static str),
    /// Both.
    RootWith(&'static str),
    /// Mounts of squashfs images.
    Images,
    /// So many bytes of free memory.
    Memory(u64),
    /// A kernel of this version, or later.
    Linux(u32, u32),
}

impl Need {
    fn is_met(self) -> bool {
        match self {
            Self::Root => is_root(),
            Self::RootWith(name) => is_root() && Self::Program(name).is_met(),
            Self::Images => {
                let known = fs::read_to_string("/proc/filesystems").unwrap_or_default();
                let control = fs::metadata("/dev/loop-control");
                Self::RootWith("mount").is_met() && known.contains("squashfs") && control.is_ok()
            }
            Self::Memory(bytes) => available_memory() >= bytes,
            Self::Linux(major, minor) => kernel() >= (major, minor),
            Self::Program(name) => env::var_os("PATH")
                .is_some_and(|path| env::split_paths(&path).any(|it| it.join(name).is_file())),
        }
    }

    fn label(self) -> String {
        match self {
            Self::Root => "needs root".to_owned(),
            Self::Program(name) => format!("needs {name}"),
            Self::RootWith(name) => format!("needs root and {name}"),
            Self::Images => "needs root, mount, loop devices and squashfs".to_owned(),
            Self::Memory(bytes) => format!("needs {} of memory", floe::error::bytes(bytes)),
            Self::Linux(major, minor) => format!("needs Linux {major}.{minor}"),
        }
    }
}

/// Free memory in bytes, as the kernel estimates it.
fn available_memory() -> u64 {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with("MemAvailable:"));
    let kibibytes = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
    kibibytes.unwrap_or(0) << 10
}

/// The first two numbers of the kernel's version.
fn kernel() -> (u32, u32) {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let mut numbers = release
        .split(['.', '-'])
        .map(|part| part.trim().parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

/// A test by its name.
pub fn trial(name: &str, test: impl FnOnce() + Send + 'static) -> Trial {
    let test = || {
        test();
        Ok(())
    };
    Trial::test(name, test)
}

/// Labels trials with what they need; where the machine lacks it, they are counted as ignored.
pub fn needing(need: Need, trials: Vec<Trial>) -> Vec<Trial> {
    let met = need.is_met();
    let labelled = |trial: Trial| trial.with_kind(need.label()).with_ignored_flag(!met);
    trials.into_iter().map(labelled).collect()
}

/// Runs the tests on the main thread of a process that has no other.
pub fn run(trials: Vec<Trial>) -> ExitCode {
    let mut arguments = Arguments::from_args();
    // libtest-mimic runs the tests on the main thread if there is to be one, and spawns none.
    arguments.test_threads = Some(1);
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// A pipe on which workers say that they have come to some point, or wait until they may go on.
pub struct Gate {
    pub reader: PipeReader,
    pub writer: PipeWriter,
}

impl Default for Gate {
    fn default() -> Self {
        Self::new()
    }
}

impl Gate {
    pub fn new() -> Self {
        let (reader, writer) = io::pipe().unwrap();
        Self { reader, writer }
    }

    pub fn open(&self) {
        (&self.writer).write_all(b".").unwrap();
    }

    /// Fails after a minute, so that nobody waits for ever for a process that has died.
    pub fn pass(&self) {
        let mut polled = [PollFd::new(self.reader.as_fd(), PollFlags::POLLIN)];
        assert_eq!(
            poll(&mut polled, 60_000_u16),
            Ok(1),
            "nobody opens the gate"
        );
        (&self.reader).read_exact(&mut [0]).unwrap();
    }
}

pub fn forever() -> ! {
    loop {
        pause();
    }
}

pub fn pid_of<R>(pool: &Pool<R>, worker: usize) -> Pid {
    Pid::from_raw(pool.pids()[worker].cast_signed())
}

/// The lowest descriptor that is free: a leak would occupy it.
pub fn next_descriptor() -> i32 {
    File::open("/dev/null").unwrap().as_raw_fd()
}

pub fn is_root() -> bool {
    fs::metadata("/proc/self").unwrap().uid() == 0
}

/// Sets the soft limit of this process, and returns what it was.
pub fn set_limit(resource: Resource, most: u64) -> u64 {
    let (soft, hard) = getrlimit(resource).unwrap();
    setrlimit(resource, most, hard).unwrap();
    soft
}
