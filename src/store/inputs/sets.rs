//! The inputs of a generation: each distinct one once, each distinct set of them once.

use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;
use std::sync::Arc;

use super::check::Changed;
use super::input::Input;

/// What a generation was built from.
///
/// Inputs are kept once however many entries have them, and sets of inputs once however many
/// entries have the same. A whole value has one set; a map has the set of its list of keys, the set
/// that most entries have, and a set for each other entry.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Sets {
    /// The distinct inputs, sorted by what they are about.
    pub(super) inputs: Vec<Arc<Input>>,
    /// The distinct sets, as ascending numbers of inputs.
    pub(super) sets: Vec<Vec<u32>>,
    /// The set of a whole value, or of the list of keys.
    pub(super) whole: u32,
    /// The set of the entries that are not in `entries`.
    pub(super) common: u32,
    /// Entries by their unit, and their sets; ascending.
    pub(super) entries: Vec<(u32, u32)>,
    /// Entries that were not asked for when this generation was built, by their unit, and the
    /// generation in which they last were; ascending.
    pub(super) idle: Vec<(u32, u64)>,
    /// Digest of the value that the cache is keyed by.
    pub(super) keyed_by: u128,
}

impl Sets {
    /// The inputs of one build.
    pub(crate) fn of_whole(inputs: impl IntoIterator<Item = Input>) -> Self {
        let mut builder = SetsBuilder::default();
        let whole = builder.add(inputs);
        builder.finish(whole, 0)
    }

    pub(crate) fn keyed_by(&self) -> u128 {
        self.keyed_by
    }

    pub(crate) fn with_keyed_by(self, keyed_by: u128) -> Self {
        Self { keyed_by, ..self }
    }

    /// The same for entries that stand elsewhere.
    pub(crate) fn with_units(mut self, moved: impl Fn(u32) -> Option<u32>) -> Self {
        let entries = self.entries.into_iter();
        let moved = entries.filter_map(|(unit, set)| Some((moved(unit)?, set)));
        self.entries = moved.collect();
        self.entries.sort_unstable();
        self
    }

    /// The paths that are looked at.
    #[cfg(feature = "watch")]
    pub(crate) fn paths(&self) -> impl Iterator<Item = &std::path::Path> {
        self.inputs.iter().filter_map(|input| match &input.subject {
            super::input::Subject::Path(path) => Some(std::path::Path::new(path)),
            _ => None,
        })
    }

    /// The inputs of one build.
    pub(crate) fn of_value(&self) -> impl Iterator<Item = Input> {
        self.inputs_of(self.whole).cloned()
    }

    /// When the files last changed that one build read, by their content or metadata; in nanoseconds
    /// since 1970. None if it read none.
    pub(crate) fn last_change_of_value(&self) -> Option<i64> {
        self.last_change(self.whole)
    }

    /// The same for an entry.
    pub(crate) fn last_change_of(&self, unit: u32) -> Option<i64> {
        self.last_change(self.set_of(unit))
    }

    /// The inputs of an entry.
    pub(crate) fn of_entry(&self, unit: u32) -> impl Iterator<Item = Input> {
        self.inputs_of(self.set_of(unit)).cloned()
    }

    /// Whether an entry was built from the same as one of other sets. A check renews stamps, so
    /// these do not count where there is content.
    pub(crate) fn is_from_same(&self, unit: u32, other: &Self, its: u32) -> bool {
        let (own, its) = (self.set_of(unit), other.set_of(its));
        let contents = |sets: &Self, set: u32| -> BTreeSet<Input> {
            let inputs = sets.inputs_of(set).cloned();
            inputs.map(Input::without_stamp).collect()
        };
        self.inputs_of(own).eq(other.inputs_of(its)) || contents(self, own) == contents(other, its)
    }

    fn set_of(&self, unit: u32) -> u32 {
        let found = self.entries.binary_search_by_key(&unit, |(unit, _)| *unit);
        found.map_or(self.common, |at| self.entries[at].1)
    }

    fn last_change(&self, set: u32) -> Option<i64> {
        self.inputs_of(set).filter_map(Input::last_change).max()
    }

