//! The tool `floe`: looks into frozen regions, and into the memory of the processes that map them.
//!
//! One module for each verb, and what they share. The binary calls [`run`], and so does the package
//! for Python.

mod census;
mod dump;
mod fields;
mod inspect;
mod ls;
mod mem;
mod metrics;
mod names;
mod output;
mod processes;
mod progress;
mod schema;
mod table;
mod target;
mod treemap;
mod verify;
mod watch;

use std::ffi::OsString;
use std::fmt;
use std::io::{self, Write, stderr};
use std::path::PathBuf;

use clap::{Parser, Subcommand};

use output::{Output, printable};
use target::User;

/// Look into frozen regions, and into the memory of the processes that map them
///
/// A region describes its own types, so no verb needs the Rust types. TARGET is one of: a file that
/// `Region::save` wrote; the memfd of a running process, as /proc/PID/fd/N; posix:NAME, a
/// POSIX shared memory object (`floe names` lists them); or SOCKET:NAME, the newest generation of a
/// cache that a broker offers (`floe ls SOCKET` lists them). A path that exists is that file, even
/// if it contains a colon. Verbs that take a SOCKET ask the broker about all its caches. No verb
/// changes a region; `floe names --sweep` removes those whose owners have ended.
#[derive(Debug, Parser)]
#[command(
    name = "floe",
    version,
    styles = output::HELP,
    max_term_width = 100,
    disable_help_subcommand = true,
    after_help = ENDING
)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,

    /// Also trust brokers of this user, given by name or number; by default only your own and
    /// root's are trusted. May be given several times
    #[arg(long, global = true, value_name = "USER")]
    trust_user: Vec<User>,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Inspect(inspect::Arguments),
    Census(census::Arguments),
    Dump(dump::Arguments),
    Verify(verify::Arguments),
    Mem(mem::Arguments),
    Ls(ls::Arguments),
    Names(names::Arguments),
    Watch(watch::Arguments),
    Metrics(metrics::Arguments),
}

const ENDING: &str = "\
Exit codes:
  0  success, also if the reader of the output stops early
  1  bad input: one line says what is wrong and where
  2  wrong usage
  3  the map lacks the key: the line names the nearest keys

Examples:
  floe inspect recipes.floe             header, sections and types
  floe census recipes.floe              which kinds of values take the bytes
  floe dump recipes.floe zlib | jq      one entry as JSON
  floe verify *.floe && deploy          the full check
  floe mem --tree $(pgrep -o server)    what all its workers share
  floe ls floe.sock                     the caches of a broker, and how they stand
  floe dump floe.sock:recipes zlib      one entry of the newest generation
  floe names --sweep                    remove what dead owners left in /dev/shm
  floe mem floe.sock                    who maps which generation

Colours appear only on a terminal, and not if NO_COLOR is set.";

/// Why a verb did not succeed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CommandError {
    /// What was asked about is not there, or is not what it should be.
    #[error(transparent)]
    Refused(#[from] floe::Error),
    /// What was found in a region is not what its schema says.
    #[error("{target}: {reason}")]
    In { target: String, reason: String },
    /// A map does not have a key.
    #[error("{target} has no key {key:?}{}", Nearest(nearest))]
    NoKey {
        target: String,
        key: String,
        nearest: Vec<String>,
    },
    /// Verification found faults, and told them.
    #[error("faults were found")]
    Faults,
    /// A file cannot be written.
    #[error("cannot write {}: {source}", path.display())]
    WriteFile { path: PathBuf, source: io::Error },
    /// The output cannot be written.
    #[error("cannot write the output: {0}")]
    Output(#[from] io::Error),
}

/// The keys that somebody may have meant.
struct Nearest<'a>(&'a [String]);

impl fmt::Display for Nearest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, key) in self.0.iter().enumerate() {
            let before = if number == 0 {
                "; the nearest keys: "
            } else {
                ", "
            };
            write!(f, "{before}{key:?}")?;
        }
        Ok(())
    }
}

impl CommandError {
    fn exit_code(&self) -> u8 {
        match self {
            // Whoever reads the output may stop when they have seen enough.
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => 0,
            Self::NoKey { .. } => 3,
            _ => 1,
        }
    }
}

/// Does what the command line says, of which the first word is the name of the program, and returns
/// the exit code; 2 for wrong usage.
pub fn run(command_line: impl IntoIterator<Item = OsString>) -> u8 {
    let Arguments { verb, trust_user } = match Arguments::try_parse_from(command_line) {
        Ok(arguments) => arguments,
        Err(told) => {
            let _ = told.print();
            return told.exit_code() as u8;
        }
    };
    target::trust(&trust_user);
    let mut output = Output::new();
    let done = match &verb {
        Verb::Inspect(arguments) => inspect::run(arguments, &mut output),
        Verb::Census(arguments) => census::run(arguments, &mut output),
        Verb::Dump(arguments) => dump::run(arguments, &mut output),
        Verb::Verify(arguments) => verify::run(arguments, &mut output),
        Verb::Mem(arguments) => mem::run(arguments, &mut output),
        Verb::Ls(arguments) => ls::run(arguments, &mut output),
        Verb::Names(arguments) => names::run(arguments, &mut output),
        Verb::Watch(arguments) => watch::run(arguments, &mut output),
        Verb::Metrics(arguments) => metrics::run(arguments, &mut output),
    };
    let Err(failure) = done.and_then(|()| Ok(output.flush()?)) else {
        return 0;
    };
    let code = failure.exit_code();
    if code != 0 && !matches!(failure, CommandError::Faults) {
        let _ = writeln!(stderr(), "floe: {}", printable(&failure.to_string()));
    }
    code
}
