//! What is asked of floe beside what was measured.

use crate::report::{Row, find};
use crate::table::{Table, count};

/// Bars for `get` and `get_many`: entries, then get / hashbrown, get / std, get_many / hashbrown,
/// get / LMDB.
const LOOKUP_BARS: [(usize, [f64; 4]); 4] = [
    (10_000, [1.0, 0.6, 0.9, 0.15]),
    (100_000, [0.70, 0.36, 0.45, 0.12]),
    (1_000_000, [0.80, 0.42, 0.50, 0.12]),
    (4_000_000, [0.60, 0.33, 0.40, 0.10]),
];

/// Which side of a bar is good.
#[derive(Debug, Clone, Copy)]
enum Asked {
    AtMost(f64),
    AtLeast(f64),
}

/// One figure of one contender and operation.
#[derive(Debug, Clone, Copy)]
enum Figure {
    Time(&'static str, &'static str),
    Bytes(&'static str),
}

use Asked::{AtLeast, AtMost};
use Figure::{Bytes, Time};

/// The bars that hold at every size.
const BARS: [(&str, Figure, Figure, Asked); 6] = [
    (
        "miss / get",
        Time("floe", "miss"),
        Time("floe", "get"),
        AtMost(0.6),
    ),
    (
        "std iter / iter",
        Time("std", "iter"),
        Time("floe", "iter"),
        AtLeast(3.0),
    ),
    (
        "bytes / heap map",
        Bytes("floe"),
        Bytes("std"),
        AtMost(0.37),
    ),
    (
        "interned bytes / heap map",
        Bytes("floe interned"),
        Bytes("std"),
        AtMost(0.30),
    ),
    (
        "freeze / rkyv",
        Time("floe", "freeze"),
        Time("rkyv", "freeze"),
        AtMost(1.0),
    ),
    (
        "freeze / freeze on two threads",
        Time("floe", "freeze"),
        Time("floe", "freeze 2 threads"),
        AtLeast(1.7),
    ),
];

/// The bars of all sizes, asked and measured.
pub fn table(rows: &[Row], sizes: &[usize]) -> Table {
    let mut table = Table::new(["entries", "ratio", "asked", "measured", "holds"]);
    for &entries in sizes {
        for (ratio, above, below, asked) in of_size(entries) {
            let measured = figure(rows, entries, above).zip(figure(rows, entries, below));
            table.add(cells(
                entries,
                ratio,
                asked,
                measured.map(|(above, below)| above / below),
            ));
        }
    }
    table
}

fn of_size(entries: usize) -> Vec<(&'static str, Figure, Figure, Asked)> {
    let lookup = LOOKUP_BARS.iter().find(|(of, _)| *of == entries);
    let lookup = lookup
        .into_iter()
        .flat_map(|(_, [hashbrown, std, many, lmdb])| {
            let get = Time("floe", "get");
            [
                (
                    "get / hashbrown",
                    get,
                    Time("hashbrown", "get"),
                    AtMost(*hashbrown),
                ),
                ("get / std", get, Time("std", "get"), AtMost(*std)),
                (
                    "get_many / hashbrown get",
                    Time("floe", "get_many"),
                    Time("hashbrown", "get"),
                    AtMost(*many),
                ),
                ("get / lmdb", get, Time("lmdb", "get"), AtMost(*lmdb)),
            ]
        });
    lookup.chain(BARS).collect()
}

fn figure(rows: &[Row], entries: usize, figure: Figure) -> Option<f64> {
    match figure {
        Time(contender, operation) => find(rows, entries, contender, operation)?.median_ns,
        Bytes(contender) => Some(find(rows, entries, contender, "bytes")?.bytes? as f64),
    }
}

fn cells(entries: usize, ratio: &str, asked: Asked, measured: Option<f64>) -> Vec<String> {
    let (asked, holds) = match asked {
        AtMost(bar) => (
            format!("<= {bar:.2}"),
            measured.map(|measured| measured <= bar),
        ),
        AtLeast(bar) => (
            format!(">= {bar:.2}"),
            measured.map(|measured| measured >= bar),
        ),
    };
    vec![
        count(entries as u64),
        ratio.to_owned(),
        asked,
        measured.map_or("-".to_owned(), |measured| format!("{measured:.3}")),
        holds
            .map_or("not measured", |holds| if holds { "yes" } else { "NO" })
            .to_owned(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statistics::Spread;

    #[test]
    fn a_bar_is_marked_by_the_side_that_it_is_missed_on() {
        let row = |contender, operation, median, bytes| {
            Row::measured(
                10_000,
                contender,
                operation,
                Spread::of(&[median]),
                Some(bytes),
            )
        };
        let rows = [
            row("floe", "get", 10.0, 370),
            row("floe", "miss", 7.0, 370),
            row("floe", "bytes", 0.0, 370),
            row("std", "bytes", 0.0, 1000),
            row("hashbrown", "get", 10.0, 0),
            row("floe", "iter", 1.0, 370),
            row("std", "iter", 2.0, 0),
        ];
        let text = table(&rows, &[10_000]).to_string();
        let mark = |ratio: &str| {
            let line = text.lines().find(|line| line.contains(ratio)).unwrap();
            line.split_whitespace().last().unwrap().to_owned()
        };
        assert_eq!(mark("get / hashbrown "), "yes");
        assert_eq!(mark("miss / get"), "NO");
        assert_eq!(mark("std iter"), "NO");
        assert_eq!(mark(" bytes / heap map"), "yes");
        assert_eq!(mark("freeze / rkyv"), "measured");
    }
}
