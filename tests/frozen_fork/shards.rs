//! Forked parsers build the shards of one map.

use floe::map::MapShard;
use floe::prefork::{self, WorkerError};
use floe::{Error, Frozen, Map, MapBuilder};
use nix::libc;
use nix::sys::signal::{Signal, raise};

use crate::fixture::Meeting;
use crate::zoo::{Recipe, recipe};

type Recipes = Frozen<Map<String, Recipe>>;

const SHARDS: u32 = 4;
const RECIPES: u32 = 500;

/// What a parser does with its shard of the recipes.
fn insert(builder: &mut MapBuilder<String, Recipe>, shard: u32) {
    for number in shard * RECIPES..(shard + 1) * RECIPES {
        let recipe = recipe(number);
        builder.insert(&recipe.name, &recipe).unwrap();
    }
}

fn shards() -> [MapShard; SHARDS as usize] {
    [(); _].map(|()| MapShard::new("recipes").unwrap())
}

/// Opens the shards and makes one map of those that are whole.
fn joined(shards: impl IntoIterator<Item = MapShard>) -> (Recipes, Vec<Error>) {
    let mut whole = MapBuilder::new("recipes").unwrap();
    let mut refused = Vec::new();
    for shard in shards {
        match shard.open() {
            Ok(shard) => whole.append(&shard).unwrap(),
            Err(error) => refused.push(error),
        }
    }
    (whole.finish().unwrap(), refused)
}

/// The recipes with these numbers are there, in their order, and no others.
fn assert_recipes(recipes: &Recipes, numbers: impl IntoIterator<Item = u32>) {
    let mut found = recipes.iter();
    for number in numbers {
        let (name, value) = found.next().unwrap();
        let value: Recipe = floe::thaw(value).unwrap();
        assert_eq!((name.as_str(), &value), (&*value.name, &recipe(number)));
        assert!(recipes.contains_key(name));
    }
    assert!(found.next().is_none());
}

pub(crate) fn forked_parsers_build_one_map() {
    let shards = shards();
    let pool = prefork::spawn(SHARDS as usize, |worker| {
        let mut builder = shards[worker.index()].builder().unwrap();
        insert(&mut builder, worker.index() as u32);
        builder.finish().unwrap().len()
    });
    assert_eq!(
        pool.unwrap().join().unwrap(),
        [RECIPES as usize; SHARDS as usize]
    );
    let (recipes, refused) = joined(shards);
    assert!(refused.is_empty(), "{refused:?}");
    assert_recipes(&recipes, 0..SHARDS * RECIPES);

    let mut alone = MapBuilder::new("recipes").unwrap();
    (0..SHARDS).for_each(|shard| insert(&mut alone, shard));
    let alone = alone.finish().unwrap();
    assert!(alone.iter().map(|(name, _)| name).eq(recipes.keys()));
}

pub(crate) fn one_of_two_processes_gets_a_part() {
    const CONTESTS: usize = 200;
    let shards = [(); CONTESTS].map(|()| MapShard::new("contested").unwrap());
    let start = Meeting::new();
    let pool = prefork::spawn(2, |worker| {
        start.attend();
        let got = shards
            .iter()
            .map(|shard| match shard.builder::<u32, u32>() {
                Ok(mut builder) => {
                    builder.insert(&1, &(worker.index() as u32)).unwrap();
                    builder.finish().unwrap().len() == 1
                }
                Err(Error::ShardTaken { .. }) => false,
                Err(other) => panic!("{other}"),
            });
        got.collect::<Vec<bool>>()
    })
    .unwrap();
    start.hold(2, || ());
    let got = pool.join().unwrap();
    assert!(got[0].iter().zip(&got[1]).all(|(one, other)| one != other));
    // Those that come when the first is gone are too late as well, in any process.
    let late = || shards.iter().all(taken);
    assert_eq!(
        prefork::spawn(1, |_| late()).unwrap().join().unwrap(),
        [true]
    );
    assert!(late());
    for (shard, second) in shards.into_iter().zip(&got[1]) {
        let map = shard.open::<u32, u32>().unwrap();
        assert_eq!((map.len(), map[&1].to_native()), (1, u32::from(*second)));
    }
}

fn taken(shard: &MapShard) -> bool {
    matches!(shard.builder::<u32, u32>(), Err(Error::ShardTaken { .. }))
}

pub(crate) fn a_killed_parser_loses_its_own_part_only() {
    const KILLED: u32 = 2;
    let shards = shards();
    let pool = prefork::spawn(SHARDS as usize, |worker| {
        let index = worker.index() as u32;
        let mut builder = shards[worker.index()].builder().unwrap();
        insert(&mut builder, index);
        if index == KILLED {
            raise(Signal::SIGKILL).unwrap();
        }
        drop(builder.finish().unwrap());
    });
    for exit in pool.unwrap().wait().unwrap() {
        let killed = WorkerError::Killed {
            signal: libc::SIGKILL,
        };
        let expected = if exit.worker == KILLED as usize {
            Err(killed)
        } else {
            Ok(())
        };
        assert_eq!(exit.result, expected);
    }
    let (recipes, refused) = joined(shards);
    assert!(
        matches!(refused[..], [Error::Unsealed { .. }]),
        "{refused:?}"
    );
    let others = (0..SHARDS).filter(|shard| *shard != KILLED);
    assert_recipes(
        &recipes,
        others.flat_map(|shard| shard * RECIPES..(shard + 1) * RECIPES),
    );
}
