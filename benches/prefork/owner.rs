//! The owner of one cache: forks workers over it, and measures them from outside.

use std::io::{self, Write};
use std::process;
use std::time::{Duration, Instant};

use floe::prefork::{self, Pool};
use floe::usage::{Usage, bytes};
use procfs::process::Process;
use procfs::{Current, Meminfo, ProcError};

use crate::cache::{self, Cache};
use crate::recipe::{recipe, write_key};
use crate::row::{Kind, Measured, Row};
use floe_testkit::gate::{Gate, WorkerGate};

/// Percent of the available memory that a row may be expected to take.
const SHARE: u64 = 70;
/// A worker of its own takes no more than this.
const WORKER: u64 = 1 << 20;
/// Forks are repeated for this long, to find their median.
const FORKING: Duration = Duration::from_millis(100);

/// Why a row has no figures.
#[derive(Debug, thiserror::Error)]
enum RowError {
    #[error(transparent)]
    Floe(#[from] floe::Error),
    #[error("cannot keep the workers in step: {0}")]
    Gate(#[from] io::Error),
    #[error("cannot read /proc: {0}")]
    Proc(#[from] ProcError),
    #[error("it takes {}, and at most {} of memory may be used now", bytes(*.needed), bytes(*.most))]
    Memory { needed: u64, most: u64 },
    #[error(transparent)]
    Answers(#[from] WrongAnswers),
}

/// What was read is not what was put in.
#[derive(Debug, thiserror::Error)]
#[error(
    "process {process} read other answers than were frozen: expected {expected:016x}, got {got:016x}"
)]
pub(crate) struct WrongAnswers {
    process: u32,
    expected: u64,
    got: u64,
}

/// What a worker knows at its end: microseconds to its first answer, and the digest of them all.
type Report = (f64, u64);

struct Running {
    process: Process,
    gate: Gate,
    faults: u64,
    pool: Pool<Report>,
}

struct Owner {
    kind: Kind,
    cache: Box<dyn Cache>,
    entries: u64,
    bytes: u64,
    /// Over all recipes, before they were put into the cache.
    digest: u64,
}

/// Builds the cache, then prints a row as a line of JSON for each number of workers.
///
/// # Errors
/// Only for wrong answers, and if standard output is closed. What else goes wrong is in the rows.
pub(crate) fn run(kind: Kind, cache_bytes: u64, workers: &[usize]) -> Result<(), crate::Error> {
    let owner = or_reason(Owner::build(kind, cache_bytes))?;
    for &workers in workers {
        let measured = match &owner {
            Ok(owner) => or_reason(owner.measure(workers))?,
            Err(reason) => Err(reason.clone()),
        };
        let row = Row::new(kind, cache_bytes, workers, measured);
        writeln!(io::stdout(), "{}", serde_json::to_string(&row)?)?;
    }
    Ok(())
}

/// Tells what only leaves a gap in the figures from what makes them worthless.
fn or_reason<T>(result: Result<T, RowError>) -> Result<Result<T, String>, WrongAnswers> {
    match result {
        Ok(value) => Ok(Ok(value)),
        Err(RowError::Answers(wrong)) => Err(wrong),
        Err(error) => Ok(Err(error.to_string())),
    }
}

impl Owner {
    fn build(kind: Kind, cache_bytes: u64) -> Result<Self, RowError> {
        // The entries of a heap cache are larger than frozen ones, by less than this.
        require_memory(cache_bytes.saturating_mul(2))?;
        let entries = cache::entries_in(cache_bytes)?;
        let before = Usage::of_self()?.pss;
        let cache = cache::build(kind, entries)?;
        let digests = (0..entries).map(|index| recipe(index).digest());
        let mut owner = Self {
            kind,
            cache,
            entries,
            bytes: 0,
            digest: digests.fold(0, u64::wrapping_add),
        };
        // The owner reads first, so that its pages are in use as they are after a parse.
        owner.check(process::id(), owner.read())?;
        owner.bytes = Usage::of_self()?.pss.saturating_sub(before);
        Ok(owner)
    }

    fn measure(&self, workers: usize) -> Result<Measured, RowError> {
        let copied = self.kind.copied_by_reading(self.bytes);
        // A page of 4096 bytes takes 8 in a page table, and the tables have tables.
        let worker = WORKER + self.bytes / 500 + copied;
        require_memory(worker.saturating_mul(workers as u64))?;
        let mut forks = Vec::new();
        let start = Instant::now();
        while forks.len() < 3 || start.elapsed() < FORKING {
            let fork = Instant::now();
            let pool = prefork::spawn(1, |_| ())?;
            forks.push(micros(fork.elapsed()));
            pool.join()?;
        }
        let mut running = (0..workers)
            .map(|_| self.fork())
            .collect::<Result<Vec<_>, _>>()?;
        let mut measured = Measured {
            entries: self.entries,
            owner_bytes: self.bytes,
            fork_micros: median(forks),
            digest: format!("{:016x}", self.digest),
            ..Measured::default()
        };
        await_all(&mut running)?;
        measured.vm_pte_forked_bytes = page_tables(&running)?;
        for worker in &mut running {
            worker.faults = worker.process.stat()?.minflt;
        }
        let start = Instant::now();
        running
            .iter_mut()
            .try_for_each(|worker| worker.gate.open())?;
        await_all(&mut running)?;
        measured.read_seconds = start.elapsed().as_secs_f64();
        measure_after_reading(&running, &mut measured)?;
        self.end(running, &mut measured)?;
        Ok(measured)
    }

    fn fork(&self) -> Result<Running, RowError> {
        let (gate, worker_gate) = Gate::pair()?;
        let start = Instant::now();
        let pool = prefork::spawn_try(1, |_| self.work(start, worker_gate))?;
        Ok(Running {
            process: Process::new(pool.pids()[0].cast_signed())?,
            gate,
            faults: 0,
            pool,
        })
    }

    /// The life of a worker.
    fn work(&self, forked: Instant, mut gate: WorkerGate) -> io::Result<Report> {
        let mut key = String::new();
        write_key(self.entries / 2, &mut key);
        std::hint::black_box(self.cache.digest_of(&key));
        let first_answer = micros(forked.elapsed());
        gate.pass()?;
        let digest = self.read();
        gate.pass()?;
        Ok((first_answer, digest))
    }

    /// Looks up every entry, and reads every byte of it. What is missing changes the sum.
    fn read(&self) -> u64 {
        let mut key = String::new();
        let digests = (0..self.entries).filter_map(|index| {
            write_key(index, &mut key);
            self.cache.digest_of(&key)
        });
        if self.kind == Kind::Nothing {
            return self.digest;
        }
        digests.fold(0, u64::wrapping_add)
    }

    /// Lets the workers exit, one after the other.
    fn end(&self, running: Vec<Running>, measured: &mut Measured) -> Result<(), RowError> {
        let mut exits = Vec::new();
        let mut first_answers = Vec::new();
        for mut worker in running {
            let process = worker.process.pid.unsigned_abs();
            let start = Instant::now();
            worker.gate.open()?;
            let reports = worker.pool.join()?;
            exits.push(micros(start.elapsed()));
            for (first_answer, digest) in reports {
                self.check(process, digest)?;
                first_answers.push(first_answer);
            }
        }
        measured.exit_micros = median(exits);
        measured.first_answer_micros = median(first_answers);
        Ok(())
    }

    fn check(&self, process: u32, got: u64) -> Result<(), WrongAnswers> {
        let expected = self.digest;
        if got == expected {
            return Ok(());
        }
        Err(WrongAnswers {
            process,
            expected,
            got,
        })
    }
}

fn await_all(running: &mut [Running]) -> io::Result<()> {
    running
        .iter_mut()
        .try_for_each(|worker| worker.gate.await_arrival())
}

/// All workers stand at a gate, so that they share what is shared.
fn measure_after_reading(running: &[Running], measured: &mut Measured) -> Result<(), RowError> {
    let mut faults = Vec::new();
    measured.pss_total = Usage::of_self()?.pss;
    for worker in running {
        faults.push((worker.process.stat()?.minflt - worker.faults) as f64);
        let memory = Usage::of(worker.process.pid.unsigned_abs())?;
        measured.uss_max = measured.uss_max.max(memory.uss);
        measured.pss_total += memory.pss;
    }
    measured.faults = median(faults) as u64;
    measured.vm_pte_bytes = page_tables(running)?;
    Ok(())
}

fn page_tables(running: &[Running]) -> Result<u64, ProcError> {
    let tables = running.iter().map(|worker| {
        let kibibytes = worker.process.status()?.vmpte.unwrap_or_default();
        Ok((kibibytes * 1024) as f64)
    });
    Ok(median(tables.collect::<Result<_, ProcError>>()?) as u64)
}

fn require_memory(needed: u64) -> Result<(), RowError> {
    let memory = Meminfo::current()?;
    let most = memory.mem_available.unwrap_or(memory.mem_free) / 100 * SHARE;
    if needed <= most {
        return Ok(());
    }
    Err(RowError::Memory { needed, most })
}

fn micros(duration: Duration) -> f64 {
    duration.as_nanos() as f64 / 1e3
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}
