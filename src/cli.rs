//! The command line: one module for each verb, and what they share.

mod mem;
mod output;
mod table;
#[allow(dead_code)]
mod treemap;

use std::io::{self, Write, stderr};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use output::{Output, printable};

/// Looks into frozen regions of floe, and into the memory of the processes that map them.
///
/// A region describes itself: the tool needs none of the Rust types that it was frozen from.
#[derive(Debug, Parser)]
#[command(name = "floe", version, styles = output::HELP, max_term_width = 100, after_help = ENDING)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Mem(mem::Arguments),
}

const ENDING: &str = "";

/// Why a verb did not succeed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// What was asked about is not there, or is not what it should be.
    #[error(transparent)]
    Refused(#[from] floe::Error),
    /// A file cannot be written.
    #[error("cannot write {}: {source}", path.display())]
    WriteFile { path: PathBuf, source: io::Error },
    /// The output cannot be written.
    #[error("cannot write the output: {0}")]
    Output(#[from] io::Error),
}

impl Failure {
    fn exit_code(&self) -> ExitCode {
        match self {
            // Whoever reads the output may stop when they have seen enough.
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
            _ => ExitCode::FAILURE,
        }
    }
}

/// Does what the command line says; wrong usage ends the process with code 2.
pub(crate) fn run() -> ExitCode {
    let verb = Arguments::parse().verb;
    let mut output = Output::new();
    let done = match &verb {
        Verb::Mem(arguments) => mem::run(arguments, &mut output),
    };
    let Err(failure) = done.and_then(|()| Ok(output.flush()?)) else {
        return ExitCode::SUCCESS;
    };
    let code = failure.exit_code();
    if code != ExitCode::SUCCESS {
        let _ = writeln!(stderr(), "floe: {}", printable(&failure.to_string()));
    }
    code
}
