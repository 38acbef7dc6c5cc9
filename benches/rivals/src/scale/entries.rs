//! Maps of more and more entries.

use serde::Serialize;

use super::Outcome;
use super::measure::{Measured, measure};
use super::plot::{Across, Plot, Series, Up};
use super::values::Scalable;
use crate::data::Recipe;
use crate::error::BenchError;
use crate::machine;
use crate::table::{Table, count, nanoseconds};

/// Recipes are measured up to this number.
const MOST_RECIPES: u64 = 10_000_000;

/// What a map of one kind and size costs.
#[derive(Debug, Serialize)]
struct Row {
    kind: &'static str,
    entries: u64,
    #[serde(flatten)]
    measured: Option<Measured>,
    #[serde(skip_serializing_if = "Option::is_none")]
    skipped: Option<String>,
}

/// Measures all sizes of both kinds.
///
/// # Errors
/// [`BenchError::Answer`].
pub fn run(most: u64) -> Result<Outcome, BenchError> {
    let mut rows = Vec::new();
    let sizes = |most: u64| {
        (4..=8)
            .map(|power| 10_u64.pow(power))
            .filter(move |&size| size <= most)
    };
    for entries in sizes(most) {
        rows.push(row::<u64>(entries)?);
    }
    for entries in sizes(most.min(MOST_RECIPES)) {
        rows.push(row::<Recipe>(entries)?);
    }
    Outcome::of("entries", &rows, table(&rows), plots(&rows))
}

fn row<V: Scalable>(entries: u64) -> Result<Row, BenchError> {
    eprintln!("scale: {} {}", count(entries), V::KIND);
    let measured = match machine::require_memory(V::memory_for(entries)) {
        Err(reason) => Err(reason),
        Ok(()) => measure::<V>(entries)?,
    };
    Ok(Row {
        kind: V::KIND,
        entries,
        skipped: measured.as_ref().err().cloned(),
        measured: measured.ok(),
    })
}

fn table(rows: &[Row]) -> Table {
    let mut table = Table::new([
        "kind",
        "entries",
        "build ns",
        "get ns",
        "get_many ns",
        "miss ns",
        "bytes each",
        "peak heap",
        "apart from index",
    ]);
    for row in rows {
        let mut cells = vec![row.kind.to_owned(), count(row.entries)];
        if let Some(reason) = &row.skipped {
            cells.push(format!("skipped: {reason}"));
        }
        if let Some(measured) = &row.measured {
            let costs = [
                measured.build_ns,
                measured.get_ns,
                measured.get_many_ns,
                measured.miss_ns,
            ];
            cells.extend(costs.map(nanoseconds));
            cells.push(format!("{:.1}", measured.bytes_per_entry));
            cells.extend([measured.heap_peak_bytes, measured.heap_apart_bytes].map(count));
        }
        table.add(cells);
    }
    table
}

/// One plot for lookups in each kind, one for building, one for bytes, one for the builder's heap.
fn plots(rows: &[Row]) -> Vec<(&'static str, Plot)> {
    let [numbers, recipes] = [<u64 as Scalable>::KIND, <Recipe as Scalable>::KIND];
    let series = |name, kind, figure: fn(&Measured) -> f64| {
        let of_kind = rows.iter().filter(|row| row.kind == kind);
        let point = |row: &Row| Some((row.entries as f64, figure(row.measured.as_ref()?)));
        Series {
            name,
            points: of_kind.filter_map(point).collect(),
        }
    };
    let plot = |title, unit, up, series| Plot {
        title,
        unit,
        across: Across::Entries,
        up,
        series,
    };
    let lookups = |title, kind| {
        let series = vec![
            series("get", kind, |measured| measured.get_ns),
            series("get_many", kind, |measured| measured.get_many_ns),
            series("miss", kind, |measured| measured.miss_ns),
        ];
        plot(title, "ns an operation", Up::Linear, series)
    };
    let both = |title, unit, figure: fn(&Measured) -> f64| {
        let series = [numbers, recipes].map(|kind| series(kind, kind, figure));
        plot(title, unit, Up::Linear, series.into())
    };
    let heap = vec![
        series("the map", recipes, |measured| measured.bytes as f64),
        series("heap at most", recipes, |measured| {
            measured.heap_peak_bytes as f64
        }),
        series("without index", recipes, |measured| {
            measured.heap_apart_bytes as f64
        }),
    ];
    vec![
        (
            "lookup-u64",
            lookups("Lookups in maps of u64 to u64", numbers),
        ),
        (
            "lookup-recipes",
            lookups("Lookups in maps of paths to recipes", recipes),
        ),
        (
            "build",
            both("Building a map", "ns an entry", |measured| {
                measured.build_ns
            }),
        ),
        (
            "bytes",
            both("Bytes of a map", "bytes an entry", |measured| {
                measured.bytes_per_entry
            }),
        ),
        (
            "heap",
            plot(
                "Heap of a builder of recipes",
                "bytes, beside the map that it builds",
                Up::Bytes,
                heap,
            ),
        ),
    ]
}