    fn inputs_of(&self, set: u32) -> impl Iterator<Item = &Input> {
        let set = self.sets.get(set as usize).map_or(&[][..], Vec::as_slice);
        set.iter().map(|input| &*self.inputs[*input as usize])
    }

    /// What of a map is touched by changes.
    pub(crate) fn touched(&self, changed: &Changed) -> Touched {
        let touched: Vec<bool> = self
            .sets
            .iter()
            .map(|set| set.iter().any(|input| changed.flags[*input as usize]))
            .collect();
        let is_touched = |set: u32| touched[set as usize];
        Touched {
            whole: is_touched(self.whole),
            common: is_touched(self.common),
            entries: self
                .entries
                .iter()
                .filter(|(_, set)| is_touched(*set))
                .map(|(unit, _)| *unit)
                .collect(),
        }
    }

    /// The units of all entries that are named, ascending.
    pub(crate) fn units(&self) -> impl Iterator<Item = u32> {
        let mut units: Vec<u32> = self.entries.iter().map(|(unit, _)| *unit).collect();
        units.extend(self.idle.iter().map(|(unit, _)| *unit));
        units.sort_unstable();
        units.into_iter()
    }

    /// Whether an entry has the common set.
    pub(crate) fn is_common(&self, unit: u32) -> bool {
        self.entries
            .binary_search_by_key(&unit, |(unit, _)| *unit)
            .is_err()
    }

    /// The idle entries, and the generations in which they were last asked for.
    pub(crate) fn idle(&self) -> &[(u32, u64)] {
        &self.idle
    }
}

/// What of a map is touched by changes of inputs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Touched {
    /// The list of keys.
    pub(crate) whole: bool,
    /// The entries with the common set.
    pub(crate) common: bool,
    /// Units of other entries, ascending.
    pub(crate) entries: Vec<u32>,
}

/// Collects the sets of a new generation, beginning with those of an earlier one.
///
/// What the earlier one has keeps its number until the end, so that carrying it over costs no
/// comparison.
#[derive(Debug, Default)]
pub(crate) struct SetsBuilder {
    inputs: Numbered<Arc<Input>>,
    sets: Numbered<Vec<u32>>,
    entries: Vec<(u32, u32)>,
    idle: Vec<(u32, u64)>,
    /// The set of the carried entries that are not in `entries`.
    common: Option<u32>,
}

impl SetsBuilder {
    /// A builder that knows the inputs and sets of an earlier generation.
    pub(crate) fn after(earlier: &Sets) -> Self {
        Self {
            inputs: Numbered::after(earlier.inputs.clone()),
            sets: Numbered::after(earlier.sets.clone()),
            ..Self::default()
        }
    }

    /// Numbers a set of inputs.
    pub(crate) fn add(&mut self, inputs: impl IntoIterator<Item = Input>) -> u32 {
        let numbers = inputs
            .into_iter()
            .map(|input| self.inputs.number(Arc::new(input)));
        let mut set: Vec<u32> = numbers.collect();
        set.sort_unstable();
        self.sets.number(set)
    }

    /// Gives an entry, which must be new, its set.
    pub(crate) fn set_of(&mut self, unit: u32, set: u32) {
        self.entries.push((unit, set));
    }

    /// Says when an entry that nobody asks for any more was last asked for.
    pub(crate) fn idle_since(&mut self, unit: u32, generation: u64) {
        self.idle.push((unit, generation));
    }

    /// Takes over the sets of the entries that stay of the generation that this builder began with;
    /// `moved` gives their next units. Returns the set of its list of keys.
    pub(crate) fn carry(
        &mut self,
        earlier: &Sets,
        mut moved: impl FnMut(u32) -> Option<u32>,
    ) -> u32 {
        let stay = |(unit, set): &(u32, u32)| Some((moved(*unit)?, *set));
        self.entries.extend(earlier.entries.iter().filter_map(stay));
        self.common = Some(earlier.common);
        earlier.whole
    }

