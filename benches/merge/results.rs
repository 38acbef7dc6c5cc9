//! All that was measured, each figure beside what it must reach.

use serde::Serialize;

use crate::bulk::Bulk;
use crate::empty::Reads;
use crate::in_place::InPlace;

#[derive(Debug, Serialize)]
pub(crate) struct Results {
    /// `Overlay::get` with nothing added / `Map::get`.
    pub(crate) empty_ratio: f64,
    /// The same with a thousand entries added.
    pub(crate) filled_ratio: f64,
    pub(crate) reads: Reads,
    /// A merge of eight deltas / a copy of their bytes and an index of their entries.
    pub(crate) bulk_ratio: f64,
    /// The same / the copy alone.
    pub(crate) bulk_copy_ratio: f64,
    pub(crate) bulk: Bulk,
    /// Of a small region and of a large one.
    pub(crate) in_place: [InPlace; 2],
}

impl Results {
    pub(crate) fn print(&self) {
        let reads = &self.reads;
        println!(
            "get: map {:.1} ns, overlay with nothing added {:.1} ns{}",
            reads.map_nanos,
            reads.empty_nanos,
            beside(self.empty_ratio, 1.10)
        );
        println!(
            "  with 1,000 entries added {:.1} ns: {:.3}",
            reads.filled_nanos, self.filled_ratio
        );
        let bulk = &self.bulk;
        println!(
            "{} entries into {}: {:.1} ms, a copy {:.1} ms and an index {:.1} ms{}",
            bulk.added,
            bulk.entries,
            1e3 * bulk.merge_seconds,
            1e3 * bulk.copy_seconds,
            1e3 * bulk.index_seconds,
            beside(self.bulk_ratio, 2.0)
        );
        println!("  to the copy alone: {:.3}", self.bulk_copy_ratio);
        for row in &self.in_place {
            println!("in place, {} bytes:", row.bytes);
            println!("  map_file, us{}", beside(row.map_file_micros, 100.0));
            println!("  map_posix, us{}", beside(row.map_posix_micros, 100.0));
        }
    }
}

/// A figure, and whether it is at most what is asked.
pub(crate) fn beside(figure: f64, most: f64) -> String {
    let holds = if figure <= most { "holds" } else { "MISSED" };
    format!(": {figure:.3} ({most} or less: {holds})")
}
