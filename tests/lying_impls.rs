//! What safe code of users can do wrong is an error, never undefined behaviour: implementations of
//! rkyv's traits that lie, hashes that disagree, panics in the middle of an insertion.

use std::num::NonZeroU8;
use std::panic::{AssertUnwindSafe, catch_unwind};

use floe::map::Key;
use floe::{Error, Frozen, Intern, MapBuilder, Schema};
use rkyv::rancor::Fallible;
use rkyv::rc::{ArchivedRc, RcResolver};
use rkyv::ser::{Sharing, Writer};
use rkyv::string::{ArchivedString, StringResolver};
use rkyv::{Archive, Place, Serialize, SerializeUnsized};

/// Serialises one text and resolves another, longer one.
struct Liar;

const SAID: &str = "what is serialised";
const MEANT: &str = "what is said to have been serialised, which is much longer than what was";

impl Archive for Liar {
    type Archived = ArchivedString;
    type Resolver = StringResolver;

    fn resolve(&self, resolver: StringResolver, out: Place<ArchivedString>) {
        ArchivedString::resolve_from_str(MEANT, resolver, out);
    }
}

impl<S: Fallible + Writer + ?Sized> Serialize<S> for Liar
where
    S::Error: rkyv::rancor::Source,
    str: SerializeUnsized<S>,
{
    fn serialize(&self, serializer: &mut S) -> Result<StringResolver, S::Error> {
        ArchivedString::serialize_from_str(SAID, serializer)
    }
}

#[test]
fn a_serialisation_that_lies_is_an_error() {
    assert!(matches!(
        Frozen::freeze("liar", &Liar),
        Err(Error::Invalid { .. })
    ));
    assert!(matches!(
        Frozen::freeze_on_heap("liar", &vec![Liar]),
        Err(Error::Invalid { .. })
    ));
    let mut builder = MapBuilder::<u32, Liar>::new("liars").unwrap();
    builder.insert(&1, &Liar).unwrap();
    assert!(matches!(builder.finish(), Err(Error::Invalid { .. })));
}

/// Panics when it is serialised, behind something that was written already.
#[derive(Archive, Serialize)]
#[rkyv(derive(Schema))]
struct Fragile {
    #[rkyv(with = Intern)]
    text: String,
    rest: Glass,
}

struct Glass(bool);

impl Archive for Glass {
    type Archived = u8;
    type Resolver = ();

    fn resolve(&self, (): (), out: Place<u8>) {
        out.write(7);
    }
}

impl<S: Fallible + ?Sized> Serialize<S> for Glass {
    fn serialize(&self, _: &mut S) -> Result<(), S::Error> {
        assert!(!self.0, "broken");
        Ok(())
    }
}

#[test]
fn a_builder_goes_on_after_a_panic_in_an_insertion() {
    let fragile = |number: u32, broken| Fragile {
        text: format!("an interned text {}", number / 2),
        rest: Glass(broken),
    };
    let mut builder = MapBuilder::<u32, Fragile>::new("fragile").unwrap();
    for number in 0..100 {
        let broken = AssertUnwindSafe(|| builder.insert(&number, &fragile(number, true)));
        assert!(catch_unwind(broken).is_err());
        builder.insert(&number, &fragile(number, false)).unwrap();
    }
    let broken = AssertUnwindSafe(|| builder.insert(&100, &fragile(100, true)));
    assert!(catch_unwind(broken).is_err());
    let frozen = builder.finish().unwrap();
    assert_eq!((frozen.len(), frozen.iter().count()), (100, 100));
    for number in 0..100_u32 {
        assert_eq!(
            frozen[&number].text,
            *format!("an interned text {}", number / 2)
        );
    }
    Frozen::<floe::Map<u32, Fragile>>::from_bytes(frozen.region().bytes()).unwrap();
}

#[derive(Debug, PartialEq, Archive, Serialize)]
#[rkyv(derive(Debug, PartialEq, Schema))]
struct Odd(u32);

impl Key for Odd {
    fn key_hash(&self) -> u64 {
        1
    }
}

impl Key for ArchivedOdd {
    fn key_hash(&self) -> u64 {
        2
    }
}

#[test]
fn a_key_whose_forms_hash_differently_is_named() {
    let mut builder = MapBuilder::<Odd, u8>::new("odd").unwrap();
    builder.insert(&Odd(5), &1).unwrap();
    let error = builder.finish().unwrap_err();
    assert!(
        matches!(&error, Error::KeyHash { key, .. } if key.contains('5')),
        "{error}"
    );
    // rkyv cuts `usize` to 32 bits.
    let mut builder = MapBuilder::<usize, u8>::new("wide").unwrap();
    builder.insert(&(1 << 32 | 1), &1).unwrap();
    assert!(matches!(builder.finish(), Err(Error::KeyHash { .. })));
}

#[derive(Debug, PartialEq, Archive, Serialize)]
#[rkyv(derive(Debug, PartialEq, Schema))]
struct Same(u32);

impl Key for Same {
    fn key_hash(&self) -> u64 {
        3
    }
}

impl Key for ArchivedSame {
    fn key_hash(&self) -> u64 {
        3
    }
}

#[test]
fn keys_that_all_hash_alike_are_refused_when_they_are_too_many() {
    let build = |count: u32| {
        let mut builder = MapBuilder::<Same, u32>::new("same").unwrap();
        for number in 0..count {
            builder.insert(&Same(number), &number).unwrap();
        }
        builder.finish()
    };
    let few = build(300).unwrap();
    assert_eq!(few.len(), 300);
    Frozen::<floe::Map<Same, u32>>::from_bytes(few.region().bytes()).unwrap();
    assert!(matches!(build(20_000), Err(Error::Crowded { .. })));
}

/// Points to a value that is not valid, by a pointer that may lead to a value in the making.
struct Looping;

struct MayLoop;

impl rkyv::rc::Flavor for MayLoop {
    const ALLOW_CYCLES: bool = true;
}

/// Never writes its byte, which stays zero.
struct Zero;

impl Archive for Zero {
    type Archived = NonZeroU8;
    type Resolver = ();

    fn resolve(&self, (): (), _: Place<NonZeroU8>) {}
}

impl<S: Fallible + ?Sized> Serialize<S> for Zero {
    fn serialize(&self, _: &mut S) -> Result<(), S::Error> {
        Ok(())
    }
}

impl Archive for Looping {
    type Archived = ArchivedRc<NonZeroU8, MayLoop>;
    type Resolver = RcResolver;

    fn resolve(&self, resolver: RcResolver, out: Place<Self::Archived>) {
        ArchivedRc::resolve_from_ref(&Zero, resolver, out);
    }
}

impl<S> Serialize<S> for Looping
where
    S: Fallible<Error: rkyv::rancor::Source> + Writer + Sharing + ?Sized,
{
    fn serialize(&self, serializer: &mut S) -> Result<RcResolver, S::Error> {
        Self::Archived::serialize_from_ref(&Zero, serializer)
    }
}

#[test]
fn what_was_refused_stays_refused() {
    let mut builder = MapBuilder::<u32, Looping>::new("looping").unwrap();
    builder.insert(&1, &Looping).unwrap();
    for other in ["one", "two"] {
        let other = MapBuilder::new(other).unwrap();
        let merged = builder.merge(other);
        assert!(matches!(merged, Err(Error::Invalid { .. })));
    }
    assert!(matches!(builder.finish(), Err(Error::Invalid { .. })));
}
