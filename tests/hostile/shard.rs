//! Shards that were taken twice, never finished, or finished empty.

use floe::map::MapShard;
use floe::{Error, MapBuilder};

#[test]
fn a_part_has_one_builder() {
    let shard = MapShard::new("shards").unwrap();
    let first = shard.builder::<u32, u32>().unwrap();
    let taken = |error| matches!(error, Error::ShardTaken { name } if name == "shards");
    assert!(taken(shard.builder::<u32, u32>().unwrap_err()));
    // Whatever became of the first one.
    drop(first);
    assert!(taken(shard.builder::<u32, u32>().unwrap_err()));
}

#[test]
fn a_part_that_nobody_finished_is_not_opened() {
    let unsealed = |shard: MapShard| match shard.open::<u32, u32>() {
        Err(Error::Unsealed { missing }) => assert!(missing.contains("F_SEAL_WRITE")),
        other => panic!("{other:?}"),
    };
    unsealed(MapShard::new("untouched").unwrap());
    let shard = MapShard::new("dropped").unwrap();
    let mut builder = shard.builder::<u32, u32>().unwrap();
    builder.insert(&1, &2).unwrap();
    drop(builder);
    unsealed(shard);
    let shard = MapShard::new("open").unwrap();
    let _builder = shard.builder::<u32, u32>().unwrap();
    unsealed(shard);
}

#[test]
fn a_part_is_opened_as_what_it_was_built() {
    let shard = MapShard::new("typed").unwrap();
    shard.builder::<u32, u32>().unwrap().finish().unwrap();
    assert!(matches!(
        shard.open::<u32, i32>(),
        Err(Error::SchemaMismatch { .. })
    ));
}

#[test]
fn an_empty_part_is_an_empty_map() {
    let shard = MapShard::new("empty").unwrap();
    shard.builder::<u32, String>().unwrap().finish().unwrap();
    let empty = shard.open::<u32, String>().unwrap();
    assert!(empty.is_empty() && empty.iter().next().is_none() && empty.get(&0_u32).is_none());
    let mut builder = MapBuilder::<u32, String>::new("whole").unwrap();
    builder.append(&empty).unwrap();
    assert!(builder.finish().unwrap().is_empty());
}

#[test]
fn an_empty_builder_is_an_empty_map_on_the_heap_too() {
    let empty = || MapBuilder::<u32, String>::on_heap("empty").unwrap();
    let mut merged = empty();
    merged.merge(empty()).unwrap();
    assert!(merged.finish().unwrap().is_empty());
    assert!(empty().finish().unwrap().get(&0_u32).is_none());
}
