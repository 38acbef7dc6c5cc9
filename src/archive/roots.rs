//! Several named values of one region, each with its own type.
#![forbid(unsafe_code)]

use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;

use super::checked::{Checked, RootList};
use super::content::{Content, sealed};
use super::parts::{self, Part, RootType};
use super::thaw::Thaw;
use crate::error::Result;
use crate::region::Region;

/// The form of [`Roots`].
#[derive(Debug)]
pub enum Several {}

impl sealed::Sealed for Several {}

/// One of several roots of a region; derefs to its archived value.
///
/// A field of a type that derives [`Roots`]. It is read like a [`Frozen`](crate::Frozen) handle, and
/// keeps its region in memory by itself.
pub struct Root<T: Content>(pub(super) Checked<T>);

impl<T: Content> Deref for Root<T> {
    type Target = T::Archived;

    #[inline]
    fn deref(&self) -> &T::Archived {
        &self.0
    }
}

impl<T: Content> Root<T> {
    /// Makes an owned value of the root, as [`Frozen::thaw`](crate::Frozen::thaw) does.
    ///
    /// # Errors
    /// [`Error::Thaw`](crate::Error::Thaw) if a deserialisation refuses its value.
    pub fn thaw<O>(root: &Self) -> Result<O>
    where
        T: Thaw<O>,
    {
        T::thaw(root)
    }
}

impl<T: Content> Clone for Root<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

/// Shows the value.
impl<T: Content<Archived: fmt::Debug>> fmt::Debug for Root<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

/// `for entry in &root`, of whatever can be iterated by reference.
impl<'a, T: Content> IntoIterator for &'a Root<T>
where
    &'a T::Archived: IntoIterator,
{
    type Item = <&'a T::Archived as IntoIterator>::Item;
    type IntoIter = <&'a T::Archived as IntoIterator>::IntoIter;

    fn into_iter(self) -> Self::IntoIter {
        (**self).into_iter()
    }
}

/// What a root is called, and what it holds: the derive of [`Roots`] makes a constant of each field,
/// `Caches::RECIPES` of `recipes`.
pub struct RootName<T> {
    name: &'static str,
    content: PhantomData<fn() -> T>,
}

impl<T> RootName<T> {
    #[doc(hidden)]
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self {
            name,
            content: PhantomData,
        }
    }

    /// The name alone.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.name
    }
}

impl<T> Clone for RootName<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for RootName<T> {}

impl<T> fmt::Debug for RootName<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RootName").field(&self.name).finish()
    }
}

/// A field of a type that derives [`Roots`].
pub trait RootField {
    /// What the root holds.
    type Content: Content;
}

impl<T: Content> RootField for Root<T> {
    type Content = T;
}

/// What a type says that holds the roots of a region. Derived; see [`macro@crate::Roots`].
pub trait Roots: Content<Archived = Self, Form = Several> + Send + Sync {
    /// The names of the roots.
    const NAMES: &'static [&'static str];
    /// The roots, as pairs: `(A, (B, ()))`.
    type List: RootList;

    /// Takes the roots over.
    fn from_list(list: Self::List) -> Self;
}

/// The types of roots, in the order of their names.
pub(crate) fn root_types<R: Roots>() -> Vec<RootType> {
    const {
        assert!(
            R::NAMES.len() == R::List::LENGTH && R::List::LENGTH <= parts::MOST_ROOTS,
            "each root has a name, and a region has 64 roots at most"
        )
    }
    let mut types = Vec::with_capacity(R::List::LENGTH);
    R::List::list_types(&mut types);
    types
}

/// Where they lie in a region.
pub(super) fn parts_of<R: Roots>(region: &Region) -> Result<Vec<Part<'_>>> {
    let own = R::describe();
    let expected_type = std::any::type_name::<R>();
    parts::parts(region, expected_type, &own, R::NAMES, &root_types::<R>())
}
