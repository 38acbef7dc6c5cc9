//! `floe inspect`: what a region says about itself.

mod page_files;
mod picture;

use std::io::{self, Write};
use std::path::PathBuf;

use floe::dynamic::Described;
use floe::pages::Pages;
use floe::schema::Description;
use floe::usage::bytes;
use indicatif::HumanCount;
use serde::Serialize;

use super::output::{FAINT, Format, Output, TITLE, counted, printable};
use super::table::{Cell, Column, Table};
use super::target::{self, Target};
use super::{CommandError, schema};

/// Show the header, sections, page files and types of a region
///
/// Reads only the header, the layout, the schema and the start of the index, so a large region
/// takes as long as a small one. Damage elsewhere goes unnoticed; `floe verify` is the full check.
///
/// OFFSET, LENGTH, SHARED and SIZE of sections and types are in bytes; OFFSET counts from the start
/// of the enclosing part. A type that occurs several times is unfolded only at its first place.
///
/// The next generation of a cache writes a page file with the pages that differ, and shares all
/// others with the generations before. A region in memory that shares pages has several page files;
/// of a process they are found among its descriptors. A saved region is one file.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Page files:
  GEN     the generation that wrote the file; pages that are repacked into a newer file count as
          written by that one; ? if the file does not tell
  PAGES   pages that the file has
  USED    pages of it that the region uses, and their share of the file
  RUNS    pieces in which they lie; each is a mapping of a process
  SIZE    memory that the file takes, as long as any generation uses a page of it
  DIGEST  how errors and other generations name the file: the start of its BLAKE3

SHARED is what of a section stands in pages that earlier generations wrote.

Runs:
  FROM   the first page in the region; AT, the first in the page file FILE
  HOLDS  the sections that have bytes in these pages

Examples:
  floe inspect recipes.floe
  ls -l /proc/4711/fd | grep memfd:floe; floe inspect /proc/4711/fd/9
  floe inspect posix:recipes
  floe inspect /run/server/floe.sock:recipes --runs
  floe inspect /run/server/floe.sock:recipes --svg pages.svg && xdg-open pages.svg
  floe inspect --json recipes.floe | jq '.schema.types[].name'
  floe inspect --json /proc/4711/fd/9 | jq '.pages.files[] | {generation, used}'

Exit codes: 0 done, 1 bad input, 2 wrong usage")]
pub(crate) struct Arguments {
    #[arg(value_name = "TARGET", help = target::HELP)]
    target: Target,

    /// Show one root of a region that has several
    #[arg(long, value_name = "NAME")]
    root: Option<String>,

    /// Write one JSON object, with the schema as it is stored, and all runs of pages
    #[arg(long)]
    json: bool,

    /// Show each run of pages instead: where it lies in the region, and which generation wrote it
    #[arg(long, conflicts_with = "json")]
    runs: bool,

    /// Write a picture of the pages of the last ten generations to this file instead, coloured by
    /// the generation that wrote them; - is the standard output. Besides the region itself, it
    /// shows generations of the same cache whose page files are still in the memory of processes
    #[arg(long, value_name = "OUT", conflicts_with_all = ["json", "runs"])]
    svg: Option<PathBuf>,
}

pub(crate) fn run(arguments: &Arguments, output: &mut Output) -> Result<(), CommandError> {
    let target = &arguments.target;
    let opened = target.open()?;
    let region = target.root(&opened, arguments.root.as_deref())?;
    if let Some(path) = &arguments.svg {
        let picture = picture::picture(region.name(), &Pages::in_memory(region));
        return output.write_picture(path, &picture);
    }
    let pages = region.pages();
    if arguments.json {
        serde_json::to_writer(&mut *output, &Object::of(region, &pages))
            .map_err(io::Error::from)?;
        return Ok(writeln!(output)?);
    }
    if arguments.runs {
        return Ok(page_files::runs(&pages).write(Format::Table, output)?);
    }
    output.styled(TITLE, printable(&target.to_string()))?;
    writeln!(output)?;
    let place = match (target.is_memory_file(), pages.files.len()) {
        (true, 1) => "a memfd".to_owned(),
        (true, _) => page_files::summary(&pages),
        (false, _) if target.is_posix_object() => "a POSIX shared memory object".to_owned(),
        (false, _) => "a file".to_owned(),
    };
    for (name, fact) in facts(region, place) {
        output.styled(FAINT, format!("  {name:<11} "))?;
        writeln!(output, "{}", printable(&fact))?;
    }
    writeln!(output)?;
    sections(&pages, pages.files.len() > 1).write(Format::Table, output)?;
    writeln!(output)?;
    if pages.files.len() > 1 {
        page_files::files(&pages).write(Format::Table, output)?;
        writeln!(output)?;
    }
    schema::tree(region.description(), region.root_type()).write(Format::Table, output)?;
    Ok(())
}

