//! Whole values: what is frozen reads back, from the first handle, a clone, and a copy of the
//! bytes.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::num::{NonZeroI64, NonZeroU8};
use std::ops::{Bound, Range, RangeInclusive};
use std::rc::{self, Rc};
use std::sync::Arc;
use std::time::Duration;

use floe::{Error, Frozen, Intern, Schema, Sorted, Value};
use floe_testkit::zoo::{Recipe, recipe};
use rkyv::de::Pool;
use rkyv::rancor::{self, Source, Strategy};
use rkyv::ser::Writer;
use rkyv::validation::ArchiveContext;
use rkyv::with::{DefaultNiche, Map as Each, MapKV, NicheInto};
use rkyv::{Archive, Deserialize, Serialize};

/// Shows a check every handle that a value can be read through.
pub fn through_every_handle<T: Value>(value: &T, check: impl Fn(&Frozen<T>)) {
    let frozen = Frozen::freeze_on_heap("value", value).unwrap();
    check(&frozen);
    let clone = frozen.clone();
    let copy = Frozen::from_bytes(frozen.region().bytes()).unwrap();
    drop(frozen);
    check(&clone);
    check(&copy);
}

fn reads_back<T>(value: &T)
where
    T: Value + PartialEq + std::fmt::Debug,
    T::Archived: Deserialize<T, Strategy<Pool, rancor::Error>>,
{
    through_every_handle(value, |frozen| {
        let back: T = rkyv::deserialize::<_, rancor::Error>(&**frozen).unwrap();
        assert_eq!(back, *value);
    });
}

#[test]
fn scalars_and_texts() {
    reads_back(&());
    reads_back(&true);
    reads_back(&u128::MAX);
    reads_back(&'ß');
    reads_back(&-1.5_f64);
    reads_back(&String::new());
    reads_back(&"short".to_owned());
    reads_back(&"a text that does not lie in its string".to_owned());
    reads_back(&c"a text that ends with a zero".to_owned());
    reads_back(&Duration::new(3, 999_999_999));
    reads_back(&IpAddr::V6(Ipv6Addr::LOCALHOST));
    reads_back(&"127.0.0.1:80".parse::<SocketAddr>().unwrap());
}

#[test]
fn compounds() {
    reads_back(&[[1_u16, 2], [3, 4]]);
    reads_back(&(7_u8, 8_u128, "nine".to_owned(), (10_u16,)));
    reads_back(&vec![Some("a text on the heap".to_owned()), None]);
    reads_back(&vec![Ok(1_u64), Err("a reason that is long".to_owned())]);
    reads_back(&vec![vec![1_u128], vec![], vec![2, 3]]);
    reads_back(&Some(Box::new(vec![Box::new("boxed".to_owned())])));
    reads_back(&vec!["a".repeat(3).into_boxed_str(), "b".repeat(30).into()]);
    reads_back(&vec![NonZeroU8::new(1), None]);
    reads_back(&vec![NonZeroI64::new(-1), None]);
    reads_back::<(Range<u32>, RangeInclusive<u8>)>(&(1..2, 3..=4));
    reads_back(&(Bound::Excluded(1_u8), Bound::<String>::Unbounded));
}

#[test]
fn collections() {
    let texts = || (0..12).map(|n| format!("a text that is not inline {n}"));
    reads_back(&texts().zip(0_u128..).collect::<BTreeMap<_, _>>());
    reads_back(&texts().collect::<BTreeSet<_>>());
    reads_back(&BTreeMap::<u8, ()>::new());
    reads_back(&texts().zip(0_u16..).collect::<HashMap<_, _>>());
    reads_back(&(0_u64..20).collect::<HashSet<_>>());
    reads_back(&HashMap::<u8, u8>::new());
}

