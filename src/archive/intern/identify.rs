//! What makes two values equal for [`Intern`](super::Intern).
#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};

use rkyv::with::{Identity, Map, MapKV};

use super::{Intern, Recorder};

/// How a wrapper records a field, so that equal values give equal records and different values
/// different ones.
///
/// Without a wrapper it is the field's own `Hash`, which must feed all that distinguishes values;
/// wrappers record elements through each other. Implement it for a wrapper of your own to use that
/// inside `Intern<..>`.
#[diagnostic::on_unimplemented(
    message = "`Intern` cannot tell whether two values of `{F}` are equal",
    note = "derive `Hash` for the type; for `HashMap` and `HashSet` use `Intern<Sorted>`"
)]
pub trait Identify<F: ?Sized> {
    /// Records `field`.
    fn identify(field: &F, recorder: &mut Recorder);
}

impl<F: Hash + ?Sized> Identify<F> for Identity {
    fn identify(field: &F, recorder: &mut Recorder) {
        field.hash(recorder);
    }
}

impl<F, W: Identify<F>> Identify<F> for Intern<W> {
    fn identify(field: &F, recorder: &mut Recorder) {
        W::identify(field, recorder);
    }
}

impl<T, A: Identify<T>> Identify<Vec<T>> for Map<A> {
    fn identify(field: &Vec<T>, recorder: &mut Recorder) {
        recorder.write_usize(field.len());
        for element in field {
            A::identify(element, recorder);
        }
    }
}

impl<T, A: Identify<T>> Identify<Option<T>> for Map<A> {
    fn identify(field: &Option<T>, recorder: &mut Recorder) {
        field.is_some().hash(recorder);
        if let Some(element) = field {
            A::identify(element, recorder);
        }
    }
}

impl<K, V, A: Identify<K>, B: Identify<V>> Identify<BTreeMap<K, V>> for MapKV<A, B> {
    fn identify(field: &BTreeMap<K, V>, recorder: &mut Recorder) {
        recorder.write_usize(field.len());
        for (key, value) in field {
            A::identify(key, recorder);
            B::identify(value, recorder);
        }
    }
}
