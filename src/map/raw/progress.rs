//! How far a check of entries has come.
#![forbid(unsafe_code)]

use std::any::TypeId;
use std::marker::PhantomData;
use std::sync::Arc;

use super::Entry;
use crate::archive::{Seen, Validator, Value};
use crate::map::Map;
use crate::map::check::entries_are_independent;
use crate::map::entry::entry_alignment;
use crate::schema::Described;

/// What [`check_entries`](super::check_entries) has counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::map) struct Counted {
    /// Entries that are not garbage.
    pub(in crate::map) entries: u64,
    /// Bytes of those that are.
    pub(in crate::map) garbage: u64,
    /// Bytes that pointers have claimed.
    pub(in crate::map) claimed: usize,
}

/// Entries of an archive section that are checked for themselves.
#[derive(Debug, Clone, Copy)]
pub(in crate::map) struct EntryRange<'a> {
    /// The archive up to the end of the part.
    pub(in crate::map) archive: &'a [u8],
    /// Where its first entry starts.
    pub(in crate::map) start: usize,
    /// Values may lie before the part, in maps in which entries share them.
    pub(in crate::map) reaches_back: bool,
}

/// Checks the entries of an archive section, which may grow meanwhile.
pub(in crate::map) struct EntryCheck<K, V> {
    pub(super) description: Arc<Described>,
    /// Entries start at multiples of this.
    pub(super) alignment: u64,
    /// Archive offset behind the last entry that was checked.
    pub(super) offset: usize,
    pub(super) counted: Counted,
    pub(super) validator: Validator,
    pub(super) seen: Seen,
    /// A check is running, or did not come to a good end. It left shared values started that
    /// nobody has found valid, so there is no going on.
    pub(super) broken: bool,
    pub(super) types: PhantomData<fn(K, V)>,
}

impl<K: Value, V: Value> EntryCheck<K, V> {
    /// A check that has seen nothing yet, of the entries from an archive offset on.
    pub(in crate::map) fn starting_at(offset: usize) -> Self {
        let description = Described::of(TypeId::of::<Map<K, V>>(), Entry::<K, V>::describe);
        let mut validator = Validator::default();
        if !entries_are_independent(&description) {
            validator.share();
        }
        Self {
            alignment: entry_alignment(&description, description.root),
            description,
            offset,
            counted: Counted::default(),
            validator,
            seen: Seen::default(),
            broken: false,
            types: PhantomData,
        }
    }

    /// Forgets all that was checked: the entries to come are the first.
    pub(in crate::map) fn restart(&mut self) {
        let shares = self.validator.shares();
        self.validator = Validator::default();
        if shares {
            self.validator.share();
        }
        self.offset = 0;
        self.counted = Counted::default();
        self.seen = Seen::default();
        self.broken = false;
    }

    /// A check of a part.
    pub(super) fn of_range(part: &EntryRange<'_>) -> Self {
        let mut check = Self::starting_at(part.start);
        if !part.reaches_back {
            let shares = check.validator.shares();
            check.validator = Validator::behind(part.start);
            if shares {
                check.validator.share();
            }
        }
        check
    }

    /// What was counted so far.
    pub(super) fn counted(&self) -> Counted {
        Counted {
            claimed: self.validator.claimed(),
            ..self.counted
        }
    }

    /// Whether entries point to nothing in other entries.
    pub(in crate::map) fn takes_independent_entries(&self) -> bool {
        !self.validator.shares()
    }

    pub(in crate::map) fn description(&self) -> &Described {
        &self.description
    }

    pub(in crate::map) fn alignment(&self) -> u64 {
        self.alignment
    }

    /// Archive offset behind the last entry that was checked.
    pub(in crate::map) fn offset(&self) -> u64 {
        self.offset as u64
    }
}
