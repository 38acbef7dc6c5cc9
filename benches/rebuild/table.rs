//! The table of changed entries, with the bars of those that have one.

use crate::changes::Row;

/// What rows must reach: entries, changed ones at random, and the most that time / copy, new bytes,
/// new bytes / image and runs may be.
const BARS: [Bar; 4] = [
    Bar {
        bytes: Some(1 << 20),
        ..Bar::of(1_000_000, 1, 0.02)
    },
    Bar::of(1_000_000, 1_000, 0.10),
    Bar {
        bytes_ratio: Some(0.10),
        runs: Some(200),
        ..Bar::of(1_000_000, 10_000, 0.25)
    },
    Bar::of(10_000_000, 1, 0.004),
];

struct Bar {
    entries: u64,
    changed: u64,
    seconds_ratio: f64,
    bytes: Option<u64>,
    bytes_ratio: Option<f64>,
    runs: Option<usize>,
}

impl Bar {
    const fn of(entries: u64, changed: u64, seconds_ratio: f64) -> Self {
        Self {
            entries,
            changed,
            seconds_ratio,
            bytes: None,
            bytes_ratio: None,
            runs: None,
        }
    }

    fn text(&self, row: &Row) -> String {
        let mut text = format!("time <= {}", self.seconds_ratio);
        let mut holds = row.seconds_ratio() <= self.seconds_ratio;
        if let Some(bytes) = self.bytes {
            text += &format!(", new <= {}", mebibytes(bytes));
            holds &= row.new_bytes <= bytes;
        }
        if let Some(ratio) = self.bytes_ratio {
            text += &format!(", new / image <= {ratio}");
            holds &= row.bytes_ratio() <= ratio;
        }
        if let Some(runs) = self.runs {
            text += &format!(", runs <= {runs}");
            holds &= row.runs <= runs;
        }
        text + if holds { ": holds" } else { ": MISSED" }
    }
}

pub(crate) fn print(rows: &[Row]) {
    println!(
        "{:>8} {:>8} {:<9} {:>9} {:>7} {:>10} {:>9} {:>9} {:>7} {:>5} {:>5}  asked",
        "entries",
        "changed",
        "where",
        "ms",
        "/ copy",
        "release ms",
        "new MiB",
        "Shmem MiB",
        "/ image",
        "files",
        "runs"
    );
    for row in rows {
        let bar = BARS
            .iter()
            .find(|bar| row.is_random && (bar.entries, bar.changed) == (row.entries, row.changed));
        println!(
            "{:>8} {:>8} {:<9} {:>9.3} {:>7.4} {:>10.3} {:>9} {:>9.3} {:>7.4} {:>5} {:>5}  {}",
            row.entries,
            row.changed,
            if row.is_random { "random" } else { "clustered" },
            1e3 * row.seconds,
            row.seconds_ratio(),
            1e3 * row.release_seconds,
            mebibytes(row.new_bytes),
            row.shmem_bytes as f64 / f64::from(1 << 20),
            row.bytes_ratio(),
            row.files,
            row.runs,
            bar.map_or_else(String::new, |bar| bar.text(row))
        );
    }
}

fn mebibytes(bytes: u64) -> String {
    format!("{:.3}", bytes as f64 / f64::from(1 << 20))
}
