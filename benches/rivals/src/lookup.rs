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
use crate::error::BenchError;
use crate::keys::{Key, KeyKind, RecipePath};
use crate::machine;
use crate::report::{self, Row, print_json};
use crate::table::count;
use counting_allocator as allocator;
use entrants::Entrant;
use questions::Questions;
use samples::Samples;

impl KeyKind {
    /// Bytes for each entry that all contenders take together at most, with what they need while
    /// they are built.
    fn memory_per_entry(self) -> u64 {
        match self {
            Self::Text => 4400,
            Self::TextU64 => 1000,
            Self::U64 => 400,
            Self::Bytes32 => 800,
        }
    }

    /// How often everything is measured if that is not asked for: a pass over small entries is so
    /// short that whatever else runs can spoil it.
    fn rounds(self) -> u32 {
        match self {
            Self::Text => 5,
            Self::TextU64 | Self::U64 | Self::Bytes32 => 21,
        }
    }

    /// The sizes that are measured if none are asked for.
    fn sizes(self) -> &'static [usize] {
        let sizes = &[10_000, 100_000, 1_000_000, 4_000_000, 16_000_000];
        match self {
            Self::Text | Self::TextU64 => &sizes[..4],
            Self::U64 | Self::Bytes32 => sizes,
        }
    }
}

/// How lookups are measured.
#[derive(Debug, Args)]
pub struct Options {
    /// Sizes of the map; 10^4 to 4x10^6 without, and 1.6x10^7 where entries are small.
    #[arg(long, value_delimiter = ',')]
    entries: Vec<usize>,

    /// Kinds of keys: text to recipes, the others to numbers.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [KeyKind::Text, KeyKind::TextU64, KeyKind::U64, KeyKind::Bytes32])]
    keys: Vec<KeyKind>,

    /// How often everything is measured; 5 without, and 21 where entries are small.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: Option<u32>,

    /// Prints a list of rows instead of tables.
    #[arg(long)]
    json: bool,
}

/// Measures all sizes.
///
/// # Errors
/// [`BenchError::Answer`] if a contender answers wrongly, and [`BenchError::Print`].
pub fn run(options: &Options) -> Result<(), BenchError> {
    let mut all = Vec::new();
    if !options.json {
        report::print(&format!("machine: {}", machine::describe()))?;
        report::print(&LEGEND)?;
    }
    for &kind in &options.keys {
        all.extend(run_kind(kind, options)?);
    }
    if options.json {
        print_json(&all)?;
    }
    Ok(())
}

/// How often each map is frozen to see what that takes, at most.
const MOST_FREEZES: u32 = 5;

/// Who stands in the tables.
const LEGEND: &str = "std: std::collections::HashMap with SipHash; \
                      hashbrown: hashbrown::HashMap with foldhash; \
                      floe huge: floe with Advice::HugePages\n";

/// Measures all sizes of one kind of keys.
fn run_kind(kind: KeyKind, options: &Options) -> Result<Vec<Row>, BenchError> {
    let sizes = match options.entries.as_slice() {
        [] => kind.sizes(),
        asked => asked,
    };
    let rounds = options.rounds.unwrap_or(kind.rounds());
    let mut rows = Vec::new();
    if !options.json {
        report::print(&kind.types())?;
    }
    for &entries in sizes {
        eprintln!(
            "lookup: {} entries, {}",
            count(entries as u64),
            kind.types()
        );
        let of_size = measure_kind(kind, entries, rounds)?;
        let of_size: Vec<_> = of_size.into_iter().map(|it| it.with_keys(kind)).collect();
        if !options.json {
            report::print(&report::table(&of_size))?;
        }
        rows.extend(of_size);
        allocator::trim();
    }
    if !options.json {
        report::print(&bars::table(&rows, kind, sizes))?;
    }
    Ok(rows)
}

fn measure_kind(kind: KeyKind, entries: usize, rounds: u32) -> Result<Vec<Row>, BenchError> {
    let needed = kind.memory_per_entry().saturating_mul(entries as u64);
    if let Err(reason) = machine::require_memory(needed) {
        return Ok(vec![Row::skipped(entries, "floe", "get", reason)]);
    }
    match kind {
        KeyKind::Text => measure::<String>(entries, rounds, entrants::of_text),
        KeyKind::TextU64 => measure::<RecipePath>(entries, rounds, entrants::none),
        KeyKind::U64 => measure::<u64>(entries, rounds, entrants::of_fixed_size),
        KeyKind::Bytes32 => measure::<[u8; 32]>(entries, rounds, entrants::of_fixed_size),
    }
}

/// Builds the contenders that do not take any key, in a directory.
type OtherEntrants<K> = fn(&HashMap<K, <K as Key>::Value>, &Path, &mut Samples) -> Vec<Entrant<K>>;

/// Builds all contenders of one size and measures them in interleaved rounds.
fn measure<K: Key>(
    entries: usize,
    rounds: u32,
    others: OtherEntrants<K>,
) -> Result<Vec<Row>, BenchError> {
    let directory = machine::memory_directory()?;
    let mut samples = Samples::default();
    let std: Heap<SipHash<K>> = Heap::fill(entries);
    for _ in 0..rounds.min(MOST_FREEZES) {
        freezing::round(&std.map, &mut samples);
    }
    let mut entrants = entrants::of_any_key(&std.map);
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
