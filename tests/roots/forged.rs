//! Regions whose table of roots lies: an error, or a region that reads to its end.

use std::num::NonZero;

use floe::census::{Census, Options};
use floe::dynamic::Described;
use floe::{Error, Frozen};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::announce::{SCHEMA, announce};
use crate::caches::{Caches, caches};
use crate::forge::Forgery;
use crate::sign::HEADER;

const ROW: usize = 48;
const ROOTS: usize = 5;
/// Archive: start, end; index: offset, length; garbage: offset, length.
const WORDS: usize = 6;

/// What becomes of a word.
type Edit = fn(u64) -> u64;

fn forged(edit: impl FnOnce(&mut Forgery)) -> Vec<u8> {
    let mut forgery = Forgery::of(&caches());
    edit(&mut forgery);
    forgery.bytes()
}

/// A region with a word of the table of roots replaced.
fn with_word(root: usize, word: usize, edit: impl FnOnce(u64) -> u64) -> Vec<u8> {
    forged(|forgery| {
        let archive = forgery.archive();
        let at = archive.len() - (ROOTS - root) * ROW + word * 8;
        let place = archive[at..].first_chunk_mut().unwrap();
        *place = edit(u64::from_le_bytes(*place)).to_le_bytes();
    })
}

/// Opens it by type and by description; both must say why not.
fn refusals(bytes: &[u8]) -> [String; 2] {
    let typed = Frozen::<Caches>::from_bytes(bytes)
        .err()
        .expect("the typed reader refuses");
    let described = Described::from_bytes(bytes).and_then(|described| described.check());
    [
        typed.to_string(),
        described.expect_err("and the other").to_string(),
    ]
}

#[test]
fn a_table_that_leads_astray_is_refused_with_the_name_of_the_root() {
    let cases: [(usize, usize, Edit, &str); 10] = [
        (0, 0, |_| 1 << 40, "out of the archive"),
        (1, 1, |_| u64::MAX, "out of the archive"),
        (1, 0, |start| start + 4, "where none can start"),
        (1, 0, |start| start - 1, "where none can start"),
        (1, 2, |_| 1 << 40, "out of the index"),
        (1, 2, |start| start + 1, "out of the index"),
        (1, 3, |_| u64::MAX, "out of the index"),
        (1, 3, |length| length + (64 << 20), "out of the index"),
        (0, 4, |_| 8, "out of the list of garbage"),
        (0, 5, |_| 8, "out of the list of garbage"),
    ];
    for (root, word, edit, expected) in cases {
        let name = ["\"recipes\"", "\"data\""][root];
        for told in refusals(&with_word(root, word, edit)) {
            assert!(
                told.contains(expected) && told.contains(name),
                "{root} {word}: {told}"
            );
        }
    }
}

#[test]
fn a_root_that_is_not_what_its_table_says_is_refused() {
    // Entries of none, or cut in two; the index of another root, or a part of one.
    for (word, edit) in [
        (0, (|start| start + 16) as Edit),
        (1, |end| end - 16),
        (3, |length| length - 64),
        (3, |_| 0),
    ] {
        for told in refusals(&with_word(1, word, edit)) {
            assert!(told.contains("not valid"), "{word}: {told}");
        }
    }
    for (word, edit) in [(0, (|_| 0) as Edit), (0, |start| start - 16), (2, |_| 0)] {
        for told in refusals(&with_word(1, word, edit)) {
            assert!(
                told.contains("two roots of its table overlap"),
                "{word}: {told}"
            );
        }
    }
    let told = refusals(&forged(|forgery| forgery.archive().truncate(ROW)));
    assert!(told[0].contains("shorter than its table"), "{told:?}");
}

#[test]
fn a_pointer_that_leads_behind_its_root_is_refused() {
    // An entry of the first root whose interned value lies in the second.
    let bytes = forged(|forgery| {
        let archive = forgery.archive();
        let second = {
            let at = archive.len() - (ROOTS - 1) * ROW;
            u64::from_le_bytes(archive[at..at + 8].try_into().unwrap())
        };
        let license = std::mem::offset_of!(crate::zoo::ArchivedRecipe, license);
        // Header of four bytes, an inline key of eight, then the recipe.
        let recipe = (4 + 8_usize).next_multiple_of(align_of::<crate::zoo::ArchivedRecipe>());
        let place = recipe + license;
        let distance = second as i64 - place as i64;
        archive[place..place + 4].copy_from_slice(&(distance as i32).to_le_bytes());
    });
    let refused = Frozen::<Caches>::from_bytes(&bytes)
        .err()
        .expect("it is refused");
    let told = refused.to_string();
    assert!(
        told.contains("root \"recipes\"") && told.contains("entry at offset 0"),
        "{told}"
    );
}

fn with_schema(edit: impl Fn(&mut Value)) -> Vec<u8> {
    let mut bytes = forged(|forgery| {
        for (kind, bytes) in &mut forgery.sections {
            if *kind == SCHEMA {
                let mut schema = serde_json::from_slice(bytes).unwrap();
                edit(&mut schema);
                *bytes = serde_json::to_vec(&schema).unwrap();
            }
        }
    });
    announce(&mut bytes);
    bytes
}

