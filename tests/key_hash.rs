//! The hash of keys, pinned: where the index of a region has a key follows from it.

use floe::Key;
use floe::map::mix;
use rkyv::Archive;
use rkyv::api::high::{HighSerializer, HighValidator};
use rkyv::bytecheck::CheckBytes;
use rkyv::rancor::Error;
use rkyv::ser::allocator::ArenaHandle;
use rkyv::util::AlignedVec;

/// A value hashes to this, and so does its archived twin.
#[track_caller]
fn hashes<K>(key: &K, expected: u64)
where
    K: Key
        + Archive<Archived: Key + for<'a> CheckBytes<HighValidator<'a, Error>>>
        + for<'a> rkyv::Serialize<HighSerializer<AlignedVec, ArenaHandle<'a>, Error>>,
{
    assert_eq!(key.key_hash(), expected, "{:#018x}", key.key_hash());
    let bytes = rkyv::to_bytes::<Error>(key).unwrap();
    let archived = rkyv::access::<K::Archived, Error>(&bytes).unwrap();
    assert_eq!(archived.key_hash(), expected);
}

#[test]
fn integers() {
    hashes(&0_u64, 0);
    hashes(&1_u64, 0x8f79_1f50_969f_887d);
    hashes(&0x0123_4567_89ab_cdef_u64, 0x7915_e1e1_0f24_552c);
    hashes(&u64::MAX, 0x61c8_8646_80b5_83eb);
    hashes(&7_i32, 0x11a9_6e07_a07d_472c);
    // Signed ones are extended: equal numbers have equal hashes, whatever their width.
    hashes(&-1_i32, 0x61c8_8646_80b5_83eb);
    hashes(&-1_i8, 0x61c8_8646_80b5_83eb);
    hashes(&1_u8, 0x8f79_1f50_969f_887d);
    hashes(&1_u16, 0x8f79_1f50_969f_887d);
    hashes(&true, 0x8f79_1f50_969f_887d);
    hashes(&'ß', 0xbf5c_a53d_7748_1006);
    hashes(&1_u128, 0xc973_f055_9498_2360);
    hashes(&(1_u128 << 100), 0x483c_715c_692e_2e82);
    hashes(&-1_i128, 0xbc48_a2ec_5313_4afd);
}

#[test]
fn texts_and_bytes() {
    hashes(&String::new(), 0x0338_dc4b_e2ce_cdae);
    hashes(&"zlib".to_owned(), 0xb92d_e41c_8b20_aa84);
    hashes(
        &"a text of more than sixteen bytes".to_owned(),
        0xe193_ba08_cb1a_bd1c,
    );
    hashes(&vec![b'z', b'l', b'i', b'b'], "zlib".key_hash());
    hashes(&[7_u8; 32], 0x3952_74e4_7ee5_4929);
    hashes(
        &std::array::from_fn::<u8, 100, _>(|at| at as u8),
        0x989d_5c99_cfa6_e506,
    );
}

#[derive(Key, Archive, rkyv::Serialize)]
#[rkyv(derive(Key))]
struct Target {
    layer: u8,
    number: u32,
}

#[derive(Key, Archive, rkyv::Serialize)]
#[rkyv(derive(Key))]
enum Task {
    All,
    One(u64),
}

#[test]
fn compounds() {
    hashes(&(), 0);
    hashes(&None::<u32>, 0);
    hashes(&Some(7_u32), 0x9e9c_5cf3_8af3_14a7);
    hashes(&(1_u8, 2_u64), 0xa510_2468_bbec_e5f5);
    hashes(&[1_u16, 2, 3], 0xc5f3_6664_82ec_6bd8);
    hashes(&vec![1_u16, 2, 3], 0xc5f3_6664_82ec_6bd8);
    hashes(&(Some(5_u64), 'a'), 0x32a8_ed57_d883_7697);
    let (layer, number) = (7, 9);
    hashes(&Target { layer, number }, 0xe57a_d933_d769_9ae2);
    hashes(&Task::All, 0x3f6d_b4af_94e1_42d5);
    hashes(&Task::One(5), 0x25dc_9891_a23d_e59c);
    assert_eq!(mix(1, 2), 0xe930_f890_07b9_a14e);
}
