//! Building under a limit of memory, in a process of its own.
//!
//! `RLIMIT_DATA` bounds what a process may have in heap and private memory; the memfd that a
//! map grows in is neither.

use std::env;
use std::hint::black_box;
use std::process::Command;

use clap::Args;
use nix::sys::resource::{Resource, setrlimit};
use serde::{Deserialize, Serialize};

use super::Outcome;
use super::measure::Built;
use super::plot::{Across, Plot, Series, Up};
use super::values::Scalable;
use crate::data::{Recipe, Touch};
use crate::error::{BenchError, check_answer};
use crate::keys::Key;
use crate::machine;
use crate::report::print_json;
use crate::table::{Table, count};

/// What a process may take without any entries.
const BASE: u64 = 16 << 20;
/// What it may take for each entry: the list of entries, which grows by doubling, and the index.
const LIMIT_PER_ENTRY: u64 = 48;
/// What counter-proofs are called: the same texts in a list on the heap.
const ON_HEAP: &str = "texts on the heap";

/// What a process does whose memory is limited.
#[derive(Debug, Args)]
pub struct Limited {
    kind: String,
    entries: u64,
    limit: u64,
}

/// A map built under a limit.
#[derive(Debug, Serialize)]
struct Row {
    kind: &'static str,
    entries: u64,
    /// Bytes of heap and private memory that the process may have.
    limit_bytes: u64,
    #[serde(flatten)]
    measured: Option<Measured>,
    #[serde(skip_serializing_if = "Option::is_none")]
    skipped: Option<String>,
}

/// What building took, in bytes.
#[derive(Debug, Serialize, Deserialize)]
struct Measured {
    map_bytes: u64,
    heap_peak_bytes: u64,
    heap_apart_bytes: u64,
}

/// Measures all sizes of both kinds.
///
/// # Errors
/// [`BenchError::Print`].
pub fn run(most: u64) -> Result<Outcome, BenchError> {
    let texts = [1_000, 10_000, 100_000];
    let recipes = [10_000, 100_000, 1_000_000, 10_000_000];
    let mut rows = Vec::new();
    for entries in texts.into_iter().filter(|&entries| entries <= most) {
        let (kind, memory) = (String::KIND, String::memory_for(entries));
        rows.push(row(kind, entries, memory));
    }
    for entries in recipes.into_iter().filter(|&entries| entries <= most) {
        let (kind, memory) = (Recipe::KIND, Recipe::memory_for(entries));
        rows.push(row(kind, entries, memory));
    }
    rows.push(row(ON_HEAP, 1_000, BASE));
    Outcome::of("builder", &rows, table(&rows), plots(&rows))
}

fn row(kind: &'static str, entries: u64, memory: u64) -> Row {
    let limit_bytes = BASE + LIMIT_PER_ENTRY * entries;
    eprintln!(
        "scale: {} {kind} within {} bytes",
        count(entries),
        count(limit_bytes)
    );
    let measured =
        machine::require_memory(memory).and_then(|()| in_child(kind, entries, limit_bytes));
    Row {
        kind,
        entries,
        limit_bytes,
        skipped: measured.as_ref().err().cloned(),
        measured: measured.ok(),
    }
}

/// Runs [`build`] in a process of its own.
fn in_child(kind: &str, entries: u64, limit: u64) -> Result<Measured, String> {
    let program = env::current_exe().map_err(|error| error.to_string())?;
    let mut command = Command::new(program);
    command.args([
        "build-limited",
        kind,
        &entries.to_string(),
        &limit.to_string(),
    ]);
    let output = command.output().map_err(|error| error.to_string())?;
    if !output.status.success() {
        let (said, status) = (String::from_utf8_lossy(&output.stderr), output.status);
        return Err(format!(
            "{} ({status})",
            said.lines().next().unwrap_or_default()
        ));
    }
    serde_json::from_slice(&output.stdout).map_err(|error| error.to_string())
}

/// Limits the memory of this process, builds a map, asks it, and prints what that took.
///
/// # Errors
/// [`BenchError::Answer`], [`BenchError::Floe`] and [`BenchError::Print`].
pub fn build(limited: &Limited) -> Result<(), BenchError> {
    let &Limited { entries, limit, .. } = limited;
    let set = |resource, limit| setrlimit(resource, limit, limit).map_err(std::io::Error::from);
    set(Resource::RLIMIT_DATA, limit)?;
    // Running out of memory is expected here, and no reason for a dump.
    set(Resource::RLIMIT_CORE, 0)?;
    match limited.kind.as_str() {
        String::KIND => build_values::<String>(entries),
        Recipe::KIND => build_values::<Recipe>(entries),
        _ => {
            let texts: Vec<String> = (0..entries).map(Scalable::make).collect();
            black_box(texts);
            print_json(&()).map_err(Into::into)
        }
    }
}

fn build_values<V: Scalable>(entries: u64) -> Result<(), BenchError> {
    let built = Built::<V>::build(entries)?;
    for number in [0, entries / 2, entries - 1] {
        let key = V::Key::numbered(number);
        let found = built
            .map
            .get::<<V::Key as Key>::Query>(std::borrow::Borrow::borrow(&key));
        let touched = found.map_or(0, Touch::touch);
        let expected = V::make(number).touch();
        check_answer("floe", "get", entries as usize, expected, touched)?;
    }
    Ok(print_json(&Measured {
        map_bytes: built.map.region().size(),
        heap_peak_bytes: built.heap_peak_bytes,
        heap_apart_bytes: built.heap_apart_bytes,
    })?)
}

fn table(rows: &[Row]) -> Table {
    let mut table = Table::new([
        "kind",
        "entries",
        "limit",
        "map",
        "map / limit",
        "peak heap",
        "apart from index",
    ]);
    for row in rows {
        let mut cells = vec![
            row.kind.to_owned(),
            count(row.entries),
            count(row.limit_bytes),
        ];
        if let Some(reason) = &row.skipped {
            cells.push(format!("not built: {reason}"));
        }
        if let Some(measured) = &row.measured {
            let times = measured.map_bytes as f64 / row.limit_bytes as f64;
            cells.extend([count(measured.map_bytes), format!("{times:.1}")]);
            cells.extend([measured.heap_peak_bytes, measured.heap_apart_bytes].map(count));
        }
        table.add(cells);
    }
    table
}

fn plots(rows: &[Row]) -> Vec<(&'static str, Plot)> {
    let series = |name, figure: fn(&Row, &Measured) -> u64| {
        let texts = rows.iter().filter(|row| row.kind == String::KIND);
        let point = |row: &Row| {
            Some((
                row.entries as f64,
                figure(row, row.measured.as_ref()?) as f64,
            ))
        };
        Series {
            name,
            points: texts.filter_map(point).collect(),
        }
    };
    let plot = Plot {
        title: "Building under a limit of memory: texts of 64 KiB",
        unit: "bytes",
        across: Across::Entries,
        up: Up::Bytes,
        series: vec![
            series("the map", |_, measured| measured.map_bytes),
            series("limit", |row, _| row.limit_bytes),
            series("heap at most", |_, measured| measured.heap_peak_bytes),
            series("without index", |_, measured| measured.heap_apart_bytes),
        ],
    };
    vec![("builder", plot)]
}
