//! Saved generations whose digests are right and whose inputs lie.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use floe::{Cache, Frozen, Map, Policy, Store};

use crate::forge::Forgery;

const INPUTS: u32 = 3;

type Contents = Map<String, String>;

fn contents(folder: &Path) -> (Store, Cache<Contents>) {
    let store = Store::open(folder.join("caches")).unwrap();
    let folder = folder.to_owned();
    let list = |inputs: &mut floe::Inputs| {
        inputs.env("HOME");
        Ok(["a", "b", "c"].map(str::to_owned).to_vec())
    };
    let cache = store.keyed(
        "contents",
        Policy::new().revalidate_inputs(),
        list,
        move |name: &String, inputs| {
            Ok(inputs
                .read_to_string(folder.join(name))?
                .unwrap_or_default())
        },
    );
    (store, cache.unwrap())
}

/// Whatever the inputs say, what is served in the end is the content of the files, and nothing
/// outside of the entries is read.
#[test]
fn inputs_that_lie_cost_a_rebuild_at_most() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    for name in ["a", "b", "c"] {
        fs::write(folder.join(name), name).unwrap();
    }
    let (store, cache) = contents(folder);
    store.refresh().unwrap();
    let saved = cache.get().unwrap();
    drop(store);
    let section = |forged: &Forgery| {
        let mut kinds = forged.sections.iter();
        kinds.position(|(kind, _)| *kind == INPUTS).unwrap()
    };
    let honest = Forgery::of(&saved);
    let length = honest.sections[section(&honest)].1.len();
    for place in 0..length {
        for change in [1, 0x80] {
            let mut forged = Forgery::of(&saved);
            let at = section(&forged);
            forged.sections[at].1[place] ^= change;
            let path = folder.join("caches/contents.floe");
            fs::remove_file(&path).unwrap();
            let mut options = OpenOptions::new();
            let file = options.write(true).create_new(true).mode(0o600).open(&path);
            file.unwrap().write_all(&forged.bytes()).unwrap();
            assert!(Frozen::<Contents>::load(&path).is_ok());
            let (store, cache) = contents(folder);
            let report = store.refresh().unwrap();
            assert!(!report.has_failures(), "byte {place}: {report}");
            let map = cache.get().unwrap();
            assert!(
                map.len() == 3 && map.iter().all(|(key, value)| key == value),
                "byte {place}"
            );
        }
    }
}
