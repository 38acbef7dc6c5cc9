//! The page files of a region, and the runs of pages that it has of them.

use floe::pages::{Pages, Run};
use floe::usage::bytes;

use crate::output::counted;
use crate::table::{Cell, Column, Table};

const FILES: &[Column] = &[
    Column("file", "FILE"),
    Column("generation", "GEN"),
    Column("pages", "PAGES"),
    Column("used", "USED"),
    Column("used_share", "%"),
    Column("runs", "RUNS"),
    Column("bytes", "SIZE"),
    Column("digest", "DIGEST"),
];

/// A row for each page file, and their sum.
pub(super) fn files(pages: &Pages) -> Table {
    let mut table = Table::new(FILES);
    let (mut used, mut all) = (0, 0);
    for (number, file) in pages.files.iter().enumerate() {
        (used, all) = (used + file.used, all + file.pages);
        let digest = file.digest[..4].iter().map(|byte| format!("{byte:02x}"));
        table.push(vec![
            Cell::Number(number as u64),
            generation(file.generation),
            Cell::Count(file.pages),
            Cell::Count(file.used),
            share(file.used, file.pages),
            Cell::Count(file.runs),
            Cell::Bytes(file.pages.saturating_mul(pages.page_size)),
            Cell::text(digest.collect::<String>()),
        ]);
    }
    table.push_total(vec![
        Cell::text("total"),
        Cell::Empty,
        Cell::Count(all),
        Cell::Count(used),
        share(used, all),
        Cell::Count(pages.runs.len() as u64),
        Cell::Bytes(pages.file_bytes()),
        Cell::Empty,
    ]);
    table
}

/// What the page files of a region are together, in one line.
pub(super) fn summary(pages: &Pages) -> String {
    format!(
        "{} of {}, {:.1} % of its size; {:.1} % of it is shared with earlier generations",
        counted(pages.files.len() as u64, "page file", "page files"),
        bytes(pages.file_bytes()),
        percent(pages.file_bytes(), pages.bytes),
        percent(pages.shared_bytes(), pages.bytes),
    )
}

const RUNS: &[Column] = &[
    Column("start", "FROM"),
    Column("pages", "PAGES"),
    Column("bytes", "SIZE"),
    Column("generation", "GEN"),
    Column("file", "FILE"),
    Column("first", "AT"),
    Column("sections", "HOLDS"),
];

/// A row for each run, in the order of the image.
pub(super) fn runs(pages: &Pages) -> Table {
    let mut table = Table::new(RUNS);
    for run in &pages.runs {
        table.push(vec![
            Cell::Number(run.start),
            Cell::Count(run.pages),
            Cell::Bytes(run.pages * pages.page_size),
            generation(pages.writer(run)),
            Cell::Number(run.file as u64),
            Cell::Number(run.first),
            Cell::text(parts(pages, run)),
        ]);
    }
    table
}

/// What stands in the pages of a run.
pub(super) fn parts(pages: &Pages, run: &Run) -> String {
    let (start, end) = (run.start, run.start + run.pages);
    let header = (start == 0).then(|| "header".to_owned());
    let sections = pages.sections.iter().filter(|section| {
        let first = section.offset / pages.page_size;
        let last = (section.offset + section.bytes).div_ceil(pages.page_size);
        section.bytes > 0 && first < end && start < last
    });
    let names = sections.map(|section| section.kind.to_string());
    header
        .into_iter()
        .chain(names)
        .collect::<Vec<_>>()
        .join(", ")
}

fn generation(number: Option<u64>) -> Cell {
    number.map_or_else(|| Cell::text("?"), Cell::Number)
}

fn share(part: u64, whole: u64) -> Cell {
    Cell::Share(percent(part, whole) / 100.0)
}

pub(super) fn percent(part: u64, whole: u64) -> f64 {
    100.0 * part as f64 / whole.max(1) as f64
}
