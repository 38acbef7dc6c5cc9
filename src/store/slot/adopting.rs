//! Taking over what an earlier process, or another one, has saved.

use super::super::directory::{Directory, Found, Identity, Kept};
use super::{Known, Slot, Work};
use crate::error::{Error, Result};
use crate::frozen::{Content, Frozen};
use crate::region::format::SectionKind;
use crate::store::inputs::{Sets, decode};

impl<T: Content> Slot<T> {
    /// Takes over a saved generation if it is newer, and what was saved of its inputs since then;
    /// true if it is newer. A file that cannot be used is worth no more than a note: it will be
    /// written anew. One of which nothing is known is left as it is.
    pub(super) fn adopt(&self, work: &mut Work, notes: &mut Vec<String>) -> bool {
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
        work: &mut Work,
        notes: &mut Vec<String>,
    ) -> bool {
        let own = self.generation();
        let keeping = &mut work.keeping;
        keeping.unread = None;
        match directory.load::<T>(Kept::Generation, &self.name, keeping.generation) {
            Found::Known => false,
            Found::Nothing => {
                keeping.generation = None;
                keeping.owes_generation = own > 0;
                false
            }
            Found::New(frozen, identity) => {
                keeping.generation = Some(identity);
                keeping.told = keeping.told.max(frozen.region().generation());
                if frozen.region().generation() <= own {
                    // Another process may have numbered so too, that could not tell of it.
                    keeping.owes_generation &= frozen.region().generation() < own;
                    return false;
                }
                let taken = self.take_over(work, frozen);
                notes.extend(taken.as_ref().err().map(ToString::to_string));
                taken.is_ok()
            }
            Found::Refused {
                error,
                identity,
                told,
            } => {
                keeping.generation = Some(identity);
                keeping.told = keeping.told.max(told);
                notes.push(error.to_string());
                false
            }
            Found::Unread(error) => {
                keeping.unread = Some(format!(
                    "{error}; it is left as it is, and nothing is saved: remove it if that does not pass"
                ));
                false
            }
        }
    }

    fn take_over(&self, work: &mut Work, frozen: Frozen<T>) -> Result<()> {
        let known = Known {
            sets: self.sets_of(&frozen, &frozen)?,
            built: Some(frozen.region().header().created),
            checked: None,
        };
        let now = self.shared.clock.now();
        let facts = self.facts(work, &known, Some(&frozen), now);
        let until = self.served_until(work, &facts, now);
        // In one step with what is known of it.
        self.publish(frozen, until);
        work.known = known;
        // What is known of the inputs of the one before is nothing to this one.
        (work.keeping.owes_generation, work.keeping.owes_inputs) = (false, false);
        work.keeping.inputs = None;
        Ok(())
    }

    /// Takes over what is known of the inputs of the current generation.
    fn adopt_inputs(&self, directory: &Directory, work: &mut Work, notes: &mut Vec<String>) {
        let Some(current) = self.current.load_full() else {
            return;
        };
        let frozen = &current.frozen;
        let keeping = &mut work.keeping;
        match directory.load::<u128>(Kept::Inputs, &self.name, keeping.inputs) {
            Found::Nothing => {
                keeping.owes_inputs |= keeping.inputs.is_some();
                keeping.inputs = None;
            }
            Found::New(saved, identity)
                if saved.region().generation() <= frozen.region().generation() =>
            {
                keeping.inputs = Some(identity);
                if saved.region().generation() == frozen.region().generation()
                    && saved.to_native() == frozen.content_digest()
                {
                    let taken = self.take_over_inputs(work, frozen, &saved);
                    notes.extend(taken.err().map(|error| error.to_string()));
                }
            }
            Found::Refused {
                error, identity, ..
            } => {
                keeping.inputs = Some(identity);
                keeping.owes_inputs = true;
                notes.push(error.to_string());
            }
            // Those of a generation that will be found next time, or of which nothing is known:
            // what the generation itself tells of its inputs has to do.
            Found::Known | Found::New(..) | Found::Unread(_) => {}
        }
    }

    fn take_over_inputs(
        &self,
        work: &mut Work,
        frozen: &Frozen<T>,
        saved: &Frozen<u128>,
    ) -> Result<()> {
        let built = saved.region().header().created;
        let is_older = |known| built.since(known).is_none();
        if work.known.built.as_ref().is_some_and(is_older) {
            return Ok(());
        }
        work.known = Known {
            sets: self.sets_of(saved, frozen)?,
            built: Some(built),
            checked: None,
        };
        work.keeping.owes_inputs = false;
        Ok(())
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
pub(super) type LastSeen = Option<Identity>;
