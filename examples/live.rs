//! An owner that builds its cache again every second, and forked workers that print the generation
//! that they see.
//!
//! `cargo run --release --example live -- --rounds 5`

use std::error::Error;
use std::time::{Duration, SystemTime};
use std::{process, thread};

use clap::Parser;
use floe::{Live, Map, Publisher, prefork};

/// Publishes a cache again and again while workers read it
#[derive(Parser)]
struct Arguments {
    /// How often the cache is built again
    #[arg(long, default_value_t = 10)]
    rounds: u64,
    /// How many workers read it
    #[arg(long, default_value_t = 3)]
    workers: usize,
    /// Milliseconds between two builds
    #[arg(long, default_value_t = 1000)]
    interval: u64,
}

/// When each of the caches' files was built.
type Builds = Map<String, String>;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    let last = 1 + arguments.rounds;
    let publisher = Publisher::new(&Map::freeze("builds", [entry(1)])?)?;

    // Subscribe first, then fork: the workers inherit the handle.
    let live = publisher.subscribe::<Builds>()?;
    let workers = prefork::spawn(arguments.workers, |worker| follow(worker, live, last))?;

    for _ in 0..arguments.rounds {
        thread::sleep(Duration::from_millis(arguments.interval));
        let mut next = publisher.builder::<String, String>()?;
        let (key, value) = entry(publisher.status()?.generation + 1);
        next.insert(&key, &value)?;
        publisher.publish(&next.finish()?)?;
    }
    println!("owner: all workers saw generation {:?}", workers.join()?);
    Ok(())
}

fn entry(generation: u64) -> (String, String) {
    let since = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
    let text = format!("build {generation}, at second {}", since.as_secs());
    ("newest".to_owned(), text)
}

fn follow(worker: prefork::Worker, mut live: Live<Builds>, last: u64) -> u64 {
    loop {
        let text = live.get_stale()["newest"].as_str().to_owned();
        println!(
            "worker {} (process {}): generation {}, {text}",
            worker.index(),
            process::id(),
            live.generation(),
        );
        if live.generation() == last {
            return last;
        }
        live.wait_newer(Duration::MAX);
    }
}
