//! Schemas of pointers to other values.
#![allow(unsafe_code)]

use rkyv::{
    boxed::ArchivedBox,
    niche::option_box::ArchivedOptionBox,
    rc::{ArchivedRc, ArchivedRcWeak, Flavor},
    traits::ArchivePointee,
};

use super::{NoneMark, Schema, Shape, TypeIndex, Types};

// SAFETY: rkyv makes this a transparent wrapper of a relative pointer, which is repr(C) with the
// offset first and, for a `str` or a slice, the length second. `T` keeps the contract for the
// target.
unsafe impl<T: Schema + ArchivePointee + ?Sized> Schema for ArchivedBox<T> {
    fn describe(types: &mut Types) -> TypeIndex {
        let target = T::describe(types);
        types.define_generic::<Self>("Box", &[target], Shape::Box { target })
    }
}

// SAFETY: as for the box; rkyv writes a relative pointer to nowhere for none.
unsafe impl<T: Schema + ArchivePointee + ?Sized> Schema for ArchivedOptionBox<T> {
    fn describe(types: &mut Types) -> TypeIndex {
        let some = ArchivedBox::<T>::describe(types);
        let shape = Shape::Option {
            some,
            offset: 0,
            none: NoneMark::Nowhere,
        };
        types.define_generic::<Self>("Option", &[some], shape)
    }
}

// SAFETY: rkyv makes this a transparent wrapper of a relative pointer, like the box. There is no
// count in an archive.
unsafe impl<T: Schema + ArchivePointee + ?Sized, F: Flavor> Schema for ArchivedRc<T, F> {
    fn describe(types: &mut Types) -> TypeIndex {
        let target = T::describe(types);
        types.define_generic::<Self>("Rc", &[target], Shape::Shared { target })
    }
}

// SAFETY: as for the shared pointer; rkyv writes a relative pointer to nowhere for a weak pointer
// without a value.
unsafe impl<T: Schema + ArchivePointee + ?Sized, F: Flavor> Schema for ArchivedRcWeak<T, F> {
    fn describe(types: &mut Types) -> TypeIndex {
        let some = ArchivedRc::<T, F>::describe(types);
        let shape = Shape::Option {
            some,
            offset: 0,
            none: NoneMark::Nowhere,
        };
        types.define_generic::<Self>("Weak", &[some], shape)
    }
}
