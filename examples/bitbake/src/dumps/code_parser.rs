//! What BitBake's parser of code found: the caches `codeparser_python` and `codeparser_shell`, keyed by
//! the digest of the code.

use std::collections::BTreeMap;

use floe::Intern;
use rkyv::with::MapKV;
use serde::{Deserialize, Serialize};

use super::set::Set;
use crate::walk::cached;

cached! {
    /// What a piece of Python code depends on.
    #[derive(Serialize, Deserialize)]
    #[serde(rename = "pythonCacheLine", tag = "__class__")]
    pub(crate) struct PythonCacheLine {
        /// Names of the variables it reads.
        #[rkyv(with = Intern)]
        pub refs: Set,
        /// Names of the functions it calls.
        #[rkyv(with = Intern)]
        pub execs: Set,
        /// The words it looks for, by the variable in which it looks for them.
        #[rkyv(with = Intern<MapKV<Intern, Intern>>)]
        pub contains: BTreeMap<String, Set>,
        /// Digest of the source of a function that stands in a module.
        pub extra: Option<String>,
    }
}

cached! {
    /// What a piece of shell code depends on.
    #[derive(Serialize, Deserialize)]
    #[serde(rename = "shellCacheLine", tag = "__class__")]
    pub(crate) struct ShellCacheLine {
        /// Names of the commands it runs.
        #[rkyv(with = Intern)]
        pub execs: Set,
    }
}
