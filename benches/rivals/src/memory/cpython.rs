//! CPython children, by way of the script `python/children.py`.

use std::io;
use std::process::Command;

use serde::Deserialize;

use super::{Caches, Row};

/// Children that read the dicts of their parent.
pub const INHERITED: &str = "cpython";
/// Children that each unpickle the caches from a file.
pub const PICKLED: &str = "cpython pickle";

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/python/children.py");

/// What the script tells of one step.
#[derive(Debug, Deserialize)]
struct Step {
    step: String,
    uss_bytes: u64,
    pss_bytes: u64,
    /// Of each child.
    seconds: Vec<f64>,
}

/// Runs the script in one of its modes.
pub fn measure(contender: &'static str, mode: &str, caches: Caches<'_>) -> Vec<Row> {
    let row = |step: Step| {
        let memory = (Some(step.uss_bytes), Some(step.pss_bytes));
        caches.measured(contender, &step.step, memory, &step.seconds)
    };
    match steps(mode, caches) {
        Err(reason) => vec![caches.skipped(contender, reason)],
        Ok(steps) => steps.into_iter().map(row).collect(),
    }
}

fn steps(mode: &str, caches: Caches<'_>) -> Result<Vec<Step>, String> {
    let mut command = Command::new("python3");
    command
        .arg(SCRIPT)
        .arg(mode)
        .arg(caches.directory)
        .arg(caches.workers.to_string());
    let output = command.output().map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => "python3 is not installed".to_owned(),
        _ => format!("python3 cannot be run: {error}"),
    })?;
    if !output.status.success() {
        return Err(format!("the script failed: {}", last_line(&output.stderr)));
    }
    serde_json::from_slice(&output.stdout)
        .map_err(|error| format!("the script's answer cannot be read: {error}"))
}

/// The last line that says something: where programs tell why they failed.
pub fn last_line(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    let line = text.lines().rev().find(|line| !line.trim().is_empty());
    line.unwrap_or("it did not say why").trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_tells_why() {
        assert_eq!(
            last_line(b"Traceback\n  somewhere\nKeyError: 'x'\n\n"),
            "KeyError: 'x'"
        );
        assert_eq!(last_line(b""), "it did not say why");
    }

    #[test]
    fn a_folder_without_caches_is_a_row_with_the_reason() {
        let empty = tempfile::tempdir().unwrap();
        let caches = Caches {
            directory: empty.path(),
            entries: 0,
            workers: 2,
        };
        let rows = measure(INHERITED, "inherit", caches);
        assert!(rows[0].skipped.is_some(), "{rows:?}");
    }
}
