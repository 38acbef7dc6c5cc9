//! A BitBake layer's caches, frozen and read by forked workers, beside the same caches inherited
//! on the heap.
#![forbid(unsafe_code)]

mod arguments;
mod cached;
mod caches;
mod code;
mod comparison;
mod dumps;
mod generate;
mod interning;
mod layer;
mod objects;
mod parsers;
mod patterns;
mod recipes;
mod report;
mod source;
mod statements;
mod walk;
mod watch;

use std::cell::RefCell;
use std::error::Error;
use std::fs;
use std::io::{self, Write, stdout};
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use counting_allocator as allocator;
use floe::{Inputs, Store};

use arguments::Arguments;
use caches::{Cache, Form};
use report::{CacheSize, Report};
use source::Source;

pub use generate::generate;
pub use parsers::ParserCosts;

type Result<T, E = Box<dyn Error>> = std::result::Result<T, E>;

/// The caches of a layer tree that a store keeps fresh.
pub struct LayerCaches {
    statements: cached::Statements,
}

impl LayerCaches {
    /// Adds the caches of the layer tree at `root` to a store, which builds them when it is
    /// refreshed.
    ///
    /// # Errors
    /// Those of [`Store::keyed`].
    pub fn add(store: &Store, root: &Path) -> floe::Result<Self> {
        let caches = Self::without_code(store, root)?;
        cached::code(store, &caches.statements)?;
        Ok(caches)
    }

    /// The same without the caches of code.
    fn without_code(store: &Store, root: &Path) -> floe::Result<Self> {
        let statements = cached::statements(store, root)?;
        cached::recipes(store, root, &statements)?;
        Ok(Self { statements })
    }

    /// How many files the tree has.
    ///
    /// # Errors
    /// Those of [`floe::Cache::get`].
    pub fn files(&self) -> floe::Result<usize> {
        Ok(self.statements.get()?.len())
    }

    /// How many statements a file has; `None` if there is no such file.
    ///
    /// # Errors
    /// As [`files`](Self::files).
    pub fn statements_of(&self, path: &str) -> floe::Result<Option<usize>> {
        let statements = self.statements.get()?;
        Ok(statements.get(path).map(|file| file.statements.len()))
    }
}

/// The files of a layer tree that the caches are made from, relative to its root.
///
/// # Errors
/// If a folder cannot be listed.
pub fn layer_files(root: &Path) -> floe::Result<Vec<String>> {
    layer::discovery::files(root, &mut Inputs::new())
}

/// Reads a layer tree, its code by so many processes; what it cost to bring together what they found.
///
/// # Errors
/// If the tree cannot be read, or this process has other threads.
pub fn parser_costs(root: &Path, parsers: usize) -> Result<Option<ParserCosts>> {
    let layer = layer::Layer::read(root, layer::Parsers::Processes(parsers))?;
    Ok(layer.parser_costs)
}

/// Does what the command line says.
pub fn run() -> ExitCode {
    let arguments = Arguments::parse();
    let done = match (&arguments.layer, arguments.watch) {
        (Some(layer), true) => watch::watch(layer, &arguments),
        _ => match Source::read(&arguments) {
            Ok(source) => compare(&arguments, source),
            Err(error) => {
                eprintln!("bitbake: {error}");
                return ExitCode::from(2);
            }
        },
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if is_closed_pipe(&*error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bitbake: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Whoever reads the output may stop when they have seen enough.
fn is_closed_pipe(error: &(dyn Error + 'static)) -> bool {
    let error = error.downcast_ref::<io::Error>();
    error.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

fn compare(arguments: &Arguments, source: Source) -> Result<()> {
    let (name, files, parse_seconds) = (source.name, source.files, source.parse_seconds);
    let (mut out, mut caches) = (stdout(), source.caches);
    writeln!(out, "{name}: {files} files parsed in {parse_seconds:.2} s")?;
    for note in source.notes {
        writeln!(out, "  {note}")?;
    }
    let start = Instant::now();
    for cache in &mut caches {
        cache.freeze()?;
    }
    let freeze_seconds = start.elapsed().as_secs_f64();
    caches.iter().try_for_each(|cache| cache.verify())?;
    let verified = "every frozen entry equals its source in every field";
    writeln!(out, "  frozen in {freeze_seconds:.2} s; {verified}")?;
    if let Some(directory) = &arguments.keep {
        keep(&caches, directory)?;
    }

    // One form after the other, so that no worker inherits what it does not need, nor what reading
    // the source has left.
    let caches = RefCell::new(caches);
    let workers = arguments.workers;
    let measure = |form| {
        allocator::trim();
        comparison::run(&caches, form, workers)
    };
    let inherited = measure(Form::Heap)?;
    let mut sizes = vec![];
    for cache in caches.borrow_mut().iter_mut() {
        cache.make_objects();
        sizes.push(CacheSize {
            name: cache.name().to_owned(),
            entries: cache.entries(),
            heap_bytes: allocator::freed_by(|| cache.drop_form(Form::Heap)),
            frozen_bytes: cache.region().map_or(0, |region| region.len() as u64),
        });
    }
    let inherited_refcounted = measure(Form::Objects)?;
    let drop_objects = |cache: &mut Box<dyn Cache>| cache.drop_form(Form::Objects);
    caches.borrow_mut().iter_mut().for_each(drop_objects);
    let frozen = measure(Form::Frozen)?;

    let report = Report {
        layer: name,
        files,
        parse_seconds,
        freeze_seconds,
        parsers: source.parser_costs,
        caches: sizes,
        workers,
        inherited,
        inherited_refcounted,
        frozen,
    };
    writeln!(out, "{report}")?;
    if let Some(path) = &arguments.json {
        fs::write(path, serde_json::to_vec_pretty(&report)?)
            .map_err(|error| format!("cannot write {}: {error}", path.display()))?;
    }
    report.check_answers()
}

/// Leaves the regions as files, for the tool `floe` to look into.
fn keep(caches: &[Box<dyn Cache>], directory: &Path) -> Result<()> {
    fs::create_dir_all(directory)
        .map_err(|error| format!("cannot create {}: {error}", directory.display()))?;
    for cache in caches {
        let path = directory.join(cache.name()).with_extension("floe");
        cache.save(&path)?;
        writeln!(stdout(), "  kept as {}", path.display())?;
    }
    Ok(())
}
