//! What to do about an error of the kernel, appended to its message.

use std::io;

use nix::errno::Errno;

/// The remedy for a call that a sandbox refuses.
const SANDBOX: &str = "; a sandbox refuses the call, or the kernel does not know it";

/// The remedy for an error of the kernel.
pub(crate) fn remedy(refused: &io::Error) -> &'static str {
    match refused.raw_os_error().map(Errno::from_raw) {
        Some(Errno::EMFILE | Errno::ENFILE) => "; check the limit on open files (ulimit -n)",
        Some(Errno::ENOMEM | Errno::ENOSPC | Errno::EDQUOT) => {
            "; memory or a limit on it is used up (ulimit -v, memory.max, vm.max_map_count)"
        }
        Some(Errno::EFBIG) => "; check the limit on the size of files (ulimit -f)",
        Some(Errno::EPERM | Errno::EACCES | Errno::ENOSYS | Errno::EINVAL) => SANDBOX,
        Some(Errno::EAGAIN) => "; check the limits on processes (ulimit -u, pids.max)",
        _ => "",
    }
}

/// The remedy for a broker that cannot start.
pub(super) fn serve_remedy(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::AddrInUse => "; a socket is replaced only if nobody listens on it",
        io::ErrorKind::NotFound => "; create its folder first",
        io::ErrorKind::PermissionDenied => {
            "; this user must be able to create files in its folder, and be in the group that is served"
        }
        _ => "",
    }
}

/// The remedy for a broker that cannot be asked.
pub(super) fn broker_remedy(source: &io::Error) -> &'static str {
    match source.kind() {
        _ if is_sandbox(source) => SANDBOX,
        io::ErrorKind::NotFound
        | io::ErrorKind::ConnectionRefused
        | io::ErrorKind::ConnectionReset
        | io::ErrorKind::UnexpectedEof
        | io::ErrorKind::TimedOut => "; is its owner running?",
        io::ErrorKind::PermissionDenied => "; it serves its own user and root, or a group",
        _ => "",
    }
}

/// The remedy for a file that cannot be read. Missing permissions do not point to a sandbox.
pub(super) fn read_remedy(source: &io::Error) -> &'static str {
    if is_sandbox(source) { SANDBOX } else { "" }
}

/// The remedy for a POSIX shared memory object.
pub(super) fn posix_remedy(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::NotFound => {
            "; its owner has not published it, or has removed it, or nothing is mounted on /dev/shm"
        }
        io::ErrorKind::StorageFull => {
            "; /dev/shm is full: remove what is left there (floe names --sweep), or mount it larger"
        }
        io::ErrorKind::PermissionDenied if !is_sandbox(source) => "; it belongs to another user",
        _ => remedy(source),
    }
}

/// Whether the kernel never gives this error for files and sockets outside of a sandbox.
fn is_sandbox(source: &io::Error) -> bool {
    let errno = source.raw_os_error().map(Errno::from_raw);
    matches!(errno, Some(Errno::EPERM | Errno::ENOSYS))
}
