//! `floe watch`: the caches that a broker offers, again and again.

use std::io::Write;
use std::time::Duration;

use floe::ChannelStatus;

use super::CommandError;
use super::ls::table;
use super::output::{Format, Output, seconds};
use super::target::Socket;

/// Follow the caches that a broker offers
///
/// On a terminal, redraws the table of `floe ls` every second. Into a pipe or a file, writes one
/// table at first and another whenever a cache is added, is published, fails to build, recovers,
/// expires, or cuts a contributor off; a changed age alone writes none. Ends with the broker or by Ctrl-C.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
`floe ls --help` explains the columns.

Examples:
  floe watch /run/server/floe.sock
  floe watch /run/server/floe.sock --every 0.1
  floe watch /run/server/floe.sock --format json | jq --unbuffered '.[] | [.name, .generation]'

Exit codes: 0 the reader of the output has stopped, 1 no broker answers there, or it has ended,
2 wrong usage")]
pub(crate) struct Arguments {
    /// The socket of the broker
    #[arg(value_name = "SOCKET")]
    socket: Socket,

    /// How often to ask the broker
    #[arg(long, value_name = "SECONDS", default_value = "1", value_parser = seconds)]
    every: Duration,

    /// The form of the table; as JSON each table is a line
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(crate) fn run(arguments: &Arguments, output: &mut Output) -> Result<(), CommandError> {
    let mut shown = None;
    loop {
        let caches = arguments.socket.list()?;
        let now = Some(caches.iter().map(state).collect::<Vec<_>>());
        if output.is_terminal() || shown != now {
            output.clear(arguments.format)?;
            table(&caches).write(arguments.format, output)?;
            output.flush()?;
        }
        shown = now;
        output.pause(arguments.every)?;
    }
}

/// What of a cache does not change by waiting, but for its expiry.
fn state(cache: &ChannelStatus) -> impl PartialEq + use<> {
    (
        cache.name.clone(),
        cache.generation,
        cache.last_error.clone(),
        cache.contributions.map(|it| it.cut_off),
        cache.expires_in.is_some_and(|left| left.is_zero()),
    )
}
