//! Nobody writes to a region.

use floe::prefork::{self, WorkerError};
use nix::libc;

use crate::fixture::{MIB, digest, large_map};
use crate::forking::Gate;

pub(crate) fn a_worker_that_writes_dies_alone() {
    let map = large_map(MIB);
    let expected = digest(map.region().bytes());
    let gate = Gate::new();
    let mut pool = prefork::spawn(3, |worker| {
        if worker.index() == 0 {
            // SAFETY: there is none, which is the point: the page is read-only, so the store ends
            // the process before it has an effect.
            unsafe { map.region().bytes().as_ptr().cast_mut().write_volatile(7) };
        } else {
            gate.pass();
        }
        digest(map.region().bytes())
    })
    .unwrap();
    let killed = WorkerError::Killed {
        signal: libc::SIGSEGV,
    };
    assert_eq!(pool.wait_one().unwrap().unwrap().result, Err(killed));
    (0..2).for_each(|_| gate.open());
    assert_eq!(pool.join().unwrap(), [expected; 2]);
    assert_eq!(digest(map.region().bytes()), expected);
}
