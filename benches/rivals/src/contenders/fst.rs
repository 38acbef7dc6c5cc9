//! A finite state transducer from keys to the numbers of recipes, which lie in an archived list.
#![allow(unsafe_code)]

use std::collections::HashMap;

use ::fst::{Map, Streamer};
use rkyv::rancor::Error;
use rkyv::util::AlignedVec;
use rkyv::vec::ArchivedVec;

use super::{Contender, ContenderError};
use crate::data::{ArchivedRecipe, Recipe, Touch};

/// A transducer and the recipes that its outputs number.
pub struct Fst {
    numbers: Map<Vec<u8>>,
    recipes: AlignedVec,
}

impl Fst {
    /// Builds both from a map.
    ///
    /// # Errors
    /// Those of fst and rkyv.
    pub fn build(map: &HashMap<String, Recipe>) -> Result<Self, ContenderError> {
        let mut pairs: Vec<(&String, &Recipe)> = map.iter().collect();
        pairs.sort_unstable_by_key(|pair| pair.0);
        let numbered = pairs
            .iter()
            .zip(0..)
            .map(|((key, _), number)| (key, number));
        let numbers = Map::from_iter(numbered)?;
        let recipes: Vec<Recipe> = pairs.iter().map(|(_, recipe)| (*recipe).clone()).collect();
        let recipes = rkyv::to_bytes::<Error>(&recipes)?;
        Ok(Self { numbers, recipes })
    }

    fn recipes(&self) -> &[ArchivedRecipe] {
        // SAFETY: the archive was made from such a list (`build`), and nothing writes it.
        unsafe { rkyv::access_unchecked::<ArchivedVec<ArchivedRecipe>>(&self.recipes) }
    }
}

impl Contender<String> for Fst {
    fn bytes(&self) -> u64 {
        (self.numbers.as_fst().as_bytes().len() + self.recipes.len()) as u64
    }

    fn get(&mut self, queries: &[&str]) -> Result<u64, ContenderError> {
        let recipes = self.recipes();
        let touch = |number| recipes[number as usize].touch();
        Ok(queries
            .iter()
            .map(|query| self.numbers.get(query).map_or(0, touch))
            .sum())
    }

    fn iterate(&mut self) -> Result<u64, ContenderError> {
        let recipes = self.recipes();
        let mut stream = self.numbers.stream();
        let mut sum = 0;
        while let Some((_, number)) = stream.next() {
            sum += recipes[number as usize].touch();
        }
        Ok(sum)
    }
}
