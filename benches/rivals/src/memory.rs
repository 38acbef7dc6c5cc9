//! The verb `memory`: what forked children of each kind take for the same caches.

mod cpython;
mod example;
mod generate;

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;
use serde::de::IgnoredAny;
use tempfile::TempDir;

use crate::error::BenchError;
use crate::machine;
use crate::report::{print, print_json};
use crate::statistics::Spread;
use crate::table::Table;

/// How many children are forked.
const WORKERS: [usize; 2] = [2, 8];

/// How memory is measured.
#[derive(Debug, Args)]
pub struct Options {
    /// A folder with JSON dumps of a BitBake's caches. Without it some of the same shape are
    /// generated.
    #[arg(long, value_name = "DIR")]
    caches: Option<PathBuf>,

    /// Entries of each cache that is generated.
    #[arg(long, default_value_t = 40_000)]
    entries: u64,

    /// Prints a list of rows instead of a table.
    #[arg(long)]
    json: bool,
}

/// What children of one kind take after one step.
#[derive(Debug, Serialize)]
pub struct Row {
    /// Entries of all caches together.
    pub entries: u64,
    /// In what form the children have the caches.
    pub contender: &'static str,
    /// What the children have just done.
    pub operation: String,
    /// Nanoseconds that it took the middle one of the children; `None` where it was not taken.
    pub median_ns: Option<f64>,
    /// The fastest child.
    pub min_ns: Option<f64>,
    /// The slowest child.
    pub max_ns: Option<f64>,
    /// The largest unique set of a child.
    pub bytes: Option<u64>,
    /// The mean proportional set of a child; `None` where it was not taken.
    pub pss_bytes: Option<u64>,
    /// How many children there are.
    pub workers: usize,
    /// Why there are no figures.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skipped: Option<String>,
}

/// Caches in a folder, and how many children are to have them.
#[derive(Debug, Clone, Copy)]
pub struct Caches<'a> {
    /// The folder.
    pub directory: &'a Path,
    /// Entries of all of them.
    pub entries: u64,
    /// Children.
    pub workers: usize,
}

impl Caches<'_> {
    /// What children took for one step.
    fn measured(
        &self,
        contender: &'static str,
        operation: &str,
        (uss, pss): (Option<u64>, Option<u64>),
        seconds: &[f64],
    ) -> Row {
        let nanoseconds: Vec<f64> = seconds.iter().map(|seconds| seconds * 1e9).collect();
        let spread = Spread::of(&nanoseconds);
        Row {
            entries: self.entries,
            contender,
            operation: operation.to_owned(),
            median_ns: spread.map(|spread| spread.median),
            min_ns: spread.map(|spread| spread.min),
            max_ns: spread.map(|spread| spread.max),
            bytes: uss,
            pss_bytes: pss,
            workers: self.workers,
            skipped: None,
        }
    }

    fn skipped(&self, contender: &'static str, reason: String) -> Row {
        Row {
            skipped: Some(reason),
            ..self.measured(contender, "read", (None, None), &[])
        }
    }
}

/// Measures all kinds of children over the same caches.
///
/// # Errors
/// [`BenchError::Directory`], [`BenchError::Write`] and [`BenchError::Print`].
pub fn run(options: &Options) -> Result<(), BenchError> {
    let generated: TempDir;
    let caches = match &options.caches {
        Some(directory) => directory.as_path(),
        None => {
            generated = machine::memory_directory()?;
            generate::write(generated.path(), options.entries)?;
            generated.path()
        }
    };
    let entries = entries_in(caches);
    let rows: Vec<Row> = WORKERS
        .into_iter()
        .map(|workers| Caches {
            directory: caches,
            entries,
            workers,
        })
        .flat_map(rows_of)
        .collect();
    if options.json {
        print_json(&rows)?;
    } else {
        let source = if options.caches.is_some() {
            "given"
        } else {
            "generated"
        };
        let head = "caches; MiB of a child: the largest USS, the mean PSS";
        print(&format_args!("{source} {head}\n{}", table(&rows)))?;
    }
    Ok(())
}

/// Entries of all JSON dumps in a folder that can be read. Those that cannot are the contenders'
/// to complain of.
fn entries_in(directory: &Path) -> u64 {
    let files = fs::read_dir(directory).into_iter().flatten().flatten();
    let entries = files.filter_map(|file| {
        let text = fs::read(file.path()).ok()?;
        let cache: HashMap<String, IgnoredAny> = serde_json::from_slice(&text).ok()?;
        Some(cache.len() as u64)
    });
    entries.sum()
}

fn rows_of(caches: Caches<'_>) -> Vec<Row> {
    eprintln!("memory: {} children", caches.workers);
    let mut rows = example::measure(caches);
    rows.extend(cpython::measure(cpython::INHERITED, "inherit", caches));
    rows.extend(cpython::measure(cpython::PICKLED, "pickle", caches));
    rows
}

fn table(rows: &[Row]) -> Table {
    let mut table = Table::new(["children", "contender", "after", "USS", "PSS", "seconds"]);
    let mebibytes = |bytes: Option<u64>| {
        bytes.map_or(String::new(), |bytes| {
            format!("{:.1}", bytes as f64 / (1 << 20) as f64)
        })
    };
    for row in rows {
        let mut cells = vec![row.workers.to_string(), row.contender.to_owned()];
        match &row.skipped {
            Some(reason) => cells.push(format!("skipped: {reason}")),
            None => cells.extend([
                row.operation.clone(),
                mebibytes(row.bytes),
                mebibytes(row.pss_bytes),
                row.max_ns
                    .map_or(String::new(), |slowest| format!("{:.3}", slowest / 1e9)),
            ]),
        }
        table.add(cells);
    }
    table
}
