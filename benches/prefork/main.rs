//! What it costs to fork workers over a cache, and to read it in them: caches on the heap against
//! frozen ones.
//!
//! Each cache is built in a process of its own, the owner, by which it is measured; so nothing
//! that one leaves behind burdens the next. The results are `target/floe/prefork.json`, a page with
//! plots, and a picture for the README. Rows for which there is no memory are skipped, and say why.

mod bars;
mod cache;
mod owner;
mod page;
mod picture;
mod plot;
mod row;
mod table;

use floe_testkit::record as recipe;
use std::error::Error as StdError;
use std::io::{self, BufRead, BufReader, Write};
use std::num::NonZeroUsize;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::{env, fs};

use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};

use row::{Kind, Row};

/// What ends a run: wrong answers, or files that cannot be written.
pub(crate) type Error = Box<dyn StdError>;

/// Without being asked to, no row reads more than this in all its workers together.
const MOST_READ: u64 = 256 << 30;

/// Measures workers that are forked over a cache.
#[derive(Parser)]
struct Arguments {
    /// Measure small caches only, in a few seconds
    #[arg(long, alias = "test")]
    quick: bool,
    /// Sizes of the caches, such as 16M,1G
    #[arg(long, value_delimiter = ',', value_parser = parse_size)]
    sizes: Vec<u64>,
    /// Numbers of workers, such as 1,8
    #[arg(long, value_delimiter = ',')]
    workers: Vec<NonZeroUsize>,
    /// Be the owner of one kind of cache, and print its rows
    #[arg(long, hide = true)]
    owner: Option<Kind>,
    /// Given by `cargo bench`; without it, as in `cargo test`, a run is quick
    #[arg(long, hide = true)]
    bench: bool,
    /// Measure only if one of these is in `prefork`
    filters: Vec<String>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = match arguments.owner {
        Some(kind) => {
            let size = arguments.sizes.first().copied().unwrap_or_default();
            owner::run(kind, size, &arguments.grid().1)
        }
        None if arguments.leaves_it_out() => Ok(()),
        None => run(&arguments),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("prefork: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), Error> {
    let rows = measure_all(arguments)?;
    check_answers(&rows)?;
    let bars = bars::bars(&rows);
    let mut output = io::stdout();
    write!(output, "{}", table::Table(&rows))?;
    for bar in &bars {
        writeln!(output, "{bar}")?;
    }

    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("floe");
    fs::create_dir_all(&folder)?;
    let json = rows.iter().map(Row::to_json);
    let json = json.collect::<serde_json::Result<Vec<_>>>()?;
    let write = |name: &str, text: String| {
        let path = folder.join(name);
        fs::write(&path, text).map_err(|error| format!("cannot write {}: {error}", path.display()))
    };
    write("prefork.json", serde_json::to_string_pretty(&json)?)?;
    write("prefork.html", page::page(&rows, &bars))?;
    if let Some(picture) = picture::picture(&rows) {
        write("prefork.svg", picture)?;
    }
    let folder = folder.display();
    writeln!(output, "Written to {folder}: prefork.json, .html and .svg")?;
    Ok(())
}

/// All rows, from one owner after the other.
fn measure_all(arguments: &Arguments) -> Result<Vec<Row>, Error> {
    let (sizes, workers) = arguments.grid();
    let caches = sizes
        .iter()
        .flat_map(|&size| Kind::CACHES.map(|kind| (kind, size)));
    let plan: Vec<_> = [(Kind::Nothing, 0)].into_iter().chain(caches).collect();
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} {msg}")?;
    let progress = ProgressBar::new((plan.len() * workers.len()) as u64).with_style(style);
    let mut rows = Vec::new();
    for (kind, size) in plan {
        let too_much = |workers: usize| {
            arguments.workers.is_empty()
                && arguments.sizes.is_empty()
                && size.saturating_mul(workers as u64) > MOST_READ
        };
        let (left_out, asked): (Vec<usize>, _) =
            workers.iter().partition(|workers| too_much(**workers));
        progress.set_message(format!("{} {}", kind.label(), floe::usage::bytes(size)));
        measure_owner(kind, size, &asked, |row| {
            rows.push(row);
            progress.inc(1);
        })?;
        for workers in left_out {
            let reason = "it would take minutes; ask for it with --sizes and --workers";
            rows.push(Row::new(kind, size, workers, Err(reason.to_owned())));
            progress.inc(1);
        }
    }
    progress.finish_and_clear();
    Ok(rows)
}

/// Lets a process of its own measure one cache, and hands on the rows as they come.
fn measure_owner(
    kind: Kind,
    size: u64,
    workers: &[usize],
    mut add: impl FnMut(Row),
) -> Result<(), Error> {
    let listed: Vec<String> = workers.iter().map(usize::to_string).collect();
    let mut owner = Command::new(env::current_exe()?)
        .args(["--owner", kind.name(), "--sizes", &size.to_string()])
        .args(["--workers", &listed.join(",")])
        // What is freed after the build goes back to the system, as it would in time.
        .envs([
            ("MALLOC_MMAP_THRESHOLD_", "131072"),
            ("MALLOC_TRIM_THRESHOLD_", "131072"),
        ])
        .stdout(Stdio::piped())
        .spawn()?;
    let mut measured = 0;
    if let Some(output) = owner.stdout.take() {
        for line in BufReader::new(output).lines() {
            add(serde_json::from_str(&line?)?);
            measured += 1;
        }
    }
    let status = owner.wait()?;
    if status.code() == Some(1) {
        return Err(format!("the owner of {} failed", kind.label()).into());
    }
    for &workers in &workers[measured..] {
        let reason = format!("the owner was ended by the system: {status}");
        add(Row::new(kind, size, workers, Err(reason)));
    }
    Ok(())
}

/// All kinds of cache of one size gave the same answers.
fn check_answers(rows: &[Row]) -> Result<(), Error> {
    for row in rows {
        let other = rows.iter().find(|other| {
            other.cache_bytes == row.cache_bytes
                && other
                    .measured
                    .as_ref()
                    .zip(row.measured.as_ref())
                    .is_some_and(|(other, own)| other.digest != own.digest)
        });
        if let Some(other) = other {
            let (one, other) = (row.kind.label(), other.kind.label());
            let size = floe::usage::bytes(row.cache_bytes);
            return Err(format!("{one} and {other} gave different answers for {size}").into());
        }
    }
    Ok(())
}

impl Arguments {
    fn leaves_it_out(&self) -> bool {
        !self.filters.is_empty() && !self.filters.iter().any(|part| "prefork".contains(part))
    }

