//! A page with the cost of an entry that is carried over, by the number of entries.

use std::fmt::Write;

use crate::carry::Carried;

const STYLE: &str = include_str!("../prefork/page.css");
const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 320.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 20.0;
const TOP: f64 = 14.0;
const BOTTOM: f64 = 40.0;

/// The whole page, in one file that needs no network.
pub(crate) fn page(rows: &[Carried]) -> String {
    let carried = |row: &Carried| 1e9 * row.carry_seconds / row.entries as f64;
    let copied = |row: &Carried| 1e9 * row.copy_seconds / row.entries as f64;
    let most = rows.iter().map(|row| carried(row).max(copied(row)));
    let axis = Axis {
        most: 1.15 * most.fold(1.0, f64::max),
        first: rows.first().map_or(1.0, |row| row.entries as f64),
        last: rows.last().map_or(10.0, |row| row.entries as f64),
    };
    let mut svg = format!("<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\">");
    axis.grid(rows, &mut svg);
    axis.line("frozen", "rebuild", rows, carried, &mut svg);
    axis.line("nothing", "copy", rows, copied, &mut svg);
    svg.push_str("</svg>");
    let mut table = String::from("<table><tr><th>entries<th>bytes<th>rebuild<th>copy<th>ratio");
    for row in rows {
        // A `String` takes everything, here and below.
        let _ = write!(
            table,
            "<tr><td>{}<td>{}<td>{:.2} ms<td>{:.2} ms<td>{:.2}",
            row.entries,
            row.bytes,
            1e3 * row.carry_seconds,
            1e3 * row.copy_seconds,
            row.carry_seconds / row.copy_seconds
        );
    }
    format!(
        "<!doctype html><html lang=en><meta charset=utf-8>\
         <meta name=viewport content=\"width=device-width,initial-scale=1\">\
         <title>floe: carried over</title><style>{STYLE}</style>\
         <h1>One entry changed, the others carried over</h1>\
         <p>Nanoseconds for each entry of the map, by how many it has: the whole rebuild, beside one \
         copy of the same bytes into fresh memory. A flat line is a cost in proportion.</p>\
         <p class=legend><span class=frozen><i></i>rebuild</span>\
         <span class=nothing><i></i>copy</span></p>\
         <figure>{svg}</figure><h2>All rows</h2>{table}</table></html>\n"
    )
}

/// A linear axis of values over a logarithmic one of counts.
struct Axis {
    most: f64,
    first: f64,
    last: f64,
}

impl Axis {
    fn grid(&self, rows: &[Carried], svg: &mut String) {
        for line in 0..=4 {
            let value = self.most * f64::from(line) / 4.0;
            let (y, end, text) = (self.y(value), WIDTH - RIGHT, LEFT - 8.0);
            let _ = write!(
                svg,
                "<path class=grid d=\"M{LEFT} {y:.1}H{end}\"/>\
                 <text x={text} y={:.1} text-anchor=end>{value:.0} ns</text>",
                y + 4.0
            );
        }
        for row in rows {
            let (x, y) = (self.x(row.entries as f64), HEIGHT - 14.0);
            let _ = write!(
                svg,
                "<text x={x:.1} y={y} text-anchor=middle>{}</text>",
                row.entries
            );
        }
    }

    fn line(
        &self,
        class: &str,
        label: &str,
        rows: &[Carried],
        value: impl Fn(&Carried) -> f64,
        svg: &mut String,
    ) {
        let place = |row: &Carried| (self.x(row.entries as f64), self.y(value(row)));
        let points: Vec<String> = rows
            .iter()
            .map(|row| format!("{:.1} {:.1}", place(row).0, place(row).1))
            .collect();
        let _ = write!(
            svg,
            "<g class={class}><path class=line d=\"M{}\"/>",
            points.join("L")
        );
        for row in rows {
            let ((x, y), value) = (place(row), value(row));
            let _ = write!(
                svg,
                "<circle cx={x:.1} cy={y:.1} r=4><title>{label}, {} entries: {value:.1} ns</title></circle>",
                row.entries
            );
        }
        svg.push_str("</g>");
    }

    fn x(&self, entries: f64) -> f64 {
        let share = (entries / self.first).ln() / (self.last / self.first).ln();
        LEFT + 30.0 + share * (WIDTH - LEFT - RIGHT - 60.0)
    }

    fn y(&self, value: f64) -> f64 {
        HEIGHT - BOTTOM - value / self.most * (HEIGHT - TOP - BOTTOM)
    }
}
