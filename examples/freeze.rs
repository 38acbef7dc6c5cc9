//! Freezes a map of half a million entries, which forked workers then read in place: what each
//! copies meanwhile is what any forked process does for itself, and nothing of the map.
//!
//! `cargo run --release --example freeze`

use std::error::Error;

use floe::usage::{Usage, bytes};
use floe::{Map, prefork};

fn main() -> Result<(), Box<dyn Error>> {
    let squares: Vec<(u64, String)> = (0..500_000).map(|n| (n, format!("{}", n * n))).collect();
    let frozen = Map::freeze("squares", squares)?;
    let region = frozen.region().address_range().len() as u64;
    println!("owner: {} entries in {}", frozen.len(), bytes(region));

    // The workers inherit the handle. Reading writes nothing, so no page of theirs is copied.
    let worker = |worker: prefork::Worker| -> Result<(usize, u64), floe::Error> {
        let before = Usage::of_self()?.anonymous;
        let mine = (0..500_000_u64).filter(|n| n % 4 == worker.index() as u64);
        let digits = mine.map(|n| frozen.get(&n).map_or(0, |text| text.len()));
        let digits = digits.sum();
        let after = Usage::of_self()?.anonymous;
        Ok((digits, after.saturating_sub(before)))
    };
    let results = prefork::spawn_try(4, worker)?.join()?;
    for (index, (digits, copied)) in results.into_iter().enumerate() {
        let copied = bytes(copied);
        println!("worker {index}: read {digits} digits and copied {copied}");
    }
    Ok(())
}