fn facts(region: &Described, place: String) -> Vec<(&'static str, String)> {
    let mut facts = vec![
        (
            "cache",
            format!("{}, generation {}", region.name(), region.generation()),
        ),
        ("holds", holds(region)),
        ("size", exact(region.size())),
        (
            "frozen",
            format!("{} by {}", created(region), region.producer()),
        ),
        ("lies in", place),
        ("fingerprint", region.fingerprint().to_string()),
    ];
    if let Some(garbage) = region.garbage().filter(|garbage| *garbage > 0) {
        facts.insert(
            2,
            ("garbage", format!("{} of replaced entries", exact(garbage))),
        );
    }
    facts
}

/// What kind of value a region holds.
pub(crate) fn holds(region: &Described) -> String {
    match region.entry_count() {
        Some(count) => format!("a map of {}", counted(count, "entry", "entries")),
        None if region.roots().len() > 0 => {
            let names: Vec<&str> = region.roots().map(|(name, _)| name).collect();
            let count = counted(names.len() as u64, "root", "roots");
            format!("{count}: {}", names.join(", "))
        }
        None => {
            let root = region.description().get(region.root_type());
            format!("one value: {}", root.map_or("?", |root| &root.name))
        }
    }
}

fn exact(count: u64) -> String {
    match count {
        ..1024 => bytes(count).to_string(),
        _ => format!("{} ({} bytes)", bytes(count), HumanCount(count)),
    }
}

fn created(region: &Described) -> String {
    humantime::format_rfc3339_seconds(region.created()).to_string()
}

/// Where the sections lie, and what of them is shared with earlier generations.
fn sections(pages: &Pages, with_shared: bool) -> Table {
    let columns = if with_shared { SECTIONS.len() } else { 4 };
    let mut table = Table::new(&SECTIONS[..columns]);
    for section in &pages.sections {
        let share = |part: u64, whole: u64| Cell::Share(part as f64 / whole.max(1) as f64);
        let mut cells = vec![
            Cell::text(section.kind.to_string()),
            Cell::Number(section.offset),
            Cell::Number(section.bytes),
            share(section.bytes, pages.bytes),
            Cell::Number(section.shared_bytes),
            share(section.shared_bytes, section.bytes),
        ];
        cells.truncate(columns);
        table.push(cells);
    }
    table
}

const SECTIONS: &[Column] = &[
    Column("section", "SECTION"),
    Column("offset", "OFFSET"),
    Column("length", "LENGTH"),
    Column("share", "%"),
    Column("shared", "SHARED"),
    Column("shared_share", "%"),
];

/// The same for programs.
#[derive(Serialize)]
struct Object<'a> {
    name: &'a str,
    generation: u64,
    created: String,
    producer: &'a str,
    fingerprint: String,
    size: u64,
    entries: Option<u64>,
    garbage: Option<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    roots: Vec<&'a str>,
    sections: Table,
    pages: &'a Pages,
    schema: &'a Description,
}

impl<'a> Object<'a> {
    fn of(region: &'a Described, pages: &'a Pages) -> Self {
        Self {
            name: region.name(),
            generation: region.generation(),
            created: created(region),
            producer: region.producer(),
            fingerprint: region.fingerprint().to_string(),
            size: region.size(),
            entries: region.entry_count(),
            garbage: region.garbage(),
            roots: region.roots().map(|(name, _)| name).collect(),
            sections: sections(pages, true),
            pages,
            schema: region.description(),
        }
    }
}
