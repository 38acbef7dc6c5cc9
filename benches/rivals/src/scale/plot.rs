//! Plots of a cost over the number of entries or workers, as SVG.
//!
//! They bring a background of their own, and change their colours with it where it is dark.

use std::fmt;

/// Lines over a logarithmic axis.
#[derive(Debug)]
pub struct Plot {
    /// What it shows.
    pub title: &'static str,
    /// What the vertical axis counts.
    pub unit: &'static str,
    /// The horizontal axis.
    pub across: Across,
    /// The vertical axis.
    pub up: Up,
    /// The lines.
    pub series: Vec<Series>,
}

/// One line.
#[derive(Debug)]
pub struct Series {
    /// What it is called at its end.
    pub name: &'static str,
    /// Entries or workers, which are above 0, and cost.
    pub points: Vec<(f64, f64)>,
}

/// What a horizontal axis counts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Across {
    /// Entries, in powers of ten.
    Entries,
    /// Workers, in powers of two.
    Workers,
}

/// How a vertical axis rises.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Up {
    /// From 0, in equal steps.
    Linear,
    /// Bytes, in powers of ten.
    Bytes,
}

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 400.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 130.0;
const TOP: f64 = 50.0;
const BOTTOM: f64 = 55.0;
/// The colours of lines and of what is around them; the lines are told apart by people who see
/// colours differently, too.
const STYLE: &str = "\
.paper{fill:#fff}.ink{fill:#24292f}.faint{fill:#57606a}.grid{stroke:#d8dee4}\
.l0{--line:#0072b2}.l1{--line:#c24e00}.l2{--line:#00805d}.l3{--line:#a8548b}\
.line{fill:none;stroke:var(--line);stroke-width:2}.mark{fill:var(--line)}\
@media(prefers-color-scheme:dark){\
.paper{fill:#0d1117}.ink{fill:#e6edf3}.faint{fill:#9198a1}.grid{stroke:#30363d}\
.l0{--line:#56b4e9}.l1{--line:#ff9a52}.l2{--line:#2fc79a}.l3{--line:#e29ac9}}";
/// How many lines have colours of their own.
const COLOURS: usize = 4;
/// Least distance between the names of lines that end at the same height.
const NAME_HEIGHT: f64 = 16.0;

/// From entries or workers and costs to places on the plot.
struct Axes {
    across: Across,
    up: Up,
    /// The first and the last tick of the horizontal axis, as powers of its base.
    powers: (i32, i32),
    /// The first and the last tick of the vertical axis, and what is between two: of a logarithmic
    /// one as powers of ten.
    least: f64,
    most: f64,
    step: f64,
}

impl Across {
    /// What a tick is to the one before it.
    fn base(self) -> f64 {
        match self {
            Self::Entries => 10.0,
            Self::Workers => 2.0,
        }
    }

    fn power(self, count: f64) -> f64 {
        // Powers that are whole are to stay so.
        (count.log2() / self.base().log2() * 1e9).round() / 1e9
    }

    fn name(self) -> &'static str {
        match self {
            Self::Entries => "entries",
            Self::Workers => "workers",
        }
    }

    fn label(self, power: i32) -> String {
        match self {
            Self::Entries => {
                format!("10<tspan dy=\"-5\" font-size=\"10\">{power}</tspan>")
            }
            Self::Workers => self.base().powi(power).to_string(),
        }
    }
}

impl Up {
    fn place(self, cost: f64) -> f64 {
        match self {
            Self::Linear => cost,
            Self::Bytes => cost.max(1.0).log10(),
        }
    }

    fn label(self, place: f64) -> String {
        match self {
            Self::Linear => place.to_string(),
            Self::Bytes => {
                let power = place.round() as usize;
                let unit = ["B", "kB", "MB", "GB", "TB"][(power / 3).min(4)];
                format!("{} {unit}", 10_u64.pow((power % 3) as u32))
            }
        }
    }
}

