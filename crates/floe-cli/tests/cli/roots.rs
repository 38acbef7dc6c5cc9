//! Regions of several roots.

use floe::{Frozen, Map, Root, Roots, RootsBuilder};
use serde_json::json;

use crate::{Recipe, Saved, floe, recipe};

#[derive(Roots)]
struct Caches {
    #[expect(dead_code, reason = "the tool reads it")]
    recipes: Root<Map<String, Recipe>>,
    #[expect(dead_code, reason = "the tool reads it")]
    layers: Root<Vec<(String, u8)>>,
}

fn caches() -> Frozen<Caches> {
    let recipes = (0..20).map(|number| (format!("recipe-{number}"), recipe(number)));
    RootsBuilder::new("caches")
        .unwrap()
        .map(Caches::RECIPES, recipes)
        .unwrap()
        .value(Caches::LAYERS, &vec![("core".to_owned(), 5)])
        .unwrap()
        .finish()
        .unwrap()
}

#[test]
fn each_root_is_named() {
    let saved = Saved::of(&caches());
    let text = floe(["inspect", saved.path()]).good();
    for expected in [
        "2 roots: recipes, layers",
        "├─ recipes: Map",
        "└─ layers: Vec<(String, u8)>",
    ] {
        assert!(text.contains(expected), "{expected} is missing:\n{text}");
    }
    let object = floe(["inspect", "--json", saved.path()]).json();
    assert_eq!(object["roots"], json!(["recipes", "layers"]));
    let text = floe(["inspect", saved.path(), "--root", "recipes"]).good();
    assert!(text.contains("a map of 20 entries"), "{text}");
    let text = floe(["verify", saved.path()]).good();
    assert!(text.contains("2 roots"), "{text}");
}

#[test]
fn one_root_is_dumped_and_counted() {
    let saved = Saved::of(&caches());
    let whole = floe(["dump", saved.path()]).json();
    assert_eq!(whole["layers"], json!([["core", 5]]));
    let recipes = floe(["dump", saved.path(), "--root", "recipes"]).json();
    assert_eq!(recipes, whole["recipes"]);
    let one = floe(["dump", "--root", "recipes", saved.path(), "recipe-7"]).json();
    assert_eq!(one, whole["recipes"]["recipe-7"]);
    let census = floe(["census", saved.path(), "--by", "path"]).good();
    assert!(census.contains("recipes: Recipe.license") && census.contains("layers: value[].0"));
    let census = floe(["census", saved.path(), "--by", "path", "--root", "layers"]).good();
    assert!(
        census.contains("value[].0") && !census.contains("Recipe"),
        "{census}"
    );
}

#[test]
fn roots_that_are_not_there_are_told() {
    let saved = Saved::of(&caches());
    let line = floe(["dump", saved.path(), "recipe-7"]).refused(1);
    assert!(
        line.contains("it has the roots recipes, layers: choose one by --root"),
        "{line}"
    );
    let line = floe(["dump", saved.path(), "--root", "other"]).refused(1);
    assert!(
        line.contains(r#"there is none; known roots: ["recipes", "layers"]"#),
        "{line}"
    );
    let words = Saved::of(&Frozen::freeze("words", &vec![1_u8]).unwrap());
    let line = floe(["dump", words.path(), "--root", "other"]).refused(1);
    assert!(line.contains("it has no named roots"), "{line}");
}
