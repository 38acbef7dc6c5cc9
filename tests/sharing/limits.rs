//! What is left when the system refuses a freeze.

use floe::{Frozen, memory::Memory, prefork};
use nix::{
    libc,
    sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction},
};

use crate::{
    fixture::{MIB, regions_held, try_large_map},
    forking::{next_descriptor, set_limit},
};

/// Freezes in a worker that has less of a resource than it takes, then lifts the limit. Returns
/// what the errors of a value and of a map were, if nothing was left behind.
fn poor(resource: libc::__rlimit_resource_t, most: fn() -> u64) -> [String; 2] {
    let value = vec![7_u8; 32 * MIB];
    let worker = prefork::spawn(1, |_| {
        let freeze_both = || {
            let value = Frozen::freeze("poor", &value).map(drop);
            [value, try_large_map(32 * MIB).map(drop)]
        };
        let before = (next_descriptor(), regions_held());
        let lifted = set_limit(resource, most());
        let refused = freeze_both().map(Result::unwrap_err);
        set_limit(resource, lifted);
        assert_eq!((next_descriptor(), regions_held()), before);
        assert!(freeze_both().iter().all(Result::is_ok));
        assert_eq!((next_descriptor(), regions_held()), before);
        refused.map(|error| format!("{error:?}"))
    });
    worker.unwrap().join().unwrap().remove(0)
}

#[track_caller]
fn assert_refused(errors: [String; 2], variant: &str, source: i32) {
    for error in errors {
        let code = format!("code: {source}");
        assert!(
            error.starts_with(variant) && error.contains(&code),
            "{error}"
        );
    }
}

pub(crate) fn want_of_descriptors_leaves_nothing() {
    let errors = poor(libc::RLIMIT_NOFILE, || next_descriptor() as u64);
    assert_refused(errors, "Create", libc::EMFILE);
}

/// There is room for the buffers of a freeze, not for the map of its result.
pub(crate) fn want_of_addresses_leaves_nothing() {
    let most = || Memory::of_self().unwrap().vss + 16 * MIB as u64;
    assert_refused(poor(libc::RLIMIT_AS, most), "Map", libc::ENOMEM);
}

pub(crate) fn a_file_size_limit_leaves_nothing() {
    let ignore = SigAction::new(SigHandler::SigIgn, SaFlags::empty(), SigSet::empty());
    // SAFETY: ignoring a signal runs no code.
    let before = unsafe { sigaction(Signal::SIGXFSZ, &ignore) }.unwrap();
    let errors = poor(libc::RLIMIT_FSIZE, || 5 * MIB as u64);
    // SAFETY: the disposition was in force before.
    unsafe { sigaction(Signal::SIGXFSZ, &before) }.unwrap();
    assert_refused(errors, "Write", libc::EFBIG);
}
