//! Hash tables and B-trees inside values: what rkyv reads there must have been checked.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::rc::Rc;
use std::sync::Arc;

use floe::{Content, Frozen, Intern, Map, Schema, Value};

use indexmap::IndexMap;

use crate::forge::{Forgery, point, put_u32, u32_at};
use crate::refusal::assert_invalid_archive;

type Table = HashMap<String, u64>;
type Tree = BTreeMap<u64, String>;

fn forgery<T: Value>(value: &T) -> Forgery {
    Forgery::of(&Frozen::freeze_on_heap("collections", value).unwrap())
}

/// The forgery of a value, and its archive to look at.
fn forgery_and_archive<T: Value>(value: &T) -> (Forgery, Vec<u8>) {
    let mut forged = forgery(value);
    let archive = forged.archive().clone();
    (forged, archive)
}

/// Archive offsets of the control bytes of a hash table, and its capacity; the root of the
/// archive is the table.
fn controls(archive: &[u8]) -> (usize, usize) {
    let root = archive.len() - 12;
    let offset = u32_at(archive, root) as i32;
    let start = root.checked_add_signed(offset as isize).unwrap();
    (start, u32_at(archive, root + 8) as usize)
}

/// Groups of control bytes are read beyond the capacity, where the first ones are repeated. A
/// full byte there leads a lookup to a slot that is empty, with bytes that nobody checked.
#[test]
fn control_bytes_behind_the_capacity_lead_to_no_empty_slot() {
    for length in [1, 5, 20, 100] {
        let table: Table = (0..length).map(|n| (format!("key {n}"), n)).collect();
        let (honest, archive) = forgery_and_archive(&table);
        Frozen::<Table>::from_bytes(&honest.bytes()).unwrap();
        let (start, capacity) = controls(&archive);
        for slot in (0..capacity.min(15)).filter(|slot| archive[start + slot] == 0xff) {
            let mut forged = honest.clone();
            forged.archive()[start + capacity + slot] = 0x11;
            assert_invalid_archive::<Table>(&forged.bytes());
        }
    }
}

/// rkyv's check lets the positions of an index map be anything: a lookup would panic.
#[test]
fn positions_of_an_index_map_lead_to_entries() {
    let map: IndexMap<String, u64> = (0..20).map(|n| (format!("key {n}"), n)).collect();
    let (honest, archive) = forgery_and_archive(&map);
    Frozen::<IndexMap<String, u64>>::from_bytes(&honest.bytes()).unwrap();
    let root = archive.len() - 16;
    let start = root
        .checked_add_signed(u32_at(&archive, root) as i32 as isize)
        .unwrap();
    let capacity = u32_at(&archive, root + 8) as usize;
    for slot in (0..capacity).filter(|slot| archive[start + slot] & 0x80 == 0) {
        let mut forged = honest.clone();
        put_u32(forged.archive(), start - (slot + 1) * 4, 20);
        assert_invalid_archive::<IndexMap<String, u64>>(&forged.bytes());
    }
    for (slot, seen) in (0..capacity).map(|slot| (slot, archive[start + slot])) {
        let mut forged = honest.clone();
        forged.archive()[start + slot] = seen ^ 0x80;
        assert_invalid_archive::<IndexMap<String, u64>>(&forged.bytes());
    }
}

#[test]
fn a_hash_table_lies_about_its_length() {
    let table: Table = (0..20).map(|n| (format!("key {n}"), n)).collect();
    let (honest, archive) = forgery_and_archive(&table);
    let root = archive.len() - 12;
    for (field, value) in [
        (4, 19),
        (4, 21),
        (4, u32::MAX),
        (8, 20),
        (8, 0),
        (8, u32::MAX),
    ] {
        let mut forged = honest.clone();
        put_u32(forged.archive(), root + field, value);
        assert_invalid_archive::<Table>(&forged.bytes());
    }
}

