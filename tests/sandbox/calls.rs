//! The system calls that are refused in turn.

use nix::libc::{self, c_long};
use seccompiler::SeccompCmpOp::{self, Eq, Ne};

/// Which calls are refused: all of a number, or those with an argument that compares so.
pub struct Call {
    pub name: &'static str,
    pub number: c_long,
    pub argument: Option<(u8, SeccompCmpOp, u64)>,
    pub outcome: Outcome,
}

/// What then becomes of the paths.
pub enum Outcome {
    /// All of them go another way.
    Works,
    /// Each works, or fails with an error that says one of these.
    Says(&'static [&'static str]),
}

macro_rules! calls {
    ($($name:literal $number:ident $(($($argument:tt)*))? => $outcome:expr;)*) => {
        &[$(Call {
            name: $name,
            number: libc::$number,
            argument: calls!(@ $($($argument)*)?),
            outcome: $outcome,
        }),*]
    };
    (@) => { None };
    (@ $index:literal $operator:ident $value:expr) => {
        Some(($index, $operator, $value as u64))
    };
}

use Outcome::{Says, Works};

/// Left out is what no program can live without: `read`, `write`, `close`, `mmap`, `mprotect` and
/// `brk` for heap and stacks, `futex`, `execve`, `exit_group`, `getpid`, `geteuid`.
#[rustfmt::skip]
pub const CALLS: &[Call] = calls! {
    "memfd_create" SYS_memfd_create => Says(&["create the mem", "cannot be opened"]);
    "fcntl:F_ADD_SEALS" SYS_fcntl (1 Eq libc::F_ADD_SEALS) => Says(&["cannot seal the mem", "not fully sealed", "cannot be opened"]);
    "fcntl:F_GET_SEALS" SYS_fcntl (1 Eq libc::F_GET_SEALS) => Says(&["inspect or map the descriptor", "cannot publish"]);
    "fcntl:F_SETLK" SYS_fcntl (1 Eq libc::F_SETLK) => Says(&["cannot lock"]);
    "fcntl:F_GETFL" SYS_fcntl (1 Eq libc::F_GETFL) => Works;
    "fcntl:F_GETFD" SYS_fcntl (1 Eq libc::F_GETFD) => Works;
    "fchmod" SYS_fchmod => Says(&["create the mem", "set the mode"]);
    "chmod" SYS_chmod => Says(&["set the mode"]);
    "pwrite64" SYS_pwrite64 => Says(&["cannot write", "with code 102"]);
    "pread64" SYS_pread64 => Says(&["cannot read the list"]);
    "ftruncate" SYS_ftruncate => Says(&["cannot be opened"]);
    "mmap:file" SYS_mmap (4 Ne u32::MAX) => Says(&["cannot map the mem", "inspect or map the descriptor"]);
    "mmap:shared" SYS_mmap (3 Eq libc::MAP_SHARED) => Says(&["cannot be opened"]);
    "mmap:none" SYS_mmap (2 Eq libc::PROT_NONE) => Says(&["cannot start the thread", "cannot serve"]);
    "mmap:page" SYS_mmap (1 Eq 4096) => Says(&["cannot be opened"]);
    "madvise" SYS_madvise => Says(&["(madvise)", "cannot be opened"]);
    "munmap" SYS_munmap => Works;
    "statx" SYS_statx => Works;
    "newfstatat" SYS_newfstatat => Says(&["inspect or map the descriptor", "cannot use the directory", "cannot publish"]);
    "fstat" SYS_fstat => Works;
    "getdents64" SYS_getdents64 => Says(&["cannot use the directory", "a sandbox refuses the call"]);
    "openat" SYS_openat => Says(&["open the directory", "cannot read", "cannot count the threads", "cannot serve", "cannot use", "cannot write the source"]);
    "unlinkat" SYS_unlinkat => Works;
    "unlink" SYS_unlink => Works;
    "mkdir" SYS_mkdir => Says(&["cannot use the directory"]);
    "flock" SYS_flock => Says(&["lock", "cannot serve"]);
    "renameat" SYS_renameat => Says(&["rename"]);
    "renameat2" SYS_renameat2 => Works;
    "fsync" SYS_fsync => Says(&["fsync"]);
    "sendfile" SYS_sendfile => Works;
    "copy_file_range" SYS_copy_file_range => Works;
    "waitid" SYS_waitid => Says(&["waitid"]);
    "pidfd_open" SYS_pidfd_open => Works;
    "clone" SYS_clone => Says(&["(fork)", "cannot start the thread", "cannot serve"]);
    "clone3" SYS_clone3 => Says(&["cannot start the thread", "cannot serve"]);
    "kill" SYS_kill => Works;
    "eventfd2" SYS_eventfd2 => Works;
    "pipe2" SYS_pipe2 => Says(&["cannot serve"]);
    "epoll_create1" SYS_epoll_create1 => Says(&["cannot be watched"]);
    "epoll_ctl" SYS_epoll_ctl => Says(&["cannot be watched"]);
    "epoll_wait" SYS_epoll_wait => Works;
    "epoll_pwait" SYS_epoll_pwait => Works;
    "inotify_init1" SYS_inotify_init1 => Works;
    "socket" SYS_socket => Says(&["cannot serve"]);
    "socketpair" SYS_socketpair => Says(&["cannot be opened"]);
    "bind" SYS_bind => Says(&["cannot serve"]);
    "listen" SYS_listen => Says(&["cannot serve"]);
    "accept4" SYS_accept4 => Says(&["cannot get an answer"]);
    "connect" SYS_connect => Says(&["cannot connect"]);
    "sendmsg" SYS_sendmsg => Says(&["cannot publish"]);
    "recvmsg" SYS_recvmsg => Says(&["mailbox", "cannot"]);
    "recvfrom" SYS_recvfrom => Says(&["mailbox", "cannot"]);
    "shutdown" SYS_shutdown => Says(&["cannot be opened"]);
    "getsockopt" SYS_getsockopt => Says(&["refused", "cannot ask for the user"]);
    "setsockopt" SYS_setsockopt => Says(&["cannot"]);
    "sched_getaffinity" SYS_sched_getaffinity => Works;
    "prctl" SYS_prctl => Works;
    "getrandom" SYS_getrandom => Works;
    "gettid" SYS_gettid => Works;
    "prlimit64" SYS_prlimit64 => Works;
    "ioctl" SYS_ioctl => Works;
    "sigaltstack" SYS_sigaltstack => Works;
    "rt_sigaction" SYS_rt_sigaction => Says(&["(sigaction"]);
    "rt_sigprocmask" SYS_rt_sigprocmask => Says(&["sigprocmask"]);
    "lseek" SYS_lseek => Works;
};
