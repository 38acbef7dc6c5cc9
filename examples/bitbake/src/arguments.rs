//! The command line.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};

/// Parses a BitBake layer into caches, freezes them, forks workers that read them, and compares
/// that with the same caches inherited on the heap.
#[derive(Debug, Parser)]
#[command(name = "bitbake")]
pub(crate) struct Arguments {
    /// An OpenEmbedded layer tree. Without it a tree of 1,100 recipes is generated.
    #[arg(conflicts_with = "caches")]
    pub layer: Option<PathBuf>,

    /// A folder with JSON dumps of a real BitBake's own caches, to be frozen instead of a layer's.
    #[arg(long, value_name = "DIR")]
    pub caches: Option<PathBuf>,

    /// Keeps the layer's caches in a store instead, builds anew what an edit touches, and says in
    /// one line what it did, until interrupted.
    #[arg(long, conflicts_with = "caches", requires = "layer")]
    pub watch: bool,

    /// Who parses the code of a layer: threads of this process, or as many forked ones as there are
    /// workers, whose overlays are merged; that is compared with pickling what they found.
    #[arg(long, value_enum, default_value = "threads", conflicts_with = "caches")]
    pub parsers: ParserKind,

    /// How many workers are forked.
    #[arg(long, value_name = "N", default_value_t = 8)]
    pub workers: usize,

    /// Writes everything that was measured to a file.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,

    /// Leaves the frozen caches in a folder, as NAME.floe.
    #[arg(long, value_name = "DIR")]
    pub keep: Option<PathBuf>,

    /// How many recipes the generated layer has.
    #[arg(long, value_name = "N", default_value_t = 1100, hide = true)]
    pub recipes: usize,
}

/// Who parses code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ParserKind {
    Threads,
    Processes,
}
