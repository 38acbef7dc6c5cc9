//! More and more workers that read one map.

use std::error::Error;
use std::hint::black_box;
use std::io;

use floe::prefork::{self, Pool};
use floe::usage::Usage;
use floe::{Frozen, Map};
use nix::time::{ClockId, clock_gettime};
use serde::Serialize;

use super::Outcome;
use super::measure::Built;
use super::plot::{Across, Plot, Series, Up};
use super::values::Scalable;
use crate::data::{Random, Recipe, Touch};
use crate::error::{BenchError, check_answer};
use crate::keys::Key;
use crate::machine;
use crate::statistics::{nanoseconds_each, timed};
use crate::table::{Table, count, nanoseconds};
use floe_testkit::gate::{Gate, WorkerGate};

const ENTRIES: u64 = 1_000_000;
/// Lookups of a worker in each of its two passes.
const QUERIES: usize = 200_000;
/// What a worker takes of its own, at most.
const WORKER_BYTES: u64 = 4 << 20;

/// What so many workers need for one map.
#[derive(Debug, Serialize)]
struct Row {
    kind: &'static str,
    entries: u64,
    workers: u32,
    #[serde(flatten)]
    measured: Option<Measured>,
    #[serde(skip_serializing_if = "Option::is_none")]
    skipped: Option<String>,
}

/// Nanoseconds of a lookup, and bytes.
#[derive(Debug, Serialize)]
struct Measured {
    /// Processor time, mean over all workers, while each page of the map is touched for the first
    /// time by each worker.
    first_cpu_ns: f64,
    /// The same when the pages are there.
    cpu_ns: f64,
    /// Time on the clock by the lookups of all workers together.
    wall_ns: f64,
    /// All workers and their owner.
    pss_total: u64,
    /// Memory of its own of that worker which has most of it.
    uss_max: u64,
    /// The whole region.
    map_bytes: u64,
}

/// Measures all numbers of workers over maps of both kinds.
///
/// # Errors
/// [`BenchError::Answer`].
pub fn run(most: u64, most_workers: u32) -> Result<Outcome, BenchError> {
    let mut rows = Vec::new();
    let entries = most.min(ENTRIES);
    add_rows::<u64>(entries, most_workers, &mut rows)?;
    add_rows::<Recipe>(entries, most_workers, &mut rows)?;
    Outcome::of("workers", &rows, table(&rows), plots(&rows))
}

fn add_rows<V: Scalable>(entries: u64, most: u32, rows: &mut Vec<Row>) -> Result<(), BenchError> {
    let counts = (0..=8).map(|power| 1 << power);
    let owner = Owner::<V>::build(entries);
    for workers in counts.filter(|workers| *workers <= most) {
        eprintln!("scale: {workers} workers over {}", V::KIND);
        let measured = match &owner {
            Ok(owner) => owner.measure(workers)?,
            Err(reason) => Err(reason.clone()),
        };
        rows.push(Row {
            kind: V::KIND,
            entries,
            workers,
            skipped: measured.as_ref().err().cloned(),
            measured: measured.ok(),
        });
    }
    Ok(())
}

/// The process that has built a map and forks workers over it.
struct Owner<V: Scalable> {
    map: Frozen<Map<V::Key, V>>,
    queries: <V::Key as Key>::Arena,
    /// Of the answers to all queries.
    expected: u64,
}

/// Processor time of each pass, and the sums of the answers.
type Report = ([f64; 2], [u64; 2]);

struct Running {
    pool: Pool<Report>,
    gate: Gate,
}

impl<V: Scalable> Owner<V> {
    fn build(entries: u64) -> Result<Self, String> {
        machine::require_memory(V::memory_for(entries))?;
        let built = Built::<V>::build(entries);
        let map = built
            .map_err(|error| format!("cannot be built: {error}"))?
            .map;
        // The owner reads first, so that its pages are in use as they are after a parse.
        black_box(
            map.region()
                .bytes()
                .iter()
                .fold(0_u8, |sum, byte| sum ^ byte),
        );
        let mut random = Random::new(entries);
        let mut queries = <V::Key as Key>::Arena::default();
        let mut expected = 0;
        for _ in 0..QUERIES {
            let number = random.below(entries);
            V::Key::numbered(number).store(&mut queries);
            expected += V::make(number).touch();
        }
        Ok(Self {
            map,
            queries,
            expected,
        })
    }

    /// Forks the workers and lets them read; the inner error is the reason why that cannot be.
    fn measure(&self, workers: u32) -> Result<Result<Measured, String>, BenchError> {
        let measured = machine::require_memory(WORKER_BYTES * u64::from(workers))
            .map_err(Into::into)
            .and_then(|()| self.read_in(workers));
        let (measured, sums) = match measured {
            Ok(measured) => measured,
            Err(error) => return Ok(Err(error.to_string())),
        };
        for sum in sums {
            check_answer("floe", "get", self.map.len(), self.expected, sum)?;
        }
        Ok(Ok(measured))
    }

