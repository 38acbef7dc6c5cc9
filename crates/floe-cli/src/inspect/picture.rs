//! The pages of the last generations as SVG, a row for each, coloured by the generation that wrote
//! them; in light or dark as the viewer prefers.

use std::cmp::Reverse;
use std::fmt::Write;

use floe::pages::{Pages, Run};
use floe::usage::bytes;

use super::page_files::{parts, percent};
use crate::output::counted;
use crate::treemap::picture::Escaped;

/// Generations that are shown.
const ROWS: usize = 10;
/// Generations that have a colour of their own beside the oldest.
const COLOURS: usize = ROWS;

const WIDTH: f64 = 1200.0;
const MARGIN: f64 = 16.0;
/// Where the rows begin, below title and explanation.
const TOP: f64 = 156.0;
const ROW: f64 = 38.0;
const BAR: f64 = 26.0;
/// The height of a line of the legend.
const LINE: f64 = 22.0;
/// The room left of the bars, for numbers.
const LEFT: f64 = 76.0;
/// The room right of the bars, for two columns of amounts.
const RIGHT: f64 = 180.0;
/// Where the columns end.
const WROTE: f64 = WIDTH - MARGIN - 78.0;
const SHARES: f64 = WIDTH - MARGIN;
const BARS: f64 = WIDTH - 2.0 * MARGIN - LEFT - RIGHT;
/// Lines that stand closer than this are one.
const APART: f64 = 6.0;
/// The width of a stripe, in which one page must be seen.
const STRIPE: f64 = 3.0;
/// The width of a letter, as a share of its height.
const LETTER: f64 = 0.58;
const STYLE: &str = include_str!("picture.css");

/// The picture of the first of these generations, the newest first.
pub(super) fn picture(name: &str, generations: &[Pages]) -> String {
    let shown = &generations[..generations.len().min(ROWS)];
    let Some(newest) = shown.first() else {
        return String::new();
    };
    let scene = Scene {
        longest: shown.iter().map(image_pages).max().unwrap_or(1).max(1),
        writers: Writers::of(shown),
        newest,
        shown,
    };
    let legend = scene.legend();
    let bottom = TOP + ROW * shown.len() as f64;
    let height = bottom + 36.0 + LINE * (legend.len() + 1) as f64;
    let mut svg = scene.head(name, height);
    scene.write_titles(&mut svg);
    for (number, pages) in shown.iter().enumerate() {
        scene.write_row(&mut svg, pages, TOP + ROW * number as f64);
    }
    scene.write_legend(&mut svg, &legend, bottom + 20.0);
    svg + "</svg>\n"
}

/// What is drawn.
struct Scene<'a> {
    shown: &'a [Pages],
    newest: &'a Pages,
    /// Pages of the longest image: the width of the bars.
    longest: u64,
    writers: Writers,
}

/// The generations that wrote pages, and their colours.
struct Writers {
    /// The newest first.
    generations: Vec<u64>,
    /// Whether pages stand in files that are gone.
    gone: bool,
}

impl Writers {
    fn of(shown: &[Pages]) -> Self {
        let files = || shown.iter().flat_map(|pages| &pages.files);
        let used = files().filter(|file| file.used > 0);
        let mut generations: Vec<u64> = used.filter_map(|file| file.generation).collect();
        generations.sort_unstable_by_key(|generation| Reverse(*generation));
        generations.dedup();
        Self {
            generations,
            gone: files().any(|file| file.used > 0 && file.generation.is_none()),
        }
    }

    /// The class of what a generation wrote. The oldest ones share one.
    fn class(&self, writer: Option<u64>) -> String {
        let Some(writer) = writer else {
            return "gone".to_owned();
        };
        let (coloured, _) = self.split();
        match coloured.iter().position(|it| *it == writer) {
            Some(place) => format!("w{place}"),
            None => "old".to_owned(),
        }
    }

