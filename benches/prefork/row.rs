//! What is measured, and for what.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// How the owner keeps its cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    /// No cache at all: what a fork costs anyway.
    Nothing,
    /// A hash map on the heap, read by reference.
    Inherited,
    /// The same with a reference count in each value, taken while it is read.
    Counted,
    /// The same behind a lock, with the time of its last use in each value.
    Locked,
    /// A frozen map.
    Frozen,
}

impl Kind {
    /// Those that hold a cache, with which forking nothing is not to be confused.
    pub(crate) const CACHES: [Self; 4] =
        [Self::Inherited, Self::Counted, Self::Locked, Self::Frozen];

    /// What it is called in front of people.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Inherited => "heap, by reference",
            Self::Counted => "heap, counted",
            Self::Locked => "heap, locked + LRU",
            Self::Frozen => "frozen",
        }
    }

    /// What it is called in options and in the rows.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Inherited => "inherited",
            Self::Counted => "counted",
            Self::Locked => "locked",
            Self::Frozen => "frozen",
        }
    }

    /// How much of a cache of so many bytes a worker copies by reading it, at most: what it
    /// writes to lies in every page, or in the pages of the hash table alone.
    pub(crate) fn copied_by_reading(self, bytes: u64) -> u64 {
        match self {
            Self::Nothing | Self::Inherited | Self::Frozen => 0,
            Self::Counted => bytes,
            Self::Locked => bytes / 4,
        }
    }
}

/// One kind of cache, of one size, under some workers.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Row {
    pub kind: Kind,
    /// What the frozen map of these entries takes; 0 for nothing.
    pub cache_bytes: u64,
    pub workers: usize,
    #[serde(flatten)]
    pub measured: Option<Measured>,
    /// Why nothing was measured.
    pub skipped: Option<String>,
}

/// The figures of a row. Medians over forks and workers, unless they say otherwise.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Measured {
    pub entries: u64,
    /// What this kind of cache takes in its owner.
    pub owner_bytes: u64,
    /// One call of `prefork::spawn` for one worker.
    pub fork_micros: f64,
    /// Page tables of a worker just after the fork.
    pub vm_pte_forked_bytes: u64,
    /// Page tables of a worker that has read everything.
    pub vm_pte_bytes: u64,
    /// Memory of its own of that worker which has most of it.
    pub uss_max: u64,
    /// All workers and the owner.
    pub pss_total: u64,
    /// Minor faults of a worker while it reads everything.
    pub faults: u64,
    /// From before the fork until the worker has looked up one entry.
    pub first_answer_micros: f64,
    /// Until all workers, at the same time, have read everything.
    pub read_seconds: f64,
    /// From the order to exit until the worker is reaped, one after the other.
    pub exit_micros: f64,
    /// Over everything that was read, the same in every worker.
    pub digest: String,
}

impl Row {
    /// A row with its figures, or with the reason why it has none.
    pub(crate) fn new(
        kind: Kind,
        cache_bytes: u64,
        workers: usize,
        measured: Result<Measured, String>,
    ) -> Self {
        let (measured, skipped) = match measured {
            Ok(measured) => (Some(measured), None),
            Err(reason) => (None, Some(reason)),
        };
        Self {
            kind,
            cache_bytes,
            workers,
            measured,
            skipped,
        }
    }

    /// The row as JSON. A row that was skipped has all keys too, with nulls.
    pub(crate) fn to_json(&self) -> serde_json::Result<Value> {
        let mut complete = Map::new();
        if let Value::Object(keys) = serde_json::to_value(Measured::default())? {
            complete.extend(keys.into_iter().map(|(key, _)| (key, Value::Null)));
        }
        if let Value::Object(own) = serde_json::to_value(self)? {
            complete.extend(own);
        }
        Ok(Value::Object(complete))
    }
}

/// The figures for one kind, size and number of workers, if they were measured.
pub(crate) fn find(rows: &[Row], kind: Kind, bytes: u64, workers: usize) -> Option<&Measured> {
    let bytes = if kind == Kind::Nothing { 0 } else { bytes };
    rows.iter()
        .find(|row| (row.kind, row.cache_bytes, row.workers) == (kind, bytes, workers))
        .and_then(|row| row.measured.as_ref())
}
