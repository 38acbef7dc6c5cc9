//! Forks workers over caches in one form, and measures what that costs.

use std::cell::RefCell;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::process;
use std::time::Instant;

use floe::prefork::{self, Pool};
use floe::usage::{self, Usage};
use serde::Serialize;

use crate::Result;
use crate::caches::{Cache, Form};

/// The caches of the owner. A worker takes its own copy of them out of the cell to drop it.
pub(crate) type Caches = RefCell<Vec<Box<dyn Cache>>>;

/// What all workers measured, a list with one number for each of them.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Measured {
    pub fork_micros: Vec<f64>,
    pub uss_after_fork: Vec<u64>,
    pub uss_after_read: Vec<u64>,
    pub pss_after_read: Vec<u64>,
    pub rss_after_read: Vec<u64>,
    pub uss_after_drop: Vec<u64>,
    pub rss_after_drop: Vec<u64>,
    pub read_seconds: Vec<f64>,
    /// Over everything that was read, in hexadecimal; the same in every worker.
    pub digest: String,
    #[serde(flatten)]
    pub regions: Option<Regions>,
}

/// What became of the frozen regions.
#[derive(Debug, Serialize)]
pub(crate) struct Regions {
    /// All regions together.
    pub region_bytes: u64,
    pub region_anonymous: Vec<u64>,
    pub region_pss: Vec<u64>,
    /// The owner's share.
    pub region_pss_owner: u64,
    /// Whether every worker has the owner's physical frames; `None` where the kernel hides them.
    pub same_frames: Option<bool>,
}

/// What one worker tells at its end.
#[derive(Debug, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
struct Report {
    seconds: f64,
    digest: u64,
}

/// A worker, seen from the owner.
struct Running {
    pid: u32,
    /// Carries a byte when the worker arrives at a gate, and one back when it may go on.
    gate: UnixStream,
    pool: Pool<Result<Report, String>>,
}

/// Forks workers that read all caches in one form, then drop them.
///
/// The owner measures them from outside, while all of them stand at a gate: so the measurement
/// costs a worker nothing, and all of them share what is shared.
pub(crate) fn run(caches: &Caches, form: Form, workers: usize) -> Result<Measured> {
    // The owner reads and measures first, so that its pages are in use as they are after a parse.
    let expected = read(&caches.borrow(), form);
    Usage::of_self()?;
    let mut measured = Measured {
        digest: format!("{expected:016x}"),
        ..Measured::default()
    };
    let mut running = Vec::with_capacity(workers);
    for _ in 0..workers {
        let (gate, worker_gate) = UnixStream::pair()?;
        let start = Instant::now();
        let work = |_| work(caches, form, worker_gate).map_err(|error| error.to_string());
        let pool = prefork::spawn(1, work)?;
        let micros = start.elapsed().as_nanos() as f64 / 1e3;
        measured.fork_micros.push(micros);
        let pid = pool.pids()[0];
        running.push(Running { pid, gate, pool });
    }
    for after_fork in at_the_gate(&mut running)? {
        measured.uss_after_fork.push(after_fork.uss);
    }
    open_all(&mut running)?;
    for after_read in at_the_gate(&mut running)? {
        measured.uss_after_read.push(after_read.uss);
        measured.pss_after_read.push(after_read.pss);
        measured.rss_after_read.push(after_read.rss);
    }
    if form == Form::Frozen {
        measured.regions = Some(Regions::measure(&caches.borrow(), &running)?);
    }
    open_all(&mut running)?;
    for after_drop in at_the_gate(&mut running)? {
        measured.uss_after_drop.push(after_drop.uss);
        measured.rss_after_drop.push(after_drop.rss);
    }
    open_all(&mut running)?;
    for (worker, Running { pool, .. }) in running.into_iter().enumerate() {
        for report in pool.join()? {
            let report = report.map_err(|error| format!("worker {worker}: {error}"))?;
            if report.digest != expected {
                let (expected, got) = (&measured.digest, report.digest);
                let what = format!("expected {expected}, got {got:016x}");
                return Err(format!("worker {worker} read other answers: {what}").into());
            }
            measured.read_seconds.push(report.seconds);
        }
    }
    Ok(measured)
}

/// The memory of all workers, once all have arrived.
fn at_the_gate(running: &mut [Running]) -> Result<Vec<Usage>> {
    for worker in &mut *running {
        worker.gate.read_exact(&mut [0])?;
    }
    let usages = running.iter().map(|worker| Usage::of(worker.pid));
    Ok(usages.collect::<floe::Result<_>>()?)
}

fn open_all(running: &mut [Running]) -> io::Result<()> {
    let mut workers = running.iter_mut();
    workers.try_for_each(|worker| worker.gate.write_all(&[0]))
}

/// The life of a worker.
fn work(caches: &Caches, form: Form, mut gate: UnixStream) -> io::Result<Report> {
    pass(&mut gate)?;
    let start = Instant::now();
    let digest = read(&caches.borrow(), form);
    let seconds = start.elapsed().as_secs_f64();
    pass(&mut gate)?;
    for cache in caches.borrow_mut().iter_mut() {
        cache.drop_form(form);
    }
    pass(&mut gate)?;
    Ok(Report { seconds, digest })
}

/// Tells the owner that this worker is at a gate, and waits until it may go on.
fn pass(gate: &mut UnixStream) -> io::Result<()> {
    gate.write_all(&[0])?;
    gate.read_exact(&mut [0])
}

/// Reads everything; the sum does not depend on the order of caches and entries.
fn read(caches: &[Box<dyn Cache>], form: Form) -> u64 {
    let digests = caches.iter().map(|cache| cache.read(form));
    digests.fold(0, u64::wrapping_add)
}

impl Regions {
    fn measure(caches: &[Box<dyn Cache>], running: &[Running]) -> floe::Result<Self> {
        let regions: Vec<_> = caches.iter().filter_map(|cache| cache.region()).collect();
        let memory = |pid| -> floe::Result<Usage> {
            let regions = regions.iter().cloned();
            regions.map(|region| Usage::of_mapping(pid, region)).sum()
        };
        let of_workers = running.iter().map(|worker| memory(worker.pid));
        let of_workers = of_workers.collect::<floe::Result<Vec<Usage>>>()?;
        let mut same_frames = Some(true);
        for region in &regions {
            let own = usage::frames(process::id(), region.clone())?;
            for worker in running {
                let pair = own.as_ref().zip(usage::frames(worker.pid, region.clone())?);
                let equal = pair.map(|(own, theirs)| same(own, &theirs));
                same_frames = same_frames.zip(equal).map(|(all, equal)| all && equal);
            }
        }
        Ok(Self {
            region_bytes: regions.iter().map(|region| region.len() as u64).sum(),
            region_anonymous: of_workers.iter().map(|memory| memory.anonymous).collect(),
            region_pss: of_workers.iter().map(|memory| memory.pss).collect(),
            region_pss_owner: memory(process::id())?.pss,
            same_frames,
        })
    }
}

/// Whether two processes have the same frames, page by page; a page that one of them has not
/// touched is in neither's way.
fn same(left: &[u64], right: &[u64]) -> bool {
    let mut pages = left.iter().zip(right);
    left.len() == right.len() && pages.all(|(left, right)| left == right || left * right == 0)
}
