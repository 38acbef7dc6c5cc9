//! Parsers that are processes: each fills overlays of the code caches, and the owner merges what
//! they bring.

pub(crate) mod contributing;
mod found;
mod pickled;

use std::cell::RefCell;
use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Instant;

use floe::archive::Thaw;
use floe::overlay::{DeltaShard, MergeReport, Rule, merge};
use floe::prefork::{self, Worker};
use floe::{Delta, Frozen, Map, Overlay, Value};
use serde::Serialize;

use crate::Result;
use crate::code::{self, Code, CodeHash, PythonCode, ShellCode, python, shell};
use crate::recipes::Files;
use found::{FoundPython, FoundShell};

/// What code refers to, by its hash, in both languages.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct CodeCaches {
    pub shell: BTreeMap<CodeHash, ShellCode>,
    pub python: BTreeMap<CodeHash, PythonCode>,
}

/// What it cost to bring together what the parsers found, from when all of them had parsed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ParserCosts {
    /// Processes that parsed.
    pub parsers: usize,
    /// Entries that they found, and those that are left of them: others had found them, too.
    pub found: u64,
    /// In both caches.
    pub entries: u64,
    /// All deltas sealed, handed over, opened with every check and merged.
    pub merge_seconds: f64,
    /// Of these, while the owner waited for a parser to seal,
    pub seal_seconds: f64,
    /// and the merge alone.
    pub fold_seconds: f64,
    /// The same entries serialised by postcard, written into a pipe for each parser, read and put
    /// into a hash map.
    pub pipe_seconds: f64,
    /// Bytes that came through the pipes.
    pub pipe_bytes: u64,
}

impl fmt::Display for ParserCosts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} parser processes found {} code entries, {} different ones: merged in {:.2} ms (waited \
             {:.2} ms for seals, folded in {:.2} ms), pickled through pipes in {:.2} ms",
            self.parsers,
            self.found,
            self.entries,
            1e3 * self.merge_seconds,
            1e3 * self.seal_seconds,
            1e3 * self.fold_seconds,
            1e3 * self.pipe_seconds
        )
    }
}

/// Parses all code of a layer in so many processes.
///
/// # Errors
/// If a parser dies, or the owner has other threads.
pub(crate) fn parse(statements: &Files, parsers: usize) -> Result<(CodeCaches, ParserCosts)> {
    let share = |worker: Worker| Share {
        statements,
        first: worker.index(),
        step: worker.count(),
    };
    let (caches, merged) = by_deltas(parsers, &share)?;
    let pickled = pickled::parse(parsers, &share)?;
    if caches != pickled.caches {
        return Err("what was pickled differs from what was merged".into());
    }
    let entries = (caches.shell.len() + caches.python.len()) as u64;
    let costs = ParserCosts {
        parsers,
        found: merged.found,
        entries,
        merge_seconds: merged.seconds,
        seal_seconds: merged.seal_seconds,
        fold_seconds: merged.fold_seconds,
        pipe_seconds: pickled.seconds,
        pipe_bytes: pickled.bytes,
    };
    Ok((caches, costs))
}

/// The files of one parser.
struct Share<'a> {
    statements: &'a Files,
    first: usize,
    step: usize,
}

impl<'a> Share<'a> {
    fn code(&self) -> impl Iterator<Item = Code<'a>> {
        let files = self.statements.values().skip(self.first).step_by(self.step);
        let statements = files.flatten();
        statements.map(|statement| Code::from(&statement.kind))
    }

    /// Parses each shell body once, then each Python body.
    fn parse(
        &self,
        mut shell: impl FnMut(CodeHash, ShellCode) -> floe::Result<()>,
        mut python: impl FnMut(CodeHash, PythonCode) -> floe::Result<()>,
    ) -> floe::Result<()> {
        let (mut seen, mut seen_python) = (HashSet::new(), HashSet::new());
        for code in self.code() {
            for body in code.shell() {
                let hash = code::hash(body);
                if seen.insert(hash) {
                    shell(hash, shell::parse(body))?;
                }
            }
            for body in code.python() {
                let hash = code::hash(body);
                if seen_python.insert(hash) {
                    python(hash, python::parse(body))?;
                }
            }
        }
        Ok(())
    }
}

/// What the merge cost.
struct Merged {
    found: u64,
    seconds: f64,
    seal_seconds: f64,
    fold_seconds: f64,
}

/// A pair of memfds for each parser.
struct Shards {
    shell: DeltaShard,
    python: DeltaShard,
}

