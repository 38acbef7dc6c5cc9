//! `floe mem`: what memory processes use, and what of it are frozen regions.

mod generations;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io::{Write, stderr};
use std::time::Duration;

use floe::usage::{MappedFile, Usage};

use generations::{bytes_of, cache_of};

use super::CommandError;
use super::output::{FAINT, Format, Output, counted, seconds};
use super::processes::{Process, Scope};
use super::table::{Cell, Column, Table};
use super::target::Socket;

/// Show the memory of processes, and how much of it is frozen regions
///
/// Each process is followed by the regions that it maps, which are parts of its memory. The tool
/// finds them by the names of their memfds.
///
/// Processes of a tree that this user may not read are listed without amounts, and counted.
///
/// With the SOCKET of a broker, the table shows all processes that map a cache of that name, and
/// only these mappings. It also shows caches of the same names that other owners have frozen.
#[derive(Debug, clap::Args)]
#[command(
    override_usage = "floe mem [OPTIONS] <PID|SOCKET>...\n       floe mem [OPTIONS] --tree <PID>",
    after_help = "\
Columns:
  USS        pages that are mapped once: by no other process, and by one generation in this one
  PSS        each page divided by the number of its mappings: the total is what all use together
  RSS        all present pages, shared or not
  VSS        all mapped addresses
  ANONYMOUS  pages of no file: 0 for a region proves that no page of it was copied
  SWAP       swapped out
  FILES      memory of all page files of the generation, read or not; generations share page files
  BEYOND     those of them that the newest generation here does not use: what it costs to hold this
             one beside it

The rows below the total show how many processes map each generation; in them, and in the row of all
generations of a cache, FILES and BEYOND count each page file once, as PSS counts each page. A page
file takes memory until no process maps a generation that uses it.

As JSON and CSV, the column `added` has the bytes of those page files of a row that no row above has:
its sum counts each page file once.

Examples:
  floe mem 4711 4712
  floe mem /run/server/floe.sock
  floe mem --tree $(pgrep -o server) --watch
  floe mem --tree 4711 --format csv > memory.csv
  floe mem --tree 4711 --format json | jq 'map(select(.region)) | map(.pss) | add'
  floe mem floe.sock --format json | jq 'map(.added // 0) | add'

Exit codes: 0 done, 1 no such process or not permitted, or no broker answers, 2 wrong usage"
)]
pub(crate) struct Arguments {
    /// Processes, or the socket of a broker for all processes that map one of its caches. A number
    /// is a process; for a socket with the name 4711 write ./4711
    #[arg(value_name = "PID|SOCKET", required_unless_present = "tree")]
    subjects: Vec<Subject>,

    /// Show this process and all its descendants
    #[arg(long, value_name = "PID", conflicts_with = "subjects")]
    tree: Option<u32>,

