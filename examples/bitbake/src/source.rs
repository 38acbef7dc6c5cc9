//! Where the caches come from: a layer tree, a generated one, or the dumps of a real BitBake.

use std::fmt::Display;
use std::io::{IsTerminal, stderr};
use std::path::Path;
use std::time::Instant;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::arguments::Arguments;
use crate::caches::{Cache, Keyed, Whole};
use crate::dumps::{Dumps, by_recipe};
use crate::generate::generate;
use crate::layer::Layer;

/// Caches on the heap, and where they were read from.
pub(crate) struct Source {
    pub name: String,
    pub files: usize,
    pub parse_seconds: f64,
    /// What there is to tell, a line each.
    pub notes: Vec<String>,
    pub caches: Vec<Box<dyn Cache>>,
}

/// A source that cannot be read, in one line.
pub(crate) struct Unreadable(pub String);

impl Source {
    pub(crate) fn read(arguments: &Arguments) -> Result<Self, Unreadable> {
        match (&arguments.caches, &arguments.layer) {
            (Some(directory), _) => Self::from_dumps(directory),
            (None, Some(layer)) => Self::from_layer(layer, layer.display().to_string()),
            (None, None) => {
                let tree = tempfile::tempdir().map_err(unreadable)?;
                generate(tree.path(), arguments.recipes).map_err(unreadable)?;
                Self::from_layer(
                    tree.path(),
                    format!("generated, {} recipes", arguments.recipes),
                )
            }
        }
    }

    fn from_layer(path: &Path, name: String) -> Result<Self, Unreadable> {
        let start = Instant::now();
        let layer = Layer::read(path, &progress_bar()).map_err(unreadable)?;
        let parse_seconds = start.elapsed().as_secs_f64();
        let Layer {
            statements,
            recipes,
            shell,
            python,
            patterns,
            summary,
        } = layer;
        let mut notes = vec![summary.to_string()];
        notes.extend(summary.problems.iter().map(ToString::to_string));
        let caches: Vec<Box<dyn Cache>> = vec![
            Box::new(Keyed::new("statements", statements)),
            Box::new(Keyed::new("recipes", recipes)),
            Box::new(Keyed::new("shell", shell)),
            Box::new(Keyed::new("python", python)),
            Box::new(Keyed::new("regexps", patterns)),
        ];
        Ok(Self {
            name,
            files: summary.files.values().sum(),
            parse_seconds,
            notes,
            caches,
        })
    }

    fn from_dumps(directory: &Path) -> Result<Self, Unreadable> {
        let start = Instant::now();
        let dumps = Dumps::read(directory).map_err(unreadable)?;
        let parse_seconds = start.elapsed().as_secs_f64();
        dumps.verify(directory).map_err(unreadable)?;
        let notes = vec![
            "every field of every entry is typed: written as JSON again, it equals its dump"
                .to_owned(),
        ];
        let mut caches: Vec<Box<dyn Cache>> = Vec::new();
        let mut files = 0;
        let mut add = |cache: Option<Box<dyn Cache>>| {
            files += usize::from(cache.is_some());
            caches.extend(cache);
        };
        add(dumps
            .core_recipe_info
            .map(|entries| Box::new(Keyed::new("core_recipe_info", entries)) as _));
        add(dumps
            .codeparser_python
            .map(|entries| Box::new(Keyed::new("codeparser_python", entries)) as _));
        add(dumps
            .codeparser_shell
            .map(|entries| Box::new(Keyed::new("codeparser_shell", entries)) as _));
        add(dumps
            .cached_statements
            .map(|entries| Box::new(Keyed::new("cached_statements", entries)) as _));
        add(dumps
            .file_checksums
            .map(|entries| Box::new(Keyed::new("file_checksums", entries)) as _));
        if let Some(cachedata) = dumps.cachedata {
            files += 1;
            let (by_file, by_name) = by_recipe::split(cachedata).map_err(unreadable)?;
            caches.push(Box::new(Keyed::new("cachedata", by_file)));
            caches.push(Box::new(Whole::new(
                "cachedata_names",
                by_name.len(),
                by_name,
            )));
        }
        Ok(Self {
            name: directory.display().to_string(),
            files,
            parse_seconds,
            notes,
            caches,
        })
    }
}

fn unreadable(error: impl Display) -> Unreadable {
    Unreadable(error.to_string())
}

/// Hidden where nobody looks. It never ticks by itself: that would be a thread, and a process with
/// several threads does not fork safely.
fn progress_bar() -> ProgressBar {
    let target = if stderr().is_terminal() {
        ProgressDrawTarget::stderr()
    } else {
        ProgressDrawTarget::hidden()
    };
    let style = ProgressStyle::with_template("parsing {wide_bar} {pos}/{len} files")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::with_draw_target(Some(0), target).with_style(style)
}
