//! The page: plots, promises and all rows, in one file that needs no network.

use std::collections::BTreeSet;
use std::fmt::Write;

use floe::usage::bytes;

use crate::bars::Bar;
use crate::plot::{Plot, Unit};
use crate::row::{Kind, Measured, Row, find};
use crate::table::{size, time};

const STYLE: &str = include_str!("page.css");

const KINDS: [Kind; 5] = [
    Kind::Nothing,
    Kind::Inherited,
    Kind::Counted,
    Kind::Locked,
    Kind::Frozen,
];

/// A figure of a row, and how to show it.
struct Figure {
    title: &'static str,
    note: &'static str,
    unit: Unit,
    value: fn(&Measured) -> f64,
}

const BY_SIZE: [Figure; 6] = [
    Figure {
        title: "Fork",
        note: "one call of prefork::spawn, median",
        unit: Unit::Micros,
        value: |it| it.fork_micros,
    },
    Figure {
        title: "First answer",
        note: "from before the fork to the first entry read",
        unit: Unit::Micros,
        value: |it| it.first_answer_micros,
    },
    Figure {
        title: "Minor faults",
        note: "of a worker that reads everything",
        unit: Unit::Count,
        value: |it| it.faults as f64,
    },
    Figure {
        title: "Own memory (USS)",
        note: "of a worker that has read everything",
        unit: Unit::Bytes,
        value: |it| it.uss_max as f64,
    },
    Figure {
        title: "Page tables just after the fork",
        note: "of a worker (VmPTE)",
        unit: Unit::Bytes,
        value: |it| it.vm_pte_forked_bytes as f64,
    },
    Figure {
        title: "Exit",
        note: "of a worker that has read everything",
        unit: Unit::Micros,
        value: |it| it.exit_micros,
    },
];

const BY_WORKERS: [Figure; 3] = [
    Figure {
        title: "Memory of all (PSS)",
        note: "workers that have read everything, and their owner",
        unit: Unit::Bytes,
        value: |it| it.pss_total as f64,
    },
    Figure {
        title: "Read everything",
        note: "until all workers have, at the same time",
        unit: Unit::Micros,
        value: |it| it.read_seconds * 1e6,
    },
    Figure {
        title: "First answer",
        note: "from before the fork to the first entry read",
        unit: Unit::Micros,
        value: |it| it.first_answer_micros,
    },
];

/// The whole page.
pub(crate) fn page(rows: &[Row], bars: &[Bar]) -> String {
    let sizes: BTreeSet<u64> = rows.iter().map(|row| row.cache_bytes).collect();
    let sizes: Vec<u64> = sizes.into_iter().filter(|size| *size > 0).collect();
    let workers: BTreeSet<usize> = rows.iter().map(|row| row.workers).collect();
    let workers: Vec<usize> = workers.into_iter().collect();
    let some_workers = middle(&workers, 8).unwrap_or_default();
    let some_size = middle(&sizes, 1 << 30).unwrap_or_default();

    let mut page = format!(
        "<!doctype html><html lang=en><meta charset=utf-8>\
         <meta name=viewport content=\"width=device-width,initial-scale=1\">\
         <title>floe: workers over a cache</title><style>{STYLE}</style>\
         <h1>Workers forked over a cache</h1>\
         <p>The same recipes on the heap of an owner and in a frozen map. A size is that of the \
         frozen map; on the heap the same entries take more, which the table tells. All axes of \
         values are logarithmic; a plot says its values to the pointer.</p><ul>"
    );
    // A `String` takes everything, here and below.
    for bar in bars {
        let _ = write!(page, "<li>{}</li>", escape(&bar.to_string()));
    }
    page.push_str("</ul><p class=legend>");
    for kind in KINDS {
        let _ = write!(
            page,
            "<span class={}><i></i>{}</span>",
            kind.name(),
            kind.label()
        );
    }
    let _ = write!(
        page,
        "</p><h2>{some_workers} workers, by size of the cache</h2><main>"
    );
    for figure in &BY_SIZE {
        let places = sizes
            .iter()
            .map(|size| Unit::Bytes.show(*size as f64))
            .collect();
        let value = |kind, place: usize| find(rows, kind, sizes[place], some_workers);
        page.push_str(&plot(figure, places, value));
    }
    let size = Unit::Bytes.show(some_size as f64);
    let _ = write!(
        page,
        "</main><h2>A cache of {size}, by number of workers</h2><main>"
    );
    for figure in &BY_WORKERS {
        let places = workers.iter().map(usize::to_string).collect();
        let value = |kind, place: usize| find(rows, kind, some_size, workers[place]);
        page.push_str(&plot(figure, places, value));
    }
    page.push_str("</main><h2>All rows</h2>");
    page.push_str(&table(rows));
    page
}

/// The wanted one, or the largest.
fn middle<T: Copy + PartialEq>(sorted: &[T], wanted: T) -> Option<T> {
    let found = sorted.iter().find(|one| **one == wanted);
    found.or(sorted.last()).copied()
}

fn plot<'a>(
    figure: &Figure,
    places: Vec<String>,
    measured: impl Fn(Kind, usize) -> Option<&'a Measured>,
) -> String {
    let values = |kind| {
        let values = 0..places.len();
        values
            .map(|place| measured(kind, place).map(figure.value))
            .collect()
    };
    let series = KINDS.map(|kind| (kind, values(kind))).into();
    let plot = Plot {
        unit: figure.unit,
        series,
        places,
    };
    let (title, note) = (figure.title, figure.note);
    let drawn = plot
        .svg()
        .unwrap_or_else(|| "<p>not measured</p>".to_owned());
    format!("<figure><figcaption><b>{title}</b> {note}</figcaption>{drawn}</figure>")
}

fn table(rows: &[Row]) -> String {
    let mut table = String::from("<div class=scroll><table><tr><th>kind<th>cache<th>workers");
    for title in [
        "in owner",
        "fork",
        "tables, forked",
        "tables, read",
        "USS max",
        "PSS total",
        "faults",
        "first answer",
        "read all",
        "exit",
    ] {
        let _ = write!(table, "<th>{title}");
    }
    for row in rows {
        let (kind, size, workers) = (row.kind, size(row), row.workers);
        let (class, label) = (kind.name(), kind.label());
        let _ = write!(
            table,
            "<tr class={class}><td><i></i>{label}<td>{size}<td>{workers}"
        );
        if let Some(reason) = &row.skipped {
            let _ = write!(
                table,
                "<td colspan=10 class=skipped>skipped: {}",
                escape(reason)
            );
        }
        for cell in row.measured.iter().flat_map(cells) {
            let _ = write!(table, "<td>{cell}");
        }
    }
    table + "</table></div></html>\n"
}

fn cells(it: &Measured) -> [String; 10] {
    [
        bytes(it.owner_bytes).to_string(),
        time(it.fork_micros),
        bytes(it.vm_pte_forked_bytes).to_string(),
        bytes(it.vm_pte_bytes).to_string(),
        bytes(it.uss_max).to_string(),
        bytes(it.pss_total).to_string(),
        it.faults.to_string(),
        time(it.first_answer_micros),
        time(it.read_seconds * 1e6),
        time(it.exit_micros),
    ]
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}
