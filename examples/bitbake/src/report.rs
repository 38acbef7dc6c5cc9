//! What the example tells: a table for people, an object for programs.

use std::fmt;

use floe::usage::bytes;
use serde::Serialize;

use crate::Result;
use crate::comparison::Measured;
use crate::parsers::ParserCosts;

/// Everything that one run found out.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub layer: String,
    pub files: usize,
    pub parse_seconds: f64,
    pub freeze_seconds: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parsers: Option<ParserCosts>,
    pub caches: Vec<CacheSize>,
    pub workers: usize,
    pub inherited: Measured,
    pub inherited_refcounted: Measured,
    pub frozen: Measured,
}

/// What a cache takes on the heap and in a region.
#[derive(Debug, Serialize)]
pub(crate) struct CacheSize {
    pub name: String,
    pub entries: usize,
    pub heap_bytes: u64,
    pub frozen_bytes: u64,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.sizes(f)?;
        if self.workers == 0 {
            return writeln!(f, "\nNo workers were forked: there is nothing to compare.");
        }
        self.comparison(f)?;
        self.proof(f)
    }
}

impl Report {
    /// Compares the digests over everything that was read.
    pub(crate) fn check_answers(&self) -> Result<()> {
        let forms = [&self.inherited, &self.inherited_refcounted, &self.frozen];
        let [inherited, counted, frozen] = forms.map(|form| &form.digest);
        if inherited == counted && counted == frozen {
            return Ok(());
        }
        let answers = format!("inherited {inherited}, counted {counted}, frozen {frozen}");
        Err(format!("the forms gave different answers: {answers}").into())
    }

    fn sizes(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let headings = ["cache", "entries", "on the heap", "frozen", "ratio"];
        let [name, entries, heap, frozen, ratio] = headings;
        let heading = format!("{name:<20} {entries:>9} {heap:>11} {frozen:>11} {ratio:>7}");
        writeln!(f, "\n{heading}")?;
        let all = CacheSize {
            name: "all".into(),
            entries: self.caches.iter().map(|cache| cache.entries).sum(),
            heap_bytes: self.caches.iter().map(|cache| cache.heap_bytes).sum(),
            frozen_bytes: self.caches.iter().map(|cache| cache.frozen_bytes).sum(),
        };
        for cache in self.caches.iter().chain([&all]) {
            let (name, entries) = (&cache.name, cache.entries);
            let ratio = cache.frozen_bytes as f64 / cache.heap_bytes.max(1) as f64;
            let sizes = [cache.heap_bytes, cache.frozen_bytes];
            let [heap, frozen] = sizes.map(|size| bytes(size).to_string());
            let row = format!("{name:<20} {entries:>9} {heap:>11} {frozen:>11} {ratio:>7.2}");
            writeln!(f, "{row}")?;
        }
        Ok(())
    }

    fn comparison(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = "workers read every entry. What each of them takes, at most:";
        writeln!(f, "\n{} {what}\n", self.workers)?;
        let labels = [
            "",
            "fork, median",
            "own memory (USS) just after the fork",
            "own memory (USS) after reading",
            "  growth by reading",
            "fair share (PSS) after reading",
            "mapped in all (RSS) after reading",
            "own memory (USS) after dropping them",
            "mapped in all (RSS) after dropping them",
            "reading, median",
            "digest over all that was read",
        ];
        let column = |name: &str, form: &Measured| {
            [
                name.to_owned(),
                format!("{:.0} µs", median(&form.fork_micros)),
                most(&form.uss_after_fork),
                most(&form.uss_after_read),
                bytes(growth(form)).to_string(),
                most(&form.pss_after_read),
                most(&form.rss_after_read),
                most(&form.uss_after_drop),
                most(&form.rss_after_drop),
                format!("{:.0} ms", 1e3 * median(&form.read_seconds)),
                form.digest.clone(),
            ]
        };
        let inherited = column("inherited, by reference", &self.inherited);
        let counted = column("inherited, counted", &self.inherited_refcounted);
        let frozen = column("frozen", &self.frozen);
        for (row, label) in labels.iter().enumerate() {
            let [inherited, counted, frozen] = [&inherited[row], &counted[row], &frozen[row]];
            writeln!(f, "{label:<38} {inherited:>24} {counted:>24} {frozen:>24}")?;
        }
        Ok(())
    }

    fn proof(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(regions) = &self.frozen.regions else {
            return Ok(());
        };
        let shared = regions.region_pss.iter().sum::<u64>() + regions.region_pss_owner;
        let copied = bytes(regions.region_anonymous.iter().sum());
        let (size, shared) = (bytes(regions.region_bytes), bytes(shared));
        let frames = match regions.same_frames {
            Some(true) => "the same in every worker",
            Some(false) => "DIFFERENT in some worker",
            None => "hidden by the kernel (run as root to see them)",
        };
        let growth = [&self.frozen, &self.inherited_refcounted].map(growth);
        let (least, times) = (growth[0].max(1), growth[1] as f64 / growth[0].max(1) as f64);
        writeln!(
            f,
            "\nThe frozen regions have {size}. In all workers and the owner together they take {shared}\n\
             of memory, and {copied} of their pages were copied. Physical frames: {frames}.\n\
             Reading made a worker grow by {}: {times:.0} times less than with counted objects.",
            bytes(least)
        )
    }
}

/// The largest of several sizes.
fn most(sizes: &[u64]) -> String {
    bytes(sizes.iter().copied().max().unwrap_or_default()).to_string()
}

/// The most that reading added to the memory of one worker.
fn growth(measured: &Measured) -> u64 {
    let pairs = measured.uss_after_read.iter().zip(&measured.uss_after_fork);
    let growths = pairs.map(|(after, before)| after.saturating_sub(*before));
    growths.max().unwrap_or_default()
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}
