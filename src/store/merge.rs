//! Caches that grow by what workers hand back.

mod bounds;
mod joining;
mod recorded;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;

use super::build::{Build, Built, Counts, Due, Earlier, Job};
use super::cache::Cache;
use super::keyed::StoreKey;
use super::managed::{Join, ManagedCache};
use super::refresh::sleep;
use super::{BuildResult, Store, Turns};
use crate::error::{DeltaError, Error, Result};
use crate::frozen::{Content, Frozen};
use crate::map::{EntryRef, Key, Map, MapBuilder, offset_of_unit, unit};
use crate::overlay::{
    Delta, Fresh, MergeReport, Overlay, OverlayKey, OverlayValue, Plan, Rule, Stands,
};
use crate::region::Backing;
use crate::store::inputs::{Inputs, Sets, SetsBuilder, encode};
use crate::store::policy::Policy;

use bounds::Uses;
use recorded::Recorded;

impl Store {
    /// Adds a cache that no closure builds: it begins empty, and grows by what is
    /// [merged](Self::merge) into it. It is saved, loaded, published and followed as the others are.
    ///
    /// For what is keyed by content: what workers find out while they run, which is true for as long
    /// as the key is the same. What the policy finds due is dropped: an entry whose recorded
    /// [inputs](Overlay::insert_with_inputs) changed, or that was
    /// [invalidated](Self::invalidate_key), and everything, under another value of
    /// [`keyed_by`](Policy::keyed_by) or at the age of [`refresh_after`](Policy::refresh_after).
    ///
    /// # Bounds
    /// Each merge that changes something is a generation. An entry is used in the generation in which
    /// a delta brings it, also if it was there, and in which an overlay
    /// [notes](Overlay::counted_by) that it found it. [`max_idle_generations`] lets go what was not
    /// used for longer; [`max_entries`] and [`max_bytes`] let go what was not used the longest, and of
    /// that what came first. Where a policy has one of them, a merge walks over all entries.
    ///
    /// [`max_idle_generations`]: Policy::max_idle_generations
    /// [`max_entries`]: Policy::max_entries
    /// [`max_bytes`]: Policy::max_bytes
    ///
    /// # Errors
    /// As [`keyed`](Self::keyed).
    pub fn merged<K: StoreKey, V: OverlayValue>(
        &self,
        name: &str,
        policy: Policy,
    ) -> Result<Cache<Map<K, V>>> {
        self.add(name, policy, Merged)
    }

    /// Merges what workers have added into a cache that was declared by [`merged`](Self::merged), and
    /// publishes the next generation. Before its first refresh the cache is loaded, or begins empty.
    ///
    /// Deltas are merged in their order, as [`overlay::merge`](crate::overlay::merge) does; the
    /// report says what became of each. If nothing changes, nothing is published. Store and cache
    /// stay as they are if the merge fails.
    ///
    /// The rule must not call its own store.
    ///
    /// With a [directory](Self::open), the merge takes the turn of the cache, starts from what another
    /// process has saved meanwhile, and saves its own generation: so nothing of two owners is lost.
    /// That writes the whole cache; merge many deltas at once there. What cannot be saved just now is
    /// merged all the same, and saved by a later refresh, together with what another process has saved by
    /// then: the report says whether it [is saved](MergeReport::saved). Until then, it ends with this
    /// process.
    ///
    /// A delta of an overlay over a generation under another value of [`keyed_by`](Policy::keyed_by) is
    /// refused: [`DeltaError::OtherKey`]. One of an overlay over a map that no store has made tells of
    /// none.
    ///
    /// ```
    /// use floe::overlay::Rule;
    /// use floe::{Overlay, Policy, Store};
    ///
    /// let store = Store::new();
    /// let bodies = store.merged::<u64, String>("bodies", Policy::new().max_entries(10_000))?;
    /// store.refresh()?;
    ///
    /// // In the workers.
    /// let mut overlay = Overlay::over(&bodies.get()?);
    /// overlay.insert(&0x5eed, &"do_compile() { make }".to_owned())?;
    /// let delta = overlay.into_delta()?;
    ///
    /// // In the owner.
    /// let report = store.merge("bodies", &[delta], &Rule::FirstWins)?;
    /// assert_eq!((report.generation, report.deltas[0].added), (2, 1));
    /// assert_eq!(bodies.get()?[&0x5eed_u64].as_str(), "do_compile() { make }");
    /// # Ok::<(), floe::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::UnknownCache`], [`Error::NotOwner`]; [`Error::SchemaMismatch`] if the cache holds other
    /// types; [`DeltaError::Built`] for a cache that closures build; as
    /// [`MapBuilder::finish`](crate::MapBuilder::finish), and [`Error::TooLarge`] for a cache of more
    /// than 16 GiB.
    pub fn merge<K: StoreKey, V: OverlayValue>(
        &self,
        name: &str,
        deltas: &[Delta<K, V>],
        rule: &Rule<K, V>,
    ) -> Result<MergeReport> {
        let cache = self.mergeable::<K, V>(name)?;
        cache.merge(deltas, rule, &Turns::waiting(&sleep))
    }

