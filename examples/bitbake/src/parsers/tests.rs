use super::*;
use crate::layer::{Layer, Parsers};

fn layer(parsers: Parsers) -> Layer {
    let tree = tempfile::tempdir().expect("a folder");
    crate::generate(tree.path(), 20).expect("a layer");
    Layer::read(tree.path(), parsers).expect("a layer")
}

/// Forking wants a process of one thread, which tests are not.
#[test]
fn owners_with_other_threads_are_told() {
    let layer = layer(Parsers::Threads);
    let refused = parse(&layer.statements, 2).expect_err("it has other threads");
    assert!(
        refused.to_string().contains("expected 1 thread"),
        "{refused}"
    );
}
