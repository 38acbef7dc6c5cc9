//! What programs do with the library, each told by its name.

use std::cell::RefCell;
use std::error::Error;
use std::path::Path;
use std::time::Duration;
use std::{fs, process};

use floe::map::MapShard;
use floe::usage::{Usage, frames};
use floe::{
    Advice, Broker, Counters, Frozen, Live, Map, MapBuilder, Policy, Publisher, Store, prefork,
};
use floe_testkit::text;

type Outcome = Result<(), Box<dyn Error>>;
/// A path and what it is called.
type Named = (&'static str, fn(&Path) -> Outcome);
type Numbers = Map<String, u64>;

/// Those that fork come before those that start threads. Each gets an empty folder of its own.
pub const PATHS: [Named; 14] = [
    ("freeze", freeze),
    ("map", map),
    ("open", open),
    ("advise", advise),
    ("save", save),
    ("counters", counters),
    ("memory", memory),
    ("pool", pool),
    ("shard", shard),
    ("child", child),
    ("store", store),
    ("background", background),
    ("follow", follow),
    ("broker", broker),
];

/// Longer than what a freeze buffers, and than a huge page.
const LARGE: usize = 3 << 20;

fn freeze(_: &Path) -> Outcome {
    let frozen = Frozen::freeze("large", &text::long(7, LARGE))?;
    assert_eq!(frozen.len(), LARGE);
    Ok(())
}

fn numbers(name: &str, keys: &[&str]) -> floe::Result<Frozen<Numbers>> {
    let mut builder = MapBuilder::new(name)?;
    for (number, key) in keys.iter().enumerate() {
        builder.insert(&(*key).to_owned(), &(number as u64))?;
    }
    builder.finish()
}

fn map(_: &Path) -> Outcome {
    let (one, other) = (numbers("n", &["a", "b"])?, numbers("n", &["c"])?);
    let mut whole = MapBuilder::new("n")?;
    whole.append(&one)?;
    whole.append(&other)?;
    let whole = whole.finish()?;
    assert_eq!((whole["b"].to_native(), whole.len()), (1, 3));
    Ok(())
}

fn open(_: &Path) -> Outcome {
    let frozen = numbers("n", &["a", "b"])?;
    let descriptor = frozen.region().as_fd()?.try_clone_to_owned()?;
    let opened = Frozen::<Numbers>::from_fd(descriptor)?;
    assert_eq!(opened["b"], 1);
    Ok(())
}

fn advise(_: &Path) -> Outcome {
    let frozen = Frozen::freeze("large", &text::long(7, LARGE))?;
    frozen.region().advise(Advice::WillNeed)?;
    frozen.region().advise(Advice::Populate)?;
    Ok(())
}

fn save(folder: &Path) -> Outcome {
    let path = folder.join("n.floe");
    numbers("n", &["a", "b"])?.region().save(&path)?;
    assert_eq!(Frozen::<Numbers>::load(&path)?["b"], 1);
    let large = Frozen::freeze("large", &text::long(7, 3 * LARGE))?;
    large.region().save(&path)?;
    assert_eq!(Frozen::<String>::load(&path)?.len(), 3 * LARGE);
    Ok(())
}

fn counters(_: &Path) -> Outcome {
    let counters = Counters::for_workers(2)?;
    counters.of(1).count(Some(()));
    assert_eq!(counters.lookups(), 1);
    Ok(())
}

fn memory(_: &Path) -> Outcome {
    let frozen = numbers("n", &["a"])?;
    assert!(Usage::of_self()?.rss > 0);
    frames(process::id(), frozen.region().address_range())?;
    Ok(())
}

fn pool(_: &Path) -> Outcome {
    let frozen = numbers("n", &["a", "b"])?;
    let workers = prefork::spawn(3, |worker| frozen["b"].to_native() + worker.index() as u64)?;
    assert_eq!(workers.join()?, [1, 2, 3]);
    Ok(())
}

fn shard(_: &Path) -> Outcome {
    let shard = MapShard::new("n")?;
    let filled = prefork::spawn_try(1, |_| {
        let mut builder = shard.builder::<String, u64>()?;
        builder.insert(&"a".to_owned(), &7)?;
        builder.finish().map(drop)
    })?;
    filled.join()?;
    assert_eq!(shard.open::<String, u64>()?["a"], 7);
    Ok(())
}

fn store(folder: &Path) -> Outcome {
    let (source, saved) = (folder.join("source"), folder.join("saved"));
    fs::write(&source, "1").map_err(|why| format!("cannot write the source: {why}"))?;
    for expected in ["1", "2"] {
        let store = Store::open(&saved)?;
        let read = source.clone();
        let glob = folder.join("so*").to_str().unwrap().to_owned();
        let text = store.cache("text", Policy::new().revalidate_inputs(), move |inputs| {
            inputs.glob(&glob)?;
            Ok(String::from_utf8(inputs.read(&read)?.unwrap_or_default())?)
        })?;
        fs::write(&source, expected)?;
        store.refresh()?;
        kept_errors(&store)?;
        assert_eq!(text.get()?.as_str(), expected);
    }
    Ok(())
}

/// A child is told from its parent, whatever the mark is.
fn child(_: &Path) -> Outcome {
    let mut builder = MapBuilder::<String, u64>::new("n")?;
    builder.insert(&"a".to_owned(), &7)?;
    let builder = RefCell::new(Some(builder));
    let refused = prefork::spawn(1, |_| {
        let finished = builder.take().map(MapBuilder::finish);
        matches!(finished, Some(Err(floe::Error::NotOwner { .. })))
    })?;
    assert_eq!(refused.join()?, [true]);
    assert_eq!(builder.take().ok_or("lost")?.finish()?["a"], 7);
    Ok(())
}

/// The errors that a store keeps to itself.
fn kept_errors(store: &Store) -> Outcome {
    let status = store.status()?;
    match status.iter().find_map(|status| status.last_error.as_ref()) {
        Some(error) => Err(error.to_string().into()),
        None => Ok(()),
    }
}

fn background(_: &Path) -> Outcome {
    let store = Store::new();
    let number = store.cache("number", Policy::new(), |_| Ok(7_u64))?;
    store.refresh()?;
    kept_errors(&store)?;
    drop(store.refresh_in_background(Duration::from_secs(3600), |_| {})?);
    assert_eq!(*number.get()?, 7);
    Ok(())
}

fn follow(_: &Path) -> Outcome {
    let publisher = Publisher::new(&Frozen::freeze("number", &1_u64)?)?;
    let mut live = publisher.subscribe::<u64>()?;
    let watch = live.watch()?;
    publisher.set_expire_after(Some(Duration::from_secs(3600)))?;
    publisher.publish(&publisher.freeze(&2_u64)?)?;
    live.wait_newer(Duration::from_secs(1));
    watch.clear();
    let newest = *live.get()?;
    if let Some(error) = live.last_error() {
        return Err(error.to_string().into());
    }
    assert_eq!(newest, 2);
    Ok(())
}

fn broker(folder: &Path) -> Outcome {
    let path = folder.join("socket");
    let publisher = Publisher::new(&Frozen::freeze("number", &1_u64)?)?;
    let broker = Broker::serve(&path, [&publisher])?;
    assert_eq!(floe::broker::list(&path)?.len(), 1);
    let mut live = Live::<u64>::connect(&path, "number")?;
    assert_eq!(*live.get()?, 1);
    drop(floe::broker::fetch(&path, "number")?);
    broker.stop();
    Ok(())
}
