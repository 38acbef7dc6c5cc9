//! `floe dump`: values as JSON.

use std::io::{self, Write};

use floe::dynamic::{Described, Dynamic, View};
use serde::Serialize;

use super::CommandError;
use super::output::Output;
use super::target::{self, Target};

/// How many keys are named instead of one that is not there.
const NEAREST: usize = 3;

/// Write values as JSON: a whole region, or the entry of one key
///
/// Values have the form in which serde would write the Rust values. To dump a whole region, the
/// tool first checks its digests. To dump one entry, it reads and checks only that entry; `floe
/// verify` is the full check.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  floe dump recipes.floe | jq keys
  floe dump recipes.floe zlib
  floe dump ports.floe 443
  floe dump /run/server/floe.sock:recipes zlib
  floe dump posix:recipes zlib
  floe dump caches.floe --root recipes zlib
  floe dump pairs.floe '[\"zlib\",3]'
  floe dump --jsonl recipes.floe | jq -r 'select(.value.depends == []) | .key'

Exit codes: 0 done, 1 bad input, 2 wrong usage, 3 the map does not have the key: the three nearest
keys are named")]
pub(crate) struct Arguments {
    #[arg(value_name = "TARGET", help = target::HELP)]
    target: Target,

    /// Dump only the value of this key. Give text as it is, any other key as JSON
    #[arg(value_name = "KEY", allow_hyphen_values = true)]
    key: Option<String>,

    /// Dump one root of a region that has several
    #[arg(long, value_name = "NAME")]
    root: Option<String>,

    /// Write one indented JSON document. This is the default
    #[arg(long)]
    json: bool,

    /// Write JSON lines: one for each entry of a map, as {"key": ..., "value": ...}, or for each
    /// item of a sequence
    #[arg(long, conflicts_with = "json")]
    jsonl: bool,
}

pub(crate) fn run(arguments: &Arguments, output: &mut Output) -> Result<(), CommandError> {
    let target = &arguments.target;
    let dumped = match &arguments.key {
        Some(key) => {
            let opened = target.open()?;
            let region = target.root(&opened, arguments.root.as_deref())?;
            let value = find(region, key, target)?;
            write(value, arguments, output)
        }
        None => {
            let loaded = target.load()?;
            let region = target.root(&loaded, arguments.root.as_deref())?;
            let root = region.root().map_err(|error| target.refuse(error))?;
            write(root, arguments, output)
        }
    };
    dumped.map_err(|error| match error {
        Unwritten::Output(error) => CommandError::Output(error),
        Unwritten::Value(reason) => target.refuse(reason),
    })
}

fn find<'a>(
    region: &'a Described,
    key: &str,
    target: &Target,
) -> Result<Dynamic<'a>, CommandError> {
    let refuse = |error: floe::Error| target.refuse(error);
    if region.roots().len() > 0 {
        let names: Vec<&str> = region.roots().map(|(name, _)| name).collect();
        let names = names.join(", ");
        return Err(target.refuse(format!("it has the roots {names}: choose one by --root")));
    }
    if region.entry_count().is_none() {
        return Err(target
            .refuse("it holds one value, not a map, so it has no keys; dump it without a key"));
    }
    if let Some(value) = region.get(key).map_err(refuse)? {
        return Ok(value);
    }
    Err(CommandError::NoKey {
        target: target.to_string(),
        key: key.to_owned(),
        nearest: region.nearest_keys(key, NEAREST).map_err(refuse)?,
    })
}

fn write(value: Dynamic<'_>, arguments: &Arguments, output: &mut Output) -> Result<(), Unwritten> {
    if !arguments.jsonl {
        serde_json::to_writer_pretty(&mut *output, &value)?;
        return Ok(writeln!(output)?);
    }
    match value.view()? {
        View::Map(entries) => {
            for entry in entries {
                let (key, value) = entry?;
                line(output, &Entry { key, value })?;
            }
        }
        View::Sequence(items) | View::Set(items) => {
            for item in items {
                line(output, &item?)?;
            }
        }
        _ => line(output, &value)?,
    }
    Ok(())
}

#[derive(Serialize)]
struct Entry<'a> {
    key: Dynamic<'a>,
    value: Dynamic<'a>,
}

fn line(output: &mut Output, value: &impl Serialize) -> Result<(), Unwritten> {
    serde_json::to_writer(&mut *output, value)?;
    Ok(writeln!(output)?)
}

/// Why a value was not dumped, or only in part.
enum Unwritten {
    Output(io::Error),
    Value(String),
}

impl From<io::Error> for Unwritten {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

impl From<floe::Error> for Unwritten {
    fn from(error: floe::Error) -> Self {
        Self::Value(error.to_string())
    }
}

impl From<serde_json::Error> for Unwritten {
    fn from(error: serde_json::Error) -> Self {
        match error.is_io() {
            true => Self::Output(error.into()),
            false => Self::Value(error.to_string()),
        }
    }
}
