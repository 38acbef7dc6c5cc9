//! Keeps the caches of a layer fresh, and says of each refresh what it did.

use std::io::{self, Write, stdout};
use std::path::Path;
use std::time::Duration;

use floe::Store;
use floe::store::{Outcome, Report};

use crate::arguments::{Arguments, ParserKind};
use crate::parsers::contributing;
use crate::{LayerCaches, Result};

/// How often the layer is looked at.
const INTERVAL: Duration = Duration::from_millis(500);

/// Watches a layer until the output is closed.
pub(crate) fn watch(root: &Path, arguments: &Arguments) -> Result<()> {
    let store = Store::new();
    // They end with this.
    let _parsers = match arguments.parsers {
        ParserKind::Threads => {
            LayerCaches::add(&store, root)?;
            None
        }
        ParserKind::Processes => {
            LayerCaches::without_code(&store, root)?;
            contributing::add(&store)?;
            tell(&store.refresh()?)?;
            Some(contributing::start(&store, arguments.workers)?)
        }
    };
    loop {
        tell(&store.refresh()?)?;
        std::thread::sleep(INTERVAL);
    }
}

/// What parsers have contributed, and a line for each cache of which there is a new generation, or
/// that failed. If an edit changed nothing in the end, one that says so.
fn tell(report: &Report) -> io::Result<()> {
    for merge in report.merges.iter().filter(|merge| merge.changed) {
        writeln!(stdout(), "{merge}")?;
    }
    let having = |outcomes: &'static [Outcome]| {
        let caches = report.caches.iter();
        caches.filter(move |cache| outcomes.contains(&cache.outcome))
    };
    let mut told = having(&[Outcome::Published, Outcome::Failed]).peekable();
    if told.peek().is_some() {
        return told.try_for_each(|cache| writeln!(stdout(), "{cache}"));
    }
    let mut unchanged = having(&[Outcome::Unchanged]).take(1);
    unchanged.try_for_each(|cache| writeln!(stdout(), "{cache}"))
}
