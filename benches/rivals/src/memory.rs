//! The verb `memory`: what forked children of each kind take for the same caches.

mod cpython;
mod example;
mod generate;

use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;
use tempfile::TempDir;

use crate::failure::Failure;
use crate::machine;
use crate::report::{print, print_json};
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
    /// In what form the children have the caches.
    pub contender: &'static str,
    /// How many children there are.
    pub workers: usize,
    /// What they have just done.
    pub step: String,
    /// The largest unique set of a child.
    pub uss_bytes: Option<u64>,
    /// The mean proportional set of a child; `None` where it was not taken.
    pub pss_bytes: Option<u64>,
    /// The longest time that the step took a child; `None` where it was not taken.
    pub seconds: Option<f64>,
    /// Why there are no figures.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skipped: Option<String>,
}

impl Row {
    fn skipped(contender: &'static str, workers: usize, reason: String) -> Self {
        Self {
            contender,
            workers,
            step: "read".to_owned(),
            uss_bytes: None,
            pss_bytes: None,
            seconds: None,
            skipped: Some(reason),
        }
    }
}

/// Measures all kinds of children over the same caches.
///
/// # Errors
/// [`Failure::Directory`], [`Failure::Write`] and [`Failure::Print`].
pub fn run(options: &Options) -> Result<(), Failure> {
    let generated: TempDir;
    let caches = match &options.caches {
        Some(directory) => directory.as_path(),
        None => {
            generated = machine::memory_directory()?;
            generate::write(generated.path(), options.entries)?;
            generated.path()
        }
    };
    let rows: Vec<Row> = WORKERS
        .into_iter()
        .flat_map(|workers| of_workers(caches, workers))
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

fn of_workers(caches: &Path, workers: usize) -> Vec<Row> {
    eprintln!("memory: {workers} children");
    let mut rows = example::measure(caches, workers);
    rows.extend(cpython::measure(
        cpython::INHERITED,
        "inherit",
        caches,
        workers,
    ));
    rows.extend(cpython::measure(
        cpython::PICKLED,
        "pickle",
        caches,
        workers,
    ));
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
                row.step.clone(),
                mebibytes(row.uss_bytes),
                mebibytes(row.pss_bytes),
                row.seconds
                    .map_or(String::new(), |seconds| format!("{seconds:.3}")),
            ]),
        }
        table.add(cells);
    }
    table
}
