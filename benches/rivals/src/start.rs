//! The verb `start`: from a file to the first answer, and to all of them.

mod openers;
mod programs;

use std::collections::HashMap;
use std::path::Path;

use clap::Args;

use crate::contenders::ContenderError;
use crate::data::{MapValue, Recipe, Touch};
use crate::error::{BenchError, check_answer};
use crate::keys::Key;
use crate::machine;
use crate::report::{self, Row, print_json};
use crate::statistics::{Spread, timed};
use crate::table::count;
use counting_allocator as allocator;
use openers::Opener;
pub use programs::{Asked, answer};

const FIRST: &str = "first answer";
const ALL: &str = "all answers";

/// Bytes for each entry that the map, its files and one reader take together at most.
const MEMORY_PER_ENTRY: u64 = 4096;

/// How starts are measured.
#[derive(Debug, Args)]
pub struct Options {
    /// Sizes of the map.
    #[arg(long, value_delimiter = ',', default_values_t = [10_000, 100_000, 1_000_000])]
    entries: Vec<usize>,

    /// How often everything is measured.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,

    /// Prints a list of rows instead of tables.
    #[arg(long)]
    json: bool,
}

/// Measures all sizes.
///
/// # Errors
/// [`BenchError::Answer`] if a contender answers wrongly, [`BenchError::Directory`] and
/// [`BenchError::Print`].
pub fn run(options: &Options) -> Result<(), BenchError> {
    let mut rows = Vec::new();
    for &entries in &options.entries {
        eprintln!("start: {} entries", count(entries as u64));
        let of_size = match machine::require_memory(MEMORY_PER_ENTRY.saturating_mul(entries as u64))
        {
            Err(reason) => vec![Row::skipped(entries, "floe", FIRST, reason)],
            Ok(()) => {
                let mut rows = measure(entries, options.rounds)?;
                rows.extend(programs::measure(entries, options.rounds)?);
                rows
            }
        };
        if !options.json {
            report::print(&report::table(&of_size))?;
        }
        rows.extend(of_size);
        allocator::trim();
    }
    if options.json {
        print_json(&rows)?;
    }
    Ok(())
}

/// What one opener needed in all rounds, and why it is out, if it is.
struct Measured {
    opener: Opener,
    first: Vec<f64>,
    all: Vec<f64>,
    failed: Option<ContenderError>,
}

fn measure(entries: usize, rounds: u32) -> Result<Vec<Row>, BenchError> {
    let directory = machine::memory_directory()?;
    let question = Question::about(entries);
    let mut measured: Vec<Measured> = openers::all(&recipes(entries), directory.path())
        .into_iter()
        .map(|(opener, failed)| Measured {
            opener,
            first: vec![],
            all: vec![],
            failed,
        })
        .collect();
    for round in 0..rounds as usize {
        let number = measured.len();
        for turn in 0..number {
            measured[(round + turn) % number].start(&question)?;
        }
    }
    Ok(measured
        .iter()
        .flat_map(|measured| measured.rows(entries))
        .collect())
}

fn recipes(entries: usize) -> HashMap<String, Recipe> {
    (0..entries as u64)
        .map(|number| (Key::numbered(number), Recipe::numbered(number)))
        .collect()
}

/// A key in the middle, its answer, and the answer to all.
struct Question {
    entries: usize,
    key: String,
    first: u64,
    all: u64,
}

impl Question {
    fn about(entries: usize) -> Self {
        let middle = entries as u64 / 2;
        let touches = (0..entries as u64).map(|number| Recipe::numbered(number).touch());
        Self {
            entries,
            key: Key::numbered(middle),
            first: if entries == 0 {
                0
            } else {
                Recipe::numbered(middle).touch()
            },
            all: touches.sum(),
        }
    }
}

impl Measured {
    /// Opens the file, asks for one value and then for all of them.
    fn start(&mut self, question: &Question) -> Result<(), BenchError> {
        if self.failed.is_some() {
            return Ok(());
        }
        // A program that starts has no freed memory to use again.
        allocator::trim();
        let mut answers = [0; 2];
        let (opened, first) = timed(|| {
            let mut contender = (self.opener.open)()?;
            answers[0] = contender.get(&[&question.key])?;
            Ok::<_, ContenderError>(contender)
        });
        let mut contender = match opened {
            Ok(contender) => contender,
            Err(problem) => {
                self.failed = Some(problem);
                return Ok(());
            }
        };
        let (sum, rest) = timed(|| contender.iterate());
        match sum {
            Ok(sum) => answers[1] = sum,
            Err(problem) => {
                self.failed = Some(problem);
                return Ok(());
            }
        }
        let name = self.opener.name;
        check_answer(name, FIRST, question.entries, question.first, answers[0])?;
        check_answer(name, ALL, question.entries, question.all, answers[1])?;
        self.first.push(first.as_nanos() as f64);
        self.all.push((first + rest).as_nanos() as f64);
        Ok(())
    }

    fn rows(&self, entries: usize) -> Vec<Row> {
        let name = self.opener.name;
        if let Some(problem) = &self.failed {
            return vec![Row::skipped(entries, name, FIRST, problem)];
        }
        let row = |operation, nanoseconds: &[f64]| {
            let bytes = Some(bytes_under(&self.opener.path));
            Row::measured(entries, name, operation, Spread::of(nanoseconds), bytes)
        };
        vec![row(FIRST, &self.first), row(ALL, &self.all)]
    }
}

/// Bytes of all files in a directory.
fn bytes_under(directory: &Path) -> u64 {
    let files = std::fs::read_dir(directory).into_iter().flatten().flatten();
    files
        .filter_map(|file| file.metadata().ok())
        .map(|file| file.len())
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everyone_opens_its_file_and_answers_rightly() {
        let rows = measure(300, 1).unwrap();
        assert_eq!(rows.len(), 2 * 8);
        for row in rows {
            assert_eq!(row.skipped, None, "{}", row.contender);
            assert!(row.bytes > Some(10_000));
        }
    }
}
