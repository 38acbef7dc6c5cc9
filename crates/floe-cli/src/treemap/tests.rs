//! Layouts hold what they promise, and pictures say what they should.

use super::page::page;
use super::picture::picture;
use super::squarify::squarify;
use super::{Content, Frame, Node, layout};

const FRAME: Frame = Frame {
    x: 10.0,
    y: 20.0,
    width: 1000.0,
    height: 600.0,
};

fn leaf(path: &str, bytes: u64) -> Node {
    Node {
        name: path.to_owned(),
        path: path.to_owned(),
        bytes,
        ..Node::default()
    }
}

fn group(path: &str, children: Vec<Node>) -> Node {
    let bytes = children.iter().map(|child| child.bytes).sum();
    Node {
        children,
        ..leaf(path, bytes)
    }
}

/// A tree of 1,000 leaves whose sizes span a few orders of magnitude.
fn thousand() -> Node {
    let groups = (0..40_u64).map(|number| {
        let leaves = (0..25_u64).map(|part| {
            let bytes = (number * 7919 + part * 104_729) % 9973 * (1 + number % 7 * 10);
            leaf(&format!("field_{number}.part_{part}"), bytes + 1)
        });
        group(&format!("field_{number}"), leaves.collect())
    });
    group("thousand", groups.collect())
}

fn overlap(a: Frame, b: Frame) -> bool {
    let apart = |a: f64, length: f64, b: f64| a + length <= b + 1e-6;
    !(apart(a.x, a.width, b.x)
        || apart(b.x, b.width, a.x)
        || apart(a.y, a.height, b.y)
        || apart(b.y, b.height, a.y))
}

/// The example of the paper that describes the method.
#[test]
fn rows_are_those_of_the_paper() {
    let frame = Frame {
        x: 0.0,
        y: 0.0,
        width: 6.0,
        height: 4.0,
    };
    let frames = squarify(&[6.0, 6.0, 4.0, 3.0, 2.0, 2.0, 1.0], frame);
    let expected = [
        (0.0, 0.0, 3.0, 2.0),
        (0.0, 2.0, 3.0, 2.0),
        (3.0, 0.0, 1.714, 2.333),
        (4.714, 0.0, 1.286, 2.333),
        (3.0, 2.333, 1.2, 1.667),
        (4.2, 2.333, 1.2, 1.667),
        (5.4, 2.333, 0.6, 1.667),
    ];
    for (frame, (x, y, width, height)) in frames.iter().zip(expected) {
        let got = [frame.x, frame.y, frame.width, frame.height];
        for (got, expected) in got.iter().zip([x, y, width, height]) {
            assert!((got - expected).abs() < 1e-3, "{frames:?}");
        }
    }
}

#[test]
fn parts_fill_their_whole_in_the_ratio_of_their_bytes() {
    let tree = thousand();
    let tiles = layout(&tree, FRAME);
    let top: Vec<_> = tiles.iter().filter(|tile| tile.whole == &tree).collect();
    let mut area = 0.0;
    for tile in &top {
        let bytes = match tile.content {
            Content::Leaf(node) | Content::Group(node) => node.bytes,
            Content::Rest { bytes, .. } => bytes,
        };
        let expected = FRAME.area() * bytes as f64 / tree.bytes as f64;
        assert!((tile.frame.area() / expected - 1.0).abs() < 1e-6);
        area += tile.frame.area();
    }
    assert!((area / FRAME.area() - 1.0).abs() < 1e-6);
}

#[test]
fn nothing_overlaps_or_leaves_its_whole() {
    let tree = thousand();
    let tiles = layout(&tree, FRAME);
    for (number, tile) in tiles.iter().enumerate() {
        let group = tiles[..number]
            .iter()
            .find(|it| it.content == Content::Group(tile.whole));
        let whole = group.map_or(FRAME, |group| group.frame);
        let (frame, slack) = (tile.frame, 1e-6);
        assert!(frame.x >= whole.x - slack && frame.y >= whole.y - slack);
        assert!(frame.x + frame.width <= whole.x + whole.width + slack);
        assert!(frame.y + frame.height <= whole.y + whole.height + slack);
        let siblings = tiles[..number].iter().filter(|it| it.whole == tile.whole);
        for sibling in siblings {
            assert!(!overlap(frame, sibling.frame), "{tile:?} {sibling:?}");
        }
    }
}