fn by_deltas<'a>(
    parsers: usize,
    share: &dyn Fn(Worker) -> Share<'a>,
) -> Result<(CodeCaches, Merged)> {
    let shell = Map::freeze("shell", Vec::<(CodeHash, FoundShell)>::new())?;
    let python = Map::freeze("python", Vec::<(CodeHash, FoundPython)>::new())?;
    let shards = (0..parsers).map(|_| {
        Ok(Shards {
            shell: DeltaShard::new("shell")?,
            python: DeltaShard::new("python")?,
        })
    });
    let shards: Vec<Shards> = shards.collect::<floe::Result<_>>()?;
    let gates = Gates::new(parsers)?;
    let pool = prefork::spawn(parsers, |worker| {
        let mut gate = gates.of_parser(worker.index());
        let (mut shell, mut python) = (Overlay::over(&shell), Overlay::over(&python));
        let parsed = share(worker).parse(
            |hash, code| shell.insert(&hash, &code.into()),
            |hash, code| python.insert(&hash, &code.into()),
        );
        let sealed = || -> Result<()> {
            parsed?;
            gate.pass()?;
            let own = &shards[worker.index()];
            own.shell.seal(shell)?;
            own.python.seal(python)?;
            Ok(gate.pass()?)
        };
        sealed().map_err(|error| error.to_string())
    })?;
    let mut gates = gates.of_owner();
    open(&mut gates)?;
    let start = Instant::now();
    let mut deltas: (Vec<Delta<_, _>>, Vec<Delta<_, _>>) = Default::default();
    let mut seal_seconds = 0.0;
    for (gate, shards) in gates.iter_mut().zip(shards) {
        let waiting = Instant::now();
        gate.wait()?;
        seal_seconds += waiting.elapsed().as_secs_f64();
        deltas.0.push(shards.shell.open()?);
        deltas.1.push(shards.python.open()?);
    }
    let opened = start.elapsed().as_secs_f64();
    let (shell, shell_report) = merge(&shell, &deltas.0, &Rule::FirstWins)?;
    let (python, python_report) = merge(&python, &deltas.1, &Rule::FirstWins)?;
    let seconds = start.elapsed().as_secs_f64();
    gates.iter_mut().try_for_each(Gate::tell)?;
    pool.join()?.into_iter().collect::<Result<Vec<()>, _>>()?;
    let caches = CodeCaches {
        shell: thawed::<FoundShell, ShellCode>(&shell)?,
        python: thawed::<FoundPython, PythonCode>(&python)?,
    };
    let merged = Merged {
        found: offered(&shell_report) + offered(&python_report),
        seconds,
        seal_seconds,
        fold_seconds: seconds - opened,
    };
    Ok((caches, merged))
}

/// A cache on the heap, as what else there is of a layer.
fn thawed<F, C: From<F>>(merged: &Frozen<Map<CodeHash, F>>) -> floe::Result<BTreeMap<CodeHash, C>>
where
    F: Value,
    Map<CodeHash, F>: Thaw<Vec<(CodeHash, F)>>,
{
    let found: Vec<(CodeHash, F)> = Frozen::thaw(merged)?;
    let found = found.into_iter();
    Ok(found.map(|(hash, code)| (hash, code.into())).collect())
}

fn offered(report: &MergeReport) -> u64 {
    let deltas = report.deltas.iter();
    deltas
        .map(|delta| delta.added + delta.equal + delta.kept)
        .sum()
}

/// Keeps the parsers in step with the owner: a socket pair for each, whose other end the owner finds
/// closed should a parser die.
struct Gates(RefCell<Vec<(UnixStream, UnixStream)>>);

impl Gates {
    fn new(parsers: usize) -> io::Result<Self> {
        let pairs = (0..parsers).map(|_| UnixStream::pair());
        Ok(Self(RefCell::new(pairs.collect::<io::Result<_>>()?)))
    }

    /// The end of a parser, which keeps no other.
    fn of_parser(&self, parser: usize) -> Gate {
        Gate(self.0.take().swap_remove(parser).1)
    }

    /// The ends of the owner, which keeps no other.
    fn of_owner(&self) -> Vec<Gate> {
        let pairs = self.0.take().into_iter();
        pairs.map(|(own, _)| Gate(own)).collect()
    }
}

struct Gate(UnixStream);

impl Gate {
    fn tell(&mut self) -> io::Result<()> {
        self.0.write_all(b".")
    }

    fn wait(&mut self) -> io::Result<()> {
        self.0.read_exact(&mut [0])
    }

    /// Says that a parser is through with a step, and waits until the owner lets it go on.
    fn pass(&mut self) -> io::Result<()> {
        self.tell().and_then(|()| self.wait())
    }
}

/// Waits until all parsers have parsed, and lets them go on.
fn open(gates: &mut [Gate]) -> io::Result<()> {
    gates.iter_mut().try_for_each(Gate::wait)?;
    gates.iter_mut().try_for_each(Gate::tell)
}

#[cfg(test)]
mod tests;
