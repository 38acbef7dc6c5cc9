//! The verb `lookup`: what an operation costs in each map.

mod bars;
mod entrants;
mod freezing;
mod questions;
mod samples;

use std::collections::HashMap;
use std::path::Path;

use clap::Args;

use crate::contenders::{Heap, SipHash};
use crate::data::Recipe;
use crate::error::BenchError;
use crate::keys::{Key, KeyKind};
use crate::machine;
use crate::report::{self, Row, print_json};
use crate::table::count;
use counting_allocator as allocator;
use entrants::Entrant;
use questions::Questions;
use samples::Samples;

/// Bytes for each entry that all contenders take together at most, with what they need while
/// they are built.
const MEMORY_PER_ENTRY: u64 = 4400;

/// How lookups are measured.
#[derive(Debug, Args)]
pub struct Options {
    /// Sizes of the map.
    #[arg(long, value_delimiter = ',', default_values_t = [10_000, 100_000, 1_000_000, 4_000_000])]
    entries: Vec<usize>,

    /// Kind of the keys.
    #[arg(long, value_enum, default_value_t = KeyKind::String)]
    keys: KeyKind,

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
/// [`BenchError::Answer`] if a contender answers wrongly, and [`BenchError::Print`].
pub fn run(options: &Options) -> Result<(), BenchError> {
    let mut rows = Vec::new();
    for &entries in &options.entries {
        eprintln!("lookup: {} entries", count(entries as u64));
        let of_size = match machine::require_memory(MEMORY_PER_ENTRY.saturating_mul(entries as u64))
        {
            Err(reason) => vec![Row::skipped(entries, "floe", "get", reason)],
            Ok(()) => match options.keys {
                KeyKind::String => measure::<String>(entries, options.rounds, entrants::of_text),
                KeyKind::U64 => measure::<u64>(entries, options.rounds, entrants::no_text),
                KeyKind::Digest => measure::<[u8; 32]>(entries, options.rounds, entrants::no_text),
            }?,
        };
        if !options.json {
            report::print(&report::table(&of_size))?;
        }
        rows.extend(of_size);
        allocator::trim();
    }
    if options.json {
        print_json(&rows)?;
    } else {
        report::print(&bars::table(&rows, &options.entries))?;
    }
    Ok(())
}

/// Builds the contenders that do not take any key, in a directory.
type OtherEntrants<K> = fn(&HashMap<K, Recipe>, &Path, &mut Samples) -> Vec<Entrant<K>>;

/// Builds all contenders of one size and measures them in interleaved rounds.
fn measure<K: Key>(
    entries: usize,
    rounds: u32,
    others: OtherEntrants<K>,
) -> Result<Vec<Row>, BenchError> {
    let directory = machine::memory_directory()?;
    let mut samples = Samples::default();
    let std: Heap<SipHash<K>> = Heap::fill(entries);
    for _ in 0..rounds {
        freezing::round(&std.map, &mut samples);
    }
    let mut entrants = entrants::of_any_key(&std.map, directory.path(), &mut samples);
    entrants.extend(others(&std.map, directory.path(), &mut samples));
    entrants.insert(1, Entrant::built("std", std));

    let questions = Questions::<K>::draw(entries);
    let asked = questions.asked();
    for round in 0..rounds as usize {
        // Each goes first once, so that nobody always has the same predecessor's leavings in the
        // processor's caches.
        let number = entrants.len();
        for turn in 0..number {
            asked.ask(&mut entrants[(round + turn) % number], &mut samples)?;
        }
    }
    Ok(entrants
        .iter()
        .flat_map(|entrant| entrant.rows(entries, &samples))
        .collect())
}
