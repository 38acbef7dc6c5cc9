//! The verb `scale`: how cost grows with the number of entries.

mod measure;
mod plot;

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use floe::Map;
use serde::Serialize;

use crate::data::Recipe;
use crate::failure::Failure;
use crate::machine;
use crate::report::{print, print_json};
use crate::table::{Table, count, nanoseconds};
use measure::{Measured, Scalable, measure};
use plot::{Plot, Series};

/// How scale is measured.
#[derive(Debug, Args)]
pub struct Options {
    /// Largest number of entries.
    #[arg(long, default_value_t = 100_000_000)]
    most: u64,

    /// A folder for `scale.json` and the plots.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,

    /// Prints a list of rows instead of a table.
    #[arg(long)]
    json: bool,
}

/// What maps of one kind and size cost.
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
/// [`Failure::Answer`] if a map answers wrongly, [`Failure::Write`] and [`Failure::Print`].
pub fn run(options: &Options) -> Result<(), Failure> {
    let mut rows = Vec::new();
    let sizes = |most: u64| {
        (4..=8)
            .map(|power| 10_u64.pow(power))
            .filter(move |&size| size <= most)
    };
    for entries in sizes(options.most) {
        rows.push(row::<u64>(entries)?);
    }
    for entries in sizes(options.most.min(10_000_000)) {
        rows.push(row::<Recipe>(entries)?);
    }
    if let Some(directory) = &options.out {
        write(directory, &rows)?;
    }
    if options.json {
        print_json(&rows)?;
    } else {
        print(&table(&rows))?;
    }
    Ok(())
}

fn row<V: Scalable>(entries: u64) -> Result<Row, Failure> {
    eprintln!("scale: {} {}", count(entries), V::KIND);
    let needed = (64 << 20) + entries * V::MEMORY_PER_ENTRY;
    let measured = match machine::require_memory(needed) {
        Err(reason) => Err(reason),
        Ok(()) => measure::<V>(entries)?,
    };
    let (measured, skipped) = match measured {
        Ok(measured) => (Some(measured), None),
        Err(reason) => (None, Some(reason)),
    };
    Ok(Row {
        kind: V::KIND,
        entries,
        measured,
        skipped,
    })
}

fn table(rows: &[Row]) -> Table {
    let mut table = Table::new([
        "kind",
        "entries",
        "build",
        "get",
        "get_many",
        "miss",
        "bytes each",
        "peak heap",
        "apart from index",
    ]);
    for Row {
        kind,
        entries,
        measured,
        skipped,
    } in rows
    {
        let mut cells = vec![(*kind).to_owned(), count(*entries)];
        if let Some(reason) = skipped {
            cells.push(format!("skipped: {reason}"));
        }
        if let Some(measured) = measured {
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

/// Writes rows and plots into a directory, which is made if it is not there.
fn write(directory: &Path, rows: &[Row]) -> Result<(), Failure> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        |source| Failure::Write { path, source }
    };
    fs::create_dir_all(directory).map_err(failed(directory))?;
    let json = serde_json::to_vec_pretty(rows).map_err(|error| failed(directory)(error.into()))?;
    let plots = plots(rows)
        .into_iter()
        .map(|(name, plot)| (name, plot.to_string().into_bytes()));
    for (name, content) in plots.chain([("scale.json", json)]) {
        let path = directory.join(name);
        fs::write(&path, content).map_err(failed(&path))?;
    }
    Ok(())
}

/// One plot for lookups in each kind, one for building, one for bytes.
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
    let lookups = |title, kind| Plot {
        title,
        unit: "ns an operation",
        series: vec![
            series("get", kind, |measured| measured.get_ns),
            series("get_many", kind, |measured| measured.get_many_ns),
            series("miss", kind, |measured| measured.miss_ns),
        ],
    };
    let both = |title, unit, figure: fn(&Measured) -> f64| Plot {
        title,
        unit,
        series: vec![
            series(numbers, numbers, figure),
            series(recipes, recipes, figure),
        ],
    };
    vec![
        (
            "scale-lookup-u64.svg",
            lookups("Lookups in maps of u64 to u64", numbers),
        ),
        (
            "scale-lookup-recipes.svg",
            lookups("Lookups in maps of paths to recipes", recipes),
        ),
        (
            "scale-build.svg",
            both("Building a map", "ns an entry", |measured| {
                measured.build_ns
            }),
        ),
        (
            "scale-bytes.svg",
            both("Bytes of a map", "bytes an entry", |measured| {
                measured.bytes_per_entry
            }),
        ),
    ]
}

/// The map that is measured.
type MapOf<V> = Map<<V as Scalable>::Key, V>;