    /// The sizes and the numbers of workers to measure, all with all.
    fn grid(&self) -> (Vec<u64>, Vec<usize>) {
        let (sizes, workers): (&[u64], &[usize]) = if self.quick || !self.bench {
            (&[4 << 20, 16 << 20], &[1, 4])
        } else {
            let sizes = &[16 << 20, 64 << 20, 256 << 20, 1 << 30, 4 << 30];
            (sizes, &[1, 8, 64, 256])
        };
        let asked: Vec<usize> = self.workers.iter().map(|count| count.get()).collect();
        (given_or(&self.sizes, sizes), given_or(&asked, workers))
    }
}

fn given_or<T: Clone>(given: &[T], otherwise: &[T]) -> Vec<T> {
    let chosen = if given.is_empty() { otherwise } else { given };
    chosen.to_vec()
}

fn parse_size(text: &str) -> Result<u64, String> {
    let (digits, shift) = match text.as_bytes().last() {
        Some(b'K' | b'k') => (&text[..text.len() - 1], 10),
        Some(b'M' | b'm') => (&text[..text.len() - 1], 20),
        Some(b'G' | b'g') => (&text[..text.len() - 1], 30),
        _ => (text, 0),
    };
    let count: u64 = digits
        .parse()
        .map_err(|_| "expected a number of bytes, or of K, M or G".to_owned())?;
    count
        .checked_mul(1 << shift)
        .ok_or_else(|| "more bytes than 64 bits count".to_owned())
}
