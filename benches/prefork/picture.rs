//! The picture for the README: what some workers take together, for each kind of cache.
//!
//! Its colours stand out from white and from black, because a README is shown on both.

use std::fmt::Write;

use floe::usage::bytes;

use crate::plot::rounded;
use crate::row::{Kind, Row, find};

const WIDTH: f64 = 760.0;
const LEFT: f64 = 170.0;
const LONGEST: f64 = 470.0;
const TOP: f64 = 62.0;
const STEP: f64 = 40.0;
const BAR: f64 = 24.0;
const WANTED: (u64, usize) = (1 << 30, 8);

/// Bars for 8 workers over 1 GiB or, if that was not measured, for the most memory that was;
/// nothing unless all kinds of cache were measured.
pub(crate) fn picture(rows: &[Row]) -> Option<String> {
    let totals = |(size, workers)| {
        let total = |kind| Some((kind, find(rows, kind, size, workers)?.pss_total));
        let totals = Kind::CACHES.map(total).into_iter();
        totals.collect::<Option<Vec<_>>>()
    };
    let measured = rows.iter().map(|row| (row.cache_bytes, row.workers));
    let complete = measured.filter(|place| totals(*place).is_some());
    let place = complete.max_by_key(|&(size, workers)| {
        (
            (size, workers) == WANTED,
            size.saturating_mul(workers as u64),
        )
    })?;
    Some(draw(place, &totals(place)?))
}

fn draw((size, workers): (u64, usize), totals: &[(Kind, u64)]) -> String {
    let most = totals.iter().map(|(_, total)| *total).max().unwrap_or(1);
    let height = TOP + STEP * totals.len() as f64 + 6.0;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" \
         height=\"{height}\" font-family=\"system-ui, -apple-system, 'Segoe UI', sans-serif\" \
         font-size=\"14\" fill=\"#75808c\" role=\"img\">\
         <title>Memory of {workers} workers after reading a cache of {0}</title>\
         <text x=\"10\" y=\"24\" font-size=\"17\" font-weight=\"600\">Memory of {workers} forked \
         workers that have read a cache of {0}</text>\
         <text x=\"10\" y=\"45\">workers and owner together (PSS); shorter is better</text>",
        rounded(&bytes(size).to_string())
    );
    for (row, (kind, total)) in totals.iter().enumerate() {
        let y = TOP + STEP * row as f64;
        let length = (LONGEST * *total as f64 / most as f64).max(2.0);
        let (fill, weight) = match kind {
            Kind::Frozen => ("#2f81f7", 700),
            _ => ("#98a2ad", 400),
        };
        // A `String` takes everything.
        let _ = write!(
            svg,
            "<text x=\"{}\" y=\"{text}\" text-anchor=\"end\" font-weight=\"{weight}\">{}</text>\
             <rect x=\"{LEFT}\" y=\"{y}\" width=\"{length:.1}\" height=\"{BAR}\" rx=\"3\" fill=\"{fill}\"/>\
             <text x=\"{:.1}\" y=\"{text}\" font-weight=\"{weight}\">{}</text>",
            LEFT - 12.0,
            kind.label(),
            LEFT + length + 10.0,
            in_unit_of(most, *total),
            text = y + BAR / 2.0 + 5.0,
        );
    }
    svg + "</svg>\n"
}

/// All amounts in one unit, so that the numbers compare like the bars.
fn in_unit_of(most: u64, amount: u64) -> String {
    let (shift, unit) = if most >= 1 << 30 {
        (30, "GiB")
    } else {
        (20, "MiB")
    };
    format!("{:.1} {unit}", amount as f64 / (1_u64 << shift) as f64)
}