    /// The cache of a name, if it can be merged into.
    pub(super) fn mergeable<K: StoreKey, V: OverlayValue>(
        &self,
        name: &str,
    ) -> Result<Arc<ManagedCache<Map<K, V>>>> {
        let found = self.find(name)?;
        let got = found.fingerprint();
        let cache = found.into_any().downcast::<ManagedCache<Map<K, V>>>();
        let cache = cache.map_err(|_| Error::SchemaMismatch {
            name: name.to_owned(),
            expected_type: std::any::type_name::<Map<K, V>>(),
            expected: Map::<K, V>::describe().fingerprint(),
            got,
        })?;
        match cache.grows_by_merges() {
            true => Ok(cache),
            false => Err(Error::Delta {
                name: name.to_owned(),
                reason: DeltaError::Built,
            }),
        }
    }
}

/// The content of a cache that no closure builds.
struct Merged;

impl<K: StoreKey, V: OverlayValue> Build<Map<K, V>> for Merged {
    /// Drops what is due.
    fn build(&self, job: &Job<'_, Map<K, V>>) -> Result<Built<Map<K, V>>> {
        match (job.earlier, &job.due) {
            (Some(earlier), Some(due)) => {
                let plan = Plan::dropping(due_entries(job, earlier, due)?);
                next_generation(job, earlier, plan, &[], &Recorded::none(), false)
            }
            _ => empty(job),
        }
    }

    fn check_sets(&self, frozen: &Frozen<Map<K, V>>, sets: &Sets) -> Result<(), &'static str> {
        super::keyed::check_units(frozen, sets)
    }

    fn size(&self, frozen: &Frozen<Map<K, V>>) -> (u64, u64) {
        (frozen.len() as u64, frozen.garbage())
    }

    fn grows_by_merges(&self) -> bool {
        true
    }
}

impl<K: StoreKey, V: OverlayValue> ManagedCache<Map<K, V>> {
    /// Merges deltas, in their order, and publishes what comes of it.
    ///
    /// # Errors
    /// As [`Store::merge`].
    pub(super) fn merge(
        &self,
        deltas: &[Delta<K, V>],
        rule: &Rule<K, V>,
        turns: &Turns<'_>,
    ) -> Result<MergeReport> {
        let start = Instant::now();
        let mut reports = Vec::new();
        let build = |job: &Job<'_, Map<K, V>>, earlier: Earlier<'_, Map<K, V>>| {
            let recorded = Recorded::of(job, deltas, earlier);
            let mut plan = Plan::of(earlier.frozen, deltas, rule, &recorded);
            reports = std::mem::take(&mut plan.reports);
            next_generation(job, earlier, plan, deltas, &recorded, false)
        };
        let rule = rule.clone();
        let join: Arc<Join<Map<K, V>>> =
            Arc::new(move |job, ours, base| joining::join(job, ours, base, &rule));
        let extended = self.extend(turns, build, join)?;
        Ok(MergeReport {
            name: extended.frozen.region().name().to_owned(),
            generation: extended.frozen.region().generation(),
            changed: extended.changed,
            saved: extended.saved,
            entries: extended.frozen.len() as u64,
            evicted: extended.counts.evicted,
            deltas: reports,
            seconds: start.elapsed().as_secs_f64(),
            trouble: extended.trouble,
        })
    }
}

