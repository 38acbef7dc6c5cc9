//! What the example tells: a table for people, an object for programs.

use std::fmt;

use floe::usage::bytes;
use serde::Serialize;

use crate::Result;
use crate::comparison::Measured;

/// Everything that one run found out.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub layer: String,
    pub files: usize,
    pub parse_seconds: f64,
    pub freeze_seconds: f64,
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
        Err(format!(
            "the forms gave different answers: inherited {inherited}, counted {counted}, frozen {frozen}"
        )
        .into())
    }

    fn sizes(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "\n{:<20} {:>9} {:>11} {:>11} {:>7}",
            "cache", "entries", "on the heap", "frozen", "ratio"
        )?;
        let mut row = |name: &str, entries: usize, heap: u64, frozen: u64| {
            let ratio = frozen as f64 / heap.max(1) as f64;
            let (heap, frozen) = (bytes(heap).to_string(), bytes(frozen).to_string());
            writeln!(
                f,
                "{name:<20} {entries:>9} {heap:>11} {frozen:>11} {ratio:>7.2}"
            )
        };
        let mut all = (0, 0, 0);
        for cache in &self.caches {
            let (entries, heap, frozen) = (cache.entries, cache.heap_bytes, cache.frozen_bytes);
            row(&cache.name, entries, heap, frozen)?;
            all = (all.0 + entries, all.1 + heap, all.2 + frozen);
        }
        row("all", all.0, all.1, all.2)
    }

    fn comparison(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "\n{} workers read every entry. What each of them takes, at most:\n",
            self.workers
        )?;
        let columns = [
            ("inherited, by reference", &self.inherited),
            ("inherited, counted", &self.inherited_refcounted),
            ("frozen", &self.frozen),
        ];
        write!(f, "{:<38}", "")?;
        for (name, _) in columns {
            write!(f, " {name:>24}")?;
        }
        writeln!(f)?;
        let most =
            |values: &[u64]| bytes(values.iter().copied().max().unwrap_or_default()).to_string();
        type Row<'r> = (&'r str, &'r dyn Fn(&Measured) -> String);
        let rows: [Row; 10] = [
            ("fork, median", &|it| {
                format!("{:.0} µs", median(&it.fork_micros))
            }),
            ("own memory (USS) just after the fork", &|it| {
                most(&it.uss_after_fork)
            }),
            ("own memory (USS) after reading", &|it| {
                most(&it.uss_after_read)
            }),
            ("  growth by reading", &|it| bytes(growth(it)).to_string()),
            ("fair share (PSS) after reading", &|it| {
                most(&it.pss_after_read)
            }),
            ("mapped in all (RSS) after reading", &|it| {
                most(&it.rss_after_read)
            }),
            ("own memory (USS) after dropping them", &|it| {
                most(&it.uss_after_drop)
            }),
            ("mapped in all (RSS) after dropping them", &|it| {
                most(&it.rss_after_drop)
            }),
            ("reading, median", &|it| {
                format!("{:.0} ms", 1e3 * median(&it.read_seconds))
            }),
            ("digest over all that was read", &|it| it.digest.clone()),
        ];
        for (label, cell) in rows {
            write!(f, "{label:<38}")?;
            for (_, measured) in columns {
                write!(f, " {:>24}", cell(measured))?;
            }
            writeln!(f)?;
        }
        Ok(())
    }

    fn proof(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(regions) = &self.frozen.regions else {
            return Ok(());
        };
        let shared: u64 = regions.region_pss.iter().sum::<u64>() + regions.region_pss_owner;
        let copied: u64 = regions.region_anonymous.iter().sum();
        writeln!(
            f,
            "\nThe frozen regions have {}. In all workers and the owner together they take {}",
            bytes(regions.region_bytes),
            bytes(shared)
        )?;
        writeln!(
            f,
            "of memory, and {} of their pages were copied. Physical frames: {}.",
            bytes(copied),
            match regions.same_frames {
                Some(true) => "the same in every worker",
                Some(false) => "DIFFERENT in some worker",
                None => "hidden by the kernel (run as root to see them)",
            }
        )?;
        let (frozen, counted) = (
            growth(&self.frozen).max(1),
            growth(&self.inherited_refcounted),
        );
        writeln!(
            f,
            "Reading made a worker grow by {}: {:.0} times less than with counted objects.",
            bytes(frozen),
            counted as f64 / frozen as f64
        )
    }
}

/// The most that reading added to the memory of one worker.
fn growth(measured: &Measured) -> u64 {
    let pairs = measured.uss_after_read.iter().zip(&measured.uss_after_fork);
    pairs
        .map(|(after, before)| after.saturating_sub(*before))
        .max()
        .unwrap_or_default()
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}
