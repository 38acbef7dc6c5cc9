//! The one table in which every verb answers.

use std::io::{self, Write};

use clap::builder::styling::Style;
use floe::usage::bytes;
use indicatif::HumanCount;
use serde::ser::{Serialize, SerializeMap, Serializer};

use super::output::{FAINT, Format, NAME, Output, TITLE, printable};

/// Rows of cells under titles.
pub(crate) struct Table {
    columns: Vec<Column>,
    rows: Vec<Row>,
}

/// The name of a column: for programs, and as a title for people, who do not see it without one.
#[derive(Clone, Copy)]
pub(crate) struct Column(pub &'static str, pub &'static str);

struct Row {
    kind: RowKind,
    cells: Vec<Cell>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum RowKind {
    Plain,
    /// A part of the plain row above it.
    Part,
    /// A sum of rows, for people only: programs add up by themselves.
    Total,
}

/// What stands in one place of a table.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Cell {
    Empty,
    /// Something that is not known, or is not there.
    Absent,
    Text(String),
    /// The same as in a row above: people need not see it again.
    Ditto(Box<Cell>),
    Number(u64),
    Count(u64),
    Bytes(u64),
    /// From 0 to 1.
    Share(f64),
    /// A duration, and how people are told it.
    Seconds {
        seconds: f64,
        shown: String,
    },
}

impl Table {
    /// An empty table.
    pub(crate) fn new(columns: impl Into<Vec<Column>>) -> Self {
        Self {
            columns: columns.into(),
            rows: Vec::new(),
        }
    }

    pub(crate) fn push(&mut self, cells: Vec<Cell>) {
        self.add(RowKind::Plain, cells);
    }

    /// Adds a row that tells a part of the row above.
    pub(crate) fn push_part(&mut self, cells: Vec<Cell>) {
        self.add(RowKind::Part, cells);
    }

    /// Adds a row of sums, which programs are not told.
    pub(crate) fn push_total(&mut self, cells: Vec<Cell>) {
        self.add(RowKind::Total, cells);
    }

    fn add(&mut self, kind: RowKind, cells: Vec<Cell>) {
        debug_assert_eq!(cells.len(), self.columns.len());
        self.rows.push(Row { kind, cells });
    }

    pub(crate) fn write(&self, format: Format, output: &mut Output) -> io::Result<()> {
        match format {
            Format::Table => self.write_aligned(output),
            Format::Json => {
                serde_json::to_writer(&mut *output, self)?;
                writeln!(output)
            }
            Format::Csv => self.write_csv(output),
        }
    }

    /// The rows that programs are told.
    fn data(&self) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(|row| row.kind != RowKind::Total)
    }

    fn write_aligned(&self, output: &mut Output) -> io::Result<()> {
        let shown: Vec<Vec<String>> = self
            .rows
            .iter()
            .map(|row| row.cells.iter().map(Cell::for_people).collect())
            .collect();
        let layout: Vec<Option<(usize, bool)>> = (0..self.columns.len())
            .map(|column| {
                let widths = shown.iter().map(|row| row[column].chars().count());
                let title = self.columns[column].1.chars().count();
                let left = self.rows.iter().all(|row| row.cells[column].is_text());
                match title {
                    0 => None,
                    _ => Some((widths.fold(title, usize::max), left)),
                }
            })
            .collect();
        let titles: Vec<String> = self.columns.iter().map(|it| it.1.to_owned()).collect();
        write_line(output, TITLE, &titles, &layout)?;
        for (row, cells) in self.rows.iter().zip(&shown) {
            let style = match row.kind {
                RowKind::Plain => Style::new(),
                RowKind::Part => NAME,
                RowKind::Total => FAINT,
            };
            write_line(output, style, cells, &layout)?;
        }
        Ok(())
    }

    fn write_csv(&self, output: &mut Output) -> io::Result<()> {
        let mut writer = csv::Writer::from_writer(output);
        writer.write_record(self.columns.iter().map(|column| column.0))?;
        for row in self.data() {
            writer.serialize(&row.cells)?;
        }
        writer.flush()
    }
}

/// Writes one line of cells, numbers to the right and text to the left, without blanks at its end.
/// Cells without a layout are left out.
fn write_line(
    output: &mut Output,
    style: Style,
    cells: &[String],
    layout: &[Option<(usize, bool)>],
) -> io::Result<()> {
    let mut line = String::new();
    for (cell, layout) in cells.iter().zip(layout) {
        let Some((width, left)) = *layout else {
            continue;
        };
        line += &match left {
            true => format!("{cell:width$}  "),
            false => format!("{cell:>width$}  "),
        };
    }
    output.styled(style, line.trim_end())?;
    writeln!(output)
}

impl Cell {
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// The same, where it stands below itself.
    pub(crate) fn ditto(self) -> Self {
        Self::Ditto(Box::new(self))
    }

    fn is_text(&self) -> bool {
        match self {
            Self::Text(_) | Self::Empty => true,
            Self::Ditto(cell) => cell.is_text(),
            _ => false,
        }
    }

    fn for_people(&self) -> String {
        match self {
            Self::Empty | Self::Ditto(_) => String::new(),
            Self::Absent => "-".to_owned(),
            Self::Text(text) => printable(text),
            Self::Number(number) => number.to_string(),
            Self::Count(count) => HumanCount(*count).to_string(),
            Self::Bytes(count) => bytes(*count).to_string(),
            Self::Share(share) => format!("{:.1}", share * 100.0),
            Self::Seconds { shown, .. } => shown.clone(),
        }
    }
}

impl Serialize for Cell {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Empty | Self::Absent => serializer.serialize_none(),
            Self::Text(text) => serializer.serialize_str(text),
            Self::Ditto(cell) => cell.serialize(serializer),
            Self::Number(number) | Self::Count(number) | Self::Bytes(number) => {
                serializer.serialize_u64(*number)
            }
            Self::Share(share) => serializer.serialize_f64(*share),
            Self::Seconds { seconds, .. } => serializer.serialize_f64(*seconds),
        }
    }
}

impl Serialize for Table {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        struct Object<'a>(&'a [Column], &'a Row);
        impl Serialize for Object<'_> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let mut map = serializer.serialize_map(Some(self.0.len()))?;
                for (column, cell) in self.0.iter().zip(&self.1.cells) {
                    map.serialize_entry(column.0, cell)?;
                }
                map.end()
            }
        }
        serializer.collect_seq(self.data().map(|row| Object(&self.columns, row)))
    }
}
