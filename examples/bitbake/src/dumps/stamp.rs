//! When and how large a file was when BitBake read it.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Unexpected, Visitor};
use serde::ser::{Serialize, Serializer};

use crate::walk::{walk_enum, walk_struct};

/// A file that was there: `[mtime in nanoseconds since 1970, size in bytes, inode]`.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    rkyv::Archive,
    rkyv::Serialize,
    rkyv::Deserialize,
    serde::Serialize,
    serde::Deserialize,
)]
#[rkyv(derive(floe::Schema))]
pub(crate) struct FileStamp(pub i64, pub u64, pub u64);

walk_struct!(FileStamp, ArchivedFileStamp(mtime, size, inode));

/// A file that may not have been there: [`FileStamp`], or `0` for absence.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    rkyv::Archive,
    rkyv::Serialize,
    rkyv::Deserialize,
)]
#[rkyv(derive(floe::Schema))]
pub(crate) enum Stamp {
    /// There was no such file.
    Absent,
    /// The file was there.
    Present(FileStamp),
}

walk_enum!(Stamp, ArchivedStamp { Absent, Present(stamp) });

/// A file whose change makes a cached recipe stale: `[path, stamp]`.
#[derive(
    Debug,
    Clone,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    rkyv::Archive,
    rkyv::Serialize,
    rkyv::Deserialize,
    serde::Serialize,
    serde::Deserialize,
)]
#[rkyv(derive(floe::Schema))]
pub(crate) struct FileDependency(#[rkyv(with = floe::Intern)] pub String, pub Stamp);

walk_struct!(FileDependency, ArchivedFileDependency(path, stamp));

/// What `file_checksums` keeps of a file: `[mtime in whole seconds since 1970, MD5 in hexadecimal]`.
#[derive(
    Debug,
    Clone,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    rkyv::Archive,
    rkyv::Serialize,
    rkyv::Deserialize,
    serde::Serialize,
    serde::Deserialize,
)]
#[rkyv(derive(floe::Schema))]
pub(crate) struct FileChecksum(pub i64, pub String);

walk_struct!(FileChecksum, ArchivedFileChecksum(mtime, md5));

impl Serialize for Stamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Absent => serializer.serialize_u64(0),
            Self::Present(stamp) => stamp.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Stamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StampVisitor)
    }
}

struct StampVisitor;

impl<'de> Visitor<'de> for StampVisitor {
    type Value = Stamp;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("0 or [mtime, size, inode]")
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Stamp, E> {
        match number {
            0 => Ok(Stamp::Absent),
            _ => Err(E::invalid_value(Unexpected::Unsigned(number), &self)),
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, sequence: A) -> Result<Stamp, A::Error> {
        FileStamp::deserialize(serde::de::value::SeqAccessDeserializer::new(sequence))
            .map(Stamp::Present)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_a_stamp_survive() {
        let text = r#"[["a",0],["b",[-1,2,3]]]"#;
        let files: Vec<FileDependency> = serde_json::from_str(text).expect("fits");
        let present = Stamp::Present(FileStamp(-1, 2, 3));
        assert_eq!(files[0], FileDependency("a".into(), Stamp::Absent));
        assert_eq!(files[1], FileDependency("b".into(), present));
        assert_eq!(serde_json::to_string(&files).expect("serialises"), text);
    }

    #[test]
    fn other_stamps_are_refused() {
        for text in [
            "1",
            "null",
            "\"0\"",
            "[1,2]",
            "[1,2,3,4]",
            "[1,2,-3]",
            "0.0",
        ] {
            serde_json::from_str::<Stamp>(text).expect_err(text);
        }
    }
}