    /// The sets in their canonical form: equal builds give equal ones, and what no entry has any
    /// more is gone. `whole` is the set of the list of keys, `total` the number of entries.
    pub(crate) fn finish(mut self, whole: u32, total: usize) -> Sets {
        // A common set that no entry is left with would be judged for nothing.
        let common = self.common.filter(|_| total > self.entries.len());
        let common = common.unwrap_or_else(|| self.most_frequent(whole));
        self.entries.retain(|(_, set)| *set != common);
        self.entries.sort_unstable();
        self.idle.sort_unstable();

        let numbers = self.entries.iter().map(|(_, set)| *set);
        let (mut sets, set_numbers) = self.sets.used(numbers.chain([whole, common]));
        let numbers = sets.iter().flatten().copied();
        let (inputs, input_numbers) = self.inputs.used(numbers);
        for set in &mut sets {
            set.iter_mut()
                .for_each(|it| *it = input_numbers[*it as usize]);
            set.sort_unstable();
            set.dedup();
        }
        // The new numbers may have changed the order of the sets.
        let (sets, again) = Numbered::after(sets).all();
        let number = |set: u32| again[set_numbers[set as usize] as usize];
        let entries = self.entries.into_iter();
        Sets {
            inputs,
            sets,
            whole: number(whole),
            common: number(common),
            entries: entries.map(|(unit, set)| (unit, number(set))).collect(),
            idle: self.idle,
            keyed_by: 0,
        }
    }

    /// The set that most entries have, the one numbered first of several; `none` without entries.
    fn most_frequent(&self, none: u32) -> u32 {
        let mut counts: HashMap<u32, (usize, u32)> = HashMap::new();
        for (_, set) in &self.entries {
            let count = counts.entry(*set).or_insert((0, u32::MAX - set));
            count.0 += 1;
        }
        let most = counts.into_iter().max_by_key(|(_, count)| *count);
        most.map_or(none, |(set, _)| set)
    }
}

/// Distinct things and their numbers: first the earlier ones in their order, then new ones.
#[derive(Debug)]
struct Numbered<T> {
    earlier: Vec<T>,
    new: HashMap<T, u32>,
}

impl<T> Default for Numbered<T> {
    fn default() -> Self {
        Self::after(Vec::new())
    }
}

impl<T> Numbered<T> {
    fn after(earlier: Vec<T>) -> Self {
        let new = HashMap::new();
        Self { earlier, new }
    }
}

impl<T: Ord + Hash> Numbered<T> {
    /// The number of a thing; new ones get the next. The earlier ones must be sorted.
    fn number(&mut self, thing: T) -> u32 {
        if let Ok(number) = self.earlier.binary_search(&thing) {
            return number as u32;
        }
        let next = (self.earlier.len() + self.new.len()) as u32;
        *self.new.entry(thing).or_insert(next)
    }

    /// The things that are used, sorted, and for each old number the new one.
    fn used(self, numbers: impl Iterator<Item = u32>) -> (Vec<T>, Vec<u32>) {
        let mut used = vec![false; self.earlier.len() + self.new.len()];
        numbers.for_each(|number| used[number as usize] = true);
        self.sorted(|number| used[number as usize])
    }

    /// All things, sorted, and for each old number the new one.
    fn all(self) -> (Vec<T>, Vec<u32>) {
        self.sorted(|_| true)
    }

    fn sorted(self, keeps: impl Fn(u32) -> bool) -> (Vec<T>, Vec<u32>) {
        let mut new_numbers = vec![0; self.earlier.len() + self.new.len()];
        let earlier = (0..).zip(self.earlier);
        let new = self.new.into_iter().map(|(thing, number)| (number, thing));
        let mut things: Vec<(u32, T)> = earlier.chain(new).filter(|it| keeps(it.0)).collect();
        // Stable, since that is faster for what is nearly sorted.
        things.sort_by(|one, other| one.1.cmp(&other.1));
        let mut sorted: Vec<T> = Vec::with_capacity(things.len());
        for (old, thing) in things {
            // Earlier ones have become equal where a check has renewed their stamps.
            if sorted.last() != Some(&thing) {
                sorted.push(thing);
            }
            new_numbers[old as usize] = sorted.len() as u32 - 1;
        }
        (sorted, new_numbers)
    }
}
