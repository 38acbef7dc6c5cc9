//! What ends a run.

use std::io;
use std::path::PathBuf;

use crate::table::count;

/// Why there is no result at all. A contender that fails is a row with its reason instead.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// A contender gave another answer than the generator of the data.
    #[error(
        "{contender} answers {operation} wrongly at {} entries: expected the sum {expected}, got \
         {got}; its figures mean nothing, so find the reason first",
        count(*entries as u64)
    )]
    Answer {
        /// Who was asked.
        contender: &'static str,
        /// What was asked.
        operation: &'static str,
        /// Entries of the map.
        entries: usize,
        /// The right sum.
        expected: u64,
        /// The sum of the contender.
        got: u64,
    },
    /// There is no place for the files of the contenders.
    #[error("cannot make a directory in {place}: {source}", place = place.display())]
    Directory {
        /// Where it was to be.
        place: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// This library could not build what was to be measured.
    #[error(transparent)]
    Floe(#[from] floe::Error),
    /// The rows cannot be printed.
    #[error("cannot print the result: {0}")]
    Print(#[from] io::Error),
    /// A file cannot be written.
    #[error("cannot write {path}: {source}", path = path.display())]
    Write {
        /// Which file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

/// Compares an answer with the right one.
///
/// # Errors
/// [`BenchError::Answer`].
pub fn check_answer(
    contender: &'static str,
    operation: &'static str,
    entries: usize,
    expected: u64,
    got: u64,
) -> Result<(), BenchError> {
    if got == expected {
        return Ok(());
    }
    Err(BenchError::Answer {
        contender,
        operation,
        entries,
        expected,
        got,
    })
}
