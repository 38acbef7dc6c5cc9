//! What BitBake's parser of code found: the caches `codeparser_python` and `codeparser_shell`, keyed by
//! the digest of the code.

use std::collections::BTreeMap;

use floe::Intern;
use rkyv::with::MapKV;
use serde::{Deserialize, Serialize};

use super::python::{Set, instance_of_class};
use crate::walk::walk_struct;

/// What a piece of Python code depends on.
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
    Serialize,
    Deserialize,
)]
#[rkyv(derive(floe::Schema))]
#[serde(
    remote = "Self",
    rename = "pythonCacheLine",
    tag = "__class__",
    deny_unknown_fields
)]
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
    // With `deserialize_with` it has to be there: by itself serde takes a missing option as null.
    #[serde(deserialize_with = "Option::deserialize")]
    pub extra: Option<String>,
}

instance_of_class!(PythonCacheLine);
walk_struct!(
    PythonCacheLine,
    ArchivedPythonCacheLine {
        refs,
        execs,
        contains,
        extra
    }
);

/// What a piece of shell code depends on.
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
    Serialize,
    Deserialize,
)]
#[rkyv(derive(floe::Schema))]
#[serde(
    remote = "Self",
    rename = "shellCacheLine",
    tag = "__class__",
    deny_unknown_fields
)]
pub(crate) struct ShellCacheLine {
    /// Names of the commands it runs.
    #[rkyv(with = Intern)]
    pub execs: Set,
}

instance_of_class!(ShellCacheLine);
walk_struct!(ShellCacheLine, ArchivedShellCacheLine { execs });
