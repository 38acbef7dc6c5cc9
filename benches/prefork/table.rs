//! The rows as a table for people.

use std::fmt;

use floe::usage::bytes;

use crate::row::{Kind, Row};

/// What shows all rows, with their units.
pub(crate) struct Table<'a>(pub &'a [Row]);

impl fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<19} {:>10} {:>7} {:>10} {:>10} {:>10} {:>10} {:>10} {:>8} {:>10} {:>10} {:>10}",
            "kind",
            "cache",
            "workers",
            "in owner",
            "fork",
            "tables",
            "USS max",
            "PSS total",
            "faults",
            "1st answer",
            "read all",
            "exit"
        )?;
        for row in self.0 {
            let size = size(row);
            write!(f, "{:<19} {size:>10} {:>7}", row.kind.label(), row.workers)?;
            match &row.measured {
                Some(it) => writeln!(
                    f,
                    " {:>10} {:>10} {:>10} {:>10} {:>10} {:>8} {:>10} {:>10} {:>10}",
                    bytes(it.owner_bytes),
                    time(it.fork_micros),
                    bytes(it.vm_pte_bytes),
                    bytes(it.uss_max),
                    bytes(it.pss_total),
                    it.faults,
                    time(it.first_answer_micros),
                    time(it.read_seconds * 1e6),
                    time(it.exit_micros),
                )?,
                None => writeln!(
                    f,
                    " skipped: {}",
                    row.skipped.as_deref().unwrap_or_default()
                )?,
            }
        }
        Ok(())
    }
}

/// The size of the cache of a row.
pub(crate) fn size(row: &Row) -> String {
    match row.kind {
        Kind::Nothing => "-".to_owned(),
        _ => bytes(row.cache_bytes).to_string(),
    }
}

/// Microseconds in the unit that suits them.
pub(crate) fn time(micros: f64) -> String {
    match micros {
        ..1e3 => format!("{micros:.0} µs"),
        ..1e4 => format!("{:.1} ms", micros / 1e3),
        ..1e6 => format!("{:.0} ms", micros / 1e3),
        _ => format!("{:.1} s", micros / 1e6),
    }
}
