//! A treemap as a web page of its own, that needs no network.
//!
//! Each group that can be looked into is a section: a title with the way back, and a picture. The
//! browser shows the section that its address names, so to zoom is to follow a link, and the
//! browser's own way back works. The script only makes hints faster.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;

use floe::usage::bytes;

use super::picture::{Escaped, HEIGHT, STYLE, WIDTH, write_tile};
use super::{Content, Frame, Node, Tile, layout};

/// In a window that is taller than the picture, that stands below the title.
const TOP: &str = "preserveAspectRatio=\"xMidYMin\"";
/// Most tiles of all sections together; the largest groups come first.
const MOST_TILES: usize = 30_000;

/// The whole page. The path of `root` is its name.
pub(crate) fn page(subtitle: &str, root: &Node) -> String {
    let sections = sections(root);
    let number_of: HashMap<&str, usize> = (0..sections.len())
        .map(|number| (sections[number].node.path.as_str(), number))
        .collect();
    let mut html = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n\
         <title>{}: {}</title>\n<style>{STYLE}{}</style>\n<body>\n",
        Escaped(&root.name),
        Escaped(subtitle),
        include_str!("page.css"),
    );
    for (number, section) in sections.iter().enumerate() {
        write_heading(&mut html, &sections, number, subtitle);
        // A `String` takes everything.
        let _ = writeln!(html, "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" {TOP}>");
        for tile in &section.tiles {
            let group = match tile.content {
                Content::Group(node) => node,
                Content::Leaf(node) if !node.children.is_empty() => node,
                Content::Leaf(_) | Content::Rest { .. } => tile.whole,
            };
            let target = number_of.get(group.path.as_str());
            match target.filter(|target| **target != number) {
                Some(target) => {
                    let _ = write!(html, "<a href=\"#part{target}\">");
                    write_tile(&mut html, tile, root.bytes);
                    html.push_str("</a>");
                }
                None => write_tile(&mut html, tile, root.bytes),
            }
        }
        html.push_str("</svg></section>\n");
    }
    html + "<div id=\"hint\" hidden></div>\n<script>" + include_str!("page.js") + "</script>\n"
}

/// A group that can be looked into.
struct Section<'a> {
    node: &'a Node,
    /// The number of the section in which it is a part; its own for the first.
    whole: usize,
    tiles: Vec<Tile<'a>>,
}

/// The groups from the largest on, until there are enough tiles.
fn sections(root: &Node) -> Vec<Section<'_>> {
    let frame = Frame {
        x: 0.0,
        y: 0.0,
        width: WIDTH,
        height: HEIGHT,
    };
    let (mut sections, mut tiles) = (Vec::new(), 0);
    let mut waiting = BTreeMap::from([((Reverse(root.bytes), ""), (root, 0))]);
    while let Some((_, (node, whole))) = waiting.pop_first() {
        let number = sections.len();
        let groups = node.children.iter().filter(|it| !it.children.is_empty());
        waiting.extend(groups.map(|it| ((Reverse(it.bytes), it.path.as_str()), (it, number))));
        let section = Section {
            node,
            whole,
            tiles: layout(node, frame),
        };
        tiles += section.tiles.len();
        sections.push(section);
        if tiles > MOST_TILES {
            break;
        }
    }
    sections
}

/// Starts a section with its name, after links to all that it is a part of.
fn write_heading(html: &mut String, sections: &[Section<'_>], number: usize, subtitle: &str) {
    let mut trail = vec![];
    let mut whole = number;
    while whole != 0 {
        whole = sections[whole].whole;
        trail.push(whole);
    }
    let _ = write!(html, "<section id=\"part{number}\"><h1>");
    for whole in trail.into_iter().rev() {
        let name = Escaped(&sections[whole].node.name);
        let _ = write!(html, "<a href=\"#part{whole}\">{name}</a> › ");
    }
    let node = sections[number].node;
    let _ = write!(html, "{}<small>", Escaped(&node.name));
    let _ = match number {
        0 => write!(html, "{}", Escaped(subtitle)),
        _ => {
            let share = 100.0 * node.bytes as f64 / sections[0].node.bytes.max(1) as f64;
            write!(html, "{} · {share:.1} % of all", bytes(node.bytes))
        }
    };
    html.push_str("</small></h1>\n");
}