#[test]
fn every_node_is_drawn_or_counted() {
    let tree = thousand();
    let parts = layout(&tree, FRAME)
        .into_iter()
        .map(|tile| match tile.content {
            Content::Leaf(node) => node.children.len().max(1),
            Content::Group(_) => 0,
            Content::Rest { nodes, .. } => nodes,
        });
    assert_eq!(parts.sum::<usize>(), 1000);
}

/// Of a thousand fields, the many that are large enough have their whole name, and no text is wider
/// than its tile.
#[test]
fn names_fit_their_tiles() {
    let picture = picture("thousand", "", &thousand());
    let shown = (0..40).filter(|number| picture.contains(&format!(">field_{number}</text>")));
    assert!(shown.count() > 30, "{picture}");
    let attribute = |tag: &str, name: &str| -> f64 {
        let (_, rest) = tag.split_once(&format!(" {name}=\"")).unwrap();
        rest.split_once('"').unwrap().0.parse().unwrap()
    };
    for tile in picture.split("<g class=").skip(1) {
        let (_, rest) = tile.split_once("<rect").unwrap();
        let right = attribute(rest, "x") + attribute(rest, "width");
        for text in rest
            .split("<text class=\"name\"")
            .skip(1)
            .filter(|text| !text.contains("rotate"))
        {
            let letters = text
                .split_once('>')
                .unwrap()
                .1
                .split_once('<')
                .unwrap()
                .0
                .chars()
                .count();
            let width = letters as f64 * attribute(text, "font-size") * 0.6;
            assert!(attribute(text, "x") + width <= right, "{tile}");
        }
    }
}

#[test]
fn hues_go_to_the_parts_of_what_dominates() {
    let fields = group("value", vec![leaf("a", 500), leaf("b", 400)]);
    let tree = group("map", vec![fields, leaf("key", 100)]);
    let hues: Vec<_> = layout(&tree, FRAME).iter().map(|tile| tile.hue).collect();
    assert_eq!(hues, [None, Some(0), Some(1), Some(2)]);
}

#[test]
fn odd_sizes_do_no_harm() {
    let odd = [
        Node::default(),
        leaf("alone", 5),
        group("empty", vec![leaf("nothing", 0)]),
        group("one", vec![leaf("all", 7)]),
        group("huge", vec![leaf("most", u64::MAX - 1), leaf("least", 1)]),
        group(
            "small",
            (0..5000).map(|n| leaf(&n.to_string(), 1)).collect(),
        ),
    ];
    for tree in odd {
        for tile in layout(&tree, FRAME) {
            assert!(tile.frame.area() > 0.0 && tile.frame.area() <= FRAME.area() + 1e-6);
        }
        assert!(!picture("odd", "", &tree).contains("NaN"));
        assert!(!page("odd", &tree).contains("NaN"));
    }
}

#[test]
fn names_are_text_and_not_markup() {
    let evil = "</text><script>alert(\"1\")&\u{1b}[2J";
    let tree = group(evil, vec![leaf(evil, 1)]);
    for document in [picture(evil, evil, &tree), page(evil, &tree)] {
        assert!(!document.contains("</text><script>") && !document.contains('\u{1b}'));
        assert!(
            document.contains("&lt;/text&gt;&lt;script&gt;alert(&quot;1&quot;)&amp;\u{fffd}[2J")
        );
    }
}

/// Whatever a page links to is in it: it works without a network.
#[test]
fn pages_stand_alone() {
    let page = page("by field", &thousand());
    assert!(!page.contains("http") && !page.contains("src=") && !page.contains("@import"));
    let links: Vec<&str> = page.split("href=\"#").skip(1).collect();
    assert!(links.len() > 500);
    for link in links {
        let (target, _) = link.split_once('"').unwrap();
        assert!(
            page.contains(&format!("<section id=\"{target}\">")),
            "{target}"
        );
    }
}

#[test]
fn the_size_of_a_page_has_a_bound() {
    let groups = (0..300).map(|number| {
        let leaves = (0..300).map(|part| leaf(&format!("{number}.{part}"), 1));
        group(&number.to_string(), leaves.collect())
    });
    let tree = group("large", groups.collect());
    assert!(page("", &tree).len() < 16 << 20);
}
