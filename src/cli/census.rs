//! `floe census`: which kinds of values, and which fields, take the bytes.
use super::Failure;
use super::output::Output;
use super::target::Target;
/// Tell which kinds of values, or which fields, take the bytes
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The region: a file, or a memory file as /proc/PID/fd/N
    #[arg(value_name = "FILE")]
    target: Target,
}
pub(crate) fn run(arguments: &Arguments, output: &mut Output) -> Result<(), Failure> {
    Ok(())
}
