//! Measures floe against its rivals: same data, same queries, one run.

mod contenders;
mod data;
mod error;
mod follow;
mod keys;
mod lookup;
mod machine;
mod memory;
mod report;
mod scale;
mod start;
mod statistics;
mod table;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Measures floe against its rivals: same data, same queries, one run.
#[derive(Debug, Parser)]
#[command(name = "floe-rivals")]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// What a lookup, a miss, an iteration and freezing cost in each map.
    Lookup(lookup::Options),
    /// From a file to the first answer and to all of them.
    Start(start::Options),
    /// What a read costs that follows generations, and what it costs to publish one.
    Follow(follow::Options),
    /// What forked children take for the same caches: floe, the heap, CPython.
    Memory(memory::Options),
    /// How the cost of floe grows with entries and workers, and what building takes.
    Scale(scale::Options),
    /// Answers a question about an inherited map, for `start`.
    #[command(hide = true)]
    Answer(start::Asked),
    /// Builds a map under a limit of memory, for `scale`.
    #[command(hide = true)]
    BuildLimited(scale::Limited),
}

fn main() -> ExitCode {
    let result = match Arguments::parse().verb {
        Verb::Lookup(options) => lookup::run(&options),
        Verb::Start(options) => start::run(&options),
        Verb::Follow(options) => follow::run(&options),
        Verb::Memory(options) => memory::run(&options),
        Verb::Scale(options) => scale::run(&options),
        Verb::Answer(asked) => start::answer(&asked),
        Verb::BuildLimited(limited) => scale::build_limited(&limited),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("floe-rivals: {failure}");
            ExitCode::FAILURE
        }
    }
}
