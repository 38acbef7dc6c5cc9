//! A treemap as SVG, in light or dark as the viewer prefers.

use std::fmt::{self, Write};

use floe::usage::bytes;

use super::{Content, Frame, Node, TITLE_HEIGHT, Tile, layout};

pub(super) const WIDTH: f64 = 1200.0;
pub(super) const HEIGHT: f64 = 700.0;
pub(super) const STYLE: &str = include_str!("picture.css");

const TOP: f64 = 44.0;
const MARGIN: f64 = 8.0;
/// The gap between tiles.
const GAP: f64 = 1.0;
/// The largest and the smallest height of letters.
const LETTERS: [f64; 3] = [13.0, 11.0, 9.0];
/// The height of a line of the smallest letters.
const LINE: f64 = 10.0;
/// The fewest letters in a line that say something.
const LEAST_ROOM: usize = 4;
/// Width of a letter of a monospace font, as a share of its height.
const LETTER_WIDTH: f64 = 0.61;

/// The whole picture, with a title, as a file of its own.
pub(crate) fn picture(title: &str, subtitle: &str, root: &Node) -> String {
    let frame = Frame {
        x: MARGIN,
        y: TOP,
        width: WIDTH - 2.0 * MARGIN,
        height: HEIGHT - TOP - MARGIN,
    };
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\">\n\
         <title>{title}: {subtitle}</title>\n<style>{STYLE}</style>\n\
         <rect class=\"page\" width=\"100%\" height=\"100%\"/>\n\
         <text class=\"heading\" x=\"{MARGIN}\" y=\"29\">{title}\
         <tspan class=\"faint\" dx=\"14\">{subtitle}</tspan></text>\n",
        title = Escaped(title),
        subtitle = Escaped(subtitle),
    );
    for tile in layout(root, frame) {
        write_tile(&mut svg, &tile, root.bytes);
    }
    svg + "</svg>\n"
}

/// Adds a tile: its rectangle, as much of its name as fits, and all about it to be shown where
/// somebody points.
pub(super) fn write_tile(svg: &mut String, tile: &Tile<'_>, total: u64) {
    let hue = tile.hue.map_or("none".to_owned(), |hue| format!("h{hue}"));
    let (class, amount) = match tile.content {
        Content::Leaf(node) => ("leaf", node.bytes),
        Content::Group(node) => ("group", node.bytes),
        Content::Rest { bytes, .. } => ("leaf rest", bytes),
    };
    let share = 100.0 * amount as f64 / total.max(1) as f64;
    let shown = format!("{} · {share:.1} %", bytes(amount));
    let frame = tile.frame.shrink(GAP / 2.0);
    // A `String` takes everything.
    let _ = write!(svg, "<g class=\"{class} {hue}\"><title>");
    let _ = match tile.content {
        Content::Leaf(node) | Content::Group(node) => {
            let note = if node.note.is_empty() { "" } else { "\n" };
            let (path, text) = (Escaped(&node.path), Escaped(&node.note));
            write!(svg, "{path}\n{shown}{note}{text}")
        }
        Content::Rest { nodes, .. } => write!(svg, "{nodes} smaller parts\n{shown}"),
    };
    let _ = write!(
        svg,
        "</title><rect x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\" rx=\"2\"/>",
        frame.x, frame.y, frame.width, frame.height
    );
    match tile.content {
        Content::Leaf(node) => write_label(svg, frame, &node.name, &shown),
        Content::Group(node) => write_title(svg, frame, &node.name, &shown),
        Content::Rest { nodes, .. } => write_label(svg, frame, &format!("+{nodes}"), &shown),
    }
    svg.push_str("</g>\n");
}

/// The title of a group: its name to the left and its size to the right, if there is room.
fn write_title(svg: &mut String, frame: Frame, name: &str, shown: &str) {
    let (size, y) = (12.0, frame.y + TITLE_HEIGHT - 6.0);
    let room = letters(frame.width - 10.0, size);
    write_text(svg, "name", (frame.x + 5.0, y), size, &shorten(name, room));
    if name.chars().count() + shown.chars().count() + 2 <= room {
        let x = frame.x + frame.width - 5.0;
        let _ = write!(
            svg,
            "<text class=\"size end\" x=\"{x:.1}\" y=\"{y:.1}\">{shown}</text>"
        );
    }
}

