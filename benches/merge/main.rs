//! What it costs to bring back what workers have found out, and to open regions by name.
//!
//! `cargo bench --bench merge` prints each figure beside what it must reach, and writes
//! `target/floe/merge.json`; `-- --json` prints that instead, `-- --quick` proves that the bench
//! works, on small data, `-- --layer DIR` takes a real layer instead of a generated one, and
//! `-- --only bulk,visible` measures some parts. Everything is checked against what it must give.
mod bulk;
mod contributions;
mod data;
mod empty;
mod in_place;
mod pipes;
mod results;
mod visible;

use std::path::PathBuf;

use clap::{Parser, ValueEnum};
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
    /// Measures these parts alone.
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Part>,
    /// Given by cargo.
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Part {
    Pipes,
    Contributions,
    Visible,
    Empty,
    Bulk,
    InPlace,
}

fn main() {
    let arguments = Arguments::parse();
    let small = arguments.quick || mode::is_test();
    let wants = |part| arguments.only.is_empty() || arguments.only.contains(&part);
    let pick = |small_one: u64, large_one: u64| if small { small_one } else { large_one };
    // Those that fork come first, so that workers do not inherit what the others need.
    let layer = arguments.layer.as_deref();
    let pipes = || pipes::measure(layer, pick(30, 1100) as usize, pick(1, 5) as usize);
    let contributions = || contributions::measure(pick(200, 10_000), pick(4, 32) as usize);
    let visible = || {
        let workers = pick(4, 64) as usize;
        visible::measure(pick(2_000, 1_000_000), workers, pick(3, 51))
    };
    let pipes = wants(Part::Pipes).then(pipes);
    let contributions = wants(Part::Contributions).then(contributions);
    let visible = wants(Part::Visible).then(visible);
    let map = data::map(pick(2_000, 1_000_000));
    let reads = wants(Part::Empty).then(|| empty::measure(&map));
    let bulk = wants(Part::Bulk).then(|| bulk::measure(&map));
    let in_place = || [in_place::measure(&data::map(10)), in_place::measure(&map)];
    let results = Results {
        empty_ratio: reads.as_ref().map(empty::Reads::empty_ratio),
        bulk_ratio: bulk.as_ref().map(bulk::Bulk::ratio),
        bulk_copy_ratio: bulk.as_ref().map(bulk::Bulk::copy_ratio),
        visible_micros_median: visible.as_ref().map(|it| it.micros_median),
        pipe_ratio: pipes.as_ref().map(pipes::Pipes::ratio),
        pipe_owner_ratio: pipes.as_ref().map(pipes::Pipes::owner_ratio),
        in_place: wants(Part::InPlace).then(in_place),
        reads,
        bulk,
        visible,
        contributions,
        pipes,
    };
    let json = serde_json::to_string_pretty(&results).expect("numbers have a JSON form");
    std::fs::create_dir_all("target/floe").expect("a folder for the results");
    std::fs::write("target/floe/merge.json", &json).expect("the results");
    match arguments.json {
        true => println!("{json}"),
        false => results.print(),
    }
    results.check();
}
