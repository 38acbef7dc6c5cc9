//! What contenders are asked, and the right answers.

use super::entrants::Entrant;
use super::samples::Samples;
use crate::contenders::{Contender, ContenderError};
use crate::data::{MapValue, Random, Touch};
use crate::error::{BenchError, check_answer};
use crate::keys::Key;
use crate::statistics::{nanoseconds_each, timed};

const MOST_QUERIES: usize = 1_000_000;
const FEWEST_QUERIES: usize = 200_000;
const GET: &str = "get";
const GET_MANY: &str = "get_many";
const MISS: &str = "miss";
const ITERATE: &str = "iter";

/// Random queries, and the sums that the generator of the data says they give.
pub struct Questions<K: Key> {
    hits: K::Arena,
    misses: K::Arena,
    hit_sum: u64,
    sum_of_all: u64,
    entries: usize,
}

impl<K: Key> Questions<K> {
    /// Draws queries from a fixed seed: keys that are there, and as many that are not but look
    /// like them.
    pub fn draw(entries: usize) -> Self {
        let mut random = Random::new(88_172_645_463_325_252);
        let (mut hits, mut misses) = (K::Arena::default(), K::Arena::default());
        let mut hit_sum = 0;
        let limit = entries as u64;
        for _ in 0..(entries * 4).clamp(FEWEST_QUERIES, MOST_QUERIES) {
            if entries > 0 {
                let number = random.below(limit);
                K::numbered(number).store(&mut hits);
                hit_sum += K::Value::numbered(number).touch();
            }
            K::numbered(limit + random.below(limit.max(1))).store(&mut misses);
        }
        let sum_of_all = (0..limit)
            .map(|number| K::Value::numbered(number).touch())
            .sum();
        Self {
            hits,
            misses,
            hit_sum,
            sum_of_all,
            entries,
        }
    }

    /// The same, ready to be asked.
    pub fn asked(&self) -> Asked<'_, K> {
        Asked {
            hits: K::queries(&self.hits),
            misses: K::queries(&self.misses),
            questions: self,
        }
    }
}

/// Queries as contenders take them.
pub struct Asked<'a, K: Key> {
    hits: Vec<&'a K::Query>,
    misses: Vec<&'a K::Query>,
    questions: &'a Questions<K>,
}

impl<K: Key> Asked<'_, K> {
    /// Asks a contender everything once, and notes how long it takes. If it fails, it is out.
    ///
    /// # Errors
    /// [`BenchError::Answer`] if it answers wrongly.
    pub fn ask(&self, entrant: &mut Entrant<K>, samples: &mut Samples) -> Result<(), BenchError> {
        let Ok(contender) = &mut entrant.contender else {
            return Ok(());
        };
        let Questions {
            hit_sum,
            sum_of_all,
            entries,
            ..
        } = *self.questions;
        // Brings as much of the contender's memory into the processor's caches as they hold, so
        // that what another one left there does not count.
        let warm_up = contender.get(&self.hits);
        let mut failed = warm_up.err().map(|problem| ("warm-up", problem));
        for (operation, expected, times) in [
            (GET, hit_sum, self.hits.len()),
            (GET_MANY, hit_sum, self.hits.len()),
            (MISS, 0, self.misses.len()),
            (ITERATE, sum_of_all, entries),
        ] {
            match timed(|| self.pass(operation, contender.as_mut())) {
                (None, _) => {}
                (Some(Err(problem)), _) => failed = Some((operation, problem)),
                (Some(Ok(sum)), time) => {
                    check_answer(entrant.name, operation, entries, expected, sum)?;
                    samples.add(entrant.name, operation, nanoseconds_each(time, times));
                }
            }
        }
        if let Some((operation, problem)) = failed {
            entrant.contender = Err(format!("{operation} failed: {problem}"));
        }
        Ok(())
    }

    fn pass(
        &self,
        operation: &str,
        contender: &mut dyn Contender<K>,
    ) -> Option<Result<u64, ContenderError>> {
        match operation {
            GET => Some(contender.get(&self.hits)),
            GET_MANY => contender.get_many(&self.hits),
            MISS => Some(contender.get(&self.misses)),
            _ => Some(contender.iterate()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contenders::{Heap, OdhtKey};
    use crate::data::Recipe;
    use crate::lookup::entrants;
    use crate::machine::memory_directory;

    #[test]
    fn every_contender_answers_rightly() {
        let map: std::collections::HashMap<String, Recipe> = Heap::fill(500).map;
        let mut entrants = entrants::of_any_key(&map);
        let directory = memory_directory().unwrap();
        let mut samples = Samples::default();
        entrants.extend(entrants::of_text(&map, directory.path(), &mut samples));
        assert_eq!(entrants.len(), 9);
        all_answer_rightly(entrants);

        fixed_keys_are_answered_rightly::<u64>();
        fixed_keys_are_answered_rightly::<[u8; 32]>();
    }

    fn fixed_keys_are_answered_rightly<K: OdhtKey>() {
        let map: std::collections::HashMap<K, u64> = Heap::fill(500).map;
        let mut entrants = entrants::of_any_key(&map);
        let nowhere = std::path::Path::new("");
        entrants.extend(entrants::of_fixed_size(
            &map,
            nowhere,
            &mut Samples::default(),
        ));
        assert_eq!(entrants.len(), 5);
        all_answer_rightly(entrants);
    }

    fn all_answer_rightly<K: Key>(mut entrants: Vec<Entrant<K>>) {
        let mut samples = Samples::default();
        let questions = Questions::draw(500);
        let asked = questions.asked();
        for entrant in &mut entrants {
            asked.ask(entrant, &mut samples).unwrap();
            assert!(
                entrant.contender.is_ok(),
                "{:?}",
                entrant.contender.as_ref().err()
            );
        }
    }

    #[test]
    fn a_wrong_answer_is_noticed() {
        let map: std::collections::HashMap<u64, u64> = Heap::fill(499).map;
        let mut samples = Samples::default();
        let questions = Questions::draw(500);
        let asked = questions.asked();
        let nowhere = std::path::Path::new("");
        let mut entrants = entrants::of_any_key(&map);
        entrants.extend(entrants::of_fixed_size(&map, nowhere, &mut samples));
        for entrant in &mut entrants {
            let answered = asked.ask(entrant, &mut samples);
            assert!(matches!(
                answered,
                Err(BenchError::Answer {
                    operation: "get",
                    ..
                })
            ));
        }
    }
}
