//! What a rebuild costs: of one file of a layer, of one entry of a million, of nothing at all.
//!
//! `cargo bench --bench rebuild` writes `target/floe/rebuild.json`, and `rebuild.html` with a plot
//! of the cost of an entry that is carried over. `-- --layer DIR` takes a real layer instead of a
//! generated one, `--large` measures changes of 10^7 entries too (2.5 GB each generation). Every
//! rebuild is checked against what it must give.
mod carry;
mod changes;
mod check;
mod follower;
mod growth;
mod layer_files;
mod lookup;
mod machine;
mod page;
mod pages;
mod results;
mod subject;
mod successive;
mod table;
mod visible;

use std::path::PathBuf;

use clap::Parser;

use floe_testkit::mode;
use results::{Percent, Results};

/// Measures what rebuilds cost.
#[derive(Parser)]
struct Arguments {
    /// A layer tree; without it one is generated.
    #[arg(long)]
    layer: Option<PathBuf>,
    /// Measures changes of ten million entries too.
    #[arg(long)]
    large: bool,
    /// Proves that the bench works, on small data.
    #[arg(long)]
    test: bool,
    /// Given by cargo.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() {
    let arguments = Arguments::parse();
    let small = mode::is_test();
    let layer = layer_files::measure(arguments.layer.as_deref(), if small { 30 } else { 1100 });
    let check = check::measure(if small { 300 } else { 10_000 });
    let growth = growth::measure(if small { 20 } else { 1000 });
    let counts: &[u64] = match small {
        true => &[1_000, 3_000],
        false => &[10_000, 30_000, 100_000, 300_000, 1_000_000],
    };
    let carried: Vec<carry::Carried> = counts.iter().map(|count| carry::measure(*count)).collect();
    let Some(largest) = carried.last() else {
        return;
    };
    let (entries, rounds) = (largest.entries, if small { 1 } else { 3 });
    let mut changes = changes::measure(entries / 10, rounds);
    changes.extend(changes::measure(entries, rounds));
    let successive = successive::measure(entries, if small { 50 } else { 1000 });
    let visible_micros = visible::measure(entries, if small { 5 } else { 50 });
    let follower = follower::measure(entries, if small { 2 } else { 7 });
    if arguments.large {
        changes.extend(changes::measure(10 * entries, 1));
    }
    let one = changes::find(&changes, entries, 1, true);
    let percent = changes::find(&changes, entries, entries / 100, true);
    let (Some(one), Some(percent)) = (one, percent) else {
        return;
    };
    let results = Results {
        full_parse_seconds: layer.full_seconds,
        one_file_seconds: layer.one_seconds,
        files_parsed: layer.files_parsed,
        entries,
        copy_seconds: largest.copy_seconds,
        carry_seconds: largest.carry_seconds,
        statx_seconds: check.statx_seconds,
        check_seconds: check.check_seconds,
        bytes_read_by_check: check.bytes_read,
        shmem_growth_bytes: growth.shmem_bytes,
        descriptors_growth: growth.descriptors,
        new_bytes: one.new_bytes,
        percent: Percent {
            seconds_ratio: percent.seconds_ratio(),
            bytes_ratio: percent.bytes_ratio(),
            runs: percent.runs,
        },
        successive,
        visible_micros,
        follower_ratio: follower.ratio(),
    };
    results.print(&layer, &carried);
    println!(
        "taken over with checks: {:.3} ms, everything checked {:.1} ms: {:.4} (0.05 or less)",
        1e3 * follower.next_seconds,
        1e3 * follower.full_seconds,
        follower.ratio()
    );
    table::print(&changes);
    let folder = PathBuf::from("target/floe");
    let json = serde_json::to_vec_pretty(&results).expect("numbers have a JSON form");
    std::fs::create_dir_all(&folder).expect("a folder for the results");
    std::fs::write(folder.join("rebuild.json"), json).expect("the results");
    std::fs::write(folder.join("rebuild.html"), page::page(&carried)).expect("the page");
    results.check();
}
