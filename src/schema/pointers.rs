//! What pointers to other values look like.
#![forbid(unsafe_code)]

use rkyv::boxed::ArchivedBox;
use rkyv::niche::option_box::ArchivedOptionBox;
use rkyv::rc::{ArchivedRc, ArchivedRcWeak, Flavor};
use rkyv::traits::ArchivePointee;

use super::compounds::niched;
use super::{NoneMark, Schema, Shape, TypeIndex, Types};

pub(super) fn boxed<T: Schema + ArchivePointee + ?Sized>(types: &mut Types) -> TypeIndex {
    let target = T::describe(types);
    types.define_generic::<ArchivedBox<T>>("Box", &[target], Shape::Box { target })
}

pub(super) fn boxed_option<T: Schema + ArchivePointee + ?Sized>(types: &mut Types) -> TypeIndex {
    niched::<ArchivedOptionBox<T>, ArchivedBox<T>>(types, NoneMark::Nowhere)
}

pub(super) fn shared<T, F>(types: &mut Types) -> TypeIndex
where
    T: Schema + ArchivePointee + ?Sized,
    F: Flavor,
{
    let target = T::describe(types);
    types.define_generic::<ArchivedRc<T, F>>("Rc", &[target], Shape::Shared { target })
}

/// A weak pointer, which leads nowhere where its value was gone.
pub(super) fn weak<T, F>(types: &mut Types) -> TypeIndex
where
    T: Schema + ArchivePointee + ?Sized,
    F: Flavor,
{
    let some = ArchivedRc::<T, F>::describe(types);
    let shape = Shape::Option {
        some,
        offset: 0,
        none: NoneMark::Nowhere,
    };
    types.define_generic::<ArchivedRcWeak<T, F>>("Weak", &[some], shape)
}
