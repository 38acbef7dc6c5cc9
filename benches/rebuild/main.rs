//! What a rebuild costs: of one file of a layer, of one entry of a million, of nothing at all.
//!
//! `cargo bench --bench rebuild` writes `target/floe/rebuild.json`, and `rebuild.html` with a plot of
//! the cost of an entry that is carried over. `-- --layer DIR` takes a real layer instead of a
//! generated one. Every rebuild is checked against what it must give.
mod carry;
mod check;
mod growth;
mod layer_files;
mod machine;
mod page;

use std::path::PathBuf;

use clap::Parser;
use serde::Serialize;

use floe_testkit::mode;

/// Measures what rebuilds cost.
#[derive(Parser)]
struct Arguments {
    /// A layer tree; without it one is generated.
    #[arg(long)]
    layer: Option<PathBuf>,
    /// Proves that the bench works, on small data.
    #[arg(long)]
    test: bool,
    /// Given by cargo.
    #[arg(long, hide = true)]
    bench: bool,
}

/// What was measured. Times are the best of several rounds.
#[derive(Debug, Serialize)]
struct Measured {
    full_parse_seconds: f64,
    one_file_seconds: f64,
    files_parsed: u64,
    entries: u64,
    copy_seconds: f64,
    carry_seconds: f64,
    statx_seconds: f64,
    check_seconds: f64,
    bytes_read_by_check: u64,
    shmem_growth_bytes: i64,
    descriptors_growth: i64,
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
    let measured = Measured {
        full_parse_seconds: layer.full_seconds,
        one_file_seconds: layer.one_seconds,
        files_parsed: layer.files_parsed,
        entries: largest.entries,
        copy_seconds: largest.copy_seconds,
        carry_seconds: largest.carry_seconds,
        statx_seconds: check.statx_seconds,
        check_seconds: check.check_seconds,
        bytes_read_by_check: check.bytes_read,
        shmem_growth_bytes: growth.shmem_bytes,
        descriptors_growth: growth.descriptors,
    };
    print(&measured, &layer, &carried);
    let folder = PathBuf::from("target/floe");
    let json = serde_json::to_vec_pretty(&measured).expect("numbers have a JSON form");
    std::fs::create_dir_all(&folder).expect("a folder for the results");
    std::fs::write(folder.join("rebuild.json"), json).expect("the results");
    std::fs::write(folder.join("rebuild.html"), page::page(&carried)).expect("the page");
    assert_eq!(
        measured.files_parsed, 1,
        "one changed file is one file to parse"
    );
    assert_eq!(
        measured.bytes_read_by_check, 0,
        "a check of unchanged files reads nothing"
    );
    assert_eq!(
        measured.descriptors_growth, 0,
        "rebuilds leak no descriptor"
    );
}

/// Prints each figure beside what it must reach.
fn print(measured: &Measured, layer: &layer_files::Layer, carried: &[carry::Carried]) {
    let Measured {
        full_parse_seconds: full,
        one_file_seconds: one,
        copy_seconds: copy,
        carry_seconds: carry,
        statx_seconds: statx,
        check_seconds: check,
        ..
    } = measured;
    println!(
        "one of {} files changed: {:.1} ms, a full parse {:.1} ms: 1/{:.0} (1/20 or less)",
        layer.files,
        1e3 * one,
        1e3 * full,
        full / one
    );
    println!(
        "one of {} entries changed: {:.1} ms, a copy {:.1} ms: {:.2} (2.5 or less)",
        measured.entries,
        1e3 * carry,
        1e3 * copy,
        carry / copy
    );
    println!(
        "check: {:.2} ms, bare statx {:.2} ms: {:.2} (1.0 or less), {} bytes read (0)",
        1e3 * check,
        1e3 * statx,
        check / statx,
        measured.bytes_read_by_check
    );
    println!(
        "many rebuilds: {} bytes of Shmem and {} descriptors more (about 0, 0)",
        measured.shmem_growth_bytes, measured.descriptors_growth
    );
    for row in carried {
        println!(
            "  {:>8} entries: {:>6.1} ns carried, {:>6.1} ns copied, for each",
            row.entries,
            1e9 * row.carry_seconds / row.entries as f64,
            1e9 * row.copy_seconds / row.entries as f64
        );
    }
}
