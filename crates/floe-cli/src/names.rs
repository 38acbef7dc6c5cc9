//! `floe names`: the POSIX shared memory objects that owners have published.

use floe::posix::{self, Object};
use indicatif::HumanDuration;

use super::CommandError;
use super::output::{Format, Output};
use super::table::{Cell, Column, Table};

/// List the regions that owners have published by POSIX names, or remove what dead owners left
///
/// An object is a file in /dev/shm that `Region::publish_posix` made, for `posix:NAME`. Its owner
/// removes it; where the owner was killed, it stays and takes memory until it is swept, or until the
/// name is published again. An owner is known by a lock on the object, not by the number of its
/// process.
///
/// Only objects of this user are listed and removed, and only those that an owner has published:
/// not what another program, or `Region::save`, has put there.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Columns:
  NAME   the name of the object, for posix:NAME
  CACHE  the name of the cache in it; - if its owner died while it wrote
  GEN    the number of this version of the cache
  AGE    time since it was frozen
  SIZE   the size of the object, which is the memory that it takes
  OWNER  runs, or gone

As JSON and CSV, durations are in seconds.

Examples:
  floe names
  floe names --sweep
  floe names --format json | jq '.[] | select(.owner == \"gone\") | .name'

Exit codes: 0 done, 1 an object could not be looked at or removed, 2 wrong usage")]
pub(crate) struct Arguments {
    /// Remove the objects whose owners are gone, and list those that were removed
    #[arg(long)]
    sweep: bool,

    /// The form of the table
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

const COLUMNS: &[Column] = &[
    Column("name", "NAME"),
    Column("cache", "CACHE"),
    Column("generation", "GEN"),
    Column("age_seconds", "AGE"),
    Column("bytes", "SIZE"),
    Column("owner", "OWNER"),
];

pub(crate) fn run(arguments: &Arguments, output: &mut Output) -> Result<(), CommandError> {
    let objects = match arguments.sweep {
        true => posix::sweep()?,
        false => posix::list()?,
    };
    let mut table = Table::new(COLUMNS);
    for object in &objects {
        table.push(row(object));
    }
    Ok(table.write(arguments.format, output)?)
}

fn row(object: &Object) -> Vec<Cell> {
    let age = object.created.and_then(|created| created.elapsed().ok());
    let age = age.map_or(Cell::Absent, |age| Cell::Seconds {
        seconds: age.as_secs_f64(),
        shown: format!("{:#}", HumanDuration(age)),
    });
    vec![
        Cell::text(&object.name),
        object.cache.as_ref().map_or(Cell::Absent, Cell::text),
        object.generation.map_or(Cell::Absent, Cell::Number),
        age,
        Cell::Bytes(object.bytes),
        Cell::text(if object.owner_runs { "runs" } else { "gone" }),
    ]
}
