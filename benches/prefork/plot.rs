//! Plots as SVG, for a page whose style gives each kind of cache its colour.

use std::fmt::Write;

use floe::usage::bytes;

use crate::row::Kind;
use crate::table::time;

const WIDTH: f64 = 440.0;
const HEIGHT: f64 = 250.0;
const LEFT: f64 = 76.0;
const RIGHT: f64 = 16.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 28.0;

/// What the numbers of an axis are.
#[derive(Clone, Copy)]
pub(crate) enum Unit {
    Bytes,
    Micros,
    Count,
}

/// A logarithmic plot; the places on its horizontal axis are names, at equal distances.
pub(crate) struct Plot {
    pub unit: Unit,
    pub places: Vec<String>,
    /// A value for each place, if there is one.
    pub series: Vec<(Kind, Vec<Option<f64>>)>,
}

impl Unit {
    pub(crate) fn show(self, value: f64) -> String {
        match self {
            Self::Bytes => rounded(&bytes(value as u64).to_string()),
            Self::Micros => rounded(&time(value)),
            Self::Count if value >= 1e6 => format!("{} M", value / 1e6),
            Self::Count if value >= 1e4 => format!("{} k", value / 1e3),
            Self::Count => format!("{value}"),
        }
    }

    /// The ratio between two lines of the grid.
    fn step(self) -> f64 {
        match self {
            Self::Bytes => 16.0,
            Self::Micros | Self::Count => 10.0,
        }
    }
}

impl Plot {
    /// The plot as an element; nothing if there is no value.
    pub(crate) fn svg(&self) -> Option<String> {
        let values = self.series.iter().flat_map(|(_, values)| values).flatten();
        let (least, most) =
            values
                .map(|value| value.max(1.0))
                .fold(None, |range: Option<(f64, f64)>, value| {
                    let (least, most) = range.unwrap_or((value, value));
                    Some((least.min(value), most.max(value)))
                })?;
        let step = self.unit.step().ln();
        let first = (least.ln() / step).floor();
        let last = (most.ln() / step).ceil().max(first + 1.0);
        let axis = Axis { step, first, last };
        let mut svg = format!("<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\">");
        self.grid(&axis, &mut svg);
        for (kind, values) in &self.series {
            self.line(&axis, *kind, values, &mut svg);
        }
        svg.push_str("</svg>");
        Some(svg)
    }

    fn grid(&self, axis: &Axis, svg: &mut String) {
        for line in axis.first as i64..=axis.last as i64 {
            let value = (line as f64 * axis.step).exp().round();
            let (y, label) = (axis.y(value), self.unit.show(value));
            let (end, text) = (WIDTH - RIGHT, LEFT - 8.0);
            // A `String` takes everything, here and below.
            let _ = write!(
                svg,
                "<path class=grid d=\"M{LEFT} {y:.1}H{end}\"/>\
                 <text x={text} y={:.1} text-anchor=end>{label}</text>",
                y + 4.0
            );
        }
        for (place, name) in self.places.iter().enumerate() {
            let (x, y) = (self.x(place), HEIGHT - 8.0);
            let _ = write!(svg, "<text x={x:.1} y={y} text-anchor=middle>{name}</text>");
        }
    }

    fn line(&self, axis: &Axis, kind: Kind, values: &[Option<f64>], svg: &mut String) {
        let points: Vec<(usize, f64)> = values
            .iter()
            .enumerate()
            .filter_map(|(place, value)| Some((place, (*value)?)))
            .collect();
        let _ = write!(svg, "<g class={}><path class=line d=\"", kind.name());
        for (at, (place, value)) in points.iter().enumerate() {
            let command = if at == 0 { 'M' } else { 'L' };
            let (x, y) = (self.x(*place), axis.y(*value));
            let _ = write!(svg, "{command}{x:.1} {y:.1}");
        }
        svg.push_str("\"/>");
        for (place, value) in points {
            let (x, y) = (self.x(place), axis.y(value));
            let (label, shown) = (kind.label(), self.unit.show(value.round()));
            let _ = write!(
                svg,
                "<circle cx={x:.1} cy={y:.1} r=4><title>{label}, {}: {shown}</title></circle>",
                self.places[place]
            );
        }
        svg.push_str("</g>");
    }

    fn x(&self, place: usize) -> f64 {
        let room = (WIDTH - LEFT - RIGHT) / self.places.len() as f64;
        LEFT + room * (place as f64 + 0.5)
    }
}

/// A number without a fraction that is zero.
pub(crate) fn rounded(shown: &str) -> String {
    shown.replace(".0 ", " ")
}

struct Axis {
    /// Logarithm of the ratio between two lines.
    step: f64,
    first: f64,
    last: f64,
}

impl Axis {
    fn y(&self, value: f64) -> f64 {
        let share = (value.max(1.0).ln() / self.step - self.first) / (self.last - self.first);
        HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)
    }
}
