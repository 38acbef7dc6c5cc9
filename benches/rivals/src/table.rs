//! Aligned tables, and numbers as people read them.

use std::fmt;

/// Rows of cells under a head. Columns of numbers are aligned to the right.
#[derive(Debug)]
pub struct Table {
    head: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with a head and no rows.
    pub fn new<const COLUMNS: usize>(head: [&str; COLUMNS]) -> Self {
        Self {
            head: head.map(str::to_owned).to_vec(),
            rows: Vec::new(),
        }
    }

    /// Adds a row. It may be shorter than the head: then its last cell runs through.
    pub fn add(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    /// The cells of a column, without those that run through.
    fn cells(&self, column: usize) -> impl Iterator<Item = &str> {
        let whole =
            move |row: &&Vec<String>| row.len() == self.head.len() || column + 1 < row.len();
        self.rows
            .iter()
            .filter(whole)
            .map(move |row| row[column].as_str())
    }

    fn width(&self, column: usize) -> usize {
        let cells = self.cells(column).map(|cell| cell.chars().count());
        cells
            .chain([self.head[column].chars().count()])
            .max()
            .unwrap_or(0)
    }

    /// Whether every cell of a column is a number or empty.
    fn is_numeric(&self, column: usize) -> bool {
        !self
            .cells(column)
            .any(|cell| cell.chars().any(char::is_alphabetic))
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns: Vec<(usize, bool)> = (0..self.head.len())
            .map(|column| (self.width(column), self.is_numeric(column)))
            .collect();
        for row in std::iter::once(&self.head).chain(&self.rows) {
            let mut line = String::new();
            for (place, (cell, &(width, numeric))) in row.iter().zip(&columns).enumerate() {
                let runs_through = row.len() < columns.len() && place + 1 == row.len();
                line += &if numeric && !runs_through {
                    format!("{cell:>width$}  ")
                } else {
                    format!("{cell:<width$}  ")
                };
            }
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

/// A whole number with its thousands apart.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push('_');
        }
        text.push(digit);
    }
    text
}

/// Nanoseconds, with a decimal where it tells something.
pub fn nanoseconds(number: f64) -> String {
    if number < 1000.0 {
        format!("{number:.1}")
    } else {
        count(number.round() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stand_to_the_right_and_short_rows_run_through() {
        let mut table = Table::new(["entries", "who", "ns"]);
        table.add(vec!["10".into(), "floe".into(), "1.5".into()]);
        table.add(vec!["1_000".into(), "std".into(), "22.5".into()]);
        table.add(vec!["1_000".into(), "skipped: there was no memory".into()]);
        assert_eq!(
            table.to_string(),
            "entries  who     ns\n     10  floe   1.5\n  1_000  std   22.5\n\
             \x20 1_000  skipped: there was no memory\n"
        );
    }

    #[test]
    fn numbers_have_their_thousands_apart() {
        assert_eq!(
            [0, 999, 1000, 1_234_567].map(count),
            ["0", "999", "1_000", "1_234_567"]
        );
        assert_eq!(
            [1.25, 1234.4].map(nanoseconds),
            ["1.2", "1_234"].map(String::from)
        );
    }
}
