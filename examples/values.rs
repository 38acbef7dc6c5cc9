//! JSON dumps of any structure frozen as values: how large they become, alone and in one region, and
//! what it costs to freeze, to load and to read them: the time that passes, and that of processors.
//!
//! ```text
//! cargo run --release --example values -- caches/core_recipe_info.json caches/cachedata.json
//! ```
//! `{"__set__": [..]}` in a dump stands for a set, `"__class__"` is left out. The second figure of a
//! file is that of all files up to it, in one region.

use std::error::Error;
use std::hint::black_box;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Parser;
use floe::value::{ArchivedValue, Value, View};
use floe::{Frozen, Region};
use nix::time::{ClockId, clock_gettime};

/// Freezes JSON files as self-describing values
#[derive(Parser)]
struct Arguments {
    /// The files
    #[arg(required = true)]
    dumps: Vec<PathBuf>,
    /// Measure each thing so often, and print the least
    #[arg(long, default_value_t = 5)]
    rounds: u32,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    let mut together = Vec::new();
    for path in &arguments.dumps {
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        let json = std::fs::read(path)?;
        let value = decoded(serde_json::from_slice(&json)?);
        let alone = Frozen::freeze("alone", &value)?;
        together.push((Value::from(&*name), value));
        let all = Value::Dict(together);
        let region = Frozen::freeze("together", &all)?;
        println!(
            "{name}: {:.2} MiB of JSON, {:.2} frozen; up to it {:.2}",
            mib(json.len() as u64),
            mib(alone.region().size()),
            mib(region.region().size()),
        );
        measure(&all, region.region(), arguments.rounds)?;
        let Value::Dict(values) = all else { break };
        together = values;
    }
    Ok(())
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

fn measure(value: &Value, region: &Region, rounds: u32) -> Result<(), Box<dyn Error>> {
    let file = tempfile::NamedTempFile::new()?;
    region.save(file.path())?;
    let frozen = Frozen::<Value>::load(file.path())?;
    let texts = texts(&frozen);
    let fds = || frozen.region().try_clone_fds();
    println!(
        "    freeze {:?}, load and check {:?}, open and check {:?}, walk {:?}, {} lookups of {:?}",
        best(rounds, || Frozen::freeze("again", value).map(drop))?,
        best(rounds, || Frozen::<Value>::load(file.path()).map(drop))?,
        best(rounds, || Frozen::<Value>::from_fds(fds()?).map(drop))?,
        best(rounds, || {
            black_box(walk(&frozen));
            Ok(())
        })?,
        texts.len(),
        best(rounds, || {
            for (dict, key) in &texts {
                black_box(dict.get(key));
            }
            Ok(())
        })?
        .map(|time| time / texts.len().max(1) as u32),
    );
    Ok(())
}

/// The least time that passed in several rounds, and the least that processors worked for it.
fn best(rounds: u32, mut work: impl FnMut() -> floe::Result<()>) -> floe::Result<[Duration; 2]> {
    let mut least = [Duration::MAX; 2];
    for _ in 0..rounds {
        let (start, worked) = (Instant::now(), processor_time());
        work()?;
        least[0] = least[0].min(start.elapsed());
        least[1] = least[1].min(processor_time().saturating_sub(worked));
    }
    Ok(least)
}

fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID);
    time.map_or(Duration::ZERO, Duration::from)
}

/// What a dump has to say in JSON as the values that were meant.
fn decoded(value: Value) -> Value {
    match value {
        Value::List(items) => Value::List(items.into_iter().map(decoded).collect()),
        Value::Dict(mut entries) => {
            let is = |entry: &(Value, Value), name| entry.0.as_str() == Some(name);
            if let [entry] = &mut entries[..]
                && is(entry, "__set__")
                && let Value::List(items) = &mut entry.1
            {
                let items = std::mem::take(items).into_iter().map(decoded);
                return Value::FrozenSet(items.collect());
            }
            entries.retain(|entry| !is(entry, "__class__"));
            let entry = |(key, value)| (key, decoded(value));
            Value::Dict(entries.into_iter().map(entry).collect())
        }
        other => other,
    }
}

/// How many values there are.
fn walk(value: &ArchivedValue) -> u64 {
    let all = |values: &[ArchivedValue]| values.iter().map(walk).sum::<u64>();
    1 + match value.view() {
        View::Tuple(items) => all(items),
        View::List(list) => value.items().map_or(list.len() as u64, all),
        View::Dict(dict) => all(dict.values()),
        View::Set(set) => all(set.items()),
        _ => 0,
    }
}

/// Dicts and keys of them, in an order without a pattern.
fn texts(value: &ArchivedValue) -> Vec<(&ArchivedValue, String)> {
    let mut found = Vec::new();
    let mut pending = vec![value];
    while let Some(value) = pending.pop() {
        if let Some(dict) = value.as_dict() {
            let keys = dict.keys().iter().filter_map(ArchivedValue::as_str);
            found.extend(keys.map(|key| (value, key.to_owned())));
            pending.extend(dict.values());
        }
    }
    let mut state = 1_u64;
    for at in (1..found.len()).rev() {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        found.swap(at, (state >> 33) as usize % (at + 1));
    }
    found
}
