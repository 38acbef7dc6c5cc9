//! `floe verify`: the full check of regions.

use std::io::Write;

use super::CommandError;
use super::inspect::holds;
use super::output::{BAD, GOOD, Output, printable};
use super::target::{self, Target};

/// Check regions in full: every byte, every value, every key
///
/// Checks the digests of the header and of what follows it, reads every value by the schema, and
/// looks up every key in the index. A memfd must have all four seals, which prevent any change.
/// Prints one line for each region: `good`, or `bad` and why.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  floe verify recipes.floe
  floe verify /var/cache/server/*.floe && systemctl restart server
  floe verify /proc/4711/fd/9 posix:recipes /run/server/floe.sock:recipes

Exit codes: 0 all are good, 1 one is bad, 2 wrong usage")]
pub(crate) struct Arguments {
    #[arg(value_name = "TARGET", required = true, help = target::HELP)]
    targets: Vec<Target>,
}

pub(crate) fn run(arguments: &Arguments, output: &mut Output) -> Result<(), CommandError> {
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
    if faults {
        Err(CommandError::Faults)
    } else {
        Ok(())
    }
}

/// Checks everything there is to check; tells what that was.
fn check(target: &Target) -> Result<String, CommandError> {
    let region = target.load()?;
    region.check().map_err(|error| target.refuse(error))?;
    let seals = if target.is_memory_file() {
        "seals, "
    } else {
        ""
    };
    let index = if region.entry_count().is_some() {
        ", index"
    } else {
        ""
    };
    let (name, generation) = (region.name(), region.generation());
    Ok(format!(
        "{name}, generation {generation}, {}; {seals}digests, schema, values{index}",
        holds(&region)
    ))
}
