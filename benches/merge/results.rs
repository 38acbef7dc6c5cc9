//! All that was measured, each figure beside what it must reach.

use serde::Serialize;

use crate::bulk::Bulk;
use crate::contributions::Contributions;
use crate::empty::Reads;
use crate::in_place::InPlace;
use crate::pipes::Pipes;
use crate::visible::Visible;

#[derive(Debug, Serialize)]
pub(crate) struct Results {
    /// `Overlay::get` with nothing added / `Map::get`.
    pub(crate) empty_ratio: Option<f64>,
    /// A merge of eight deltas / a copy of their bytes and an index of their entries.
    pub(crate) bulk_ratio: Option<f64>,
    /// The same / the copy alone.
    pub(crate) bulk_copy_ratio: Option<f64>,
    /// From when the owner takes a contribution until all workers have read it.
    pub(crate) visible_micros_median: Option<f64>,
    /// What parsers found sealed and merged / serialised and sent through pipes.
    pub(crate) pipe_ratio: Option<f64>,
    /// The owner's part of the merge / the same.
    pub(crate) pipe_owner_ratio: Option<f64>,
    /// Of a small region and of a large one.
    pub(crate) in_place: Option<[InPlace; 2]>,
    pub(crate) reads: Option<Reads>,
    pub(crate) bulk: Option<Bulk>,
    pub(crate) visible: Option<Visible>,
    pub(crate) contributions: Option<Contributions>,
    pub(crate) pipes: Option<Pipes>,
}

impl Results {
    pub(crate) fn print(&self) {
        self.pipes.iter().for_each(print_pipes);
        self.contributions.iter().for_each(print_contributions);
        self.visible.iter().for_each(print_visible);
        self.reads.iter().for_each(print_reads);
        self.bulk.iter().for_each(print_bulk);
        for row in self.in_place.iter().flatten() {
            println!("in place, {} bytes:", row.bytes);
            println!("  map_file, us{}", beside(row.map_file_micros, 100.0));
            println!("  map_posix, us{}", beside(row.map_posix_micros, 100.0));
        }
    }

    /// What holds on every machine, however busy.
    pub(crate) fn check(&self) {
        if let Some(it) = &self.contributions {
            assert_eq!((it.lost, it.doubled), (0, 0), "{it:?}");
            assert_eq!(it.entries, it.expected);
        }
    }
}

fn print_pipes(pipes: &Pipes) {
    println!("{}: {}", pipes.layer, pipes.costs);
    println!(
        "  merged {:.2} ms, through pipes {:.2} ms{}",
        pipes.merge_millis,
        pipes.pipe_millis,
        beside(pipes.ratio(), 0.2)
    );
    println!(
        "  without the waits for seals {:.2} ms{}",
        pipes.owner_millis,
        beside(pipes.owner_ratio(), 0.2)
    );
}

fn print_contributions(it: &Contributions) {
    println!(
        "{} contributions of {} workers in {:.2} s, {} generations: {} entries ({} in the model), {} \
         lost (0), {} doubled (0)",
        it.contributions,
        it.workers,
        it.seconds,
        it.generations,
        it.entries,
        it.expected,
        it.lost,
        it.doubled
    );
}

fn print_visible(it: &Visible) {
    println!(
        "10 entries into {}: visible in {} workers, us{}",
        it.entries,
        it.workers,
        beside(it.micros_median, 2000.0)
    );
    println!(
        "  from when the contributor seals: {:.0} us; the merge alone {:.0} us, visible in the first \
         worker {:.0} us",
        it.contributed_micros_median, it.merge_micros_median, it.first_micros_median
    );
}

fn print_reads(reads: &Reads) {
    println!(
        "get: map {:.1} ns, overlay with nothing added {:.1} ns{}",
        reads.map_nanos,
        reads.empty_nanos,
        beside(reads.empty_ratio(), 1.10)
    );
    println!(
        "  with 1,000 entries added {:.1} ns: {:.3}",
        reads.filled_nanos,
        reads.filled_ratio()
    );
}

fn print_bulk(bulk: &Bulk) {
    println!(
        "{} entries into {}: {:.1} ms, a copy {:.1} ms and an index {:.1} ms{}",
        bulk.added,
        bulk.entries,
        1e3 * bulk.merge_seconds,
        1e3 * bulk.copy_seconds,
        1e3 * bulk.index_seconds,
        beside(bulk.ratio(), 2.0)
    );
    println!("  to the copy alone: {:.3}", bulk.copy_ratio());
}

/// A figure, and whether it is at most what is asked.
fn beside(figure: f64, most: f64) -> String {
    let holds = if figure <= most { "holds" } else { "MISSED" };
    format!(": {figure:.3} ({most} or less: {holds})")
}
