//! All that was measured, each figure beside what it must reach.

use serde::Serialize;

use crate::carry::Carried;
use crate::layer_files::Layer;
use crate::successive::Successive;

/// What was measured. Times are the best of several rounds.
#[derive(Debug, Serialize)]
pub(crate) struct Results {
    pub(crate) full_parse_seconds: f64,
    pub(crate) one_file_seconds: f64,
    pub(crate) files_parsed: u64,
    pub(crate) entries: u64,
    pub(crate) copy_seconds: f64,
    pub(crate) carry_seconds: f64,
    pub(crate) statx_seconds: f64,
    pub(crate) check_seconds: f64,
    pub(crate) bytes_read_by_check: u64,
    pub(crate) shmem_growth_bytes: i64,
    pub(crate) descriptors_growth: i64,
    /// Of a generation with one changed entry of all.
    pub(crate) new_bytes: u64,
    pub(crate) percent: Percent,
    pub(crate) successive: Successive,
    /// From the start of a rebuild of one entry until a worker has read it.
    pub(crate) visible_micros: f64,
    /// Of a generation with one changed entry: the check of a follower that has the one before / a
    /// check of everything.
    pub(crate) follower_ratio: f64,
}

/// One entry of a hundred changed, at random.
#[derive(Debug, Serialize)]
pub(crate) struct Percent {
    /// Of the rebuild / a copy of the image.
    pub(crate) seconds_ratio: f64,
    /// New bytes / the image.
    pub(crate) bytes_ratio: f64,
    pub(crate) runs: usize,
}

impl Results {
    pub(crate) fn print(&self, layer: &Layer, carried: &[Carried]) {
        let (full, one) = (self.full_parse_seconds, self.one_file_seconds);
        println!(
            "one of {} files changed: {:.1} ms, a full parse {:.1} ms: 1/{:.0} (1/20 or less)",
            layer.files,
            1e3 * one,
            1e3 * full,
            full / one
        );
        let (copy, carry) = (self.copy_seconds, self.carry_seconds);
        println!(
            "one of {} entries changed: {:.3} ms, a copy {:.1} ms: {:.4} (0.02 or less)",
            self.entries,
            1e3 * carry,
            1e3 * copy,
            carry / copy
        );
        let (statx, check) = (self.statx_seconds, self.check_seconds);
        println!(
            "check: {:.2} ms, bare statx {:.2} ms: {:.2} (1.0 or less), {} bytes read (0)",
            1e3 * check,
            1e3 * statx,
            check / statx,
            self.bytes_read_by_check
        );
        println!(
            "many rebuilds: {} bytes of Shmem and {} descriptors more (about 0, 0)",
            self.shmem_growth_bytes, self.descriptors_growth
        );
        for row in carried {
            println!(
                "  {:>8} entries: {:>6.1} ns carried, {:>6.1} ns copied, for each",
                row.entries,
                1e9 * row.carry_seconds / row.entries as f64,
                1e9 * row.copy_seconds / row.entries as f64
            );
        }
        self.print_successive();
        println!(
            "visible in a worker: {:.0} us after the start of the rebuild (500 or less)",
            self.visible_micros
        );
    }

    fn print_successive(&self) {
        let successive = &self.successive;
        println!(
            "{} rebuilds of one random entry: mean {:.3} ms, slowest {:.1} ms, a copy {:.1} ms: \
             {:.4} (0.05 or less)",
            successive.rebuilds,
            1e3 * successive.mean_seconds,
            1e3 * successive.slowest_seconds,
            1e3 * successive.copy_seconds,
            successive.mean_seconds / successive.copy_seconds
        );
        println!(
            "  a generation / its image: {:.3} (1.6 or less), {} files (32 or less), {} runs",
            successive.memory_ratio, successive.files, successive.most_runs
        );
        println!(
            "  get / get of a map frozen afresh: {:.3} (1.05 or less), of the same image in one file: {:.3}",
            successive.get_ratio, successive.get_ratio_of_image
        );
    }

    /// What holds on every machine, however busy.
    pub(crate) fn check(&self) {
        assert_eq!(
            self.files_parsed, 1,
            "one changed file is one file to parse"
        );
        assert_eq!(
            self.bytes_read_by_check, 0,
            "a check of unchanged files reads nothing"
        );
        assert_eq!(self.descriptors_growth, 0, "rebuilds leak no descriptor");
    }
}
