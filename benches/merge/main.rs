//! What it costs to bring back what workers have found out, and to open regions by name.
//!
//! `cargo bench --bench merge` prints each figure beside what it must reach, and writes
//! `target/floe/merge.json`; `-- --json` prints that instead, `-- --quick` proves that the bench
//! works, on small data, and `-- --layer DIR` takes a real layer instead of a generated one.
//! Everything is checked against what it must give.
mod bulk;
mod data;
mod empty;
mod in_place;
mod results;

use std::path::PathBuf;

use clap::Parser;
use floe_testkit::mode;

use results::Results;

/// Measures what merges cost.
#[derive(Parser)]
struct Arguments {
    /// A layer tree; without it one is generated.
    #[arg(long)]
    layer: Option<PathBuf>,
    /// Prints what was measured as JSON.
    #[arg(long)]
    json: bool,
    /// Proves that the bench works, on small data.
    #[arg(long, alias = "test")]
    quick: bool,
    /// Given by cargo.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() {
    let arguments = Arguments::parse();
    let small = arguments.quick || mode::is_test();
    let map = data::map(if small { 2_000 } else { 1_000_000 });
    let reads = empty::measure(&map);
    let bulk = bulk::measure(&map);
    let in_place = [in_place::measure(&data::map(10)), in_place::measure(&map)];
    let results = Results {
        empty_ratio: reads.empty_ratio(),
        filled_ratio: reads.filled_ratio(),
        reads,
        bulk_ratio: bulk.ratio(),
        bulk_copy_ratio: bulk.copy_ratio(),
        bulk,
        in_place,
    };
    let json = serde_json::to_string_pretty(&results).expect("numbers have a JSON form");
    std::fs::create_dir_all("target/floe").expect("a folder for the results");
    std::fs::write("target/floe/merge.json", &json).expect("the results");
    match arguments.json {
        true => println!("{json}"),
        false => results.print(),
    }
}
