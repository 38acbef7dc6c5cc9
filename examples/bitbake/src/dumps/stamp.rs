//! When and how large a file was when BitBake read it.

use floe::Intern;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::walk::cached;

cached! {
    /// A file that was there: `[mtime in nanoseconds since 1970, size in bytes, inode]`.
    #[derive(Copy, Serialize, Deserialize)]
    pub(crate) struct FileStamp(mtime: i64, size: u64, inode: u64);
}

cached! {
    /// A file that may not have been there: [`FileStamp`], or `0` for absence.
    #[derive(Copy, Serialize, Deserialize)]
    #[serde(untagged)]
    pub(crate) enum Stamp {
        #[serde(serialize_with = "write_zero", deserialize_with = "read_zero")]
        Absent,
        Present(stamp: FileStamp),
    }
}

fn write_zero<S: Serializer>(serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u8(0)
}

fn read_zero<'de, D: Deserializer<'de>>(deserializer: D) -> Result<(), D::Error> {
    u8::deserialize(deserializer).map(drop)
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
