//! What a verb tells: rows, as JSON for programs or as a table for people.

use std::fmt;
use std::io::{self, Write};

use serde::Serialize;

use crate::keys::KeyKind;
use crate::statistics::Spread;
use crate::table::{Table, count, nanoseconds};

/// One measurement: what a contender needed for an operation.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// Entries of the map.
    pub entries: usize,
    /// What keys it has, where that differs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keys: Option<KeyKind>,
    /// Who was measured.
    pub contender: &'static str,
    /// What was measured.
    pub operation: &'static str,
    /// Nanoseconds of the operation, the middle one of all rounds.
    pub median_ns: Option<f64>,
    /// The fastest round.
    pub min_ns: Option<f64>,
    /// The slowest round.
    pub max_ns: Option<f64>,
    /// Bytes of the contender's form of the map.
    pub bytes: Option<u64>,
    /// Why there are no figures.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skipped: Option<String>,
}

impl Row {
    /// What was measured.
    pub fn measured(
        entries: usize,
        contender: &'static str,
        operation: &'static str,
        spread: Option<Spread>,
        bytes: Option<u64>,
    ) -> Self {
        Self {
            entries,
            keys: None,
            contender,
            operation,
            median_ns: spread.map(|spread| spread.median),
            min_ns: spread.map(|spread| spread.min),
            max_ns: spread.map(|spread| spread.max),
            bytes,
            skipped: None,
        }
    }

    /// What could not be measured, and why.
    pub fn skipped(
        entries: usize,
        contender: &'static str,
        operation: &'static str,
        reason: impl ToString,
    ) -> Self {
        Self {
            skipped: Some(reason.to_string()),
            ..Self::measured(entries, contender, operation, None, None)
        }
    }

    /// The same of a map with such keys.
    pub fn with_keys(self, keys: KeyKind) -> Self {
        Self {
            keys: Some(keys),
            ..self
        }
    }
}

/// The row of a contender for an operation.
pub fn find<'a>(
    rows: &'a [Row],
    entries: usize,
    contender: &str,
    operation: &str,
) -> Option<&'a Row> {
    rows.iter().find(|row| {
        row.entries == entries && row.contender == contender && row.operation == operation
    })
}

/// Rows as a table, with the ratio of each median to that of floe.
pub fn table(rows: &[Row]) -> Table {
    let mut table = Table::new([
        "entries",
        "operation",
        "contender",
        "median",
        "min",
        "max",
        "/ floe",
        "bytes",
    ]);
    for row in rows {
        let floe = find(rows, row.entries, "floe", row.operation).and_then(|floe| floe.median_ns);
        let ratio = row.median_ns.zip(floe).map(|(own, floe)| ratio(own / floe));
        let figure = |figure: Option<f64>| figure.map(nanoseconds).unwrap_or_default();
        let mut cells = vec![
            count(row.entries as u64),
            row.operation.to_owned(),
            row.contender.to_owned(),
        ];
        if let Some(reason) = &row.skipped {
            cells.push(format!("skipped: {reason}"));
        } else {
            cells.extend([
                figure(row.median_ns),
                figure(row.min_ns),
                figure(row.max_ns),
            ]);
            cells.extend([
                ratio.unwrap_or_default(),
                row.bytes.map(count).unwrap_or_default(),
            ]);
        }
        table.add(cells);
    }
    table
}

/// A ratio, with as many decimals as it takes to tell it from 0.
fn ratio(ratio: f64) -> String {
    if ratio < 0.1 {
        format!("{ratio:.4}")
    } else {
        format!("{ratio:.2}")
    }
}

/// Prints something for people on standard output.
pub fn print(text: &impl fmt::Display) -> io::Result<()> {
    writeln!(io::stdout().lock(), "{text}")
}

/// Prints something as JSON, and nothing else, on standard output.
pub fn print_json(rows: &impl Serialize) -> io::Result<()> {
    let mut out = io::stdout().lock();
    serde_json::to_writer_pretty(&mut out, rows)?;
    writeln!(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_have_the_agreed_fields() {
        let spread = Spread::of(&[2.0, 1.0, 3.0]);
        let row = Row::measured(10, "floe", "get", spread, Some(64));
        assert_eq!(
            serde_json::to_string(&row).unwrap(),
            r#"{"entries":10,"contender":"floe","operation":"get","median_ns":2.0,"min_ns":1.0,"max_ns":3.0,"bytes":64}"#
        );
        assert!(
            serde_json::to_string(&row.with_keys(KeyKind::Bytes32))
                .unwrap()
                .starts_with(r#"{"entries":10,"keys":"bytes32","contender":"floe","#)
        );
        let row = Row::skipped(10, "fst", "get", "no");
        assert!(
            serde_json::to_string(&row)
                .unwrap()
                .ends_with(r#""bytes":null,"skipped":"no"}"#)
        );
    }

    #[test]
    fn ratios_are_to_floe_at_the_same_size() {
        let get = |entries, contender, median| {
            Row::measured(entries, contender, "get", Spread::of(&[median]), None)
        };
        let rows = [
            get(10, "floe", 2.0),
            get(20, "floe", 4.0),
            get(20, "std", 6.0),
        ];
        let text = table(&rows).to_string();
        assert!(text.lines().last().unwrap().contains("1.50"), "{text}");
    }
}
