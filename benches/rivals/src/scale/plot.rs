//! Plots of a cost over the number of entries, as SVG.

use std::fmt;

/// Lines over a logarithmic axis of entries.
#[derive(Debug)]
pub struct Plot {
    /// What it shows.
    pub title: &'static str,
    /// What the vertical axis counts; it starts at 0.
    pub unit: &'static str,
    /// The lines.
    pub series: Vec<Series>,
}

/// One line.
#[derive(Debug)]
pub struct Series {
    /// What it is called at its end.
    pub name: &'static str,
    /// Entries, which are above 0, and cost.
    pub points: Vec<(f64, f64)>,
}

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 400.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 130.0;
const TOP: f64 = 50.0;
const BOTTOM: f64 = 55.0;
/// Told apart by people who see colours differently, too.
const COLOURS: [&str; 4] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7"];
/// Least distance between the names of lines that end at the same height.
const NAME_HEIGHT: f64 = 16.0;

/// From entries and costs to places on the plot.
struct Axes {
    decades: (i32, i32),
    most: f64,
    step: f64,
}

impl Axes {
    fn of(series: &[Series]) -> Self {
        let points = || series.iter().flat_map(|series| &series.points);
        let decade = |entries: f64| entries.log10();
        let low = points()
            .map(|point| decade(point.0))
            .fold(f64::INFINITY, f64::min);
        let high = points()
            .map(|point| decade(point.0))
            .fold(f64::NEG_INFINITY, f64::max);
        let most = points().map(|point| point.1).fold(0.0, f64::max);
        let decades = if low <= high {
            (
                low.floor() as i32,
                (high.ceil() as i32).max(low.floor() as i32 + 1),
            )
        } else {
            (0, 1)
        };
        let step = round_step(most);
        Self {
            decades,
            most: ((most / step).ceil() * step).max(step),
            step,
        }
    }

    fn x(&self, entries: f64) -> f64 {
        let (low, high) = (f64::from(self.decades.0), f64::from(self.decades.1));
        LEFT + (entries.log10() - low) / (high - low) * (WIDTH - LEFT - RIGHT)
    }

    fn y(&self, cost: f64) -> f64 {
        HEIGHT - BOTTOM - cost / self.most * (HEIGHT - TOP - BOTTOM)
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
        let axes = Axes::of(&self.series);
        writeln!(
            f,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
             font-family=\"sans-serif\" font-size=\"13\">\n\
             <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"white\"/>\n\
             <text x=\"{LEFT}\" y=\"22\" font-size=\"16\">{}</text>\n\
             <text x=\"{LEFT}\" y=\"40\" fill=\"#555\">{}</text>",
            self.title, self.unit
        )?;
        grid(f, &axes)?;
        let heights = name_heights(&self.series, &axes);
        for (number, (series, height)) in self.series.iter().zip(heights).enumerate() {
            line(f, &axes, series, COLOURS[number % COLOURS.len()], height)?;
        }
        writeln!(f, "</svg>")
    }
}

fn grid(f: &mut fmt::Formatter<'_>, axes: &Axes) -> fmt::Result {
    let right = WIDTH - RIGHT;
    let bottom = HEIGHT - BOTTOM;
    for tick in 0..=(axes.most / axes.step).round() as u32 {
        let cost = f64::from(tick) * axes.step;
        let y = axes.y(cost);
        writeln!(
            f,
            "<path d=\"M{LEFT} {y:.1}H{right}\" stroke=\"#ddd\"/>\
             <text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{cost}</text>",
            LEFT - 8.0,
            y + 4.0
        )?;
    }
    for decade in axes.decades.0..=axes.decades.1 {
        let x = axes.x(10_f64.powi(decade));
        writeln!(
            f,
            "<path d=\"M{x:.1} {TOP}V{bottom}\" stroke=\"#eee\"/>\
             <text x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">10<tspan dy=\"-5\" \
             font-size=\"10\">{decade}</tspan></text>",
            bottom + 20.0
        )?;
    }
    writeln!(
        f,
        "<text x=\"{}\" y=\"{}\" text-anchor=\"middle\" fill=\"#555\">entries</text>",
        f64::midpoint(LEFT, right),
        bottom + 42.0
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

fn line(
    f: &mut fmt::Formatter<'_>,
    axes: &Axes,
    series: &Series,
    colour: &str,
    name_height: f64,
) -> fmt::Result {
    let Some(end) = series.points.last() else {
        return Ok(());
    };
    write!(
        f,
        "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\" points=\""
    )?;
    for point in &series.points {
        write!(f, "{:.1},{:.1} ", axes.x(point.0), axes.y(point.1))?;
    }
    writeln!(f, "\"/>")?;
    for point in &series.points {
        let (x, y) = (axes.x(point.0), axes.y(point.1));
        writeln!(
            f,
            "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"{colour}\"/>"
        )?;
    }
    writeln!(
        f,
        "<text x=\"{:.1}\" y=\"{:.1}\" fill=\"{colour}\">{}</text>",
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

    #[test]
    fn points_stand_where_their_axes_say() {
        let axes = Axes::of(&[series("get", &[(1e4, 20.0), (1e8, 180.0)])]);
        assert_eq!(axes.decades, (4, 8));
        assert_eq!((axes.step, axes.most), (50.0, 200.0));
        assert_eq!(axes.x(1e4), LEFT);
        assert_eq!(axes.x(1e8), WIDTH - RIGHT);
        assert_eq!(axes.x(1e6), f64::midpoint(LEFT, WIDTH - RIGHT));
        assert_eq!(axes.y(0.0), HEIGHT - BOTTOM);
        assert_eq!(axes.y(200.0), TOP);
    }

    #[test]
    fn plots_without_points_have_axes_too() {
        let plot = Plot {
            title: "Nothing",
            unit: "ns",
            series: vec![series("get", &[])],
        };
        let text = plot.to_string();
        assert!(text.ends_with("</svg>\n") && !text.contains("NaN") && !text.contains("inf"));
    }

    #[test]
    fn names_of_close_lines_do_not_overlap() {
        let lines = [
            series("get", &[(1e4, 20.0)]),
            series("miss", &[(1e4, 20.1)]),
        ];
        let heights = name_heights(&lines, &Axes::of(&lines));
        assert!(
            (heights[0] - heights[1]).abs() >= NAME_HEIGHT,
            "{heights:?}"
        );
    }
}