impl Axes {
    fn of(plot: &Plot) -> Self {
        let (across, up) = (plot.across, plot.up);
        let points = || plot.series.iter().flat_map(|series| &series.points);
        let ends = |places: &mut dyn Iterator<Item = f64>| {
            places.fold(None, |ends: Option<(f64, f64)>, place| {
                let (low, high) = ends.unwrap_or((place, place));
                Some((low.min(place), high.max(place)))
            })
        };
        let (low, high) =
            ends(&mut points().map(|point| across.power(point.0))).unwrap_or((0.0, 1.0));
        let low = low.floor() as i32;
        let (bottom, top) =
            ends(&mut points().map(|point| up.place(point.1))).unwrap_or((0.0, 1.0));
        let (least, step) = match up {
            Up::Linear => (0.0, round_step(top)),
            Up::Bytes => (bottom.floor(), 1.0),
        };
        Self {
            across,
            up,
            powers: (low, (high.ceil() as i32).max(low + 1)),
            least,
            most: ((top / step).ceil() * step).max(least + step),
            step,
        }
    }

    fn x(&self, count: f64) -> f64 {
        let (low, high) = (f64::from(self.powers.0), f64::from(self.powers.1));
        LEFT + (self.across.power(count) - low) / (high - low) * (WIDTH - LEFT - RIGHT)
    }

    fn y(&self, cost: f64) -> f64 {
        self.height(self.up.place(cost))
    }

    fn height(&self, place: f64) -> f64 {
        let share = (place - self.least) / (self.most - self.least);
        HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)
    }
}

/// A step of 1, 2 or 5 times a power of ten that divides an axis in four to ten.
fn round_step(most: f64) -> f64 {
    if most <= 0.0 {
        return 1.0;
    }
    let raw = most / 8.0;
    let power = 10_f64.powi(raw.log10().floor() as i32);
    let factor = [1.0, 2.0, 5.0]
        .into_iter()
        .find(|factor| factor * power >= raw);
    factor.unwrap_or(10.0) * power
}

impl fmt::Display for Plot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let axes = Axes::of(self);
        writeln!(
            f,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
             width=\"{WIDTH}\" height=\"{HEIGHT}\" font-family=\"sans-serif\" font-size=\"13\" \
             role=\"img\">\n\
             <title>{0}</title>\n\
             <style>{STYLE}</style>\n\
             <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" class=\"paper\"/>\n\
             <text x=\"{LEFT}\" y=\"22\" font-size=\"16\" class=\"ink\">{0}</text>\n\
             <text x=\"{LEFT}\" y=\"40\" class=\"faint\">{1}</text>",
            self.title, self.unit
        )?;
        grid(f, &axes)?;
        let heights = name_heights(&self.series, &axes);
        for (number, (series, height)) in self.series.iter().zip(heights).enumerate() {
            writeln!(f, "<g class=\"l{}\">", number % COLOURS)?;
            line(f, &axes, series, height)?;
            writeln!(f, "</g>")?;
        }
        writeln!(f, "</svg>")
    }
}

fn grid(f: &mut fmt::Formatter<'_>, axes: &Axes) -> fmt::Result {
    let right = WIDTH - RIGHT;
    let bottom = HEIGHT - BOTTOM;
    for tick in 0..=((axes.most - axes.least) / axes.step).round() as u32 {
        let place = axes.least + f64::from(tick) * axes.step;
        let y = axes.height(place);
        writeln!(
            f,
            "<path d=\"M{LEFT} {y:.1}H{right}\" class=\"grid\"/>\
             <text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\" class=\"ink\">{}</text>",
            LEFT - 8.0,
            y + 4.0,
            axes.up.label(place)
        )?;
    }
    for power in axes.powers.0..=axes.powers.1 {
        let x = axes.x(axes.across.base().powi(power));
        writeln!(
            f,
            "<path d=\"M{x:.1} {TOP}V{bottom}\" class=\"grid\"/>\
             <text x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\" class=\"ink\">{}</text>",
            bottom + 20.0,
            axes.across.label(power)
        )?;
    }
    writeln!(
        f,
        "<text x=\"{}\" y=\"{}\" text-anchor=\"middle\" class=\"faint\">{}</text>",
        f64::midpoint(LEFT, right),
        bottom + 42.0,
        axes.across.name()
    )
}

