//! When and how large a file was when BitBake read it.

use floe::Intern;
use serde::{Deserialize, Serialize};

use crate::walk::cached;

cached! {
    /// A file that was there: `[mtime in nanoseconds since 1970, size in bytes, inode]`.
    #[derive(Copy, Serialize, Deserialize)]
    pub(crate) struct FileStamp(mtime: i64, size: u64, inode: u64);
}

cached! {
    /// A file that may not have been there: [`FileStamp`], or `0` for absence.
    #[derive(Copy, Serialize, Deserialize)]
    #[serde(from = "Written", into = "Written")]
    pub(crate) enum Stamp {
        Absent,
        Present(stamp: FileStamp),
    }
}

cached! {
    /// A file whose change makes a cached recipe stale: `[path, stamp]`.
    #[derive(Serialize, Deserialize)]
    pub(crate) struct FileDependency(#[rkyv(with = Intern)] path: String, stamp: Stamp);
}

cached! {
    /// What `file_checksums` keeps of a file: `[mtime in whole seconds since 1970, MD5 in hexadecimal]`.
    #[derive(Serialize, Deserialize)]
    pub(crate) struct FileChecksum(mtime: i64, md5: String);
}

/// A [`Stamp`] as the dumps write it.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Written {
    Present(FileStamp),
    Absent(u8),
}

impl From<Written> for Stamp {
    fn from(written: Written) -> Self {
        match written {
            Written::Present(stamp) => Self::Present(stamp),
            Written::Absent(_) => Self::Absent,
        }
    }
}

impl From<Stamp> for Written {
    fn from(stamp: Stamp) -> Self {
        match stamp {
            Stamp::Present(stamp) => Self::Present(stamp),
            Stamp::Absent => Self::Absent(0),
        }
    }
}
