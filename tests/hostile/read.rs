//! Reading everything that an accepted region offers.

use floe::{Frozen, Map};

use crate::zoo::{Recipe, Source};

/// Reads every byte of every key and value, and looks up every key in each way. Panics if the
/// map disagrees with itself.
pub fn read_everything(frozen: &Frozen<Map<String, Recipe>>) {
    let mut entries = 0;
    for (key, value) in frozen.iter() {
        entries += 1;
        let found = frozen.get_key_value(key).expect("every key is found");
        assert!(found.0 == key);
        let recipe: Recipe = floe::thaw(value).expect("it was checked");
        assert!(length(&recipe) < 1 << 32);
        for (dependency, name) in value.depends.iter().zip(&recipe.depends) {
            let _ = (value.depends.get(name.as_str()), dependency.len());
        }
        for (flag, values) in value.flags.iter() {
            let _ = (value.flags.get(flag.as_str()), values.as_slice().to_vec());
        }
    }
    assert_eq!(entries, frozen.len());
    assert_eq!(frozen.get_many(frozen.keys()).flatten().count(), entries);
    for absent in ["", "no such key", "recipe 1000000"] {
        let listed = frozen.keys().any(|key| key == absent);
        assert_eq!(frozen.contains_key(absent), listed);
    }
}

/// Bytes of text in a recipe.
fn length(recipe: &Recipe) -> usize {
    let source = match &recipe.source {
        Source::None => 0,
        Source::Git { url, revision } => url.len() + revision.len(),
        Source::Archive(name, _) => name.len(),
    };
    let lists = recipe.tasks.iter().chain(&recipe.depends);
    let flags = recipe.flags.keys();
    source + lists.chain(flags).map(String::len).sum::<usize>() + recipe.name.len()
}
