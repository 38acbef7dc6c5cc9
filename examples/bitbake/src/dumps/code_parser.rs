//! What BitBake's parser of code found: the caches `codeparser_python` and `codeparser_shell`,
//! keyed by the digest of the code.

use std::collections::BTreeMap;

use floe::Intern;
use serde::{Deserialize, Deserializer, Serialize};

use crate::interning::Texts;
use crate::walk::cached;

cached! {
    /// What a piece of Python code depends on.
    #[derive(Serialize, Deserialize)]
    #[serde(rename = "pythonCacheLine", tag = "__class__")]
    pub(crate) struct PythonCacheLine {
        /// The variables it reads.
        #[rkyv(with = Intern)] pub refs: Set,
        /// The functions it calls.
        #[rkyv(with = Intern)] pub execs: Set,
        /// The words it looks for, by the variable in which it looks for them.
        #[rkyv(with = Texts)] pub contains: BTreeMap<String, Set>,
        /// Digest of the source of a function that stands in a module.
        pub extra: Option<String>,
    }
}

cached! {
    /// What a piece of shell code depends on.
    #[derive(Serialize, Deserialize)]
    #[serde(rename = "shellCacheLine", tag = "__class__")]
    pub(crate) struct ShellCacheLine {
        /// The commands it runs.
        #[rkyv(with = Intern)] pub execs: Set,
    }
}

cached! {
    /// A Python set of strings, written as `{"__set__": [..]}`.
    #[derive(Serialize, Deserialize)]
    pub(crate) struct Set {
        /// Sorted, so that equal sets are equal values however the source ordered them.
        #[serde(rename = "__set__", deserialize_with = "sorted")] pub members: Vec<String>,
    }
}

fn sorted<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let mut members = Vec::deserialize(deserializer)?;
    members.sort_unstable();
    Ok(members)
}
