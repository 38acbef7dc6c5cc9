//! Caches that share their text.

use std::collections::BTreeMap;

use floe::{Frozen, Intern, Map, Root, Roots, RootsBuilder, Schema};
use rkyv::with::Map as Each;

use crate::zoo::{Recipe, recipe};

/// What is known of a recipe beside it: all of its text is that of others.
#[derive(Debug, Clone, PartialEq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
#[rkyv(derive(Schema))]
pub struct Data {
    #[rkyv(with = Intern)]
    pub license: String,
    #[rkyv(with = Intern<Each<Intern>>)]
    pub tasks: Vec<String>,
    pub number: u128,
}

#[derive(Roots)]
pub struct Caches {
    pub recipes: Root<Map<String, Recipe>>,
    pub data: Root<Map<String, Data>>,
    pub licenses: Root<Licenses>,
    pub empty: Root<Map<u8, ()>>,
    pub answer: Root<u8>,
}

#[derive(Debug, Clone, PartialEq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
#[rkyv(derive(Schema))]
pub struct Licenses {
    #[rkyv(with = Each<Intern>)]
    pub known: Vec<String>,
    pub counts: BTreeMap<String, u32>,
}

pub const NUMBER: u32 = 40;

pub fn data(number: u32) -> Data {
    let recipe = recipe(number);
    Data {
        license: recipe.license,
        tasks: recipe.tasks,
        number: u128::from(number) << 40,
    }
}

pub fn licenses() -> Licenses {
    let known: Vec<String> = (0..3).map(|number| recipe(number).license).collect();
    let counts = known.iter().map(|license| (license.clone(), 7)).collect();
    Licenses { known, counts }
}

pub fn key(number: u32) -> String {
    format!("key {number}")
}

pub fn recipes() -> impl Iterator<Item = (String, Recipe)> {
    (0..NUMBER).map(|number| (key(number), recipe(number)))
}

pub fn all_data() -> impl Iterator<Item = (String, Data)> {
    (0..NUMBER).map(|number| (key(number), data(number)))
}

pub fn built() -> RootsBuilder {
    let none: [(u8, ()); 0] = [];
    RootsBuilder::new("caches")
        .unwrap()
        .map(Caches::RECIPES, recipes())
        .unwrap()
        .map(Caches::DATA, all_data())
        .unwrap()
        .value(Caches::LICENSES, &licenses())
        .unwrap()
        .map(Caches::EMPTY, none)
        .unwrap()
        .value(Caches::ANSWER, &42_u8)
        .unwrap()
}

pub fn caches() -> Frozen<Caches> {
    built().finish().unwrap()
}

/// Asks for all that the handle gives.
pub fn assert_complete(caches: &Caches) {
    assert_eq!((caches.recipes.len(), caches.data.len()), (40, 40));
    for (number, (name, recipe)) in recipes().enumerate() {
        let found: Recipe = floe::thaw(&caches.recipes[&name]).unwrap();
        assert_eq!(found, recipe);
        let found: Data = floe::thaw(&caches.data[&name]).unwrap();
        assert_eq!(found, data(number as u32));
    }
    let thawed: BTreeMap<String, Data> = Root::thaw(&caches.data).unwrap();
    assert_eq!(thawed, all_data().collect());
    assert_eq!(caches.recipes.iter().count(), NUMBER as usize);
    assert!(caches.data.get("key 40").is_none());
    assert_eq!(
        Root::thaw::<Licenses>(&caches.licenses).unwrap(),
        licenses()
    );
    assert!(caches.empty.is_empty() && caches.empty.iter().next().is_none());
    assert_eq!(*caches.answer, 42);
}
