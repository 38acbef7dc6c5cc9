//! The shape of the source: which layer imports which, where `unsafe` may stand, how long files
//! are, and that the guides to it name files that are there.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The layers of the library, the lowest first. A layer imports lower ones and itself.
const LAYERS: &[&str] = &[
    "error", "sys", "schema", "region", "archive", "frozen", "map", "roots", "value", "channel",
    "overlay", "store", "prefork", "inspect",
];
/// Where `unsafe` may stand: every other file of the library and of its satellites does without.
const UNSAFE: &[&str] = &[
    "crates/floe-python/src/raw.rs",
    "crates/floe-python/src/raw/budget.rs",
    "crates/floe-python/src/raw/calls.rs",
    "crates/floe-python/src/raw/held.rs",
    "crates/floe-python/src/raw/slots.rs",
    "crates/floe-python/src/raw/thawing.rs",
    "crates/floe-python/src/raw/types.rs",
    "src/archive/checked.rs",
    "src/frozen/in_place.rs",
    "src/map/assembly.rs",
    "src/map/raw.rs",
    "src/schema/impls.rs",
    "src/sys/mapping.rs",
    "src/sys/process.rs",
    "src/value/raw.rs",
];
/// More lines than this are more than one concept.
const MOST_LINES: usize = 500;

/// A source file by its path from the root of the repository.
struct Source {
    path: String,
    text: String,
}

impl Source {
    /// The code without comments; none of what only tests compile is looked at.
    fn code(&self) -> String {
        let code = |line: &str| line.split("//").next().unwrap_or_default().to_owned();
        let lines: Vec<String> = self.text.lines().map(code).collect();
        lines.join("\n")
    }

    fn is_test(&self) -> bool {
        self.path.contains("/tests")
    }

    /// The layer of a file of the library.
    fn layer(&self) -> &str {
        let below = self.path.strip_prefix("src/").unwrap_or_default();
        below.split(['/', '.']).next().unwrap_or_default()
    }

    /// The first names of all paths from the root of the crate.
    fn imports(&self) -> Vec<String> {
        let code = self.code();
        let paths = code.split("crate::").skip(1);
        paths.flat_map(first_names).collect()
    }
}

/// The first names of what follows `crate::`: one, or those of a list in braces.
fn first_names(path: &str) -> Vec<String> {
    let name = |text: &str| -> String {
        let word = |letter: &char| letter.is_alphanumeric() || *letter == '_';
        text.trim().chars().take_while(word).collect()
    };
    let Some(list) = path.strip_prefix('{') else {
        return vec![name(path)];
    };
    let (mut depth, mut start, mut names) = (0_usize, 0, Vec::new());
    for (at, letter) in list.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' | '}' if depth == 0 => {
                names.push(name(&list[start..at]));
                start = at + 1;
                if letter == '}' {
                    break;
                }
            }
            _ => {}
        }
    }
    names.retain(|name| !name.is_empty());
    names
}

/// All Rust files below some folders of the repository.
fn sources(folders: &[&str]) -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut pending: Vec<PathBuf> = folders.iter().map(|folder| root.join(folder)).collect();
    let mut sources = Vec::new();
    while let Some(folder) = pending.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                if !path.ends_with("target") {
                    pending.push(path);
                }
            } else if path.extension().is_some_and(|it| it == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                let path = path.strip_prefix(root).unwrap().display().to_string();
                sources.push(Source { path, text });
            }
        }
    }
    sources.sort_by(|one, other| one.path.cmp(&other.path));
    assert!(!sources.is_empty());
    sources
}

#[test]
fn imports_point_down() {
    let rank = |layer: &str| LAYERS.iter().position(|it| *it == layer);
    let mut upward = Vec::new();
    for source in sources(&["src"]) {
        let Some(own) = rank(source.layer()).filter(|_| !source.is_test()) else {
            assert!(
                source.is_test() || source.path == "src/lib.rs",
                "{} is in no layer",
                source.path
            );
            continue;
        };
        for name in source.imports() {
            match rank(&name) {
                Some(imported) if imported <= own => {}
                Some(_) => upward.push(format!("{} imports {name}", source.path)),
                None => upward.push(format!("{} imports {name} by no layer", source.path)),
            }
        }
    }
    assert!(upward.is_empty(), "{upward:#?}");
}

#[test]
fn lists_of_imports_are_understood() {
    let names = |path| first_names(path).join(" ");
    assert_eq!(names("error::Result;"), "error");
    assert_eq!(
        names("{Error, archive::{Value, Sink}, sys::clock};"),
        "Error archive sys"
    );
}

#[test]
fn files_are_one_concept() {
    let folders = ["src", "crates", "examples", "benches", "tests"];
    let long: BTreeMap<String, usize> = sources(&folders)
        .into_iter()
        .map(|source| (source.path, source.text.lines().count()))
        .filter(|(_, lines)| *lines > MOST_LINES)
        .collect();
    assert!(long.is_empty(), "{long:#?}");
}

#[test]
fn no_module_is_included_by_path() {
    let attribute = ["#[", "path"].concat();
    let folders = ["src", "crates", "examples", "benches", "tests"];
    let included = sources(&folders);
    let included = included
        .iter()
        .filter(|source| source.code().contains(&attribute));
    let included: Vec<&str> = included.map(|source| source.path.as_str()).collect();
    assert!(included.is_empty(), "{included:#?}");
}

#[test]
fn unsafe_code_stands_behind_a_fence() {
    let keyword = ["uns", "afe"].concat();
    let words = |line: &str| {
        line.split(|it: char| !it.is_alphanumeric() && it != '_')
            .any(|it| it == keyword)
    };
    let has = |source: &Source| source.code().lines().any(words);
    let sources = sources(&["src", "crates", "examples"]);
    // The derives write what users would have to.
    let own = |source: &&Source| {
        !source.path.starts_with("crates/floe-derive/") && !source.path.contains("/tests/")
    };
    let unfenced: Vec<&str> = sources
        .iter()
        .filter(own)
        .filter(|source| has(source) && !UNSAFE.contains(&source.path.as_str()))
        .map(|source| source.path.as_str())
        .collect();
    assert!(unfenced.is_empty(), "{unfenced:#?}");
    let manifest = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml"));
    assert!(manifest.unwrap().contains("unsafe_code = \"deny\""));
}

#[test]
fn files_that_the_guides_name_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for guide in ["ARCHITECTURE.md", "CONTRIBUTING.md"] {
        let text = fs::read_to_string(root.join(guide)).unwrap();
        let named = text.split('`').skip(1).step_by(2);
        let files: Vec<&str> = named.filter(|name| name.ends_with(".rs")).collect();
        assert!(!files.is_empty(), "{guide} names no file");
        // A guide shortens paths in the library by the first folder.
        let exists =
            |name: &&&str| root.join(name).is_file() || root.join("src").join(name).is_file();
        let gone: Vec<&&str> = files.iter().filter(|name| !exists(name)).collect();
        assert!(gone.is_empty(), "{guide} names {gone:?}");
    }
}
