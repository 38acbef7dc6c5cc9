//! `floe metrics`: how caches stand, for Prometheus.

use std::io::Write;

use super::CommandError;
use super::output::{Output, printable};
use super::target::Socket;

/// Write the status of a broker's caches in the text format of Prometheus
///
/// The gauges are `floe_generation`, `floe_age_seconds`, `floe_bytes`, `floe_failing` and others,
/// with the cache as a label. A cache has no sample of a gauge that it does not report. Serve the
/// page with a tool such as the textfile collector of the node exporter.
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
