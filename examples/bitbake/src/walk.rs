//! Visits every string and number of a value, the same way for a heap value and for its archived twin.
//!
//! Equal values give equal calls whether they live on the heap or in a region, so a digest computed by a
//! [`Visitor`] proves that an archive says what its source said, and that all of it was read.

mod values;

use xxhash_rust::xxh3::Xxh3Default;

/// Receives the parts of a value, in order.
pub(crate) trait Visitor {
    /// A string.
    fn text(&mut self, text: &str);

    /// A run of bytes that is one value, such as a digest.
    fn bytes(&mut self, bytes: &[u8]);

    /// An integer (negative ones as two's complement), a truth value (0 or 1), the bits of a float, or the
    /// position of an enum's variant in its declaration.
    fn number(&mut self, number: u64);

    /// A composite value starts: `length` values follow before its [`end`](Self::end). A map counts its
    /// keys and its values, an absent option counts nothing.
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
pub(crate) fn digest(key: &(impl Walk + ?Sized), value: &(impl Walk + ?Sized)) -> u64 {
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

/// Implements [`Walk`] for a struct and its archived twin from one list of fields.
///
/// The struct is destructured exhaustively, so a forgotten field does not compile. Tuple structs name
/// their fields in parentheses.
macro_rules! walk_struct {
    ($heap:ident, $archived:ident { $($field:ident),+ $(,)? }) => {
        $crate::walk::walk_struct!(@twin $heap { $($field),+ });
        $crate::walk::walk_struct!(@twin $archived { $($field),+ });
    };
    ($heap:ident, $archived:ident ( $($field:ident),+ $(,)? )) => {
        $crate::walk::walk_struct!(@twin $heap ( $($field),+ ));
        $crate::walk::walk_struct!(@twin $archived ( $($field),+ ));
    };
    (@twin $type:ident $fields:tt) => {
        impl $crate::walk::Walk for $type {
            fn walk(&self, visitor: &mut impl $crate::walk::Visitor) {
                $crate::walk::walk_struct!(@fields self, visitor, $fields);
            }
        }
    };
    (@fields $self:ident, $visitor:ident, { $($field:ident),+ }) => {
        let Self { $($field),+ } = $self;
        $crate::walk::walk_struct!(@visit $visitor, $($field),+);
    };
    (@fields $self:ident, $visitor:ident, ( $($field:ident),+ )) => {
        let Self($($field),+) = $self;
        $crate::walk::walk_struct!(@visit $visitor, $($field),+);
    };
    (@visit $visitor:ident, $($field:ident),+) => {
        $crate::walk::Visitor::begin($visitor, [$(stringify!($field)),+].len());
        $($crate::walk::Walk::walk($field, $visitor);)+
        $crate::walk::Visitor::end($visitor);
    };
}

/// Implements [`Walk`] for an enum and its archived twin from one list of variants with their fields.
///
/// The match is exhaustive in variants and in fields, so a forgotten one does not compile. A value is a
/// composite of the variant's position in the list and the variant's fields.
macro_rules! walk_enum {
    ($heap:ident, $archived:ident $variants:tt) => {
        $crate::walk::walk_enum!(@twin $heap $variants);
        $crate::walk::walk_enum!(@twin $archived $variants);
    };
    (@twin $type:ident {
        $($variant:ident $(($($item:ident),+ $(,)?))? $({$($field:ident),+ $(,)?})?),+ $(,)?
    }) => {
        impl $crate::walk::Walk for $type {
            fn walk(&self, visitor: &mut impl $crate::walk::Visitor) {
                enum Position { $($variant),+ }
                match self {
                    $(Self::$variant $(($($item),+))? $({$($field),+})? => {
                        let fields: &[&str] = &[$($(stringify!($item)),+)? $($(stringify!($field)),+)?];
                        $crate::walk::Visitor::begin(visitor, 1 + fields.len());
                        $crate::walk::Visitor::number(visitor, Position::$variant as u64);
                        $($($crate::walk::Walk::walk($item, visitor);)+)?
                        $($($crate::walk::Walk::walk($field, visitor);)+)?
                        $crate::walk::Visitor::end(visitor);
                    })+
                }
            }
        }
    };
}

pub(crate) use {walk_enum, walk_struct};

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    /// Writes down every call.
    #[derive(Default)]
    struct Record(Vec<String>);

    impl Visitor for Record {
        fn text(&mut self, text: &str) {
            self.0.push(format!("{text:?}"));
        }

        fn bytes(&mut self, bytes: &[u8]) {
            self.0.push(format!("{bytes:?}"));
        }

        fn number(&mut self, number: u64) {
            self.0.push(number.to_string());
        }

        fn begin(&mut self, length: usize) {
            self.0.push(format!("({length}"));
        }

        fn end(&mut self) {
            self.0.push(")".into());
        }
    }

    fn record(value: &(impl Walk + ?Sized)) -> String {
        let mut record = Record::default();
        value.walk(&mut record);
        record.0.join(" ")
    }

    #[derive(Debug, rkyv::Archive, rkyv::Serialize)]
    enum Shape {
        Empty,
        Line(u32, i16),
        Named { name: String },
    }

    walk_enum!(Shape, ArchivedShape { Empty, Line(start, end), Named { name } });

    #[derive(Debug, rkyv::Archive, rkyv::Serialize)]
    struct Wrapper(BTreeSet<String>);

    walk_struct!(Wrapper, ArchivedWrapper(names));

    #[derive(Debug, rkyv::Archive, rkyv::Serialize)]
    struct Everything {
        shapes: Vec<Shape>,
        wrapper: Wrapper,
        digest: [u8; 4],
        blob: Vec<u8>,
        table: BTreeMap<(String, bool), Option<i64>>,
        boxed: Box<str>,
        ratio: f64,
        triple: (u8, usize, u64),
        absent: Option<Vec<String>>,
    }

    walk_struct!(
        Everything,
        ArchivedEverything {
            shapes,
            wrapper,
            digest,
            blob,
            table,
            boxed,
            ratio,
            triple,
            absent
        }
    );

    fn everything() -> Everything {
        Everything {
            shapes: vec![
                Shape::Empty,
                Shape::Line(7, -1),
                Shape::Named { name: "n".into() },
            ],
            wrapper: Wrapper(["b", "a"].map(String::from).into()),
            digest: [1, 2, 3, 4],
            blob: vec![9, 8],
            table: BTreeMap::from([(("k".into(), true), Some(-2)), (("l".into(), false), None)]),
            boxed: "a text that is too long to be stored inline".into(),
            ratio: 0.0,
            triple: (1, 2, 3),
            absent: None,
        }
    }

    #[test]
    fn heap_value_and_archived_twin_look_the_same() {
        let value = everything();
        let bytes = rkyv::to_bytes::<rkyv::rancor::Error>(&value).expect("archives");
        let archived =
            rkyv::access::<ArchivedEverything, rkyv::rancor::Error>(&bytes).expect("valid");
        assert_eq!(record(archived), record(&value));
    }

    #[test]
    fn every_part_is_visited_in_order() {
        let expected = "(9 (3 (1 0 ) (3 1 7 18446744073709551615 ) (2 2 \"n\" ) ) (1 (2 \"a\" \"b\" ) ) \
            [1, 2, 3, 4] [9, 8] \
            (4 (2 \"k\" 1 ) (1 18446744073709551614 ) (2 \"l\" 0 ) (0 ) ) \
            \"a text that is too long to be stored inline\" 0 (3 1 2 3 ) (0 ) )";
        assert_eq!(record(&everything()), expected);
    }

    #[test]
    fn absent_and_empty_differ() {
        assert_ne!(
            record(&None::<Vec<String>>),
            record(&Some(Vec::<String>::new()))
        );
    }
}