    fn read_in(&self, workers: u32) -> Result<(Measured, Vec<u64>), Box<dyn Error>> {
        let queries = <V::Key as Key>::queries(&self.queries);
        let mut running = (0..workers)
            .map(|number| self.fork(number, &queries))
            .collect::<Result<Vec<_>, _>>()?;
        await_all(&mut running)?;
        open_all(&mut running)?;
        await_all(&mut running)?;
        let (read, time) = timed(|| {
            open_all(&mut running)?;
            await_all(&mut running)
        });
        read?;
        let mut measured = Measured {
            first_cpu_ns: 0.0,
            cpu_ns: 0.0,
            wall_ns: nanoseconds_each(time, QUERIES * workers as usize),
            pss_total: Usage::of_self()?.pss,
            uss_max: 0,
            map_bytes: self.map.region().size(),
        };
        for worker in &running {
            let memory = Usage::of(worker.pool.pids()[0])?;
            measured.pss_total += memory.pss;
            measured.uss_max = measured.uss_max.max(memory.uss);
        }
        open_all(&mut running)?;
        let mut answers = Vec::new();
        for worker in running {
            for (cpu, sums) in worker.pool.join()? {
                measured.first_cpu_ns += cpu[0] / f64::from(workers);
                measured.cpu_ns += cpu[1] / f64::from(workers);
                answers.extend(sums);
            }
        }
        Ok((measured, answers))
    }

    fn fork(
        &self,
        number: u32,
        queries: &[&<V::Key as Key>::Query],
    ) -> Result<Running, Box<dyn Error>> {
        let (gate, mut worker_gate) = Gate::pair()?;
        // Each begins elsewhere, so that they do not walk in step.
        let first = number as usize * 7919 % queries.len();
        let pool = prefork::spawn_try(1, |_| self.work(&mut worker_gate, first, queries))?;
        Ok(Running { pool, gate })
    }

    /// The life of a worker.
    fn work(
        &self,
        gate: &mut WorkerGate,
        first: usize,
        queries: &[&<V::Key as Key>::Query],
    ) -> io::Result<Report> {
        let (mut cpu, mut sums) = ([0.0; 2], [0; 2]);
        for pass in 0..2 {
            gate.pass()?;
            let start = processor_time()?;
            let turned = queries[first..].iter().chain(&queries[..first]);
            let found = turned.map(|query| self.map.get(*query).map_or(0, Touch::touch));
            sums[pass] = found.sum();
            cpu[pass] = (processor_time()? - start) / queries.len() as f64;
        }
        gate.pass()?;
        Ok((cpu, sums))
    }
}

/// Nanoseconds of this process.
fn processor_time() -> io::Result<f64> {
    let time = clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID)?;
    Ok(time.tv_sec() as f64 * 1e9 + time.tv_nsec() as f64)
}

fn await_all(running: &mut [Running]) -> io::Result<()> {
    let mut gates = running.iter_mut().map(|worker| &mut worker.gate);
    gates.try_for_each(Gate::await_arrival)
}

fn open_all(running: &mut [Running]) -> io::Result<()> {
    let mut gates = running.iter_mut().map(|worker| &mut worker.gate);
    gates.try_for_each(Gate::open)
}

fn table(rows: &[Row]) -> Table {
    let mut table = Table::new([
        "kind",
        "entries",
        "workers",
        "first CPU ns",
        "CPU ns",
        "clock ns",
        "total PSS",
        "largest USS",
        "map",
    ]);
    for row in rows {
        let mut cells = vec![
            row.kind.to_owned(),
            count(row.entries),
            row.workers.to_string(),
        ];
        if let Some(reason) = &row.skipped {
            cells.push(format!("skipped: {reason}"));
        }
        if let Some(measured) = &row.measured {
            let costs = [measured.first_cpu_ns, measured.cpu_ns, measured.wall_ns];
            cells.extend(costs.map(nanoseconds));
            let bytes = [measured.pss_total, measured.uss_max, measured.map_bytes];
            cells.extend(bytes.map(count));
        }
        table.add(cells);
    }
    table
}

/// One plot for the time of lookups, one for memory.
fn plots(rows: &[Row]) -> Vec<(&'static str, Plot)> {
    let [numbers, recipes] = [<u64 as Scalable>::KIND, <Recipe as Scalable>::KIND];
    let series = |name, kind, figure: fn(&Measured) -> f64| {
        let of_kind = rows.iter().filter(|row| row.kind == kind);
        let point = |row: &Row| Some((f64::from(row.workers), figure(row.measured.as_ref()?)));
        Series {
            name,
            points: of_kind.filter_map(point).collect(),
        }
    };
    let plot = |title, unit, up, series| Plot {
        title,
        unit,
        across: Across::Workers,
        up,
        series,
    };
    let cpu: fn(&Measured) -> f64 = |measured| measured.cpu_ns;
    let first: fn(&Measured) -> f64 = |measured| measured.first_cpu_ns;
    let times = vec![
        series("recipes, first", recipes, first),
        series("recipes", recipes, cpu),
        series("u64, first", numbers, first),
        series("u64 to u64", numbers, cpu),
    ];
    let memory = vec![
        series("all together", recipes, |measured| {
            measured.pss_total as f64
        }),
        series("the map", recipes, |measured| measured.map_bytes as f64),
        series("largest USS", recipes, |measured| measured.uss_max as f64),
    ];
    vec![
        (
            "workers-lookup",
            plot(
                "Lookups in one map by many workers",
                "ns of processor time; first: with the faults of the first reading",
                Up::Linear,
                times,
            ),
        ),
        (
            "workers-memory",
            plot(
                "Memory of workers that read one map of recipes",
                "bytes: workers and owner together (PSS), and the largest worker alone (USS)",
                Up::Bytes,
                memory,
            ),
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_have_answers() {
        let owner = Owner::<Recipe>::build(100).unwrap();
        let queries = <String as Key>::queries(&owner.queries);
        let found = queries.iter().map(|query| owner.map[*query].touch());
        assert_eq!(found.sum::<u64>(), owner.expected);
    }
}
