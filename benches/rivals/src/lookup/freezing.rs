//! What freezing a map costs.

use std::collections::HashMap;

use super::samples::Samples;
use crate::contenders::{freeze, freeze_on_two_threads, to_bytes};
use crate::keys::Key;
use crate::statistics::{nanoseconds_each, timed};

/// Freezes a heap map once by floe on one and on two threads, and by rkyv.
///
/// Whoever fails has no sample; that the contender itself cannot be built is reported where it is
/// built.
pub fn round<K: Key>(map: &HashMap<K, K::Value>, samples: &mut Samples) {
    let mut measure = |contender, operation, work: &dyn Fn() -> bool| {
        let (made, time) = timed(work);
        if made {
            samples.add(contender, operation, nanoseconds_each(time, map.len()));
        }
    };
    measure("floe", "freeze", &|| freeze(map).is_ok());
    measure("rkyv", "freeze", &|| to_bytes(map).is_ok());
    measure("floe", "freeze 2 threads", &|| {
        freeze_on_two_threads(map).is_ok()
    });
}
