//! `floe inspect`: what a region says about itself.

use std::io::{self, Write};

use floe::dynamic::Described;
use floe::schema::Description;
use floe::usage::bytes;
use indicatif::HumanCount;
use serde::Serialize;

use super::output::{FAINT, Format, Output, TITLE, counted, printable};
use super::table::{Cell, Column, Table};
use super::target::{self, Target};
use super::{CommandError, schema};

/// Show the header, sections and types of a region
///
/// Reads only the header, the schema and the start of the index, so a large region takes as long as
/// a small one. Damage elsewhere goes unnoticed; `floe verify` is the full check.
///
/// OFFSET and SIZE are in bytes; OFFSET counts from the start of the enclosing part. A type that
/// occurs several times is unfolded only at its first place.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  floe inspect recipes.floe
  ls -l /proc/4711/fd | grep memfd:floe; floe inspect /proc/4711/fd/9
  floe inspect /run/server/floe.sock:recipes
  floe inspect --json recipes.floe | jq '.schema.types[].name'

Exit codes: 0 done, 1 bad input, 2 wrong usage")]
pub(crate) struct Arguments {
    #[arg(value_name = "TARGET", help = target::HELP)]
    target: Target,

    /// Show one root of a region that has several
    #[arg(long, value_name = "NAME")]
    root: Option<String>,

    /// Write one JSON object, with the schema as it is stored
    #[arg(long)]
    json: bool,
}

const SECTIONS: &[Column] = &[
    Column("section", "SECTION"),
    Column("offset", "OFFSET"),
    Column("length", "LENGTH"),
    Column("share", "%"),
];

pub(crate) fn run(arguments: &Arguments, output: &mut Output) -> Result<(), CommandError> {
    let target = &arguments.target;
    let opened = target.open()?;
    let region = target.root(&opened, arguments.root.as_deref())?;
    if arguments.json {
        serde_json::to_writer(&mut *output, &Object::of(region)).map_err(io::Error::from)?;
        return Ok(writeln!(output)?);
    }
    output.styled(TITLE, printable(&target.to_string()))?;
    writeln!(output)?;
    for (name, fact) in facts(region, target.is_memory_file()) {
        output.styled(FAINT, format!("  {name:<11} "))?;
        writeln!(output, "{}", printable(&fact))?;
    }
    writeln!(output)?;
    sections(region).write(Format::Table, output)?;
    writeln!(output)?;
    schema::tree(region.description(), region.root_type()).write(Format::Table, output)?;
    Ok(())
}

fn facts(region: &Described, in_memory: bool) -> Vec<(&'static str, String)> {
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
        (
            "lies in",
            match in_memory {
                true => "a memfd".to_owned(),
                false => "a file".to_owned(),
            },
        ),
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

fn sections(region: &Described) -> Table {
    let mut table = Table::new(SECTIONS);
    for section in region.sections() {
        table.push(vec![
            Cell::text(section.kind.to_string()),
            Cell::Number(section.offset),
            Cell::Number(section.length),
            Cell::Share(section.length as f64 / region.size() as f64),
        ]);
    }
    table
}

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
    schema: &'a Description,
}

impl<'a> Object<'a> {
    fn of(region: &'a Described) -> Self {
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
            sections: sections(region),
            schema: region.description(),
        }
    }
}
