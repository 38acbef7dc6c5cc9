//! The entries of the map that is damaged.

use crate::zoo::{Recipe, recipe};

/// Recipes under their names, some of them with trees of more than one level.
pub fn recipes(count: u32) -> impl Iterator<Item = (String, Recipe)> {
    (0..count).map(|number| {
        let mut recipe = recipe(number);
        let more = (0..number).map(|other| format!("package {other}"));
        recipe.depends.extend(more);
        (format!("recipe {number}"), recipe)
    })
}
