//! Parsers that are processes: what they found merged, against serialised and sent through pipes.

use std::path::Path;

use bitbake::ParserCosts;
use floe_testkit::measure::median;
use serde::Serialize;

#[derive(Debug, Serialize)]
pub(crate) struct Pipes {
    pub(crate) layer: String,
    /// Of the round in the middle.
    pub(crate) costs: ParserCosts,
    /// Medians, from when all had parsed.
    pub(crate) merge_millis: f64,
    /// Of these, while the owner did not wait for seals: deltas opened with every check, and merged.
    pub(crate) owner_millis: f64,
    pub(crate) pipe_millis: f64,
}

impl Pipes {
    pub(crate) fn ratio(&self) -> f64 {
        self.merge_millis / self.pipe_millis
    }

    pub(crate) fn owner_ratio(&self) -> f64 {
        self.owner_millis / self.pipe_millis
    }
}

/// Parses the code of a layer in so many processes, several times.
pub(crate) fn measure(layer: Option<&Path>, recipes: usize, rounds: usize) -> Pipes {
    let tree = tempfile::tempdir().expect("a folder");
    let (root, name) = match layer {
        Some(layer) => (layer, layer.display().to_string()),
        None => {
            bitbake::generate(tree.path(), recipes).expect("a generated layer");
            (tree.path(), format!("generated, {recipes} recipes"))
        }
    };
    let round = || {
        let costs = bitbake::parser_costs(root, 8).expect("a layer");
        costs.expect("processes parsed it")
    };
    let mut costs: Vec<ParserCosts> = (0..rounds).map(|_| round()).collect();
    let millis = |of: fn(&ParserCosts) -> f64| 1e3 * median(costs.iter().map(of).collect());
    let (merge_millis, pipe_millis) = (millis(|it| it.merge_seconds), millis(|it| it.pipe_seconds));
    let owner_millis = millis(|it| it.merge_seconds - it.seal_seconds);
    costs.sort_by(|one, other| one.merge_seconds.total_cmp(&other.merge_seconds));
    Pipes {
        layer: name,
        costs: costs.swap_remove(rounds / 2),
        merge_millis,
        owner_millis,
        pipe_millis,
    }
}
