//! Taking over what an earlier process, or another one, has saved.

use super::super::directory::{Directory, Kept, LoadOutcome, SavedStamp};
use super::ManagedCache;
use super::state::{Generation, Known, Work};
use crate::error::{Error, Result};
use crate::frozen::{Content, Frozen};
use crate::region::format::SectionKind;
use crate::store::inputs::{Sets, decode};

impl<T: Content> ManagedCache<T> {
    /// Takes over a saved generation if it is newer, and what was saved of its inputs since then;
    /// true if it is newer. A file that cannot be used is worth no more than a note: it will be
    /// written anew. One of which nothing is known is left as it is.
    pub(super) fn adopt(&self, work: &mut Work<T>, notes: &mut Vec<String>) -> bool {
        let Some(directory) = &self.shared.directory else {
            return false;
        };
        let loaded = self.adopt_generation(directory, work, notes);
        self.adopt_inputs(directory, work, notes);
        loaded
    }

    fn adopt_generation(
        &self,
        directory: &Directory,
        work: &mut Work<T>,
        notes: &mut Vec<String>,
    ) -> bool {
        let own = work.generation();
        work.keeping.unread = None;
        let known = work.keeping.generation;
        let loaded = directory.load::<T>(Kept::Generation, &self.name, known);
        let newest = work.newest.as_mut();
        let keeping = &mut work.keeping;
        match loaded {
            LoadOutcome::Known => false,
            LoadOutcome::Nothing => {
                keeping.generation = None;
                if let Some(newest) = newest {
                    newest.owes.generation = true;
                    newest.owes.is_found = false;
                }
                false
            }
            LoadOutcome::New(frozen, stamp) => {
                keeping.generation = Some(stamp);
                keeping.sees_generation(frozen.region().generation());
                if self.is_apart_from(work, &frozen) {
                    return self.join_or_wait(work, frozen, known);
                }
                let newest = work.newest.as_mut();
                if frozen.region().generation() <= own {
                    // Another process may have numbered so too, that could not tell of it.
                    let is_older = frozen.region().generation() < own;
                    if let Some(newest) = newest {
                        newest.owes.generation &= is_older;
                        newest.owes.is_found &= !is_older;
                        if !newest.owes.generation {
                            work.unsaved = None;
                        }
                    }
                    return false;
                }
                let taken = self.take_over(work, frozen);
                notes.extend(taken.as_ref().err().map(ToString::to_string));
                taken.is_ok()
            }
            LoadOutcome::Refused {
                error,
                stamp,
                generation,
            } => {
                keeping.generation = Some(stamp);
                keeping.sees_generation(generation);
                notes.push(error.to_string());
                false
            }
            LoadOutcome::Unread(error) => {
                keeping.unread = Some(format!(
                    "{error}; the file is kept and nothing is saved; remove the file if this error persists"
                ));
                false
            }
        }
    }

    /// Brings what was merged here and not saved to what another process has saved. If that fails, the
    /// file is left as it is, and joined later.
    fn join_or_wait(&self, work: &mut Work<T>, frozen: Frozen<T>, known: LastSeen) -> bool {
        let joined = self.as_saved(frozen);
        let joined = joined.and_then(|theirs| self.join(work, theirs));
        let failed = joined.err();
        if let Some(error) = &failed {
            work.keeping.generation = known;
            work.keeping.unread = Some(format!(
                "{error}; what another process has saved is kept, and nothing is saved over it"
            ));
        }
        failed.is_none()
    }

    fn take_over(&self, work: &mut Work<T>, frozen: Frozen<T>) -> Result<()> {
        let saved = self.as_saved(frozen)?;
        // What was seen of the inputs of the one before is nothing to this one.
        work.keeping.inputs = None;
        work.unsaved = None;
        work.newest = Some(saved);
        self.show(work);
        Ok(())
    }

    /// What comes from a file.
    fn as_saved(&self, frozen: Frozen<T>) -> Result<Generation<T>> {
        let known = Known {
            sets: self.sets_of(&frozen, &frozen)?,
            built: frozen.region().header().created,
        };
        Ok(Generation::saved(frozen, known))
    }

    /// Takes over what is known of the inputs of the current generation.
    fn adopt_inputs(&self, directory: &Directory, work: &mut Work<T>, notes: &mut Vec<String>) {
        let Some(newest) = &mut work.newest else {
            return;
        };
        let frozen = newest.frozen();
        let keeping = &mut work.keeping;
        match directory.load::<u128>(Kept::Inputs, &self.name, keeping.inputs) {
            LoadOutcome::Nothing => {
                newest.owes.inputs |= keeping.inputs.is_some();
                keeping.inputs = None;
            }
            LoadOutcome::New(saved, stamp)
                if saved.region().generation() <= frozen.region().generation() =>
            {
                keeping.inputs = Some(stamp);
                if saved.region().generation() == frozen.region().generation()
                    && saved.to_native() == frozen.content_digest()
                {
                    match self.learn(newest, &saved) {
                        Ok(learnt) => learnt.into_iter().for_each(|it| *newest = it),
                        Err(error) => notes.push(error.to_string()),
                    }
                }
            }
            LoadOutcome::Refused { error, stamp, .. } => {
                keeping.inputs = Some(stamp);
                newest.owes.inputs = true;
                notes.push(error.to_string());
            }
            // Those of a generation that will be found next time, or of which nothing is known:
            // what the generation itself tells of its inputs has to do.
            LoadOutcome::Known | LoadOutcome::New(..) | LoadOutcome::Unread(_) => {}
        }
    }

    /// What a file tells of the inputs of a generation, if that is not older than what is known.
    fn learn(&self, newest: &Generation<T>, saved: &Frozen<u128>) -> Result<Option<Generation<T>>> {
        let built = saved.region().header().created;
        if built.since(&newest.known().built).is_none() {
            return Ok(None);
        }
        let sets = self.sets_of(saved, newest.frozen())?;
        Ok(Some(newest.learnt(Known { sets, built })))
    }

    /// The inputs section of what comes from a file, as those of a generation.
    fn sets_of<S: Content>(&self, saved: &Frozen<S>, frozen: &Frozen<T>) -> Result<Sets> {
        let invalid = |reason: &str| Error::Invalid {
            name: self.name.clone(),
            section: SectionKind::Inputs,
            reason: reason.to_owned(),
        };
        let section = saved.region().section(SectionKind::Inputs)?;
        let sets = decode(section).map_err(invalid)?;
        let checked = self.build.check_sets(frozen, &sets);
        checked.map(|()| sets).map_err(invalid)
    }
}

/// The files of a cache as they were last read or written.
pub(super) type LastSeen = Option<SavedStamp>;