    /// Those that have a colour of their own, and those that are older.
    fn split(&self) -> (&[u64], &[u64]) {
        let coloured = match self.generations.len() {
            all @ (0 | 1) => all,
            all => (all - 1).min(COLOURS),
        };
        self.generations.split_at(coloured)
    }
}

/// A line of the legend: the class of its colour, and what it says.
struct Line {
    class: String,
    text: String,
    note: String,
}

/// Stripes of a row that look alike.
struct Stretch {
    stripes: std::ops::Range<usize>,
    writer: Option<u64>,
}

impl Scene<'_> {
    fn head(&self, name: &str, height: f64) -> String {
        let subject = match self.shown.len() {
            1 => "no other generation was found in the memory of processes; this one".to_owned(),
            number => format!("{number} generations; the newest"),
        };
        let subtitle = format!(
            "{subject} has {} in {} of {}",
            bytes(self.newest.bytes),
            counted(image_pages(self.newest), "page", "pages"),
            bytes(self.newest.page_size),
        );
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\">\n\
             <title>{title}: pages by the generation that wrote them</title>\n<style>{STYLE}</style>\n\
             <defs><pattern id=\"gone\" width=\"6\" height=\"6\" patternUnits=\"userSpaceOnUse\" \
             patternTransform=\"rotate(45)\"><rect class=\"hatch\" width=\"6\" height=\"6\"/>\
             <path class=\"line\" d=\"M0 0V6\" stroke-width=\"3\"/></pattern></defs>\n\
             <rect class=\"page\" width=\"100%\" height=\"100%\"/>\n\
             <text class=\"heading\" x=\"{MARGIN}\" y=\"32\">{title}: who wrote which page\
             <tspan class=\"faint small\" font-weight=\"400\" dx=\"14\">{subtitle}</tspan></text>\n",
            title = Escaped(name),
        );
        for (number, line) in self.explanation().iter().enumerate() {
            let y = 60 + 19 * number;
            let _ = writeln!(
                svg,
                "<text class=\"faint\" x=\"{MARGIN}\" y=\"{y}\">{line}</text>"
            );
        }
        svg
    }

    fn explanation(&self) -> [String; 3] {
        let stripe = (self.longest as f64 * STRIPE / BARS).ceil();
        let scale = match stripe > 1.0 {
            true => format!(
                "A stripe stands for {stripe:.0} pages; it shows the newest of the generations that wrote them. "
            ),
            false => String::new(),
        };
        [
            "Each bar is the memory of one generation, from its first page to its last. \
             A page has the colour of the generation that wrote it:"
                .to_owned(),
            "where that is an earlier one, both generations share the page, and it takes memory once. Pages that are repacked count as written anew."
                .to_owned(),
            format!("{scale}The first page and the last ones, header and layout, are always new."),
        ]
    }

    /// Names the sections of the newest generation above its bar, where there is room, and what the
    /// columns tell.
    fn write_titles(&self, svg: &mut String) {
        let y = TOP - 16.0;
        let end = image_pages(self.newest);
        let first = |offset: u64| offset / self.newest.page_size;
        let sections = &self.newest.sections;
        let starts = sections.iter().map(|section| first(section.offset));
        let ends = starts.clone().skip(1).chain([end]);
        // Behind the name before.
        let mut free = 0.0;
        for ((section, start), end) in sections.iter().zip(starts).zip(ends) {
            let (left, right) = (self.x(start), self.x(end));
            let name = section.kind.to_string();
            let (middle, half) = (f64::midpoint(left, right), width(&name, 12.0) / 2.0);
            if right - left < 2.0 * APART || middle - half < free {
                continue;
            }
            free = middle + half + APART;
            let _ = writeln!(
                svg,
                "<path class=\"span\" fill=\"none\" d=\"M{:.1} {:.1}v-5H{:.1}v5\"/>\
                 <text class=\"faint small\" text-anchor=\"middle\" x=\"{middle:.1}\" y=\"{:.1}\">{name}</text>",
                left + 1.5,
                y + 8.0,
                right - 1.5,
                y - 3.0,
            );
        }
        let y = y + 4.0;
        let _ = writeln!(
            svg,
            "<text class=\"faint small\" x=\"{MARGIN}\" y=\"{y:.1}\">generation</text>\
             <text class=\"faint small end\" x=\"{WROTE}\" y=\"{y:.1}\">wrote</text>\
             <text class=\"faint small end\" x=\"{SHARES}\" y=\"{y:.1}\">shares</text>",
        );
    }

    fn write_row(&self, svg: &mut String, pages: &Pages, y: f64) {
        let own = Some(pages.generation);
        let middle = y + BAR / 2.0 + 4.5;
        let _ = writeln!(
            svg,
            "<rect class=\"{}\" x=\"{MARGIN}\" y=\"{:.1}\" width=\"14\" height=\"14\" rx=\"3\"/>\
             <text class=\"number\" x=\"{:.1}\" y=\"{middle:.1}\">{}</text>",
            self.writers.class(own),
            y + BAR / 2.0 - 7.0,
            MARGIN + 22.0,
            pages.generation,
        );
        for stretch in self.stretches(pages) {
            let (start, end) = (stretch.stripes.start, stretch.stripes.end);
            let left = MARGIN + LEFT + start as f64 * STRIPE;
            let width = ((end - start) as f64 * STRIPE).min(MARGIN + LEFT + BARS - left);
            let _ = writeln!(
                svg,
                "<rect class=\"{}\" x=\"{left:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{BAR}\">\
                 <title>{}</title></rect>",
                self.writers.class(stretch.writer),
                Escaped(&self.note(pages, &stretch)),
            );
        }
        let _ = writeln!(
            svg,
            "<rect class=\"frame\" x=\"{:.1}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{BAR}\"/>",
            MARGIN + LEFT,
            self.x(image_pages(pages)) - MARGIN - LEFT,
        );
        let mut last = self.x(0);
        for section in pages.sections.iter().skip(1) {
            let x = self.x(section.offset / pages.page_size);
            if x - last >= APART {
                let _ = writeln!(svg, "<path class=\"edge\" d=\"M{x:.1} {y:.1}v{BAR}\"/>");
            }
            last = x;
        }
        let own = pages.files.first().map_or(0, |file| file.used) * pages.page_size;
        let shared = percent(pages.shared_bytes(), pages.bytes);
        let _ = writeln!(
            svg,
            "<text class=\"end\" x=\"{WROTE}\" y=\"{middle:.1}\">{}</text>\
             <text class=\"end\" x=\"{SHARES}\" y=\"{middle:.1}\">{shared:.1} %</text>",
            bytes(own),
        );
    }

    /// Merges the stripes of a row that have one colour. Each shows the newest of its writers.
    fn stretches(&self, pages: &Pages) -> Vec<Stretch> {
        let count = (BARS / STRIPE).ceil() as usize;
        let stripe = |page: u64| (page as f64 / self.longest as f64 * BARS / STRIPE) as usize;
        let mut newest: Vec<Option<Option<u64>>> = vec![None; count];
        for run in &pages.runs {
            let last = stripe(run.start + run.pages - 1).min(count - 1);
            for place in &mut newest[stripe(run.start)..=last] {
                *place = (*place).max(Some(pages.writer(run)));
            }
        }
        let mut stretches: Vec<Stretch> = Vec::new();
        for (number, writer) in newest.into_iter().enumerate() {
            let Some(writer) = writer else { continue };
            match stretches.last_mut() {
                Some(last) if last.writer == writer && last.stripes.end == number => {
                    last.stripes.end += 1;
                }
                _ => stretches.push(Stretch {
                    stripes: number..number + 1,
                    writer,
                }),
            }
        }
        stretches
    }

    /// What is told to those who point at a stretch.
    fn note(&self, pages: &Pages, stretch: &Stretch) -> String {
        let page = |stripe: usize| (stripe as f64 * STRIPE / BARS * self.longest as f64) as u64;
        let (start, end) = (page(stretch.stripes.start), page(stretch.stripes.end));
        let (start, end) = (start, end.max(start + 1).min(image_pages(pages)));
        let written = pages.runs.iter().filter(|run| {
            let overlaps = run.start < end && start < run.start + run.pages;
            overlaps && pages.writer(run) == stretch.writer
        });
        let within = |run: &Run| (run.start + run.pages).min(end) - run.start.max(start);
        let (mut count, mut holds) = (0, Vec::new());
        for run in written {
            count += within(run);
            holds.push(parts(pages, run));
        }
        holds.dedup();
        holds.truncate(3);
        let writer = match stretch.writer {
            Some(writer) => format!("generation {writer} wrote"),
            None => "a page file that is gone had".to_owned(),
        };
        format!(
            "pages {start} to {} of generation {}\n{writer} {} of them ({})",
            end.saturating_sub(1),
            pages.generation,
            count,
            holds.join("; "),
        )
    }

    /// What the newest generation is made of, and colours that say nothing of it.
    fn legend(&self) -> Vec<Line> {
        let used = |generations: &[u64]| {
            let files = self.newest.files.iter().filter(|file| {
                let writer = file.generation.as_ref();
                writer.is_some_and(|writer| generations.contains(writer))
            });
            files.map(|file| file.used).sum::<u64>()
        };
        let line = |generations: &[u64], who: String| {
            let pages = used(generations);
            let share = percent(pages, image_pages(self.newest));
            Line {
                class: self.writers.class(generations.first().copied()),
                text: format!("{} that {who} wrote", counted(pages, "page", "pages")),
                note: format!("{}, {share:.2} %", bytes(pages * self.newest.page_size)),
            }
        };
        let (coloured, old) = self.writers.split();
        let mut lines: Vec<Line> = coloured
            .iter()
            .filter(|generation| used(&[**generation]) > 0)
            .map(|generation| line(&[*generation], format!("generation {generation}")))
            .collect();
        lines.extend(match old {
            [one] if used(old) > 0 => Some(line(old, format!("generation {one}"))),
            [] | [_] => None,
            [newest, ..] => Some(line(old, format!("generation {newest} or an earlier one"))),
        });
        lines.extend(self.writers.gone.then(|| Line {
            class: "gone".to_owned(),
            text: "freed since: no generation in memory uses these pages any more".to_owned(),
            note: String::new(),
        }));
        lines
    }

    fn write_legend(&self, svg: &mut String, legend: &[Line], top: f64) {
        let _ = writeln!(
            svg,
            "<text class=\"title\" x=\"{MARGIN}\" y=\"{:.1}\">Generation {} is made of</text>",
            top + 11.5,
            self.newest.generation,
        );
        for (number, line) in legend.iter().enumerate() {
            let y = top + LINE * (number + 1) as f64;
            let _ = writeln!(
                svg,
                "<rect class=\"{}\" x=\"{MARGIN}\" y=\"{y:.1}\" width=\"14\" height=\"14\" rx=\"3\"/>\
                 <text x=\"{:.1}\" y=\"{baseline:.1}\">{}<tspan class=\"faint\" dx=\"12\">{}</tspan></text>",
                line.class,
                MARGIN + 22.0,
                Escaped(&line.text),
                Escaped(&line.note),
                baseline = y + 11.5,
            );
        }
    }

    /// Where a page begins.
    fn x(&self, page: u64) -> f64 {
        MARGIN + LEFT + page as f64 / self.longest as f64 * BARS
    }
}

fn image_pages(pages: &Pages) -> u64 {
    pages.runs.iter().map(|run| run.pages).sum()
}

/// About how wide a text is in letters of a height.
fn width(text: &str, size: f64) -> f64 {
    text.chars().count() as f64 * size * LETTER
}
