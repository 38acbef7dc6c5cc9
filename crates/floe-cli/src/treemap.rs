//! A tree of sizes as nested rectangles, each as large as its share.

pub(crate) mod page;
pub(crate) mod picture;
mod squarify;
#[cfg(test)]
mod tests;

use squarify::squarify;

/// A part of something larger, made of smaller parts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Node {
    /// What it is called beside its siblings.
    pub name: String,
    /// What it is called by itself; no two nodes of a tree have the same path.
    pub path: String,
    /// More about it, for those who point at it.
    pub note: String,
    /// At least the sum of its children's.
    pub bytes: u64,
    /// Whether it is what its siblings leave over, and needs no hue of its own.
    pub remainder: bool,
    pub children: Vec<Node>,
}

/// Where something is drawn, in pixels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Frame {
    pub x: f64,
    pub y: f64,
    pub width: f64,
    pub height: f64,
}

/// A rectangle of the picture. Tiles come in the order of drawing: a group before its parts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Tile<'a> {
    /// The node that it is a part of.
    pub whole: &'a Node,
    pub frame: Frame,
    pub hue: Option<usize>,
    pub content: Content<'a>,
}

/// What a tile stands for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Content<'a> {
    /// A node without parts, or too small for a title and parts.
    Leaf(&'a Node),
    /// A node whose parts are drawn on top, below its title.
    Group(&'a Node),
    /// Several nodes, each too small to be seen.
    Rest { nodes: usize, bytes: u64 },
}

/// How many hues there are to tell parts from each other.
pub(crate) const HUES: usize = 8;
/// The height of a group's title.
pub(crate) const TITLE_HEIGHT: f64 = 20.0;

/// The least width of a group whose parts are drawn.
const GROUP_WIDTH: f64 = 44.0;
/// The least height of a group whose parts are drawn.
const GROUP_HEIGHT: f64 = TITLE_HEIGHT + 12.0;
/// Smaller tiles are drawn as one.
const LEAST_AREA: f64 = 40.0;
const PADDING: f64 = 2.0;
/// A part that has more than this of its parent hands the choice of hues on to its own parts.
const DOMINANT: f64 = 0.6;

/// Places the children of `root` in `frame`.
///
/// Largest first, and as close to squares as they get. Siblings have areas in the ratio of their
/// bytes; groups give up some of theirs to titles and borders.
pub(crate) fn layout(root: &Node, frame: Frame) -> Vec<Tile<'_>> {
    let mut layout = Layout {
        tiles: Vec::new(),
        hues: 0,
    };
    layout.place(root, frame, None);
    layout.tiles
}

struct Layout<'a> {
    tiles: Vec<Tile<'a>>,
    /// Hues given out so far.
    hues: usize,
}

impl<'a> Layout<'a> {
    /// Places the parts of a node. Without a `hue`, each of them gets one of its own.
    fn place(&mut self, node: &'a Node, frame: Frame, hue: Option<usize>) {
        let mut parts: Vec<&Node> = node.children.iter().filter(|it| it.bytes > 0).collect();
        parts.sort_by(|a, b| (b.bytes, &a.name).cmp(&(a.bytes, &b.name)));
        let (parts, rest) = split_small(&parts, frame);
        let mut weights: Vec<f64> = parts.iter().map(|part| part.bytes as f64).collect();
        let rest_bytes = rest.iter().map(|part| part.bytes).sum();
        if rest_bytes > 0 {
            weights.push(rest_bytes as f64);
        }
        let frames = squarify(&weights, frame);
        for (part, &frame) in parts.iter().zip(&frames) {
            let share = part.bytes as f64 / node.bytes as f64;
            let hue = match hue {
                None if part.remainder => None,
                None if share > DOMINANT && !part.children.is_empty() => None,
                None => Some(self.next_hue()),
                inherited => inherited,
            };
            self.place_part(node, part, frame, hue);
        }
        if let (false, Some(&frame)) = (rest.is_empty(), frames.get(parts.len())) {
            let content = Content::Rest {
                nodes: rest.len(),
                bytes: rest_bytes,
            };
            self.push(node, frame, None, content);
        }
    }

    fn place_part(&mut self, whole: &'a Node, node: &'a Node, frame: Frame, hue: Option<usize>) {
        let small = frame.width < GROUP_WIDTH || frame.height < GROUP_HEIGHT;
        if node.children.is_empty() || small {
            return self.push(whole, frame, hue, Content::Leaf(node));
        }
        self.push(whole, frame, hue, Content::Group(node));
        let inside = Frame {
            x: frame.x + PADDING,
            y: frame.y + TITLE_HEIGHT,
            width: frame.width - 2.0 * PADDING,
            height: frame.height - TITLE_HEIGHT - PADDING,
        };
        self.place(node, inside, hue);
    }

    fn push(&mut self, whole: &'a Node, frame: Frame, hue: Option<usize>, content: Content<'a>) {
        self.tiles.push(Tile {
            whole,
            frame,
            hue,
            content,
        });
    }

    fn next_hue(&mut self) -> usize {
        self.hues += 1;
        (self.hues - 1) % HUES
    }
}

/// Splits what is sorted by size where its tiles get too small to be seen. One alone stays.
fn split_small<'a, 'b>(parts: &'b [&'a Node], frame: Frame) -> (&'b [&'a Node], &'b [&'a Node]) {
    let total: f64 = parts.iter().map(|part| part.bytes as f64).sum();
    let scale = frame.area() / total;
    let visible = parts.partition_point(|part| part.bytes as f64 * scale >= LEAST_AREA);
    match parts.len() - visible {
        1 => (parts, &[]),
        _ => parts.split_at(visible),
    }
}

impl Frame {
    pub(crate) fn area(&self) -> f64 {
        self.width * self.height
    }
}
