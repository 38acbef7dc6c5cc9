//! Different structures have different fingerprints; equal ones are equal in every build and
//! process.

use super::*;

/// The fingerprint of the one type that `$definition` defines.
macro_rules! fingerprint {
    ($kind:ident $name:ident $($definition:tt)*) => {{
        #[derive(Archive)]
        #[rkyv(derive(Schema))]
        #[allow(dead_code)]
        $kind $name $($definition)*
        let description = Description::of::<Archived<$name>>();
        (description.fingerprint(), stringify!($kind $name $($definition)*).to_owned())
    }};
}

fn built_in<T: Archive<Archived: Schema>>() -> (Fingerprint, String) {
    (
        Description::of::<T::Archived>().fingerprint(),
        std::any::type_name::<T>().to_owned(),
    )
}

#[test]
fn different_structures_differ() {
    let fingerprints = [
        fingerprint!(
            struct A {
                a: u32,
                b: u32,
            }
        ),
        fingerprint!(
            struct B {
                a: u32,
                b: u32,
            }
        ),
        fingerprint!(
            struct A {
                b: u32,
                a: u32,
            }
        ),
        fingerprint!(
            struct A {
                a: u32,
                c: u32,
            }
        ),
        fingerprint!(
            struct A {
                a: u32,
                b: i32,
            }
        ),
        fingerprint!(
            struct A {
                a: u32,
                b: u32,
                c: u8,
            }
        ),
        fingerprint!(
            struct A {
                a: u32,
            }
        ),
        fingerprint!(
            struct A(u32, u32);
        ),
        fingerprint!(
            struct A(u32);
        ),
        fingerprint!(
            struct A;
        ),
        fingerprint!(
            struct A {}
        ),
        fingerprint!(
            enum A {
                X,
                Y,
            }
        ),
        fingerprint!(
            enum A {
                Y,
                X,
            }
        ),
        fingerprint!(
            enum A {
                X,
                Z,
            }
        ),
        fingerprint!(
            enum A {
                X,
                Y,
                Z,
            }
        ),
        fingerprint!(
            enum A {
                X,
                Y = 2,
            }
        ),
        fingerprint!(
            enum A {
                X,
                Y(),
            }
        ),
        fingerprint!(
            enum A {
                X,
                Y {},
            }
        ),
        fingerprint!(
            enum A {
                X,
                Y(u32),
            }
        ),
        fingerprint!(
            enum A {
                X,
                Y { y: u32 },
            }
        ),
        built_in::<Vec<u64>>(),
        built_in::<Vec<f64>>(),
        built_in::<Vec<i64>>(),
        built_in::<[u64; 2]>(),
        built_in::<[u64; 3]>(),
        built_in::<Box<[u64]>>(),
        built_in::<Box<u64>>(),
        built_in::<Option<Box<u64>>>(),
        built_in::<Rc<u64>>(),
        built_in::<Weak<u64>>(),
        built_in::<Option<u64>>(),
        built_in::<Option<NonZeroU32>>(),
        built_in::<NonZeroU32>(),
        built_in::<u32>(),
        built_in::<char>(),
        built_in::<(u32,)>(),
        built_in::<(u32, u32)>(),
        built_in::<String>(),
        built_in::<Box<str>>(),
        built_in::<BTreeMap<u8, u8>>(),
        built_in::<HashMap<u8, u8>>(),
        built_in::<BTreeSet<u8>>(),
        built_in::<HashSet<u8>>(),
        built_in::<BTreeMap<u8, ()>>(),
        built_in::<Duration>(),
        built_in::<Tree<u8>>(),
        built_in::<Tree<i8>>(),
        built_in::<Borrowed<'_, u16, 2>>(),
        built_in::<Borrowed<'_, u16, 3>>(),
    ];
    for (position, (fingerprint, name)) in fingerprints.iter().enumerate() {
        for (other_fingerprint, other) in &fingerprints[..position] {
            assert_ne!(fingerprint, other_fingerprint, "{name} and {other}");
        }
    }
}