/// The leaves of a tree of two levels, as archive offsets, and the root node.
///
/// A node of `Tree` has a kind, 5 keys of 8 bytes from 8 on, 5 values of 8 bytes from 48 on, and
/// from 88 on the length of a leaf or the 6 pointers of an inner node.
fn nodes(archive: &[u8]) -> (usize, Vec<usize>) {
    let target = |place: usize| {
        let offset = u32_at(archive, place) as i32;
        place.checked_add_signed(offset as isize).unwrap()
    };
    let root = target(archive.len() - 8);
    assert_eq!(archive[root], 1, "the root is an inner node");
    let pointers = (0..6).map(|number| root + 88 + 4 * number);
    let leaves = pointers
        .filter(|place| u32_at(archive, *place) != 1)
        .map(target);
    (root, leaves.collect())
}

fn tree() -> (Forgery, Vec<u8>) {
    let tree: Tree = (0..35).map(|n| (n, format!("value number {n}"))).collect();
    forgery_and_archive(&tree)
}

/// An iterator takes the first entry of a leaf for granted.
#[test]
fn a_leaf_without_entries_is_refused() {
    let (honest, archive) = tree();
    let (_, leaves) = nodes(&archive);
    for leaf in leaves {
        let mut forged = honest.clone();
        let archive = forged.archive();
        let (length, root) = (u32_at(archive, leaf + 88), archive.len() - 4);
        put_u32(archive, leaf + 88, 0);
        put_u32(archive, root, 35 - length);
        assert_invalid_archive::<Tree>(&forged.bytes());
    }
}

/// An iterator follows the first pointer of an inner node without asking whether it leads
/// anywhere.
#[test]
fn an_inner_node_without_a_first_child_is_refused() {
    let (honest, archive) = tree();
    let (root, leaves) = nodes(&archive);
    let mut forged = honest;
    let archive = forged.archive();
    let (length, end) = (u32_at(archive, leaves[0] + 88), archive.len() - 4);
    put_u32(archive, root + 88, 1);
    put_u32(archive, end, 35 - length);
    assert_invalid_archive::<Tree>(&forged.bytes());
}

#[test]
fn a_tree_lies_about_its_nodes() {
    let (honest, archive) = tree();
    let (root, leaves) = nodes(&archive);
    let end = archive.len();
    let words = [
        (end - 4, 34),
        (end - 4, 36),
        (leaves[1] + 88, 6),
        (leaves[1] + 88, u32::MAX),
        (root, 2),
        (root, 0),
        (leaves[2], 1),
    ];
    for (place, value) in words {
        let mut forged = honest.clone();
        put_u32(forged.archive(), place, value);
        assert_invalid_archive::<Tree>(&forged.bytes());
    }
    // A node that is its own child, and a child beyond the end.
    for target in [root as i64, end as i64, -8, i64::from(i32::MIN)] {
        let mut forged = honest.clone();
        point(forged.archive(), root + 92, target);
        assert_invalid_archive::<Tree>(&forged.bytes());
    }
}

#[test]
fn honest_collections_of_every_size_are_accepted() {
    for length in 0..260 {
        let tree: Tree = (0..length).map(|n| (n, format!("value {n}"))).collect();
        let frozen = Frozen::<Tree>::from_bytes(&forgery(&tree).bytes()).unwrap();
        assert!(frozen.iter().map(|(key, _)| key.to_native()).eq(0..length));
        let table: Table = (0..length).map(|n| (format!("key {n}"), n)).collect();
        let frozen = Frozen::<Table>::from_bytes(&forgery(&table).bytes()).unwrap();
        assert!(
            table
                .iter()
                .all(|(key, value)| frozen[key.as_str()] == *value)
        );
    }
}

/// Makes each empty control byte of a small table a full one. Some of them lie behind the
/// capacity, and only a walk to where the table is can notice that.
#[track_caller]
fn refused_inside<T: Value>(wrap: impl FnOnce(Table) -> T) -> usize {
    let honest = forgery(&wrap(Table::from([("key".to_owned(), 7)])));
    Frozen::<T>::from_bytes(&honest.bytes()).unwrap();
    let refused = refusals_of_full_controls::<T>(&honest);
    assert!(refused > 0, "{}", std::any::type_name::<T>());
    refused
}

fn refusals_of_full_controls<T: Content>(honest: &Forgery) -> usize {
    let length = honest.clone().archive().len();
    let refused = |place: &usize| {
        let mut forged = honest.clone();
        if std::mem::replace(&mut forged.archive()[*place], 0x11) != 0xff {
            return false;
        }
        Frozen::<T>::from_bytes(&forged.bytes())
            .is_err_and(|error| error.to_string().contains("leads to an empty slot"))
    };
    (0..length).filter(refused).count()
}