#[test]
fn shared_parts() {
    let text: Arc<str> = "a text that several point to".into();
    let value = vec![Arc::clone(&text), text.clone(), "another".into()];
    through_every_handle(&value, |frozen| {
        assert_eq!(&*frozen[0], &*text);
        assert!(std::ptr::eq(&*frozen[0], &*frozen[1]));
        assert_eq!(&*frozen[2], "another");
    });
    let number = Rc::new(7_u32);
    let value = (
        Rc::clone(&number),
        Rc::downgrade(&number),
        rc::Weak::<u32>::new(),
    );
    through_every_handle(&value, |frozen| {
        assert_eq!(*frozen.1.upgrade().unwrap().get(), *frozen.0.get());
        assert!(frozen.2.upgrade().is_none());
    });
}

/// Every way to intern, and niches, in a type that derives its schema.
#[derive(Debug, PartialEq, Archive, Serialize, Deserialize)]
#[rkyv(derive(Schema))]
struct Everything {
    #[rkyv(with = Intern)]
    text: String,
    #[rkyv(with = Intern<Each<Intern>>)]
    list: Vec<String>,
    #[rkyv(with = Intern<MapKV<Intern, Intern<Each<Intern>>>>)]
    map: BTreeMap<String, Vec<String>>,
    #[rkyv(with = Intern<Sorted<Intern>>)]
    set: HashSet<String>,
    #[rkyv(with = Sorted)]
    table: HashMap<String, u64>,
    #[rkyv(with = NicheInto<rkyv::niche::niching::NaN>)]
    ratio: Option<f32>,
    #[rkyv(with = DefaultNiche)]
    boxed: Option<Box<str>>,
}

#[test]
fn interned_parts() {
    let texts: Vec<String> = (0..4).map(|n| format!("a repeated text {n}")).collect();
    let pairs = texts.iter().map(|text| (text.clone(), texts.clone()));
    let everything = |number: u8| Everything {
        text: texts[0].clone(),
        list: texts.clone(),
        map: pairs.clone().collect(),
        set: texts.iter().cloned().collect(),
        table: texts.iter().cloned().zip(0..).collect(),
        ratio: number.is_multiple_of(2).then_some(0.5),
        boxed: (number > 0).then(|| texts[1].as_str().into()),
    };
    let value: Vec<Everything> = (0..2).map(everything).collect();
    reads_back(&value);
    through_every_handle(&value, |frozen| {
        assert!(std::ptr::eq(&*frozen[0].text, &*frozen[1].text));
        assert!(frozen[0].map.get("a repeated text 3").is_some());
    });
}

#[test]
fn derived_types() {
    reads_back::<Vec<Recipe>>(&(0..4).map(recipe).collect());
}

#[derive(Archive, Serialize)]
#[rkyv(
    derive(Schema),
    serialize_bounds(__S: Writer, __S::Error: Source),
    bytecheck(bounds(__C: ArchiveContext, __C::Error: Source))
)]
struct Chain {
    number: u32,
    #[rkyv(omit_bounds)]
    next: Option<Box<Chain>>,
}

#[test]
fn nesting_ends_at_128_levels() {
    let chain = |length: u32| {
        let link = |next: Option<Box<Chain>>, number| Some(Box::new(Chain { number, next }));
        *(0..length).fold(None, link).unwrap()
    };
    through_every_handle(&chain(128), |frozen| {
        let first: &ArchivedChain = frozen;
        let links = std::iter::successors(Some(first), |link| link.next.as_deref());
        assert!(links.map(|link| link.number).eq((0..128).rev()));
    });
    let refused = Frozen::freeze_on_heap("value", &chain(129))
        .map(drop)
        .unwrap_err();
    assert!(matches!(refused, Error::Invalid { .. }), "{refused}");
}

#[test]
fn handles_on_several_threads() {
    let frozen = Frozen::freeze_on_heap("value", &vec!["a".repeat(30); 3]).unwrap();
    let read = |frozen: &Frozen<Vec<String>>| frozen.iter().map(|text| text.len()).sum::<usize>();
    std::thread::scope(|scope| {
        let (own, shared) = (frozen.clone(), &frozen);
        scope.spawn(move || assert_eq!(read(&own), 90));
        scope.spawn(move || assert_eq!(read(shared), 90));
    });
}