/// The name of a leaf in the largest letters in which it fits, and its size below; upright where it
/// is taller than wide, else in several lines, or only its start.
fn write_label(svg: &mut String, frame: Frame, name: &str, shown: &str) {
    let length = name.chars().count();
    let fits = |along: f64, across: f64| {
        LETTERS
            .into_iter()
            .find(|size| letters(along - 6.0, *size) >= length && across >= size * 1.3)
    };
    let (x, y) = (frame.x + 4.0, frame.y);
    if let Some(size) = fits(frame.width, frame.height) {
        write_text(svg, "name", (x, y + size + 2.0), size, name);
        let small = size.min(11.0);
        let room = letters(frame.width - 6.0, small);
        if frame.height >= size + small + 10.0 && shown.chars().count() <= room {
            let place = (x, y + size + small + 6.0);
            write_text(svg, "size", place, small, shown);
        }
    } else if let Some(size) = fits(frame.height, frame.width) {
        let (x, y) = (frame.x + (frame.width - size) / 2.0 + 1.5, frame.y + 4.0);
        let _ = write!(
            svg,
            "<text class=\"name\" font-size=\"{size}\" transform=\"translate({x:.1} {y:.1}) rotate(90)\">{}</text>",
            Escaped(name)
        );
    } else {
        let room = letters(frame.width - 6.0, 9.0);
        if room < LEAST_ROOM {
            return;
        }
        let forms = [wrap(name, room), vec![shorten(name, room)]];
        let fits = |lines: &Vec<String>| LINE * lines.len() as f64 + 3.0 <= frame.height;
        for (number, line) in forms.into_iter().find(fits).iter().flatten().enumerate() {
            let place = (x, y + 11.0 + LINE * number as f64);
            write_text(svg, "name", place, 9.0, line);
        }
    }
}

/// A name in lines of `room` letters at most, broken behind a word where one ends in the line's
/// second half.
fn wrap(name: &str, room: usize) -> Vec<String> {
    let letters: Vec<char> = name.chars().collect();
    let (mut lines, mut rest) = (Vec::new(), &letters[..]);
    while rest.len() > room {
        let word = rest[..room]
            .iter()
            .rposition(|letter| !letter.is_alphanumeric());
        let end = word.map_or(room, |last| last + 1);
        let (line, others) = rest.split_at(if 2 * end < room { room } else { end });
        lines.push(line.iter().collect());
        rest = others;
    }
    lines.push(rest.iter().collect());
    lines
}

fn write_text(svg: &mut String, class: &str, (x, y): (f64, f64), size: f64, text: &str) {
    let _ = write!(
        svg,
        "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" font-size=\"{size}\">{}</text>",
        Escaped(text)
    );
}

/// How many letters of a height fit into a width.
fn letters(width: f64, size: f64) -> usize {
    (width / (size * LETTER_WIDTH)).max(0.0) as usize
}

/// The start of a text in a number of letters.
fn shorten(text: &str, room: usize) -> String {
    if text.chars().count() <= room {
        return text.to_owned();
    }
    let start = text.chars().take(room.saturating_sub(1));
    start.chain(['…']).collect()
}

impl Frame {
    fn shrink(self, by: f64) -> Self {
        Self {
            x: self.x + by,
            y: self.y + by,
            width: (self.width - 2.0 * by).max(0.0),
            height: (self.height - 2.0 * by).max(0.0),
        }
    }
}

/// Text as it stands in HTML and SVG, without the characters that these do not allow.
pub(crate) struct Escaped<'a>(pub &'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            match character {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\n' => f.write_char('\n')?,
                control if control.is_control() => f.write_char('\u{fffd}')?,
                other => f.write_char(other)?,
            }
        }
        Ok(())
    }
}