#[derive(rkyv::Archive, rkyv::Serialize)]
#[rkyv(derive(Schema))]
enum Choice {
    Text(String),
    Table { number: u32, table: Table },
}

#[derive(rkyv::Archive, rkyv::Serialize)]
#[rkyv(derive(Schema))]
struct Interning {
    #[rkyv(with = Intern)]
    choices: Vec<Wrapped>,
}

/// A table in a form that can be interned.
#[derive(Hash, rkyv::Archive, rkyv::Serialize)]
#[rkyv(derive(Schema))]
struct Wrapped {
    tree: BTreeMap<u64, String>,
}

#[test]
fn collections_are_checked_wherever_they_are() {
    refused_inside(|table| table);
    refused_inside(|table| (1_u8, table));
    refused_inside(|table| [table]);
    refused_inside(|table| vec![Table::new(), table]);
    refused_inside(|table| vec![Table::new(), table].into_boxed_slice());
    refused_inside(Some);
    refused_inside(|table| vec![None, Some(Box::new(table))]);
    refused_inside(Rc::new);
    let outer = refused_inside(|_| HashMap::from([(1_u32, 7_u64)]));
    let both = refused_inside(|table| HashMap::from([(1_u32, table)]));
    assert!(both > outer);
    refused_inside(|table| BTreeMap::from([(1_u32, table)]));
    refused_inside(|table| {
        (0..30)
            .map(|n| (n, table.clone()))
            .collect::<BTreeMap<u32, _>>()
    });
    refused_inside(|table| Choice::Table { number: 1, table });
    refused_inside(|table| {
        vec![
            Choice::Text("text".to_owned()),
            Choice::Table { number: 1, table },
        ]
    });
    refused_inside(|table| table.into_keys().collect::<HashSet<String>>());
}

#[derive(rkyv::Archive, rkyv::Serialize)]
#[rkyv(derive(Schema))]
struct Sharing {
    short: Rc<[Table]>,
    long: Arc<[Table]>,
}

/// rkyv holds pointers of one type to one length, not those of two types.
#[test]
fn slices_behind_pointers_of_two_types_are_checked_to_the_longer_end() {
    let full = Table::from([("key".to_owned(), 7)]);
    let mut forged = forgery(&Sharing {
        short: Rc::from([Table::new(), full]),
        long: Arc::from([]),
    });
    let archive = forged.archive();
    // From the end: pointer and length of the one slice, pointer and length of the other.
    let short = archive.len() - 16;
    let target = short as i64 + i64::from(u32_at(archive, short) as i32);
    put_u32(archive, short + 4, 1);
    point(archive, short + 8, target);
    put_u32(archive, short + 12, 2);
    let honest = Frozen::<Sharing>::from_bytes(&forged.bytes()).unwrap();
    assert_eq!((honest.short.len(), honest.long[1].len()), (1, 1));
    assert!(refusals_of_full_controls::<Sharing>(&forged) > 0);
}

#[test]
fn collections_are_checked_in_every_entry_of_a_map() {
    let tables = (0..3_u32).map(|key| (key, Table::from([("key".to_owned(), 7)])));
    let honest = Forgery::of(&Map::freeze("tables", tables).unwrap());
    let refused = refusals_of_full_controls::<Map<u32, Table>>(&honest);
    assert!(refused > 0 && refused.is_multiple_of(3));
}

#[test]
fn interned_collections_are_checked() {
    let tree: Tree = (0..6).map(|n| (n, format!("value number {n}"))).collect();
    let mut forged = forgery(&Interning {
        choices: vec![Wrapped { tree }],
    });
    let archive = forged.archive();
    // From the end: the pointer to the vector, the vector, the tree, the root node.
    let tree = archive.len() - 4 - 8 - 8;
    let root = tree
        .checked_add_signed(u32_at(archive, tree) as i32 as isize)
        .unwrap();
    assert_eq!((u32_at(archive, tree + 4), archive[root]), (6, 1));
    put_u32(archive, root + 88, 1);
    put_u32(archive, tree + 4, 5);
    let reason = assert_invalid_archive::<Interning>(&forged.bytes());
    assert!(reason.contains("without a first child"), "{reason}");
}
