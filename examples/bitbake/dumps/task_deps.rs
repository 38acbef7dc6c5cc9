//! How the tasks of a recipe depend on each other and on those of other recipes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::walk::walk_struct;

/// The tasks of a recipe and their flags. A task without a flag is absent from the flag's map.
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
#[serde(deny_unknown_fields)]
pub(crate) struct TaskDeps {
    /// The tasks.
    pub tasks: Vec<String>,
    /// The tasks of the same recipe that come before each task.
    pub parents: BTreeMap<String, Vec<String>>,
    /// Tasks of other configurations, `mc:from:to:recipe:task`.
    pub mcdepends: BTreeMap<String, String>,
    /// Tasks of other recipes, `recipe:task`, for every task if only as an empty text.
    pub depends: BTreeMap<String, String>,
    /// Tasks of what is depended on at run time.
    pub rdepends: BTreeMap<String, String>,
    /// The tasks to run in everything the recipe depends on for its build.
    pub deptask: BTreeMap<String, String>,
    /// The tasks to run in everything the recipe depends on at run time.
    pub rdeptask: BTreeMap<String, String>,
    /// The tasks to run in everything the recipe depends on, recursively.
    pub recrdeptask: BTreeMap<String, String>,
    /// The tasks whose dependencies are followed recursively.
    pub recideptask: BTreeMap<String, String>,
    /// Tasks that run each time.
    pub nostamp: BTreeMap<String, String>,
    /// Tasks that run under fakeroot.
    pub fakeroot: BTreeMap<String, String>,
    /// Tasks that do nothing.
    pub noexec: BTreeMap<String, String>,
    /// The umask in octal.
    pub umask: BTreeMap<String, String>,
}

walk_struct!(
    TaskDeps,
    ArchivedTaskDeps {
        tasks,
        parents,
        mcdepends,
        depends,
        rdepends,
        deptask,
        rdeptask,
        recrdeptask,
        recideptask,
        nostamp,
        fakeroot,
        noexec,
        umask,
    }
);
