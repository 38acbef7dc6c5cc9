//! The table that people know from `smem`.

use std::fmt;

use serde::Serialize;

use super::{Usage, bytes, mappings};
use crate::error::Error;

/// The memory of several processes, one row for each.
///
/// `Display` aligns the columns, uses human units and adds a line of totals. The total of PSS is
/// what the processes use together. The total of RSS counts a shared page once for each process
/// that maps it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Table {
    /// The rows, in the order in which they are shown.
    pub rows: Vec<Row>,
}

/// The memory of one process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Row {
    /// The process.
    pub pid: u32,
    /// Its name; [`Row::of`] uses the name of its command.
    pub name: String,
    /// Its memory. Serialised, these fields stand beside `pid` and `name`.
    #[serde(flatten)]
    pub memory: Usage,
}

impl Table {
    /// The memory of the processes `pids`, read one after the other, so not at one moment.
    ///
    /// # Errors
    /// As [`Usage::of`], for the first process that cannot be read.
    pub fn of(pids: impl IntoIterator<Item = u32>) -> Result<Self, Error> {
        let rows = pids.into_iter().map(Row::of).collect::<Result<_, _>>()?;
        Ok(Self { rows })
    }

    /// The sum of all rows.
    #[must_use]
    pub fn total(&self) -> Usage {
        self.rows.iter().map(|row| row.memory).sum()
    }
}

impl Row {
    /// The memory of process `pid`, named by the first 15 bytes of its command.
    ///
    /// # Errors
    /// As [`Usage::of`].
    pub fn of(pid: u32) -> Result<Self, Error> {
        let command = mappings::read(pid, "comm")?;
        Ok(Self {
            pid,
            name: String::from_utf8_lossy(command.trim_ascii_end()).into_owned(),
            memory: Usage::of(pid)?,
        })
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.rows.iter().map(|row| row.name.chars().count());
        let width = width.fold("total".len(), usize::max);
        let titles = ["USS", "PSS", "RSS", "VSS", "ANONYMOUS", "SWAP"];
        write!(f, "{:>7}  {:width$}", "PID", "NAME")?;
        titles
            .iter()
            .try_for_each(|title| write!(f, "  {title:>10}"))?;
        writeln!(f)?;
        for row in &self.rows {
            write!(f, "{:>7}  {:width$}", row.pid, printable(&row.name))?;
            columns(f, &row.memory)?;
        }
        write!(f, "{:>7}  {:width$}", "", "total")?;
        columns(f, &self.total())
    }
}

fn columns(f: &mut fmt::Formatter<'_>, memory: &Usage) -> fmt::Result {
    let shown = [
        memory.uss,
        memory.pss,
        memory.rss,
        memory.vss,
        memory.anonymous,
        memory.swap,
    ];
    for count in shown {
        write!(f, "  {:>10}", bytes(count))?;
    }
    writeln!(f)
}

/// A process chooses its name, and a terminal obeys control characters.
fn printable(name: &str) -> String {
    name.replace(char::is_control, "?")
}
