//! The kinds of keys that lookups are measured with, and the arenas that queries lie in.

use std::borrow::Borrow;
use std::fmt;
use std::hash::Hash;

use clap::ValueEnum;
use rkyv::api::high::HighSerializer;
use rkyv::ser::allocator::ArenaHandle;
use rkyv::util::AlignedVec;
use rkyv::{Archive, rancor};

use crate::data::{MapValue, Random, Recipe, scatter};

/// A kind of keys, and with it of values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyKind {
    /// Paths such as `meta-layer-3/recipe-name-000020`, to recipes.
    Text,
    /// Longer paths, to a `u64`.
    #[value(name = "text-u64")]
    #[serde(rename = "text-u64")]
    TextU64,
    /// Integers scattered over all 64 bits, to a `u64`.
    U64,
    /// 32 random bytes, like a digest, to a `u64`.
    Bytes32,
}

impl KeyKind {
    /// Keys and values as Rust has them.
    pub fn types(self) -> &'static str {
        match self {
            Self::Text => "String -> Recipe",
            Self::TextU64 => "String -> u64",
            Self::U64 => "u64 -> u64",
            Self::Bytes32 => "[u8; 32] -> u64",
        }
    }
}

/// What every contender needs to know about a key.
pub trait Key:
    floe::map::MapKey
    + Archive<Archived: Hash + Eq + PartialEq<Self::Query>>
    + for<'a> rkyv::Serialize<HighSerializer<AlignedVec, ArenaHandle<'a>, rancor::Error>>
    + Borrow<Self::Query>
    + Hash
    + Ord
    + Clone
    + fmt::Debug
    + Send
    + Sync
{
    /// What the values are.
    type Value: MapValue;
    /// What it is looked up by.
    type Query: floe::Key + Hash + Ord + ?Sized;
    /// Where queries lie, one behind the other.
    type Arena: Default;

    /// The key with a number; different numbers give different keys.
    fn numbered(number: u64) -> Self;

    /// Adds a query to an arena.
    fn store(self, arena: &mut Self::Arena);

    /// All queries of an arena.
    fn queries(arena: &Self::Arena) -> Vec<&Self::Query>;

    /// The bytes by which stores of byte strings know it, in the order of the keys.
    fn bytes(query: &Self::Query) -> impl AsRef<[u8]>;
}

impl Key for String {
    type Value = Recipe;
    type Query = str;
    type Arena = (String, Vec<usize>);

    fn numbered(number: u64) -> Self {
        format!("meta-layer-{}/recipe-name-{number:06}", number % 17)
    }

    fn store(self, (text, ends): &mut Self::Arena) {
        text.push_str(&self);
        ends.push(text.len());
    }

    fn queries((text, ends): &Self::Arena) -> Vec<&str> {
        let starts = std::iter::once(&0).chain(ends);
        starts
            .zip(ends)
            .map(|(&start, &end)| &text[start..end])
            .collect()
    }

    #[inline]
    fn bytes(query: &str) -> impl AsRef<[u8]> {
        query.as_bytes()
    }
}

/// The path of a recipe, some 60 bytes long.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, floe::Key, Archive, rkyv::Serialize,
)]
#[rkyv(derive(Debug, PartialEq, Eq, PartialOrd, Ord, Hash, floe::Key, floe::Schema))]
#[rkyv(compare(PartialEq))]
pub struct RecipePath(String);

impl Key for RecipePath {
    type Value = u64;
    type Query = Self;
    type Arena = Vec<Self>;

    fn numbered(number: u64) -> Self {
        let scattered = scatter(number);
        let revision = number % 97;
        Self(format!(
            "meta/recipes-core/package-{scattered:x}/package-{number}_1.{revision}.bb"
        ))
    }

    fn store(self, arena: &mut Vec<Self>) {
        arena.push(self);
    }

    fn queries(arena: &Vec<Self>) -> Vec<&Self> {
        arena.iter().collect()
    }

    #[inline]
    fn bytes(query: &Self) -> impl AsRef<[u8]> {
        query.0.as_bytes()
    }
}

impl Key for u64 {
    type Value = Self;
    type Query = Self;
    type Arena = Vec<Self>;

    fn numbered(number: u64) -> Self {
        scatter(number)
    }

    fn store(self, arena: &mut Vec<Self>) {
        arena.push(self);
    }

    fn queries(arena: &Vec<Self>) -> Vec<&Self> {
        arena.iter().collect()
    }

    #[inline]
    fn bytes(query: &Self) -> impl AsRef<[u8]> {
        query.to_be_bytes()
    }
}

impl Key for [u8; 32] {
    type Value = u64;
    type Query = Self;
    type Arena = Vec<Self>;

    fn numbered(number: u64) -> Self {
        let mut random = Random::new(number);
        let mut digest = [0; 32];
        for word in digest.chunks_exact_mut(8) {
            word.copy_from_slice(&random.next().to_le_bytes());
        }
        // The other words may repeat, this one does not.
        digest[..8].copy_from_slice(&scatter(number).to_le_bytes());
        digest
    }

    fn store(self, arena: &mut Vec<Self>) {
        arena.push(self);
    }

    fn queries(arena: &Vec<Self>) -> Vec<&Self> {
        arena.iter().collect()
    }

    #[inline]
    fn bytes(query: &Self) -> impl AsRef<[u8]> {
        query
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arena_gives_back_what_it_got<K: Key>() {
        let mut arena = K::Arena::default();
        let keys: Vec<K> = (0..100).map(K::numbered).collect();
        for key in keys.clone() {
            key.store(&mut arena);
        }
        let queries = K::queries(&arena);
        assert_eq!(queries.len(), keys.len());
        for (query, key) in queries.into_iter().zip(&keys) {
            assert!(query == key.borrow());
        }
    }

    #[test]
    fn arenas_give_back_what_they_got() {
        arena_gives_back_what_it_got::<String>();
        arena_gives_back_what_it_got::<RecipePath>();
        arena_gives_back_what_it_got::<u64>();
        arena_gives_back_what_it_got::<[u8; 32]>();
    }
}
