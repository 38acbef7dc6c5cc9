//! What becomes of a key that a cache and a delta both have.

use std::fmt;
use std::sync::Arc;

use rkyv::Archive;

/// Which entry stays where a cache and a delta have different ones under a key.
///
/// The entry that is there may come from a delta before, in the same merge: so conflicts between
/// deltas follow their order. Equal entries are no conflict. A key that a delta removes, and that
/// the cache has, is one.
pub enum Rule<K: Archive, V: Archive> {
    /// The entry that is there stays. Nothing is removed.
    FirstWins,
    /// The delta's entry takes its place; what the delta removes goes.
    LastWins,
    /// The entry whose recorded inputs changed last; the one that is there, if neither is newer.
    /// An entry without recorded files is older than one with. Nothing is removed.
    ///
    /// Inputs are recorded in a [`Store`](crate::Store); without one, nothing is newer.
    Newest,
    /// As a closure says; see [`Rule::by`].
    By(Decide<K, V>),
}

/// The closure of a [`Rule`].
pub type Decide<K, V> = Arc<
    dyn Fn(
            &<K as Archive>::Archived,
            &<V as Archive>::Archived,
            Option<&<V as Archive>::Archived>,
        ) -> Choice<V>
        + Send
        + Sync,
>;

/// What a closure decides of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice<V> {
    /// What is there stays.
    Keep,
    /// What is offered takes its place; the key goes, if it is offered to be removed.
    Take,
    /// This value takes the place of both.
    Value(V),
}

impl<K: Archive, V: Archive> Rule<K, V> {
    /// Decides by a closure, which is given the key, the value that is there, and the value that is
    /// offered: none if the delta removes the key.
    ///
    /// If it panics, the delta is refused as a whole, and the others go on.
    ///
    /// ```
    /// use floe::overlay::{Choice, Rule};
    ///
    /// let most = Rule::<String, u64>::by(|_, kept, offered| match offered {
    ///     Some(offered) if offered > kept => Choice::Take,
    ///     _ => Choice::Keep,
    /// });
    /// # drop(most);
    /// ```
    pub fn by(
        decide: impl Fn(&K::Archived, &V::Archived, Option<&V::Archived>) -> Choice<V>
        + Send
        + Sync
        + 'static,
    ) -> Self {
        Self::By(Arc::new(decide))
    }
}

impl<K: Archive, V: Archive> Clone for Rule<K, V> {
    fn clone(&self) -> Self {
        match self {
            Self::FirstWins => Self::FirstWins,
            Self::LastWins => Self::LastWins,
            Self::Newest => Self::Newest,
            Self::By(decide) => Self::By(Arc::clone(decide)),
        }
    }
}

impl<K: Archive, V: Archive> fmt::Debug for Rule<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::FirstWins => "FirstWins",
            Self::LastWins => "LastWins",
            Self::Newest => "Newest",
            Self::By(_) => "By",
        })
    }
}
