//! A save of which nobody knows whether it lasts: the fsync of the directory fails. `strace` makes
//! it fail, in a process of its own: this program again, told so by a variable.

use std::env;
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::time::Duration;

use floe::overlay::Rule;
use floe::{Cache, Map, Overlay, Policy, Store};

type Texts = Map<String, String>;

/// Names the folder in which the process is to work.
const FOLDER: &str = "FLOE_UNDURABLE";

/// An owner who tries at once again to save.
struct Owner {
    store: Store,
    cache: Cache<Texts>,
}

impl Owner {
    fn open(folder: &PathBuf) -> Self {
        let store = Store::open(folder).unwrap();
        let hour = Duration::from_secs(3600);
        let cache = store.merged("texts", Policy::new().backoff(hour, hour));
        let cache = cache.unwrap();
        store.refresh().unwrap();
        Self { store, cache }
    }

    fn merge(&self, change: impl FnOnce(&mut Overlay<String, String>)) -> bool {
        let mut overlay = Overlay::over(&self.cache.get().unwrap());
        change(&mut overlay);
        let deltas = [overlay.into_delta().unwrap()];
        let merged = self.store.merge("texts", &deltas, &Rule::LastWins);
        merged.unwrap().saved
    }

    fn adds(&self, key: &str) -> bool {
        self.merge(|overlay| overlay.insert(&key.to_owned(), &String::new()).unwrap())
    }

    fn keys(&self) -> Vec<String> {
        self.store.refresh().unwrap();
        let map = self.cache.get().unwrap();
        let mut keys: Vec<String> = map.keys().map(ToString::to_string).collect();
        keys.sort();
        keys
    }
}

/// Works as the process whose calls fail, if this is it.
pub fn work() -> Option<ExitCode> {
    let folder = PathBuf::from(env::var_os(FOLDER)?);
    let [one, other] = [(); 2].map(|()| Owner::open(&folder));
    assert!(one.adds("a"));
    assert!(!one.adds("b"));
    assert_eq!(other.keys(), ["a", "b"]);
    assert!(other.merge(|overlay| assert!(overlay.remove(&"b".to_owned()).unwrap())));
    println!("{:?} {:?}", one.keys(), other.keys());
    Some(ExitCode::SUCCESS)
}

/// What others see of such a save they may remove, and it does not come back.
pub fn what_may_not_last_is_there_for_others() {
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new("strace")
        .args(["-f", "-y", "-qq", "-e", "signal=none"])
        // Each save has two: that of the file, and that of the directory.
        .args(["-e", "trace=fsync", "-e", "inject=fsync:error=EIO:when=6"])
        .arg(env::current_exe().unwrap())
        .env(FOLDER, folder.path().join("caches"))
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    assert_eq!(told, "[\"a\"] [\"a\"]\n", "{output:?}");
}