/// A generation without entries.
fn empty<K: StoreKey, V: OverlayValue>(job: &Job<'_, Map<K, V>>) -> Result<Built<Map<K, V>>> {
    let sets = Sets::of_whole([]).with_keyed_by(job.policy.keyed_by);
    let dropped = job.earlier.map_or(0, |earlier| earlier.frozen.len() as u64);
    let frozen = match job.earlier {
        // Overlays know by the generation what it was built under.
        Some(earlier)
            if earlier.frozen.is_empty() && earlier.sets.keyed_by() == job.policy.keyed_by =>
        {
            earlier.frozen.clone()
        }
        _ => {
            let builder = MapBuilder::next_generation(job.label.clone(), Backing::Memfd)?;
            builder.finish_with(|_| encode(&sets))?
        }
    };
    Ok(Built {
        frozen,
        sets,
        counts: Counts {
            dropped,
            ..Counts::default()
        },
    })
}

/// The entries whose inputs changed, and those that somebody said are no longer valid.
fn due_entries<'a, K: StoreKey, V: OverlayValue>(
    job: &Job<'_, Map<K, V>>,
    earlier: Earlier<'a, Map<K, V>>,
    due: &Due,
) -> Result<HashSet<EntryRef<'a, K, V>>> {
    let Earlier { frozen, sets } = earlier;
    let offsets = due.touched.entries.iter().map(|it| offset_of_unit(*it));
    let mut entries: HashSet<_> = offsets.filter_map(|it| frozen.entry_at(it)).collect();
    let hashes = due.hashes.iter();
    entries.extend(hashes.filter_map(|hash| frozen.find_hash(*hash)));
    if due.touched.common {
        for entry in frozen.entries() {
            if sets.is_common(unit(&job.label.name, entry.offset())?) {
                entries.insert(entry);
            }
        }
    }
    Ok(entries)
}

/// The next generation by a plan, within the bounds of the policy; the earlier one if that stays as
/// it is, unless it is to have another number.
fn next_generation<'a, K: StoreKey, V: OverlayValue>(
    job: &Job<'_, Map<K, V>>,
    earlier: Earlier<'a, Map<K, V>>,
    mut plan: Plan<'a, K, V>,
    deltas: &[Delta<K, V>],
    recorded: &Recorded<'_>,
    renumbers: bool,
) -> Result<Built<Map<K, V>>> {
    let dropped = plan.going.len() as u64;
    let mut uses = job.policy.evicts().then(|| Uses::of(earlier, deltas));
    let evicted = match &mut uses {
        Some(uses) => uses.bound(job, &mut plan),
        None => 0,
    };
    let name = job.label.name.as_str();
    let total = earlier.frozen.len() - plan.going.len() + plan.fresh.len();
    let compose = |stands: &Stands<'_>| -> Result<Sets> {
        let mut sets = SetsBuilder::after(earlier.sets);
        let whole = sets.carry(earlier.sets, |it| {
            unit(name, stands.of(offset_of_unit(it))?).ok()
        });
        for (fresh, stands) in plan.fresh.iter().zip(stands.fresh()) {
            let set = match fresh {
                Fresh::Offered { delta, entry, .. } => {
                    recorded.add_to(&mut sets, recorded_of(&deltas[*delta], *entry))
                }
                Fresh::Made(_, origins) => {
                    let inputs = origins.iter();
                    sets.add(inputs.flat_map(|origin| recorded.inputs_of(deltas, *origin)))
                }
            };
            if let Some(offset) = stands {
                sets.set_of(unit(name, offset)?, set);
            }
        }
        for (offset, generation) in uses.iter().flat_map(Uses::idle) {
            if let Some(offset) = stands.of(offset) {
                sets.idle_since(unit(name, offset)?, generation);
            }
        }
        Ok(sets.finish(whole, total).with_keyed_by(job.policy.keyed_by))
    };
    let mut sets = Ok(Sets::default());
    let frozen = match plan.changes_nothing() {
        // What has a higher number is followed, and this one shall be.
        true if !renumbers => {
            sets = compose(&Stands::as_they_are());
            earlier.frozen.clone()
        }
        _ => plan.write(earlier.frozen, job.label.clone(), |stands| {
            sets = compose(stands);
            sets.as_ref().map(encode).unwrap_or_default()
        })?,
    };
    Ok(Built {
        frozen,
        sets: sets?,
        counts: Counts {
            carried: (total - plan.fresh.len()) as u64,
            dropped,
            evicted,
            ..Counts::default()
        },
    })
}

