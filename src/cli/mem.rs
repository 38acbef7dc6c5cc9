//! `floe mem`: what memory processes use, and what of it are frozen regions.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::thread;
use std::time::Duration;

use floe::Error;
use floe::memory::{MappedRegion, Memory, Unreadable};

use super::Failure;
use super::output::{Format, Output};
use super::table::{Cell, Column, Table};

/// Tell what memory processes use, and what of it are frozen regions
///
/// Below each process come the regions that it maps, as parts of it, found by the names of their
/// memory files.
#[derive(Debug, clap::Args)]
#[command(
    override_usage = "floe mem [OPTIONS] <PID>...\n       floe mem [OPTIONS] --tree <PID>",
    after_help = "\
Columns:
  USS        pages that no other process maps
  PSS        each page divided by the number of its mappers: the total is what all use together
  RSS        all pages present, shared or not
  VSS        all addresses mapped
  ANONYMOUS  pages of no file: 0 for a region proves that no page of it was copied
  SWAP       swapped out

Examples:
  floe mem 4711 4712
  floe mem --tree $(pgrep -o server) --watch
  floe mem --tree 4711 --format csv > memory.csv
  floe mem --tree 4711 --format json | jq 'map(select(.region)) | map(.pss) | add'

Exit codes: 0 done, 1 no such process or not permitted, 2 wrong usage"
)]
pub(crate) struct Arguments {
    /// The processes
    #[arg(value_name = "PID", required_unless_present = "tree")]
    pids: Vec<u32>,

    /// A process and all its descendants instead
    #[arg(long, value_name = "PID", conflicts_with = "pids")]
    tree: Option<u32>,

    /// Tell it again every second, or every SECONDS, until the processes have ended
    #[arg(
        long,
        value_name = "SECONDS",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "1",
        value_parser = seconds,
    )]
    watch: Option<Duration>,

    /// The form of the table
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

const COLUMNS: &[Column] = &[
    Column("pid", "PID"),
    Column("name", "NAME"),
    Column("region", "REGION"),
    Column("generation", "GEN"),
    Column("uss", "USS"),
    Column("pss", "PSS"),
    Column("rss", "RSS"),
    Column("vss", "VSS"),
    Column("anonymous", "ANONYMOUS"),
    Column("swap", "SWAP"),
];

pub(crate) fn run(arguments: &Arguments, output: &mut Output) -> Result<(), Failure> {
    let mut processes = read(arguments, true)?;
    while !processes.is_empty() {
        if arguments.watch.is_some() && output.is_terminal() {
            // Clears the screen.
            write!(output, "\x1b[H\x1b[2J")?;
        }
        table(&processes).write(arguments.format, output)?;
        output.flush()?;
        let Some(pause) = arguments.watch else { break };
        thread::sleep(pause);
        processes = read(arguments, false)?;
    }
    Ok(())
}

/// One process, as it was read.
struct Process {
    pid: u32,
    name: String,
    memory: Memory,
    regions: Vec<MappedRegion>,
}

/// Reads the processes that were asked for. Those that were named must be there at the `first`
/// reading; later ones, and descendants at any time, may be gone.
fn read(arguments: &Arguments, first: bool) -> Result<Vec<Process>, Failure> {
    let pids = match arguments.tree {
        Some(root) => tree(root),
        None => arguments.pids.clone(),
    };
    let mut processes = Vec::with_capacity(pids.len());
    for pid in pids {
        let named = arguments.tree.is_none_or(|root| root == pid);
        match Memory::with_regions(pid) {
            Ok((memory, mut regions)) => {
                regions.sort_by(|a, b| (&a.name, a.generation).cmp(&(&b.name, b.generation)));
                let name = command(pid);
                processes.push(Process {
                    pid,
                    name,
                    memory,
                    regions,
                });
            }
            Err(Error::ReadProcess {
                source: Unreadable::Gone,
                ..
            }) if !(first && named) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(processes)
}

fn command(pid: u32) -> String {
    let name = fs::read(format!("/proc/{pid}/comm")).unwrap_or_default();
    String::from_utf8_lossy(name.trim_ascii_end()).into_owned()
}

/// A process, then its descendants, parents before children.
fn tree(root: u32) -> Vec<u32> {
    let mut children: BTreeMap<u32, BTreeSet<u32>> = BTreeMap::new();
    for process in procfs::process::all_processes().into_iter().flatten() {
        if let Ok(stat) = process.and_then(|process| process.stat()) {
            let parent = children.entry(stat.ppid as u32).or_default();
            parent.insert(stat.pid as u32);
        }
    }
    let (mut pids, mut waiting) = (Vec::new(), vec![root]);
    while let Some(pid) = waiting.pop() {
        pids.push(pid);
        // Each set is taken once, so that a process that moved meanwhile makes no circle.
        waiting.extend(children.remove(&pid).into_iter().flatten().rev());
    }
    pids
}

fn table(processes: &[Process]) -> Table {
    let mut table = Table::new(COLUMNS);
    let mut regions: BTreeMap<(&str, u64), Memory> = BTreeMap::new();
    for process in processes {
        let pid = Cell::Number(u64::from(process.pid));
        let name = Cell::text(&process.name);
        table.push(row(pid.clone(), name.clone(), None, process.memory));
        for region in &process.regions {
            let place = (region.name.as_str(), region.generation);
            *regions.entry(place).or_default() += region.memory;
            let (pid, name) = (pid.clone().ditto(), name.clone().ditto());
            table.push_part(row(pid, name, Some(place), region.memory));
        }
    }
    let all = processes.iter().map(|process| process.memory).sum();
    table.push_total(row(Cell::Empty, Cell::text("total"), None, all));
    for (place, memory) in regions {
        table.push_total(row(Cell::Empty, Cell::Empty, Some(place), memory));
    }
    table
}

fn row(pid: Cell, name: Cell, region: Option<(&str, u64)>, memory: Memory) -> Vec<Cell> {
    let (region, generation) = match region {
        Some((region, generation)) => (Cell::text(region), Cell::Number(generation)),
        None => (Cell::Empty, Cell::Empty),
    };
    let amounts = [
        memory.uss,
        memory.pss,
        memory.rss,
        memory.vss,
        memory.anonymous,
        memory.swap,
    ];
    let mut cells = vec![pid, name, region, generation];
    cells.extend(amounts.map(Cell::Bytes));
    cells
}

fn seconds(text: &str) -> Result<Duration, String> {
    match text.parse().map(Duration::try_from_secs_f64) {
        Ok(Ok(duration)) if !duration.is_zero() => Ok(duration),
        _ => Err("expected a number of seconds above 0, such as 0.5".to_owned()),
    }
}
