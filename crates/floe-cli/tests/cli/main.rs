//! The tool, driven as its users drive it: arguments in, streams and an exit code out.

mod bad_input;
mod brokers;
mod census;
mod dump;
mod inspect;
mod mem;
mod names;
mod roots;
mod streams;
mod values;
mod verify;
mod watch;

use floe_testkit::{announce, forge, zoo};
use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use floe::{Content, Frozen, Map};
use tempfile::TempDir;

use zoo::{Recipe, recipe};

/// What a run of the tool left behind.
struct Run {
    code: i32,
    output: String,
    errors: String,
}

impl Run {
    /// The output of a run that succeeded without a word of complaint.
    #[track_caller]
    fn good(self) -> String {
        assert_eq!(
            (self.code, self.errors.as_str()),
            (0, ""),
            "{}",
            self.output
        );
        self.output
    }

    /// The one line of a run that failed with this code and gave no output.
    #[track_caller]
    fn refused(self, code: i32) -> String {
        assert_eq!(
            (self.code, self.output.as_str()),
            (code, ""),
            "{}",
            self.errors
        );
        let line = self.errors.strip_suffix('\n').unwrap();
        assert!(line.starts_with("floe: ") && !line.contains('\n'), "{line}");
        line.to_owned()
    }

    #[track_caller]
    fn json(self) -> serde_json::Value {
        serde_json::from_str(&self.good()).unwrap()
    }
}

fn floe(arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Run {
    let output = Command::new(env!("CARGO_BIN_EXE_floe"))
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    Run {
        code: output.status.code().expect("it ends by itself"),
        output: String::from_utf8(output.stdout).unwrap(),
        errors: String::from_utf8(output.stderr).unwrap(),
    }
}

/// A region in a file of its own folder.
struct Saved {
    _directory: TempDir,
    path: PathBuf,
}

impl Saved {
    fn of<T: Content>(frozen: &Frozen<T>) -> Self {
        Self::bytes(frozen.region().bytes())
    }

    fn bytes(bytes: &[u8]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("region.floe");
        std::fs::write(&path, bytes).unwrap();
        Self {
            _directory: directory,
            path,
        }
    }

    fn path(&self) -> &str {
        self.path.to_str().unwrap()
    }
}

/// A map of recipes, `recipe-0` and on.
fn recipes(count: u32) -> Frozen<Map<String, Recipe>> {
    let entries = (0..count).map(|number| (format!("recipe-{number}"), recipe(number)));
    Map::freeze("recipes", entries).unwrap()
}
