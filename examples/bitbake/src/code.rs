//! What the bodies of shell and Python functions refer to, found without running them.
//!
//! Bodies are read as they are written, so a name that is put together at run time is not seen. The
//! caches are keyed by the content of the body, as BitBake's own code parser caches are.

pub(crate) mod python;
pub(crate) mod shell;
mod texts;

pub(crate) use texts::Code;

use std::collections::{BTreeMap, BTreeSet};

use floe::Intern;
use xxhash_rust::xxh3::xxh3_128_with_seed;

use crate::walk::cached;

/// The content hash of a body: two 128-bit xxh3 hashes with different seeds, little-endian.
///
/// It tells 2^64 bodies apart that were not made to collide. It is not cryptographic: whoever may
/// write a body may make two that collide.
pub(crate) type CodeHash = [u8; 32];

/// The content hash of `body`.
pub(crate) fn hash(body: &str) -> CodeHash {
    let mut hash = [0; 32];
    let (low, high) = hash.split_at_mut(16);
    low.copy_from_slice(&xxh3_128_with_seed(body.as_bytes(), 0).to_le_bytes());
    high.copy_from_slice(&xxh3_128_with_seed(body.as_bytes(), 0x666c_6f65).to_le_bytes());
    hash
}

cached! {
    /// What a shell body refers to.
    #[derive(Default, serde::Serialize, serde::Deserialize)]
    pub(crate) struct ShellCode {
        /// The variables it reads, shell's own and BitBake's alike.
        #[rkyv(with = Intern)]
        pub variables: BTreeSet<String>,
        /// The commands it calls by a literal name, without the functions it defines itself.
        #[rkyv(with = Intern)]
        pub commands: BTreeSet<String>,
    }
}

cached! {
    /// What a Python body refers to.
    #[derive(Default, serde::Serialize, serde::Deserialize)]
    pub(crate) struct PythonCode {
        /// The variables it reads or writes by a literal name through the data store.
        #[rkyv(with = Intern)]
        pub variables: BTreeSet<String>,
        /// The functions it calls by a plain or dotted name.
        #[rkyv(with = Intern)]
        pub functions: BTreeSet<String>,
        /// The values it looks for in a variable with `bb.utils.contains` and its kin, by variable.
        #[rkyv(with = Intern)]
        pub contains: BTreeMap<String, BTreeSet<String>>,
    }
}
