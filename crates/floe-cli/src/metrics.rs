//! `floe metrics`: how caches stand, for Prometheus.

use std::io::Write;

use super::CommandError;
use super::output::{Output, printable};
use super::target::Socket;

/// Write how the caches of a broker stand, as a page for Prometheus
///
/// The text format of Prometheus: gauges `floe_generation`, `floe_age_seconds`, `floe_bytes`,
/// `floe_failing` and others, with the cache as a label. A cache has no sample of what it does not
/// tell. Hand the page to whatever serves it, such as the textfile collector of the node exporter.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  floe metrics /run/server/floe.sock
  floe metrics /run/server/floe.sock > floe.prom.new && mv floe.prom.new floe.prom

Exit codes: 0 done, 1 no broker answers there, 2 wrong usage")]
pub(crate) struct Arguments {
    /// The socket of the broker
    #[arg(value_name = "SOCKET")]
    socket: Socket,
}

pub(crate) fn run(arguments: &Arguments, output: &mut Output) -> Result<(), CommandError> {
    let page = floe::prometheus(&arguments.socket.list()?);
    for line in page.lines() {
        writeln!(output, "{}", printable(line))?;
    }
    Ok(())
}
