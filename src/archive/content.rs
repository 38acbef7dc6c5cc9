//! What a region can hold.
#![forbid(unsafe_code)]

use std::any::TypeId;
use std::sync::Arc;

#[cfg(doc)]
use super::Value;
use super::checked::Form;
#[cfg(doc)]
use super::roots::Roots;
use crate::schema::Described;

/// What a region can hold: every [`Value`], [`Map`](crate::Map), and [`Roots`] of both.
///
/// Implemented for all of them, for roots by their derive; there is nothing to implement by hand.
pub trait Content: Sized + 'static {
    /// What a handle derefs to.
    type Archived: ?Sized;
    /// How it lies in a region.
    #[doc(hidden)]
    type Form: Form<Self>;

    /// The archived types.
    #[doc(hidden)]
    fn describe() -> Arc<Described> {
        Described::of(TypeId::of::<Self>(), Self::Form::describe)
    }
}

/// Keeps [`Form`] to the types of this crate that are made for it.
pub(crate) mod sealed {
    pub trait Sealed {}
}
