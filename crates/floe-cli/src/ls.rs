//! `floe ls`: the caches that a broker offers.

use std::time::Duration;

use floe::ChannelStatus;
use indicatif::HumanDuration;

use super::CommandError;
use super::output::{Format, Output};
use super::table::{Cell, Column, Table};
use super::target::Socket;

/// List the caches that a broker offers, with their status
///
/// A broker is a thread of the process that owns the caches; it serves them on SOCKET
/// (`Broker::serve`). A broker answers its own user and root, or a group. The tool trusts a broker
/// of another user only with --trust-user.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Columns:
  NAME        the name of the cache, for SOCKET:NAME
  GEN         the number of the newest generation
  AGE         time since it was frozen or last found up to date
  ENTRIES     the number of entries of a map; - for any other value
  SIZE        the size of the region
  DUE         time until the owner builds it again; - if the owner does not say
  EXPIRES     time until it expires; - if it never does
  LOOKUPS     lookups of workers; MISSES, lookups that found nothing; - if workers do not count
  MERGED      what workers contributed and the owner merged; REFUSED, of which nothing was taken;
              - if the owner accepts no contributions
  LAST ERROR  why the last build failed; - if it did not

As JSON and CSV, durations are in seconds.

Examples:
  floe ls /run/server/floe.sock
  floe ls /run/server/floe.sock --format json | jq '.[] | select(.last_error)'
  floe ls /run/server/floe.sock --format csv | cut -d, -f1

Exit codes: 0 done, 1 no broker answers there, 2 wrong usage")]
pub(crate) struct Arguments {
    /// The socket of the broker
    #[arg(value_name = "SOCKET")]
    socket: Socket,

    /// The form of the table
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

const COLUMNS: &[Column] = &[
    Column("name", "NAME"),
    Column("generation", "GEN"),
    Column("age_seconds", "AGE"),
    Column("entries", "ENTRIES"),
    Column("bytes", "SIZE"),
    Column("refresh_in_seconds", "DUE"),
    Column("expires_in_seconds", "EXPIRES"),
    Column("lookups", "LOOKUPS"),
    Column("misses", "MISSES"),
    Column("contributions_merged", "MERGED"),
    Column("contributions_refused", "REFUSED"),
    Column("last_error", "LAST ERROR"),
];

pub(crate) fn run(arguments: &Arguments, output: &mut Output) -> Result<(), CommandError> {
    let caches = arguments.socket.list()?;
    Ok(table(&caches).write(arguments.format, output)?)
}

/// A row for each cache.
pub(crate) fn table(caches: &[ChannelStatus]) -> Table {
    let mut table = Table::new(COLUMNS);
    for cache in caches {
        let count = |count: Option<u64>| count.map_or(Cell::Absent, Cell::Count);
        table.push(vec![
            Cell::text(&cache.name),
            Cell::Number(cache.generation),
            duration(cache.age),
            count(cache.entries),
            Cell::Bytes(cache.bytes),
            until(cache.refresh_in, "now"),
            until(cache.expires_in, "expired"),
            count(cache.lookups),
            count(cache.misses),
            count(cache.contributions.map(|it| it.merged)),
            count(cache.contributions.map(|it| it.refused)),
            cache.last_error.as_ref().map_or(Cell::Empty, Cell::text),
        ]);
    }
    table
}

fn duration(duration: Duration) -> Cell {
    Cell::Seconds {
        seconds: duration.as_secs_f64(),
        shown: format!("{:#}", HumanDuration(duration)),
    }
}

/// Time that is left, and what there is to say when none is.
fn until(left: Option<Duration>, over: &str) -> Cell {
    match left {
        None => Cell::Absent,
        Some(Duration::ZERO) => Cell::Seconds {
            seconds: 0.0,
            shown: over.to_owned(),
        },
        Some(left) => duration(left),
    }
}