fn recorded_of<'a, K: OverlayKey, V: OverlayValue>(
    delta: &'a Delta<K, V>,
    entry: EntryRef<'_, K, V>,
) -> Option<&'a [u8]> {
    delta.recorded(entry.key().key_hash(), entry.key())
}

impl<K: OverlayKey, V: OverlayValue> Overlay<K, V> {
    /// Adds an entry with what it was built from: what was read through `inputs`, which go with it
    /// into the cache. There the entry is dropped when one of them changes, where the policy
    /// [checks inputs](Policy::revalidate_inputs), and not taken if one has changed by then;
    /// [`Rule::Newest`] compares them. The overlay itself looks at none: it keeps the entry until
    /// a generation has it.
    ///
    /// ```
    /// use floe::{Inputs, MapBuilder, Overlay};
    ///
    /// # let directory = tempfile::tempdir().unwrap();
    /// # let path = directory.path().join("zlib.bb");
    /// std::fs::write(&path, "1.3.1").unwrap();
    /// let versions = MapBuilder::<String, String>::new("versions")?.finish()?;
    /// let mut overlay = Overlay::over(&versions);
    /// let mut inputs = Inputs::new();
    /// let version = inputs.read_to_string(&path)?.unwrap_or_default();
    /// overlay.insert_with_inputs(&"zlib".to_owned(), &version, inputs)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`insert`](Self::insert).
    pub fn insert_with_inputs(&mut self, key: &K, value: &V, inputs: Inputs) -> Result<()> {
        let encoded = encode(&Sets::of_whole(inputs.into_found()));
        self.insert_recorded(key, value, Some(encoded.into()))
    }

    /// The value of a key, which is built if there is none, from what the closure reads through its
    /// [`Inputs`]; as [`get_or_insert_with`](Self::get_or_insert_with).
    ///
    /// # Errors
    /// [`Error::Build`] with what the closure says; as [`insert`](Self::insert).
    pub fn get_or_build(
        &mut self,
        key: &K,
        build: impl FnOnce(&mut Inputs) -> BuildResult<V>,
    ) -> Result<&V::Archived>
    where
        K::Archived: PartialEq<K>,
    {
        let is_there = self.contains_key(key) || (self.advance() && self.contains_key(key));
        if !is_there {
            let mut inputs = Inputs::new();
            let value = build(&mut inputs).map_err(|reason| Error::Build {
                name: self.map().region().name().to_owned(),
                key: None,
                reason,
            })?;
            self.insert_with_inputs(key, &value, inputs)?;
        }
        self.found(key)
    }
}
