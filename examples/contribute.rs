//! Forked workers find things out that nobody knew, and the owner merges them into the cache that
//! all of them read. A program that the owner has not started contributes too.
//!
//! ```text
//! cargo run --release --example contribute -- --workers 4
//! cargo run --release --example contribute -- --serve $XDG_RUNTIME_DIR/floe.sock --seconds 60
//! cargo run --release --example contribute -- --client $XDG_RUNTIME_DIR/floe.sock
//! ```
//! The folder is one that no other user can write to.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};
use std::{process, thread};

use clap::Parser;
use floe::contribute::{Limits, Merged, Outcome};
use floe::overlay::Rule;
use floe::{Live, Map, Overlay, Policy, Store, prefork};

/// Merges what workers find out into a cache that they all read
#[derive(Parser)]
struct Arguments {
    /// How many workers are forked
    #[arg(long, default_value_t = 4)]
    workers: usize,
    /// How many numbers each worker looks at
    #[arg(long, default_value_t = 2000)]
    numbers: u64,
    /// Also let other programs contribute, by a broker on this socket
    #[arg(long)]
    serve: Option<PathBuf>,
    /// For how many seconds that broker serves
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Be such a program
    #[arg(long, conflicts_with = "serve")]
    client: Option<PathBuf>,
}

/// How many steps it takes from a number to one, where an even number is halved, and an odd one is
/// tripled and increased by one.
type Steps = Map<u64, u64>;

const LONG: Duration = Duration::from_secs(60);

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = match &arguments.client {
        Some(path) => client(path, arguments.numbers),
        None => owner(&arguments),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("contribute: {error}");
            ExitCode::FAILURE
        }
    }
}

fn owner(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let store = Store::new();
    let steps = store.merged::<u64, u64>("steps", Policy::new().max_entries(1_000_000))?;
    store.accept::<u64, u64>("steps", Rule::FirstWins, Limits::new())?;
    store.refresh()?;

    // Accept first, then make the handle, then fork: the workers inherit it.
    let live = store.live("steps")?;
    let workers = prefork::spawn_try(arguments.workers, |worker| {
        let first = 1 + worker.index() as u64 * arguments.numbers;
        find_out(live.clone(), first, arguments.numbers)
    })?;

    // From here on this process has threads, and forks no more.
    let background = store.refresh_in_background(Duration::from_secs(1), |report| {
        if !report.merges.is_empty() {
            println!("{report}");
        }
    })?;
    let found = workers.join()?;
    println!(
        "{} entries, of which the workers found {found:?}",
        steps.get()?.len()
    );
    if let Some(path) = &arguments.serve {
        let _broker = store.serve(path)?;
        println!("serving on {}", path.display());
        thread::sleep(Duration::from_secs(arguments.seconds));
    }
    drop(background);
    println!("{} entries", steps.get()?.len());
    Ok(())
}

fn client(path: &Path, numbers: u64) -> Result<(), Box<dyn Error>> {
    let live = Live::connect(path, "steps")?;
    let start = Instant::now();
    let found = find_out(live, 1_000_000, numbers)?;
    let (process, took) = (process::id(), start.elapsed());
    println!("process {process} found {found} entries in {took:?}");
    Ok(())
}

/// Looks at numbers from a first one on; tells how many entries it was the first to find.
fn find_out(live: Live<Steps>, first: u64, numbers: u64) -> floe::Result<u64> {
    let mut overlay = Overlay::following(live);
    let (mut found, mut waiting) = (0, None);
    for number in first..first + numbers {
        let mut way = Vec::new();
        let mut at = number;
        // What anybody has found before is not walked again.
        let mut steps = loop {
            match (at, overlay.get(&at)) {
                (1, _) => break 0,
                (_, Some(known)) => break known.to_native(),
                _ => way.push(at),
            }
            at = if at % 2 == 0 { at / 2 } else { 3 * at + 1 };
        };
        for at in way.into_iter().rev() {
            steps += 1;
            overlay.insert(&at, &steps)?;
        }
        if number % 500 == 0 {
            // Handed over while this worker goes on; its own additions stay until a generation
            // has them.
            let sent = overlay.contribute()?;
            found += waiting.replace(sent).map_or(Ok(0), taken)?;
            overlay.advance();
        }
    }
    let last = overlay.contribute()?;
    for sent in waiting.into_iter().chain([last]) {
        found += taken(sent)?;
    }
    Ok(found)
}

/// How many entries of a contribution were taken. What was not taken is still in the overlay.
fn taken(mut sent: floe::overlay::Contribution<u64, u64>) -> floe::Result<u64> {
    match sent.wait(LONG) {
        Some(Outcome::Merged(Merged { taken, .. })) => Ok(*taken),
        Some(Outcome::NotTaken(why)) => {
            eprintln!("process {}: {why}", process::id());
            Ok(0)
        }
        _ => Ok(0),
    }
}
