//! The values that contenders hold: generated recipes, or numbers, the same in every run.

use floe::{Intern, Schema};
use rkyv::api::high::HighSerializer;
use rkyv::primitive::ArchivedU64;
use rkyv::rancor;
use rkyv::ser::allocator::ArenaHandle;
use rkyv::util::AlignedVec;
use rkyv::with::Map;

/// What a map of a contender has as values.
pub trait MapValue:
    floe::Value<Archived: Touch>
    + for<'a> rkyv::Serialize<HighSerializer<AlignedVec, ArenaHandle<'a>, rancor::Error>>
    + Touch
    + Sync
{
    /// The value with a number.
    fn numbered(number: u64) -> Self;
}

impl MapValue for u64 {
    fn numbered(number: u64) -> Self {
        number + 1
    }
}

/// A recipe, without any interning: what all contenders are compared with.
#[derive(
    Debug,
    Clone,
    PartialEq,
    rkyv::Archive,
    rkyv::Serialize,
    rkyv::Deserialize,
    serde::Serialize,
    serde::Deserialize,
)]
#[rkyv(derive(Schema))]
pub struct Recipe {
    /// Name.
    pub pn: String,
    /// Version.
    pub pv: String,
    /// One line of description.
    pub summary: String,
    /// Names of other recipes.
    pub depends: Vec<String>,
    /// The recipe's number.
    pub flags: u32,
}

/// The same recipe with the text that repeats itself written once.
#[derive(rkyv::Archive, rkyv::Serialize)]
#[rkyv(derive(Schema))]
pub struct InternedRecipe {
    pn: String,
    #[rkyv(with = Intern)]
    pv: String,
    summary: String,
    #[rkyv(with = Map<Intern>)]
    depends: Vec<String>,
    flags: u32,
}

impl From<&Recipe> for InternedRecipe {
    fn from(recipe: &Recipe) -> Self {
        let Recipe {
            pn,
            pv,
            summary,
            depends,
            flags,
        } = recipe.clone();
        Self {
            pn,
            pv,
            summary,
            depends,
            flags,
        }
    }
}

impl MapValue for Recipe {
    fn numbered(number: u64) -> Self {
        let mut random = Random::new(number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let dependencies = random.below(8);
        Self {
            pn: format!("recipe-name-{number:06}"),
            pv: format!(
                "{}.{}.{}",
                random.below(10),
                random.below(30),
                random.below(30)
            ),
            summary: format!("A library for doing the thing number {number} well and with care"),
            depends: (0..dependencies)
                .map(|_| format!("recipe-name-{:06}", random.below(100_000)))
                .collect(),
            flags: number as u32,
        }
    }
}

/// A value of whatever form that can be touched, as somebody would who needs it.
pub trait Touch {
    /// What was read: above 0, so that a value that is not there can be told. Of a recipe it is a
    /// byte of the version and one of the first dependency, added up; of a number all of it.
    fn touch(&self) -> u64;
}

macro_rules! touch_recipes {
    ($($recipe:ty),*) => {$(
        impl Touch for $recipe {
            // Always, so that no contender is the one whose loop the compiler found too long.
            #[inline(always)]
            fn touch(&self) -> u64 {
                touch(&self.pv, self.depends.first().map(|name| name.as_str()))
            }
        }
    )*};
}

touch_recipes!(Recipe, ArchivedRecipe, ArchivedInternedRecipe);

impl Touch for u64 {
    #[inline(always)]
    fn touch(&self) -> u64 {
        *self
    }
}

impl Touch for ArchivedU64 {
    #[inline(always)]
    fn touch(&self) -> u64 {
        self.to_native()
    }
}

/// Reads a byte of each of two strings. Dependencies have more than three bytes.
#[inline(always)]
pub fn touch(version: &str, dependency: Option<&str>) -> u64 {
    u64::from(version.as_bytes()[0]) + dependency.map_or(0, |name| u64::from(name.as_bytes()[3]))
}

/// Deterministic random numbers (xorshift).
pub struct Random(u64);

impl Random {
    /// A sequence of its own for each seed.
    pub fn new(seed: u64) -> Self {
        let mut random = Self(seed | 1);
        // The first numbers of small seeds are small.
        for _ in 0..4 {
            random.next();
        }
        random
    }

    /// The next number.
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// A number below a limit, which is not 0.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }
}

/// A bijection that scatters numbers over all 64 bits (the finaliser of SplitMix64).
pub fn scatter(number: u64) -> u64 {
    let mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_recipe_can_be_touched() {
        for number in 0..1000 {
            let recipe = Recipe::numbered(number);
            assert_eq!(recipe, Recipe::numbered(number));
            assert!(recipe.touch() > 0);
        }
    }
}
