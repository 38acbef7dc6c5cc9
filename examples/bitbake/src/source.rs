//! Where the caches come from: a layer tree, a generated one, or the dumps of a real BitBake.

use std::path::Path;
use std::time::Instant;

use crate::arguments::{Arguments, ParserKind};
use crate::caches::{self, Cache};
use crate::generate::generate;
use crate::layer::{Layer, Parsers};
use crate::parsers::ParserCosts;
use crate::{Result, dumps};

/// Caches on the heap, and where they were read from.
pub(crate) struct Source {
    pub name: String,
    pub files: usize,
    pub parse_seconds: f64,
    /// What there is to tell, a line each.
    pub notes: Vec<String>,
    /// What it cost to bring together what processes parsed.
    pub parser_costs: Option<ParserCosts>,
    pub caches: Vec<Box<dyn Cache>>,
}

impl Source {
    pub(crate) fn read(arguments: &Arguments) -> Result<Self> {
        if let Some(directory) = &arguments.caches {
            return dumps::read(directory);
        }
        if let Some(layer) = &arguments.layer {
            return Self::from_layer(layer, layer.display().to_string(), arguments);
        }
        let tree = tempfile::tempdir()?;
        generate(tree.path(), arguments.recipes)?;
        let name = format!("generated, {} recipes", arguments.recipes);
        Self::from_layer(tree.path(), name, arguments)
    }

    fn from_layer(path: &Path, name: String, arguments: &Arguments) -> Result<Self> {
        let start = Instant::now();
        let parsers = match arguments.parsers {
            ParserKind::Threads => Parsers::Threads,
            ParserKind::Processes => Parsers::Processes(arguments.workers.max(1)),
        };
        let layer = Layer::read(path, parsers)?;
        let parse_seconds = start.elapsed().as_secs_f64();
        let mut notes = vec![layer.summary.to_string()];
        notes.extend(layer.summary.problems);
        notes.extend(layer.parser_costs.as_ref().map(ToString::to_string));
        Ok(Self {
            name,
            files: layer.statements.len(),
            parse_seconds,
            notes,
            parser_costs: layer.parser_costs,
            caches: vec![
                caches::keyed("statements", layer.statements),
                caches::keyed("recipes", layer.recipes),
                caches::keyed("shell", layer.shell),
                caches::keyed("python", layer.python),
                caches::keyed("regexps", layer.patterns),
            ],
        })
    }
}
