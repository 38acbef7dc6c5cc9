//! A worker that is another program, started by the owner: it inherits two descriptors, and follows
//! the cache by them.
//!
//! `cargo run --release --example exec`

use std::env;
use std::error::Error;
use std::process::Command;
use std::time::Duration;

use floe::{Frozen, Live, Publisher};

const LAST: u64 = 4;

fn main() -> Result<(), Box<dyn Error>> {
    match env::args().nth(1).as_deref() {
        None => own(),
        Some("worker") => work(),
        Some(other) => Err(format!("expected nothing or \"worker\", got {other:?}").into()),
    }
}

fn own() -> Result<(), Box<dyn Error>> {
    let publisher = Publisher::new(&Frozen::freeze("squares", &squares(1))?)?;
    // For the sake of one file, the other program is this one.
    let mut command = Command::new(env::current_exe()?);
    publisher.pass_to(command.arg("worker"))?;
    let mut worker = command.spawn()?;
    for generation in 2..=LAST {
        std::thread::sleep(Duration::from_millis(200));
        publisher.publish(&publisher.freeze(&squares(generation))?)?;
    }
    match worker.wait()?.success() {
        true => Ok(()),
        false => Err("the worker failed".into()),
    }
}

fn work() -> Result<(), Box<dyn Error>> {
    let mut live = Live::<Vec<u64>>::inherited("squares")?;
    loop {
        let squares: Vec<u64> = live
            .get_stale()
            .iter()
            .map(|square| square.to_native())
            .collect();
        println!("worker: generation {} is {squares:?}", live.generation());
        if live.generation() == LAST {
            return Ok(());
        }
        live.wait_newer(Duration::MAX);
    }
}

fn squares(count: u64) -> Vec<u64> {
    (1..=count).map(|number| number * number).collect()
}
