//! Parsers that stay: they follow the statements of a layer, parse what nobody has parsed, and
//! contribute that to the code caches of the owner.

use std::time::Duration;

use floe::contribute::Limits;
use floe::overlay::{OverlayValue, Rule};
use floe::prefork::{self, Pool, Worker};
use floe::{Live, Map, Overlay, Policy, Store};

use super::found::{FoundPython, FoundShell};
use crate::Result;
use crate::cached::File;
use crate::code::{self, Code, CodeHash, python, shell};

/// Code is keyed by its content, so it never becomes wrong, only idle.
const MOST_ENTRIES: u64 = 1_000_000;
/// How long a parser waits for an answer, or for the next generation.
const PATIENCE: Duration = Duration::from_secs(60);

/// Adds the code caches to a store, which are filled by contributions alone.
///
/// # Errors
/// Those of [`Store::merged`] and [`Store::accept`].
pub(crate) fn add(store: &Store) -> floe::Result<()> {
    add_one::<FoundShell>(store, "shell")?;
    add_one::<FoundPython>(store, "python")
}

fn add_one<V: OverlayValue + Send>(store: &Store, name: &str) -> floe::Result<()> {
    let policy = Policy::new().max_entries(MOST_ENTRIES);
    store.merged::<CodeHash, V>(name, policy)?;
    store.accept::<CodeHash, V>(name, Rule::FirstWins, Limits::new())
}

/// Forks so many parsers, once the caches have been built. They end with the pool, or with the owner.
///
/// # Errors
/// Those of [`prefork::spawn`].
pub(crate) fn start(store: &Store, parsers: usize) -> Result<Pool<Result<(), String>>> {
    let statements = store.live::<Map<String, File>>("statements")?;
    let (shell, python) = (store.live("shell")?, store.live("python")?);
    let pool = prefork::spawn(parsers, |worker| {
        let parser = Parser {
            worker,
            statements: statements.clone(),
            shell: Overlay::following(shell.clone()),
            python: Overlay::following(python.clone()),
        };
        parser.run().map_err(|error| error.to_string())
    });
    Ok(pool?)
}

struct Parser {
    worker: Worker,
    statements: Live<Map<String, File>>,
    shell: Overlay<CodeHash, FoundShell>,
    python: Overlay<CodeHash, FoundPython>,
}

impl Parser {
    fn run(mut self) -> floe::Result<()> {
        loop {
            self.parse()?;
            contribute(&mut self.shell)?;
            contribute(&mut self.python)?;
            if !self.statements.wait_newer(PATIENCE) && self.statements.is_orphaned() {
                return Ok(());
            }
        }
    }

    /// Parses the code of its share of the files that no generation has.
    fn parse(&mut self) -> floe::Result<()> {
        let statements = self.statements.pin();
        let (first, step) = (self.worker.index(), self.worker.count());
        let files = statements.values().skip(first).step_by(step);
        for statement in files.flat_map(|file| file.statements.iter()) {
            let code = Code::from(&statement.kind);
            for body in code.shell() {
                let parse = || shell::parse(body).into();
                self.shell.get_or_insert_with(&code::hash(body), parse)?;
            }
            for body in code.python() {
                let parse = || python::parse(body).into();
                self.python.get_or_insert_with(&code::hash(body), parse)?;
            }
        }
        Ok(())
    }
}

/// Hands over what there is to hand over. What is not taken stays in the overlay for the next time.
fn contribute<V: OverlayValue>(overlay: &mut Overlay<CodeHash, V>) -> floe::Result<()> {
    if overlay.changes().next().is_some() {
        overlay.contribute()?.wait(PATIENCE);
        overlay.advance();
    }
    Ok(())
}
