//! `floe census`: which kinds of values, and which fields, take the bytes.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use floe::census::{self, Census, Row};
use floe::dynamic::Described;
use floe::usage::bytes;

use super::output::{FAINT, Format, Output, TITLE, counted, printable};
use super::progress::Progress;
use super::table::{Cell, Column, Table};
use super::target::{self, Target};
use super::treemap::page::page;
use super::treemap::picture::picture;
use super::{CommandError, fields};

/// Count values and their bytes, by type or by field
///
/// Checks the digests, then walks all values. The rows add up to the whole archive section; bytes
/// of no value, such as padding, have rows in parentheses. A value counts its own bytes: a list
/// without its items, a string with its text. Shared and interned values count once, at their first
/// use.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Columns:
  COUNT  the number of values, and their share of all values
  SIZE   their own bytes, their share of all bytes, and CUM, the share with all rows above
  MAX    own bytes of the largest value
  SAVES  text that occurs more than once: what `#[rkyv(with = Intern)]` would save

Examples:
  floe census recipes.floe
  floe census recipes.floe --by path | head
  floe census /run/server/floe.sock:recipes --by path
  floe census recipes.floe --html recipes.html && xdg-open recipes.html
  floe census recipes.floe --by path --format json | jq 'map(.saves) | add'

Exit codes: 0 done, 1 bad input, 2 wrong usage")]
pub(crate) struct Arguments {
    #[arg(value_name = "TARGET", help = target::HELP)]
    target: Target,

    /// What each row stands for
    #[arg(long, value_enum, default_value_t)]
    by: By,

    /// The form of the table
    #[arg(long, value_enum, default_value_t)]
    format: Format,

    /// Count one root of a region that has several, without what it shares with earlier ones
    #[arg(long, value_name = "NAME")]
    root: Option<String>,

    /// Write a treemap of the fields to this file instead; - is the standard output
    #[arg(long, value_name = "OUT", conflicts_with_all = ["by", "format"])]
    svg: Option<PathBuf>,

    /// Write the treemap as a web page that can be zoomed and needs no network
    #[arg(long, value_name = "OUT", conflicts_with_all = ["by", "format", "svg"])]
    html: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
enum By {
    /// A type: String, Vec<String>
    #[default]
    Kind,
    /// A field: Recipe.depends, and the items in it, Recipe.depends[]
    Path,
}

/// The columns that both tables begin with.
const COLUMNS: [Column; 7] = [
    Column("index", "INDEX"),
    Column("count", "COUNT"),
    Column("count_share", "%"),
    Column("bytes", "SIZE"),
    Column("share", "%"),
    Column("cumulative", "CUM"),
    Column("largest", "MAX"),
];

pub(crate) fn run(arguments: &Arguments, output: &mut Output) -> Result<(), CommandError> {
    let target = &arguments.target;
    let loaded = target.load()?;
    let region = target.root(&loaded, arguments.root.as_deref())?;
    let census = take(region, target)?;
    if let Some(path) = &arguments.svg {
        let root = fields::tree(&census);
        return write(
            path,
            &picture(&root.name, &subtitle(&census), &root),
            output,
        );
    }
    if let Some(path) = &arguments.html {
        return write(
            path,
            &page(&subtitle(&census), &fields::tree(&census)),
            output,
        );
    }
    if arguments.format == Format::Table {
        output.styled(TITLE, printable(&census.name))?;
        output.styled(FAINT, format!("  {}", subtitle(&census)))?;
        writeln!(output, "\n")?;
    }
    Ok(table(&census, arguments.by).write(arguments.format, output)?)
}

/// Walks all values of a region, which checks them.
pub(crate) fn take(region: &Described, target: &Target) -> Result<Census, CommandError> {
    let progress = Progress::new("counting");
    let tell = |done, all| progress.tell(done, all);
    let options = census::Options::default().progress(&tell);
    Census::of(region, &options).map_err(|error| target.refuse(error))
}

/// What the census is of, in one line.
fn subtitle(census: &Census) -> String {
    let size = bytes(census.bytes);
    match census.entries {
        Some(entries) => format!("{size} in {}", counted(entries, "entry", "entries")),
        None => format!("{size} in one value"),
    }
}

fn table(census: &Census, by: By) -> Table {
    let (counted, own_columns) = match by {
        By::Kind => (&census.by_kind, &[Column("kind", "KIND")][..]),
        By::Path => (
            &census.by_path,
            &[Column("saves", "SAVES"), Column("path", "PATH")][..],
        ),
    };
    let mut table = Table::new([&COLUMNS, own_columns].concat());
    let with_saving = |mut cells: Vec<Cell>, saving: u64, name: &str| {
        if by == By::Path {
            cells.push(match saving {
                0 => Cell::Empty,
                saving => Cell::Bytes(saving),
            });
        }
        cells.push(Cell::text(name));
        cells
    };
    for (index, row) in counted.rows.iter().enumerate() {
        table.push(with_saving(cells(index, row), row.saving(), &row.name));
    }
    let (count, bytes) = counted.total();
    let mut total = vec![Cell::Empty; COLUMNS.len()];
    (total[1], total[3]) = (Cell::Count(count), Cell::Bytes(bytes));
    let saving = counted.rows.iter().map(Row::saving).sum();
    table.push_total(with_saving(total, saving, "total"));
    table
}

fn cells(index: usize, row: &Row) -> Vec<Cell> {
    vec![
        Cell::Number(index as u64),
        Cell::Count(row.count),
        Cell::Share(row.count_share),
        Cell::Bytes(row.bytes),
        Cell::Share(row.share),
        Cell::Share(row.cumulative),
        Cell::Bytes(row.largest),
    ]
}

fn write(path: &Path, picture: &str, output: &mut Output) -> Result<(), CommandError> {
    if path == Path::new("-") {
        return Ok(output.write_all(picture.as_bytes())?);
    }
    fs::write(path, picture).map_err(|source| CommandError::WriteFile {
        path: path.to_owned(),
        source,
    })
}
