//! `floe census`: which kinds of values, and which fields, take the bytes.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::ValueEnum;
use floe::census::{self, Census, Row};
use floe::dynamic::Described;
use floe::pages::Pages;
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
///
/// A generation in memory shares the pages that did not change with earlier ones. The line above
/// the table says how much of the region that is; `--by section` says it of each section, and
/// counts no values.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Columns:
  COUNT  the number of values, and their share of all values
  SIZE   their own bytes, their share of all bytes, and CUM, the share with all rows above
  MAX    own bytes of the largest value
  SAVES  text that occurs more than once: what `#[rkyv(with = Intern)]` would save

Columns by section:
  SIZE    bytes of the section, and their share of the region
  SHARED  bytes of it in pages that earlier generations wrote, and their share of the section
  OWN     the other bytes, in pages that this generation wrote

Examples:
  floe census recipes.floe
  floe census recipes.floe --by path | head
  floe census /run/server/floe.sock:recipes --by section
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
    /// A section of the region, and what of it is shared with earlier generations
    Section,
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
    if arguments.by == By::Section {
        let region = target.open()?;
        let pages = region.pages();
        if arguments.format == Format::Table {
            head(region.name(), &sharing(&pages), output)?;
        }
        return Ok(sections(&pages).write(arguments.format, output)?);
    }
    let loaded = target.load()?;
    let region = target.root(&loaded, arguments.root.as_deref())?;
    let census = take(region, target)?;
    if let Some(path) = &arguments.svg {
        let root = fields::tree(&census);
        return output.write_picture(path, &picture(&root.name, &subtitle(&census), &root));
    }
    if let Some(path) = &arguments.html {
        return output.write_picture(path, &page(&subtitle(&census), &fields::tree(&census)));
    }
    if arguments.format == Format::Table {
        let of_pages = sharing(&census.pages);
        head(
            &census.name,
            &format!("{}; {of_pages}", subtitle(&census)),
            output,
        )?;
    }
    Ok(table(&census, arguments.by).write(arguments.format, output)?)
}

/// The line above a table.
fn head(name: &str, subtitle: &str, output: &mut Output) -> io::Result<()> {
    output.styled(TITLE, printable(name))?;
    output.styled(FAINT, format!("  {subtitle}"))?;
    writeln!(output, "\n")
}

/// What of the whole region earlier generations wrote, in a few words.
fn sharing(pages: &Pages) -> String {
    let (all, shared) = (pages.bytes, pages.shared_bytes());
    match pages.files.len() {
        1 => format!("region of {}, no page of an earlier generation", bytes(all)),
        _ => format!(
            "region of {}, {:.1} % of it pages of earlier generations",
            bytes(all),
            100.0 * shared as f64 / all.max(1) as f64,
        ),
    }
}

const SECTIONS: &[Column] = &[
    Column("section", "SECTION"),
    Column("bytes", "SIZE"),
    Column("share", "%"),
    Column("shared", "SHARED"),
    Column("shared_share", "%"),
    Column("own", "OWN"),
];

/// The header, each section, and what stands between them: together the whole region.
fn sections(pages: &Pages) -> Table {
    let mut table = Table::new(SECTIONS);
    let row = |name: &str, size: u64, shared: u64| {
        let share = |part: u64, whole: u64| Cell::Share(part as f64 / whole.max(1) as f64);
        vec![
            Cell::text(name),
            Cell::Bytes(size),
            share(size, pages.bytes),
            Cell::Bytes(shared),
            share(shared, size),
            Cell::Bytes(size - shared),
        ]
    };
    let first = pages.sections.first().map_or(pages.bytes, |it| it.offset);
    let (mut size, mut shared) = (first, 0);
    table.push(row("(header)", first, 0));
    for section in &pages.sections {
        (size, shared) = (size + section.bytes, shared + section.shared_bytes);
        table.push(row(
            &section.kind.to_string(),
            section.bytes,
            section.shared_bytes,
        ));
    }
    let padding = pages.bytes - size;
    if padding > 0 {
        table.push(row("(padding)", padding, pages.shared_bytes() - shared));
    }
    table.push_total(row("total", pages.bytes, pages.shared_bytes()));
    table
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
        By::Section => return sections(&census.pages),
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
