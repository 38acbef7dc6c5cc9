//! The caches that repeat each other's text, as named roots of one region.

use std::collections::BTreeMap;

use floe::usage::bytes;
use floe::{Frozen, Map, Root, Roots, RootsBuilder};

use super::cachedata::{NameIndexes, RecipeIndexes};
use super::recipe::CoreRecipeInfo;
use crate::Result;

#[derive(Roots)]
struct Together {
    infos: Root<Map<String, CoreRecipeInfo>>,
    indexes: Root<Map<String, RecipeIndexes>>,
    names: Root<NameIndexes>,
}

/// Freezes them together, compares the numbers of entries, and tells what they take.
pub(super) fn note(
    infos: &BTreeMap<String, CoreRecipeInfo>,
    indexes: &BTreeMap<String, RecipeIndexes>,
    names: &NameIndexes,
) -> Result<String> {
    let frozen: Frozen<Together> = RootsBuilder::new("together")?
        .map(Together::INFOS, infos)?
        .map(Together::INDEXES, indexes)?
        .value(Together::NAMES, names)?
        .finish()?;
    let entries = [
        frozen.infos.len(),
        frozen.indexes.len(),
        frozen.names.packages.len(),
    ];
    if entries != [infos.len(), indexes.len(), names.packages.len()] {
        return Err(format!("as roots of one region the caches have {entries:?} entries").into());
    }
    let size = bytes(frozen.region().size());
    Ok(format!(
        "as roots of one region, core_recipe_info and cachedata take {size} together"
    ))
}
