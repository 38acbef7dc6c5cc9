//! The table that people know from object dumps.

use std::fmt;

use serde::Serialize;

use crate::inspect::usage::bytes;

/// Kinds or fields, the largest first.
///
/// `Display` aligns the columns and uses human units: `Index Count % Size % Cum Max Kind`. The
/// percentages are shares of all values and of all bytes; `Cum` adds up the shares of bytes; `Max`
/// is the largest value.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(transparent)]
#[non_exhaustive]
pub struct Table {
    /// The rows, those with the most bytes first.
    pub rows: Vec<Row>,
}

/// A kind or a field.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Row {
    /// The type or the path of the field; in parentheses for bytes that belong to no value.
    pub name: String,
    /// The parts of a path, such as `Recipe`, `.depends`, `[]`; joined, they are the name.
    #[serde(skip)]
    pub path: Vec<String>,
    /// Whether the bytes belong to no value: headers of entries, garbage, padding.
    #[serde(skip)]
    pub is_overhead: bool,
    /// The number of values.
    pub count: u64,
    /// The number of values as a share of all values, from 0 to 1.
    pub count_share: f64,
    /// Own bytes of these values.
    pub bytes: u64,
    /// Own bytes as a share of the archive, from 0 to 1.
    pub share: f64,
    /// The sum of `share` over this row and all rows before it.
    pub cumulative: f64,
    /// Own bytes of the largest value.
    pub largest: u64,
    /// Text of a field that lies outside of its strings; strings hold up to 8 bytes inline.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<Text>,
}

/// Text of a field.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Text {
    /// Bytes of all texts.
    pub bytes: u64,
    /// Bytes of distinct texts; estimated to about 1 % if there are more than 65,536 of them.
    pub distinct: u64,
}

impl Row {
    /// Bytes of text that [`Intern`](crate::Intern) would save in this field.
    #[must_use]
    pub fn saving(&self) -> u64 {
        self.text.map_or(0, |text| text.bytes - text.distinct)
    }
}

impl Table {
    /// Sorts the rows and fills in their shares.
    pub(super) fn new(mut rows: Vec<Row>) -> Self {
        let order = |left: &Row, right: &Row| {
            let by_size = right.bytes.cmp(&left.bytes);
            by_size.then_with(|| left.name.cmp(&right.name))
        };
        rows.sort_by(order);
        let mut table = Self { rows };
        let (count, bytes) = table.total();
        let share = |part: u64, whole: u64| part as f64 / whole.max(1) as f64;
        let mut sum = 0;
        for row in &mut table.rows {
            sum += row.bytes;
            row.count_share = share(row.count, count);
            row.share = share(row.bytes, bytes);
            row.cumulative = share(sum, bytes);
        }
        table
    }

    /// The row with this name.
    #[must_use]
    pub fn row(&self, name: &str) -> Option<&Row> {
        self.rows.iter().find(|row| row.name == name)
    }

    /// The number of values and the bytes of all rows.
    #[must_use]
    pub fn total(&self) -> (u64, u64) {
        let add = |(count, bytes), row: &Row| (count + row.count, bytes + row.bytes);
        self.rows.iter().fold((0, 0), add)
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:>5}  {:>10}  {:>5}  {:>10}  {:>5}  {:>5}  {:>10}  KIND",
            "INDEX", "COUNT", "%", "SIZE", "%", "CUM", "MAX"
        )?;
        for (index, row) in self.rows.iter().enumerate() {
            write!(f, "{index:>5}  {:>10}  ", row.count)?;
            write!(f, "{:>5.1}  ", 100.0 * row.count_share)?;
            write!(f, "{:>10}  {:>5.1}  ", bytes(row.bytes), 100.0 * row.share)?;
            write!(f, "{:>5.1}  ", 100.0 * row.cumulative)?;
            writeln!(f, "{:>10}  {}", bytes(row.largest), printable(&row.name))?;
        }
        let (count, size) = self.total();
        let shown = bytes(size);
        writeln!(
            f,
            "{:>5}  {count:>10}  {:5}  {shown:>10}  {:26}total",
            "", "", ""
        )
    }
}

/// A schema chooses its names, and a terminal obeys control characters.
fn printable(name: &str) -> String {
    name.replace(char::is_control, "?")
}
