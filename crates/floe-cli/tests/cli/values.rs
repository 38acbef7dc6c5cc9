//! Regions of self-describing values.

use floe::value::{self, Value};
use floe::{Frozen, Map};
use serde_json::json;

use crate::{Saved, floe};

#[test]
fn values_are_shown_as_the_json_that_they_were() {
    let data = json!({
        "zlib": {"depends": ["a", "b"], "size": 1.5, "patches": null, "wanted": true},
        "curl": {"depends": ["zlib"], "size": 2, "patches": [0.5, 1.5], "wanted": false},
    });
    let whole = value::freeze_serde("recipes", &data).unwrap();
    let whole = Saved::of(&whole);
    assert_eq!(floe(["dump", whole.path()]).json(), data);
    let entries = data.as_object().unwrap().iter().map(|(name, recipe)| {
        let recipe: Value = serde_json::from_value(recipe.clone()).unwrap();
        (name.clone(), recipe)
    });
    let map: Frozen<Map<String, Value>> = Map::freeze("recipes", entries).unwrap();
    let map = Saved::of(&map);
    assert_eq!(floe(["dump", map.path()]).json(), data);
    assert_eq!(floe(["dump", map.path(), "zlib"]).json(), data["zlib"]);
    for saved in [&whole, &map] {
        let text = floe(["verify", saved.path()]).good();
        assert!(text.starts_with("good"), "{text}");
        let text = floe(["census", saved.path()]).good();
        assert!(
            text.contains("(texts)") && text.contains("(dicts)"),
            "{text}"
        );
        let text = floe(["inspect", saved.path()]).good();
        assert!(text.contains("Value"), "{text}");
    }
}
