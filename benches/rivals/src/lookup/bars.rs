//! What is asked of floe beside what was measured.

use crate::keys::KeyKind;
use crate::report::{Row, find};
use crate::table::{Table, count};

/// What is asked for at one size: a figure of floe, divided by one of another.
#[derive(Debug, Clone, Copy)]
struct Bar {
    ratio: &'static str,
    above: Figure,
    below: Figure,
    asked: Asked,
}

/// Which side of a bar is good.
#[derive(Debug, Clone, Copy)]
enum Asked {
    AtMost(f64),
    AtLeast(f64),
    /// Told only.
    Nothing,
}

/// One figure of one contender and operation.
#[derive(Debug, Clone, Copy)]
enum Figure {
    Time(&'static str, &'static str),
    Bytes(&'static str),
    Entries,
}

use Asked::{AtLeast, AtMost, Nothing};
use Figure::{Bytes, Entries, Time};

/// What `get` and `get_many` are measured by.
const LOOKUPS: [(&str, &str, Figure); 6] = [
    ("get / hashbrown", "get", Time("hashbrown", "get")),
    ("get / std", "get", Time("std", "get")),
    (
        "get_many / hashbrown get",
        "get_many",
        Time("hashbrown", "get"),
    ),
    ("get / lmdb", "get", Time("lmdb", "get")),
    ("get / odht", "get", Time("odht", "get")),
    ("get_many / odht get", "get_many", Time("odht", "get")),
];

/// A figure that is told without a bar.
const TOLD: f64 = f64::INFINITY;
/// A contender that does not take such keys.
const NONE: f64 = f64::NAN;

/// Entries, and the bars of [`LOOKUPS`].
type LookupBars = (usize, [f64; LOOKUPS.len()]);

const TEXT_BARS: [LookupBars; 4] = [
    (10_000, [1.0, 0.6, 0.9, 0.15, NONE, NONE]),
    (100_000, [0.70, 0.36, 0.45, 0.12, NONE, NONE]),
    (1_000_000, [0.80, 0.42, 0.50, 0.12, NONE, NONE]),
    (4_000_000, [0.60, 0.33, 0.40, 0.10, NONE, NONE]),
];
const TEXT_U64_BARS: [LookupBars; 4] = [
    (10_000, [TOLD, TOLD, TOLD, NONE, NONE, NONE]),
    (100_000, [0.80, TOLD, TOLD, NONE, NONE, NONE]),
    (1_000_000, [0.80, TOLD, TOLD, NONE, NONE, NONE]),
    (4_000_000, [0.85, TOLD, TOLD, NONE, NONE, NONE]),
];
/// Entries, and `get` with huge pages, in times of hashbrown.
const HUGE_BARS: [(usize, f64); 3] = [(100_000, 0.75), (1_000_000, 0.65), (4_000_000, 0.65)];
const U64_BARS: [LookupBars; 5] = [
    (10_000, [1.0, TOLD, 1.2, NONE, 1.2, TOLD]),
    (100_000, [1.0, TOLD, 1.0, NONE, 1.2, TOLD]),
    (1_000_000, [0.90, TOLD, 0.65, NONE, 1.1, 0.70]),
    (4_000_000, [0.90, TOLD, 0.60, NONE, 1.0, 0.70]),
    (16_000_000, [0.85, TOLD, 0.55, NONE, TOLD, 0.70]),
];
const BYTES32_BARS: [LookupBars; 5] = [
    (10_000, [0.69, TOLD, TOLD, NONE, TOLD, TOLD]),
    (100_000, [0.75, TOLD, TOLD, NONE, TOLD, TOLD]),
    (1_000_000, [0.80, TOLD, TOLD, NONE, TOLD, TOLD]),
    (4_000_000, [0.70, TOLD, TOLD, NONE, TOLD, TOLD]),
    (16_000_000, [0.55, TOLD, TOLD, NONE, TOLD, TOLD]),
];

/// The bars that hold at every size of maps of recipes.
const RECIPE_BARS: [Bar; 6] = [
    Bar {
        ratio: "miss / get",
        above: Time("floe", "miss"),
        below: Time("floe", "get"),
        asked: AtMost(0.6),
    },
    Bar {
        ratio: "std iter / iter",
        above: Time("std", "iter"),
        below: Time("floe", "iter"),
        asked: AtLeast(3.0),
    },
    Bar {
        ratio: "bytes / heap map",
        above: Bytes("floe"),
        below: Bytes("std"),
        asked: AtMost(0.37),
    },
    Bar {
        ratio: "interned bytes / heap map",
        above: Bytes("floe interned"),
        below: Bytes("std"),
        asked: AtMost(0.30),
    },
    Bar {
        ratio: "freeze / rkyv",
        above: Time("floe", "freeze"),
        below: Time("rkyv", "freeze"),
        asked: AtMost(1.0),
    },
    Bar {
        ratio: "freeze / freeze on two threads",
        above: Time("floe", "freeze"),
        below: Time("floe", "freeze 2 threads"),
        asked: AtLeast(1.7),
    },
];

/// The bar of every size of maps of numbers: bytes an entry, where that is asked for.
const fn entry_bytes(asked: Asked) -> Bar {
    Bar {
        ratio: "bytes an entry",
        above: Bytes("floe"),
        below: Entries,
        asked,
    }
}

/// The bar of lookups in huge pages.
const fn huge_get(bar: f64) -> Bar {
    Bar {
        ratio: "get / hashbrown, in huge pages",
        above: Time("floe huge", "get"),
        below: Time("hashbrown", "get"),
        asked: AtMost(bar),
    }
}

/// The bars of all sizes of one kind of keys, asked and measured.
pub fn table(rows: &[Row], kind: KeyKind, sizes: &[usize]) -> Table {
    let mut table = Table::new(["entries", "ratio", "asked", "measured", "holds"]);
    for &entries in sizes {
        for bar in of_size(kind, entries) {
            let above = figure(rows, entries, bar.above);
            let measured = above.zip(figure(rows, entries, bar.below));
            let measured = measured.map(|(above, below)| above / below);
            table.add(cells(entries, bar.ratio, bar.asked, measured));
        }
    }
    table
}

fn of_size(kind: KeyKind, entries: usize) -> Vec<Bar> {
    let bars: &[LookupBars] = match kind {
        KeyKind::Text => &TEXT_BARS,
        KeyKind::TextU64 => &TEXT_U64_BARS,
        KeyKind::U64 => &U64_BARS,
        KeyKind::Bytes32 => &BYTES32_BARS,
    };
    let of_size = bars.iter().filter(|(of, _)| *of == entries);
    let lookups = of_size.flat_map(|(_, bars)| LOOKUPS.iter().zip(bars));
    let lookups =
        lookups
            .filter(|(_, bar)| !bar.is_nan())
            .map(|(&(ratio, operation, below), &bar)| Bar {
                ratio,
                above: Time("floe", operation),
                below,
                asked: if bar == TOLD { Nothing } else { AtMost(bar) },
            });
    match kind {
        KeyKind::Text => lookups.chain(RECIPE_BARS).collect(),
        KeyKind::TextU64 => {
            let bars = HUGE_BARS.iter().filter(|(of, _)| *of == entries);
            lookups.chain(bars.map(|(_, bar)| huge_get(*bar))).collect()
        }
        KeyKind::U64 => lookups.chain([entry_bytes(AtMost(24.0))]).collect(),
        KeyKind::Bytes32 => lookups.chain([entry_bytes(Nothing)]).collect(),
    }
}

fn figure(rows: &[Row], entries: usize, figure: Figure) -> Option<f64> {
    match figure {
        Time(contender, operation) => find(rows, entries, contender, operation)?.median_ns,
        Bytes(contender) => Some(find(rows, entries, contender, "bytes")?.bytes? as f64),
        Entries => Some(entries as f64),
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
        Nothing => ("-".to_owned(), None),
    };
    let otherwise = if measured.is_some() {
        "-"
    } else {
        "not measured"
    };
    vec![
        count(entries as u64),
        ratio.to_owned(),
        asked,
        measured.map_or("-".to_owned(), |measured| format!("{measured:.3}")),
        holds
            .map_or(otherwise, |holds| if holds { "yes" } else { "NO" })
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
        let text = table(&rows, KeyKind::Text, &[10_000]).to_string();
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

    #[test]
    fn what_is_not_asked_is_told() {
        let row = |contender, operation, median, bytes| {
            let spread = Spread::of(&[median]);
            Row::measured(16_000_000, contender, operation, spread, Some(bytes))
        };
        let rows = [
            row("floe", "get", 17.0, 16_000_000 * 25),
            row("floe", "bytes", 17.0, 16_000_000 * 25),
            row("hashbrown", "get", 20.0, 0),
            row("std", "get", 68.0, 0),
        ];
        let text = table(&rows, KeyKind::U64, &[16_000_000]).to_string();
        let line = |ratio: &str| {
            let line = text.lines().find(|line| line.contains(ratio)).unwrap();
            line.split_whitespace().collect::<Vec<_>>().join(" ")
        };
        assert_eq!(
            line("get / hashbrown "),
            "16_000_000 get / hashbrown <= 0.85 0.850 yes"
        );
        assert_eq!(line("get / std"), "16_000_000 get / std - 0.250 -");
        assert!(line("bytes an entry").ends_with("<= 24.00 25.000 NO"));
        assert!(line("get / odht").ends_with("- - not measured"));
        assert!(!text.contains("lmdb"));
    }
}
