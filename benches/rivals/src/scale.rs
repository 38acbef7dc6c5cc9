//! The verb `scale`: how cost grows with entries and with workers, and what building takes.

mod builder;
mod entries;
mod measure;
mod plot;
mod values;
mod workers;

use std::fs;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use serde::Serialize;
use serde_json::Value;

use crate::error::BenchError;
use crate::report::{print, print_json};
use crate::table::Table;
pub use builder::{Limited, build as build_limited};
use plot::Plot;

/// How scale is measured.
#[derive(Debug, Args)]
pub struct Options {
    /// Largest number of entries.
    #[arg(long, default_value_t = 100_000_000)]
    most: u64,

    /// Largest number of workers.
    #[arg(long, default_value_t = 256)]
    most_workers: u32,

    /// What is measured; everything without it.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = Part::ALL)]
    parts: Vec<Part>,

    /// A folder for `scale-PART.json` and the plots.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,

    /// Prints a list of rows instead of tables.
    #[arg(long)]
    json: bool,
}

/// A part of what this verb measures.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Part {
    /// Maps of more and more entries.
    Entries,
    /// Building under a limit of memory.
    Builder,
    /// More and more workers that read one map.
    Workers,
}

impl Part {
    const ALL: [Self; 3] = [Self::Entries, Self::Builder, Self::Workers];

    fn measure(self, options: &Options) -> Result<Outcome, BenchError> {
        match self {
            Self::Entries => entries::run(options.most),
            Self::Builder => builder::run(options.most),
            Self::Workers => workers::run(options.most, options.most_workers),
        }
    }
}

/// What a part has found.
struct Outcome {
    /// As its rows and its file are called.
    part: &'static str,
    rows: Vec<Value>,
    table: Table,
    plots: Vec<(&'static str, Plot)>,
}

impl Outcome {
    fn of<R: Serialize>(
        part: &'static str,
        rows: &[R],
        table: Table,
        plots: Vec<(&'static str, Plot)>,
    ) -> Result<Self, BenchError> {
        let with_part = |row: &R| {
            let mut row = serde_json::to_value(row)?;
            row["part"] = part.into();
            Ok(row)
        };
        let rows: serde_json::Result<_> = rows.iter().map(with_part).collect();
        Ok(Self {
            part,
            rows: rows.map_err(std::io::Error::from)?,
            table,
            plots,
        })
    }
}

/// Measures all parts that are asked for.
///
/// # Errors
/// [`BenchError::Answer`] if a map answers wrongly, [`BenchError::Write`] and
/// [`BenchError::Print`].
pub fn run(options: &Options) -> Result<(), BenchError> {
    let mut rows = Vec::new();
    for part in &options.parts {
        let outcome = part.measure(options)?;
        if let Some(directory) = &options.out {
            write(directory, &outcome)?;
        }
        if !options.json {
            print(&outcome.table)?;
        }
        rows.extend(outcome.rows);
    }
    if options.json {
        print_json(&rows)?;
    }
    Ok(())
}

/// Writes rows and plots into a directory, which is made if it is not there.
fn write(directory: &Path, outcome: &Outcome) -> Result<(), BenchError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        |source| BenchError::Write { path, source }
    };
    fs::create_dir_all(directory).map_err(failed(directory))?;
    let json = serde_json::to_string_pretty(&outcome.rows);
    let json = json.map_err(|error| failed(directory)(error.into()))? + "\n";
    let plots = outcome.plots.iter();
    let plots = plots.map(|(name, plot)| (format!("scale-{name}.svg"), plot.to_string()));
    for (name, content) in plots.chain([(format!("scale-{}.json", outcome.part), json)]) {
        let path = directory.join(name);
        fs::write(&path, content).map_err(failed(&path))?;
    }
    Ok(())
}