#[test]
fn equal_structures_are_equal() {
    let here = fingerprint!(
        struct A {
            a: u32,
            b: Vec<String>,
        }
    );
    let there = fingerprint!(
        struct A {
            a: u32,
            b: Vec<String>,
        }
    );
    assert_eq!(here, there);
}

#[test]
fn json_and_fingerprint_stay_as_they_are() {
    let description = Description::of::<ArchivedKind>();
    let expected = concat!(
        r#"{"root":0,"types":[{"name":"Kind","size":24,"align":8,"shape":{"enum":{"variants":["#,
        r#"{"name":"Native","tag":0,"style":"unit","fields":[]},"#,
        r#"{"name":"Cross","tag":1,"style":"named","fields":["#,
        r#"{"name":"word","offset":1,"type":1},{"name":"target","offset":8,"type":2},"#,
        r#"{"name":"ref","offset":16,"type":3}]},"#,
        r#"{"name":"Other","tag":7,"style":"tuple","fields":["#,
        r#"{"name":"0","offset":2,"type":4},{"name":"1","offset":4,"type":5}]},"#,
        r#"{"name":"Last","tag":8,"style":"unit","fields":[]}]}}},"#,
        r#"{"name":"u8","size":1,"align":1,"shape":"unsigned"},"#,
        r#"{"name":"u64","size":8,"align":8,"shape":"unsigned"},"#,
        r#"{"name":"bool","size":1,"align":1,"shape":"bool"},"#,
        r#"{"name":"u16","size":2,"align":2,"shape":"unsigned"},"#,
        r#"{"name":"String","size":8,"align":4,"shape":"string"}]}"#,
    );
    assert_eq!(String::from_utf8(description.to_json()).unwrap(), expected);
    assert_eq!(
        description.fingerprint().to_string(),
        "4d55c01d0900f2d245f00b688e3cb98d"
    );
}

#[test]
fn json_of_tuples_sets_and_addresses_stays_as_it_is() {
    let json = |description: Description| String::from_utf8(description.to_json()).unwrap();
    let expected = concat!(
        r#"{"root":3,"types":[{"name":"u8","size":1,"align":1,"shape":"unsigned"},"#,
        r#"{"name":"()","size":0,"align":1,"shape":"unit"},"#,
        r#"{"name":"BTreeMap<u8, ()>","size":8,"align":4,"shape":{"b_tree_map":"#,
        r#"{"key":0,"value":1,"node_entries":5}}},"#,
        r#"{"name":"BTreeSet<u8>","size":8,"align":4,"shape":{"set":{"map":2}}}]}"#,
    );
    assert_eq!(json(Description::of::<Archived<BTreeSet<u8>>>()), expected);
    let expected = concat!(
        r#"{"root":3,"types":[{"name":"IpAddr","size":17,"align":1,"#,
        r#""shape":{"address":{"v4":1,"v6":2}}},"#,
        r#"{"name":"Ipv4Addr","size":4,"align":1,"shape":"ip_addr"},"#,
        r#"{"name":"Ipv6Addr","size":16,"align":1,"shape":"ip_addr"},"#,
        r#"{"name":"(IpAddr,)","size":17,"align":1,"shape":{"tuple":"#,
        r#"{"parts":[{"name":"0","offset":0,"type":0}]}}}]}"#,
    );
    assert_eq!(json(Description::of::<Archived<(IpAddr,)>>()), expected);
}

#[test]
fn fingerprint_is_shown_as_32_digits_and_stored_in_16_bytes() {
    let mut bytes = [0; 16];
    bytes[0] = 0xab;
    let fingerprint = Fingerprint::from_le_bytes(bytes);
    assert_eq!(fingerprint.to_string(), "000000000000000000000000000000ab");
    assert_eq!(
        format!("{fingerprint:?}"),
        "Fingerprint(000000000000000000000000000000ab)"
    );
    assert_eq!(fingerprint.to_le_bytes(), bytes);
}
