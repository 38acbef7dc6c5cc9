//! The fields of a census as a tree, to be drawn.

use floe::census::{Census, Row};
use floe::usage::bytes;

use super::output::counted;
use super::treemap::Node;

/// What a field has beside its parts: lists without their items, trees without their entries.
const OWN: &str = "(own bytes)";

/// All fields below the name of the cache.
pub(crate) fn tree(census: &Census) -> Node {
    let mut root = Node {
        name: census.name.clone(),
        path: census.name.clone(),
        ..Node::default()
    };
    // Rows whose paths begin alike come one after the other then.
    let mut rows: Vec<&Row> = census.by_path.rows.iter().collect();
    rows.sort_by(|a, b| a.path.cmp(&b.path));
    for row in rows {
        insert(&mut root, row);
    }
    sum_up(&mut root);
    root
}

/// Adds a row where its path leads to: into the last child, or a new one, at each step.
fn insert(root: &mut Node, row: &Row) {
    let (mut node, mut path) = (root, String::new());
    for (depth, part) in row.path.iter().enumerate() {
        path += part;
        if node.children.last().is_none_or(|child| child.path != path) {
            node.children.push(Node {
                // A path starts with the name of a type, which may be any text.
                name: match depth {
                    0 => part.clone(),
                    _ => label(part, &node.name),
                },
                path: path.clone(),
                remainder: row.is_overhead,
                ..Node::default()
            });
        }
        let Some(child) = node.children.last_mut() else {
            return;
        };
        node = child;
    }
    node.bytes += row.bytes;
    node.note = note(row);
}

/// `.depends` as `depends`, and what lies in a list behind the name of the list.
fn label(part: &str, whole: &str) -> String {
    match part.strip_prefix('.').or(part.strip_prefix("::")) {
        Some(name) => name.to_owned(),
        None => format!("{whole}{part}"),
    }
}

fn note(row: &Row) -> String {
    let mut note = counted(row.count, "value", "values");
    if row.bytes > 0 {
        note += &format!(", the largest {}", bytes(row.largest));
    }
    if row.saving() > 0 {
        note += &format!("\ninterned it would save {}", bytes(row.saving()));
    }
    note
}

/// Makes each node as large as itself and its parts together.
fn sum_up(node: &mut Node) {
    for child in &mut node.children {
        sum_up(child);
    }
    let own = node.bytes;
    if own > 0 && !node.children.is_empty() {
        node.children.push(Node {
            name: OWN.to_owned(),
            path: format!("{} {OWN}", node.path),
            note: std::mem::take(&mut node.note),
            bytes: own,
            remainder: true,
            children: Vec::new(),
        });
    }
    if !node.children.is_empty() {
        node.bytes = node.children.iter().map(|child| child.bytes).sum();
    }
}
