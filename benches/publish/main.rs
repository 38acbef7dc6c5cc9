//! What it costs to publish the generations of a cache, and that nothing is lost in it.
//!
//! The results are `target/floe/publish.json`. `--test` makes a run short, with the same checks.

mod endurance;
mod readers;
mod visibility;

use floe_testkit::mode;
use std::error::Error as StdError;
use std::fs;
use std::path::Path;
use std::process::ExitCode;

use serde::Serialize;

use endurance::Endurance;
use mode::is_test;
use visibility::Visibility;

/// What ends a run: an answer that is wrong, or a step that fails.
type Error = Box<dyn StdError>;

/// What is read, frozen and published: numbers that are all the same, which shows a torn one.
type Numbers = Vec<u64>;

/// The fields of the file.
#[derive(Serialize)]
struct Results {
    #[serde(flatten)]
    visibility: Visibility,
    #[serde(flatten)]
    endurance: Endurance,
}

fn main() -> ExitCode {
    match run(is_test()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("publish: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(is_test: bool) -> Result<(), Error> {
    let results = Results {
        visibility: visibility::measure(if is_test { 20 } else { 500 })?,
        endurance: endurance::run(if is_test { 300 } else { 20_000 })?,
    };
    let json = serde_json::to_string_pretty(&results)?;
    println!("{json}");
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/target/floe"));
    fs::create_dir_all(folder)?;
    fs::write(folder.join("publish.json"), json + "\n")?;
    results.endurance.check()
}

/// The numbers of a generation; `bytes` of them.
fn numbers(generation: u64, bytes: usize) -> Numbers {
    vec![generation; bytes / size_of::<u64>()]
}

/// The middle one of what was measured.
fn median(mut measured: Vec<f64>) -> f64 {
    measured.sort_by(f64::total_cmp);
    measured
        .get(measured.len() / 2)
        .copied()
        .unwrap_or(f64::NAN)
}
