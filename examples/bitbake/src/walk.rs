//! Visits every string and number of a value, the same way for a heap value and for its archived
//! twin.
//!
//! Equal values give equal calls whether they live on the heap or in a region, so a digest computed
//! by a [`Visitor`] proves that an archive says what its source said, and that all of it was read.

mod values;

use xxhash_rust::xxh3::Xxh3Default;

/// Receives the parts of a value, in order.
pub(crate) trait Visitor {
    /// A string.
    fn text(&mut self, text: &str);

    /// A run of bytes that is one value, such as a digest.
    fn bytes(&mut self, bytes: &[u8]);

    /// An integer (negative ones as two's complement), a truth value (0 or 1), or the position of
    /// an enum's variant in its declaration.
    fn number(&mut self, number: u64);

    /// A composite value starts: `length` values follow before its [`end`](Self::end). A map counts
    /// its keys and its values, an absent option counts nothing.
    fn begin(&mut self, length: usize);

    /// The composite value that started last ends.
    fn end(&mut self);
}

/// A value whose every part can be visited.
pub(crate) trait Walk {
    /// Shows every part of the value to `visitor`, in an order that depends on the value alone.
    fn walk(&self, visitor: &mut impl Visitor);

    /// Shows a run of such values as one composite. Bytes show themselves as one run instead.
    fn walk_slice(values: &[Self], visitor: &mut impl Visitor)
    where
        Self: Sized,
    {
        visitor.begin(values.len());
        for value in values {
            value.walk(visitor);
        }
        visitor.end();
    }
}

/// A digest over every part of an entry.
pub(crate) fn digest(key: &impl Walk, value: &impl Walk) -> u64 {
    let mut digest = Digest(Xxh3Default::new());
    key.walk(&mut digest);
    value.walk(&mut digest);
    digest.0.digest()
}

struct Digest(Xxh3Default);

impl Digest {
    /// The mark keeps parts of different kinds apart, the length neighbours of the same kind.
    fn part(&mut self, mark: u8, number: u64) {
        self.0.update(&[mark]);
        self.0.update(&number.to_le_bytes());
    }
}

impl Visitor for Digest {
    fn text(&mut self, text: &str) {
        self.part(b't', text.len() as u64);
        self.0.update(text.as_bytes());
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.part(b'b', bytes.len() as u64);
        self.0.update(bytes);
    }

    fn number(&mut self, number: u64) {
        self.part(b'n', number);
    }

    fn begin(&mut self, length: usize) {
        self.part(b'(', length as u64);
    }

    fn end(&mut self) {
        self.0.update(b")");
    }
}

/// Declares a type that can be cached: floe can freeze it, and it and its archived twin can be
/// walked.
///
/// Tuple structs and tuple variants name their fields, for whoever reads them. An enum walks as a
/// composite of its variant's position and the variant's fields.
macro_rules! cached {
    ($(#[$meta:meta])* $vis:vis struct $type:ident {
        $($(#[$attribute:meta])* $access:vis $field:ident: $kind:ty),* $(,)?
    }) => {
        $crate::walk::cached!(@archive $(#[$meta])* $vis struct $type {
            $($(#[$attribute])* $access $field: $kind),*
        });
        $crate::walk::cached!(@walk $type, { Self { $($field),* } => [] [$($field)*] });
    };
    ($(#[$meta:meta])* $vis:vis struct $type:ident (
        $($(#[$attribute:meta])* $field:ident: $kind:ty),+ $(,)?
    );) => {
        $crate::walk::cached!(@archive $(#[$meta])* $vis struct $type(
            $($(#[$attribute])* pub $kind),+
        ););
        $crate::walk::cached!(@walk $type, { Self($($field),+) => [] [$($field)+] });
    };
    ($(#[$meta:meta])* $vis:vis enum $type:ident {$(
        $(#[$about:meta])* $variant:ident
        $(($($(#[$note:meta])* $item:ident: $item_kind:ty),+))?
        $({$($(#[$attribute:meta])* $field:ident: $kind:ty),+ $(,)?})?
    ),+ $(,)?}) => {
        $crate::walk::cached!(@archive $(#[$meta])* $vis enum $type {$(
            $(#[$about])* $variant
            $(($($(#[$note])* $item_kind),+))?
            $({$($(#[$attribute])* $field: $kind),+})?
        ),+});
        const _: () = {
            enum Position { $($variant),+ }
            $crate::walk::cached!(@walk $type, {$(
                Self::$variant $(($($item),+))? $({$($field),+})?
                    => [Position::$variant as u64] [$($($item)+)? $($($field)+)?]
            ),+});
        };
    };
    (@archive $($item:tt)+) => {
        #[derive(Debug, Clone, PartialEq, Eq, Hash)]
        #[derive(rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
        #[rkyv(derive(floe::Schema))]
        $($item)+
    };
    (@walk $type:ident, $arms:tt) => {
        $crate::walk::cached!(@twin $type, $arms);
        $crate::walk::cached!(@twin <$type as rkyv::Archive>::Archived, $arms);
    };
    (@twin $type:ty, {$($pattern:pat => [$($position:expr)?] [$($part:ident)*]),+}) => {
        impl $crate::walk::Walk for $type {
            fn walk(&self, visitor: &mut impl $crate::walk::Visitor) {
                match self {$($pattern => {
                    let parts: &[&str] = &[$(stringify!($position),)? $(stringify!($part)),*];
                    visitor.begin(parts.len());
                    $(visitor.number($position);)?
                    $($crate::walk::Walk::walk($part, visitor);)*
                    visitor.end();
                })+}
            }
        }
    };
}

pub(crate) use cached;

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use crate::objects::Object;

    cached! {
        pub(crate) enum Shape {
            Empty,
            Line(start: u32, end: i32),
            Named { name: String },
        }
    }

    cached! {
        pub(crate) struct Wrapper(names: BTreeSet<String>);
    }

    cached! {
        pub(crate) struct Everything {
            shapes: Vec<Shape>,
            wrapper: Wrapper,
            digest: [u8; 4],
            blob: Vec<u8>,
            table: BTreeMap<String, Option<i64>>,
            absent: Option<Vec<String>>,
        }
    }

    #[test]
    fn a_heap_value_and_its_archived_twin_show_every_part_in_order() {
        let named = Shape::Named { name: "n".into() };
        let value = Everything {
            shapes: vec![Shape::Empty, Shape::Line(7, -1), named],
            wrapper: Wrapper(["b", "a"].map(String::from).into()),
            digest: [1, 2, 3, 4],
            blob: vec![9, 8],
            table: BTreeMap::from([("k".into(), Some(-2)), ("l".into(), None)]),
            absent: None,
        };
        let expected = "[[[0], [1, 7, 18446744073709551615], [2, \"n\"]], [[\"a\", \"b\"]], \
            b[1, 2, 3, 4], b[9, 8], [\"k\", [18446744073709551614], \"l\", []], []]";
        assert_eq!(format!("{:?}", Object::of(&value)), expected);
        let frozen = floe::Frozen::freeze_on_heap("test", &value).expect("freezes");
        assert_eq!(format!("{:?}", Object::of(&*frozen)), expected);
    }
}