    /// Repeat every second, or every SECONDS, until the processes have ended
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

/// What the command line asks about.
#[derive(Debug, Clone)]
enum Subject {
    Process(u32),
    Broker(Socket),
}

impl From<OsString> for Subject {
    fn from(argument: OsString) -> Self {
        let number = argument.to_str().and_then(|text| text.parse().ok());
        number.map_or_else(|| Self::Broker(argument.into()), Self::Process)
    }
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
    Column("files", "FILES"),
    Column("beyond", "BEYOND"),
    Column("added", ""),
];

pub(crate) fn run(arguments: &Arguments, output: &mut Output) -> Result<(), CommandError> {
    let scope = scope(arguments)?;
    let mut reading = scope.read(true)?;
    loop {
        output.clear(arguments.format)?;
        table(&reading.processes).write(arguments.format, output)?;
        tell_unreadable(reading.unreadable, arguments.format, output)?;
        output.flush()?;
        let Some(pause) = arguments.watch else { break };
        output.pause(pause)?;
        reading = scope.read(false)?;
        if reading.processes.is_empty() {
            break;
        }
    }
    Ok(())
}

/// Asks brokers for the names of their caches, once: watching goes on when they have ended.
fn scope(arguments: &Arguments) -> Result<Scope, CommandError> {
    let mut scope = Scope {
        tree: arguments.tree,
        ..Scope::default()
    };
    for subject in &arguments.subjects {
        match subject {
            Subject::Process(pid) => scope.pids.push(*pid),
            Subject::Broker(socket) => {
                let names = socket.list()?.into_iter().map(|cache| cache.name);
                scope.caches.get_or_insert_default().extend(names);
            }
        }
    }
    Ok(scope)
}

/// Tells people how much they do not see, beside the rows that programs read.
fn tell_unreadable(count: u64, format: Format, output: &mut Output) -> Result<(), CommandError> {
    if count > 0 {
        let processes = counted(count, "process", "processes");
        let line = format!("{processes} could not be read: permission denied");
        match format {
            Format::Table => {
                output.styled(FAINT, line)?;
                writeln!(output)?;
            }
            Format::Json | Format::Csv => writeln!(stderr(), "floe: {line}")?,
        }
    }
    Ok(())
}

fn table(processes: &[Process]) -> Table {
    let mut table = Table::new(COLUMNS);
    let caches = generations::of(processes);
    let mut told = BTreeSet::new();
    let mut is_new = |file: &&MappedFile| told.insert((file.device, file.inode));
    for process in processes {
        let pid = Cell::Number(u64::from(process.pid));
        let name = Cell::text(&process.name);
        table.push(row(pid.clone(), name.clone(), process.memory, None));
        for region in &process.regions {
            let beyond = caches
                .get(&cache_of(region))
                .map(|cache| cache.beyond(&region.files));
            let region_of = Part {
                region: &region.name,
                generation: Some(region.generation),
                files: region.file_bytes(),
                beyond: beyond.unwrap_or(0),
                added: region
                    .files
                    .iter()
                    .filter(&mut is_new)
                    .map(|it| it.bytes)
                    .sum(),
            };
            let (pid, name) = (pid.clone().ditto(), name.clone().ditto());
            table.push_part(row(pid, name, Some(region.memory), Some(region_of)));
        }
    }
    let all = processes.iter().filter_map(|process| process.memory).sum();
    table.push_total(row(Cell::Empty, Cell::text("total"), Some(all), None));
    for ((name, _), cache) in &caches {
        for (number, generation) in &cache.generations {
            let part = Part {
                region: name,
                generation: Some(*number),
                files: bytes_of(&generation.files),
                beyond: cache.beyond(&generation.files),
                added: 0,
            };
            let mappers = counted(generation.mappers.len() as u64, "process", "processes");
            let mappers = Cell::text(mappers);
            table.push_total(row(
                Cell::Empty,
                mappers,
                Some(generation.memory),
                Some(part),
            ));
        }
        if cache.generations.len() > 1 {
            let files = cache.files();
            let part = Part {
                region: name,
                generation: None,
                files: bytes_of(&files),
                beyond: cache.beyond(&files),
                added: 0,
            };
            let label = Cell::text("all generations");
            table.push_total(row(Cell::Empty, label, Some(cache.memory()), Some(part)));
        }
    }
    table
}

/// What a row tells beside the memory of mappings: of a region, or of all generations of a cache.
struct Part<'a> {
    region: &'a str,
    generation: Option<u64>,
    files: u64,
    beyond: u64,
    /// Of page files that no row above has.
    added: u64,
}

fn row(pid: Cell, name: Cell, memory: Option<Usage>, part: Option<Part<'_>>) -> Vec<Cell> {
    let amounts: [fn(Usage) -> u64; 6] = [
        |memory| memory.uss,
        |memory| memory.pss,
        |memory| memory.rss,
        |memory| memory.vss,
        |memory| memory.anonymous,
        |memory| memory.swap,
    ];
    let cell = |amount: fn(Usage) -> u64| match memory {
        Some(memory) => Cell::Bytes(amount(memory)),
        None => Cell::Absent,
    };
    let of_part = |cell: fn(&Part<'_>) -> Cell| part.as_ref().map_or(Cell::Empty, cell);
    let mut cells = vec![pid, name];
    cells.push(of_part(|part| Cell::text(part.region)));
    cells.push(of_part(|part| {
        part.generation.map_or(Cell::Empty, Cell::Number)
    }));
    cells.extend(amounts.map(cell));
    cells.push(of_part(|part| Cell::Bytes(part.files)));
    cells.push(of_part(|part| Cell::Bytes(part.beyond)));
    cells.push(of_part(|part| Cell::Bytes(part.added)));
    cells
}
