//! Generated caches in the shape of a BitBake's: its two code parser caches and its file
//! checksums, larger than in reality, because they stand for the others as well.

use std::fs;
use std::path::Path;

use serde_json::{Map, Value, json};

use crate::data::{Random, scatter};
use crate::error::BenchError;

/// Writes the caches as JSON.
///
/// # Errors
/// [`BenchError::Write`].
pub fn write(directory: &Path, entries: u64) -> Result<(), BenchError> {
    for (name, make) in [
        (
            "codeparser_python",
            python_line as fn(u64) -> (String, Value),
        ),
        ("codeparser_shell", shell_line),
        ("file_checksums", checksum),
    ] {
        let path = directory.join(name).with_extension("json");
        let cache: Map<String, Value> = (0..entries).map(make).collect();
        fs::write(&path, Value::Object(cache).to_string())
            .map_err(|source| BenchError::Write { path, source })?;
    }
    Ok(())
}

fn digest(number: u64) -> String {
    (0..4)
        .map(|word| format!("{:016x}", scatter(scatter(number).wrapping_add(word))))
        .collect()
}

/// Up to `most` words out of a few hundred, each once.
fn words(random: &mut Random, prefix: &str, most: u64) -> Vec<String> {
    let mut words: Vec<String> = (0..random.below(most + 1))
        .map(|_| format!("{prefix}{}", random.below(400)))
        .collect();
    words.sort_unstable();
    words.dedup();
    words
}

fn python_line(number: u64) -> (String, Value) {
    let mut random = Random::new(number);
    let line = json!({
        "__class__": "pythonCacheLine",
        "refs": {"__set__": words(&mut random, "VARIABLE_", 8)},
        "execs": {"__set__": words(&mut random, "bb.utils.function_", 8)},
        "contains": {"DISTRO_FEATURES": {"__set__": words(&mut random, "feature-", 3)}},
        "extra": null,
    });
    (digest(number), line)
}

fn shell_line(number: u64) -> (String, Value) {
    let mut random = Random::new(!number);
    let execs = words(&mut random, "command-", 12);
    (
        digest(!number),
        json!({"__class__": "shellCacheLine", "execs": {"__set__": execs}}),
    )
}

fn checksum(number: u64) -> (String, Value) {
    let path = format!(
        "/layers/meta/recipes-core/recipe-{}/fix-{number}.patch",
        number % 900
    );
    (
        path,
        json!([1_795_371_863 + number % 97, digest(number)[..32]]),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_have_each_word_once() {
        for number in 0..1000 {
            let (_, line) = python_line(number);
            let refs = line["refs"]["__set__"].as_array().unwrap();
            let distinct: std::collections::HashSet<_> = refs.iter().collect();
            assert_eq!(distinct.len(), refs.len());
        }
    }

    #[test]
    fn keys_are_distinct() {
        let keys: std::collections::HashSet<_> = (0..1000)
            .flat_map(|number| [python_line(number).0, shell_line(number).0])
            .collect();
        assert_eq!(keys.len(), 2000);
    }
}
