//! `floe verify`: the full check of regions.

use std::io::Write;

use super::Failure;
use super::output::{BAD, GOOD, Output, printable};
use super::target::Target;

/// Check regions in full: every byte, every value, every key
///
/// Compares the digests of header and sections, reads every value by the schema, and looks for
/// every key in the index. The seals of a memory file are checked too, since nobody can change it
/// only with all four. One line for each region says `good`, or `bad` and why.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
EXAMPLES
  floe verify recipes.floe
  floe verify /var/cache/server/*.floe && systemctl restart server
  floe verify /proc/4711/fd/9

The exit code is 0 if all are good, else 1.")]
pub(crate) struct Arguments {
    /// The regions: files, or memory files as /proc/PID/fd/N
    #[arg(value_name = "FILE", required = true)]
    targets: Vec<Target>,
}

pub(crate) fn run(arguments: &Arguments, output: &mut Output) -> Result<(), Failure> {
    let mut faults = false;
    for target in &arguments.targets {
        match check(target) {
            Ok(summary) => {
                output.styled(GOOD, "good")?;
                writeln!(output, "  {}: {summary}", printable(&target.to_string()))?;
            }
            Err(failure) => {
                faults = true;
                output.styled(BAD, "bad ")?;
                writeln!(output, "  {}", printable(&failure.to_string()))?;
            }
        }
    }
    if faults { Err(Failure::Faults) } else { Ok(()) }
}

/// Checks everything there is to check; tells what it was.
fn check(target: &Target) -> Result<String, Failure> {
    let region = target.load()?;
    let refuse = |error: floe::Error| target.refuse(error);
    let root = region.root().map_err(refuse)?;
    serde_json::to_writer(std::io::sink(), &root).map_err(|error| target.refuse(error))?;
    region.check_index().map_err(refuse)?;
    let seals = match target.is_memory_file() {
        true => "seals, ",
        false => "",
    };
    Ok(format!(
        "{seals}digests, schema, values and index are right"
    ))
}