/// Heights for the names at the ends of the lines, moved down where they would overlap.
fn name_heights(series: &[Series], axes: &Axes) -> Vec<f64> {
    let ends = series
        .iter()
        .map(|series| series.points.last().map_or(TOP, |end| axes.y(end.1)));
    let mut heights: Vec<f64> = ends.collect();
    let mut order: Vec<usize> = (0..heights.len()).collect();
    order.sort_by(|&left, &right| heights[left].total_cmp(&heights[right]));
    for pair in order.windows(2) {
        heights[pair[1]] = heights[pair[1]].max(heights[pair[0]] + NAME_HEIGHT);
    }
    heights
}

fn line(f: &mut fmt::Formatter<'_>, axes: &Axes, series: &Series, name_height: f64) -> fmt::Result {
    let Some(end) = series.points.last() else {
        return Ok(());
    };
    write!(f, "<polyline class=\"line\" points=\"")?;
    for point in &series.points {
        write!(f, "{:.1},{:.1} ", axes.x(point.0), axes.y(point.1))?;
    }
    writeln!(f, "\"/>")?;
    for point in &series.points {
        let (x, y) = (axes.x(point.0), axes.y(point.1));
        writeln!(
            f,
            "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" class=\"mark\"/>"
        )?;
    }
    writeln!(
        f,
        "<text x=\"{:.1}\" y=\"{:.1}\" class=\"mark\">{}</text>",
        axes.x(end.0) + 8.0,
        name_height + 4.0,
        series.name
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(name: &'static str, points: &[(f64, f64)]) -> Series {
        Series {
            name,
            points: points.to_vec(),
        }
    }

    fn plot(across: Across, up: Up, series: Vec<Series>) -> Plot {
        Plot {
            title: "A plot",
            unit: "ns",
            across,
            up,
            series,
        }
    }

    #[test]
    fn points_stand_where_their_axes_say() {
        let get = series("get", &[(1e4, 20.0), (1e8, 180.0)]);
        let axes = Axes::of(&plot(Across::Entries, Up::Linear, vec![get]));
        assert_eq!(axes.powers, (4, 8));
        assert_eq!((axes.step, axes.most), (50.0, 200.0));
        assert_eq!(axes.x(1e4), LEFT);
        assert_eq!(axes.x(1e8), WIDTH - RIGHT);
        assert_eq!(axes.x(1e6), f64::midpoint(LEFT, WIDTH - RIGHT));
        assert_eq!(axes.y(0.0), HEIGHT - BOTTOM);
        assert_eq!(axes.y(200.0), TOP);
    }

    #[test]
    fn bytes_and_workers_rise_by_powers() {
        let memory = series("all", &[(1.0, 3e6), (256.0, 2e9)]);
        let axes = Axes::of(&plot(Across::Workers, Up::Bytes, vec![memory]));
        assert_eq!(axes.powers, (0, 8));
        assert_eq!((axes.least, axes.most), (6.0, 10.0));
        assert_eq!(axes.y(1e8), f64::midpoint(TOP, HEIGHT - BOTTOM));
        assert_eq!(
            [6.0, 8.0, 10.0].map(|place| axes.up.label(place)),
            ["1 MB", "100 MB", "10 GB"]
        );
    }

    #[test]
    fn plots_without_points_have_axes_too() {
        for up in [Up::Linear, Up::Bytes] {
            let text = plot(Across::Entries, up, vec![series("get", &[])]).to_string();
            assert!(text.ends_with("</svg>\n") && !text.contains("NaN") && !text.contains("inf"));
        }
    }

    #[test]
    fn names_of_close_lines_do_not_overlap() {
        let lines = vec![
            series("get", &[(1e4, 20.0)]),
            series("miss", &[(1e4, 20.1)]),
        ];
        let plot = plot(Across::Entries, Up::Linear, lines);
        let heights = name_heights(&plot.series, &Axes::of(&plot));
        assert!(
            (heights[0] - heights[1]).abs() >= NAME_HEIGHT,
            "{heights:?}"
        );
    }
}