#[test]
fn a_schema_whose_roots_cannot_be_is_refused() {
    let roots = |schema: &Value| {
        let types = schema["types"].as_array().unwrap();
        types
            .iter()
            .position(|it| it["shape"]["roots"].is_object())
            .unwrap()
    };
    let root = |place: &'static str, lie: Value| {
        with_schema(move |schema| {
            let roots = roots(schema);
            let place = format!("/types/{roots}/shape/roots/roots/1/{place}");
            *schema.pointer_mut(&place).unwrap() = lie.clone();
        })
    };
    let cases = [
        (
            root("name", json!("recipes")),
            "root \"recipes\" is there twice",
        ),
        (root("offset", json!(200)), "has no row in the table"),
        (root("offset", json!(u64::MAX)), "has no row in the table"),
        (root("type", json!(999)), "no type 999"),
        (root("fingerprint", json!("12")), "32 digits"),
        (
            with_schema(|schema| {
                let roots = roots(schema);
                let own = schema["types"][roots]["shape"].clone();
                schema["types"][0]["shape"] = own;
            }),
            "type 0",
        ),
        (
            with_schema(|schema| {
                let roots = roots(schema);
                let pointer = json!({ "box": { "target": roots } });
                let last = json!({ "name": "Box", "size": 4, "align": 4, "shape": pointer });
                schema["types"].as_array_mut().unwrap().push(last);
            }),
            "the roots of a region lie in another type",
        ),
        (
            with_schema(|schema| {
                let map = schema["types"].as_array().unwrap();
                let map = map
                    .iter()
                    .position(|it| it["shape"]["map"].is_object())
                    .unwrap();
                let pointer = json!({ "box": { "target": map } });
                let last = json!({ "name": "Box", "size": 4, "align": 4, "shape": pointer });
                schema["types"].as_array_mut().unwrap().push(last);
            }),
            "a keyed map lies in another type",
        ),
        (
            with_schema(|schema| {
                let roots = roots(schema);
                let roots = &mut schema["types"][roots]["shape"]["roots"]["roots"];
                let one = roots[0].clone();
                *roots = (0..65).map(|_| one.clone()).collect();
            }),
            "it has 65 roots, where 64 are the most",
        ),
    ];
    for (number, (bytes, expected)) in cases.iter().enumerate() {
        let told = Described::from_bytes(bytes).unwrap_err().to_string();
        assert!(told.contains(expected), "{number}: {told}");
        // The typed reader looks for its roots in whatever the region brings along.
        let typed = Frozen::<Caches>::from_bytes(bytes);
        assert!(
            matches!(
                typed.err(),
                None | Some(
                    Error::Root { .. } | Error::SchemaMismatch { .. } | Error::Invalid { .. }
                )
            ),
            "{number}"
        );
    }
}

/// Asks for everything; never panics.
fn read_everything(bytes: &[u8]) -> bool {
    let typed = Frozen::<Caches>::from_bytes(bytes);
    if let Ok(caches) = &typed {
        let recipes = caches.recipes.iter();
        let read: usize = recipes
            .map(|(key, recipe)| key.len() + recipe.license.len())
            .sum();
        let read = read
            + caches
                .data
                .values()
                .map(|data| data.tasks.len())
                .sum::<usize>();
        assert!(read < bytes.len() * 64);
        assert!(caches.licenses.known.len() <= bytes.len());
    }
    let Ok(described) = Described::from_bytes(bytes) else {
        return false;
    };
    let options = Options::default().threads(NonZero::<usize>::MIN);
    let census = Census::of(&described, &options);
    if let Ok(census) = &census {
        assert_eq!(census.by_path.total().1, census.bytes);
    }
    let dumped = described
        .root()
        .map(|root| serde_json::to_writer(std::io::sink(), &root));
    let checked = described.check();
    typed.is_ok() && census.is_ok() && checked.is_ok() && matches!(dumped, Ok(Ok(())))
}

#[test]
fn the_region_without_edits_is_read_completely() {
    assert!(read_everything(&forged(|_| {})));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_table_is_refused_or_read(
        edits in prop::collection::vec((0..ROOTS, 0..WORDS, any::<u64>(), 0..4), 1..=3),
    ) {
        let bytes = forged(|forgery| {
            let archive = forgery.archive();
            for (root, word, value, kind) in edits {
                let at = archive.len() - (ROOTS - root) * ROW + word * 8;
                let place = archive[at..].first_chunk_mut().unwrap();
                let old = u64::from_le_bytes(*place);
                let new = match kind {
                    0 => value,
                    1 => value % 4096 * 16,
                    2 => old.wrapping_add(value % 9 * 16).wrapping_sub(64),
                    _ => old ^ (1 << (value % 20)),
                };
                *place = new.to_le_bytes();
            }
        });
        read_everything(&bytes);
    }

    #[test]
    fn edits_anywhere(
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u32>()), 1..=4),
    ) {
        let mut bytes = forged(|_| {});
        for (place, value) in edits {
            let place = HEADER + place.index((bytes.len() - HEADER) / 4) * 4;
            bytes[place..place + 4].copy_from_slice(&(value % 128).to_le_bytes());
        }
        announce(&mut bytes);
        read_everything(&bytes);
    }
}
