//! What is left when the system refuses a freeze.

use floe::usage::Usage;
use floe::{Error, Frozen, Map, MapBuilder, prefork};
use nix::libc;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};

use crate::fixture::{MIB, regions_held, try_large_map};
use crate::forking::{Resource, next_descriptor, set_limit};

/// Freezes in a worker that has less of a resource than it takes, then lifts the limit. Returns
/// what the errors of a value and of a map were, if nothing was left behind.
fn poor(resource: Resource, most: fn() -> u64) -> [String; 2] {
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
    let errors = poor(Resource::RLIMIT_NOFILE, || next_descriptor() as u64);
    assert_refused(errors, "Memfd", libc::EMFILE);
}

/// There is room for the buffers of a freeze, not for the map of its result.
pub(crate) fn want_of_addresses_leaves_nothing() {
    let most = || Usage::of_self().unwrap().vss + 16 * MIB as u64;
    assert_refused(poor(Resource::RLIMIT_AS, most), "Memfd", libc::ENOMEM);
}

/// Writes beyond a limit of the length of files are errors meanwhile, and kill nobody.
fn ignoring_sigxfsz<R>(run: impl FnOnce() -> R) -> R {
    let ignore = SigAction::new(SigHandler::SigIgn, SaFlags::empty(), SigSet::empty());
    // SAFETY: ignoring a signal runs no code.
    let before = unsafe { sigaction(Signal::SIGXFSZ, &ignore) }.unwrap();
    let result = run();
    // SAFETY: the disposition was in force before.
    unsafe { sigaction(Signal::SIGXFSZ, &before) }.unwrap();
    result
}

pub(crate) fn a_file_size_limit_leaves_nothing() {
    let errors = ignoring_sigxfsz(|| poor(Resource::RLIMIT_FSIZE, || 5 * MIB as u64));
    assert_refused(errors, "Write", libc::EFBIG);
}

/// The memfd holds a part of the block when the system refuses the rest.
pub(crate) fn a_builder_goes_on_after_a_block_that_was_refused() {
    type Blocks = Map<u32, Vec<u8>>;
    let block = Blocks::freeze("block", [(1, vec![7; 8 * MIB])]).unwrap();
    let mut builder = MapBuilder::<u32, Vec<u8>>::new("blocks").unwrap();
    builder.insert(&2, &vec![7; MIB]).unwrap();
    let appended = ignoring_sigxfsz(|| {
        let lifted = set_limit(Resource::RLIMIT_FSIZE, 5 * MIB as u64);
        let appended = builder.append(&block);
        set_limit(Resource::RLIMIT_FSIZE, lifted);
        appended
    });
    assert!(matches!(appended, Err(Error::Write { .. })));
    let frozen = builder.finish().unwrap();
    let fd = frozen.region().try_clone_fd().unwrap();
    let opened = Frozen::<Blocks>::from_fd(fd).unwrap();
    assert!(opened.len() == 1 && opened.contains_key(&2));
}
