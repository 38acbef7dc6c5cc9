//! The indexes that BitBake derives from all recipes: `cachedata`.
//!
//! *File* stands for the virtual file name of a recipe, the key of `core_recipe_info`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::python::Set;
use super::task_deps::TaskDeps;
use crate::walk::{Visitor, Walk, walk_struct};
use floe::Intern;

/// One field for each index, under BitBake's own name.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CacheData {
    /// File to the dependencies of its tasks.
    pub task_deps: BTreeMap<String, TaskDeps>,
    /// File to recipe name.
    pub pkg_fn: BTreeMap<String, String>,
    /// Recipe name to files.
    pub pkg_pn: BTreeMap<String, Vec<String>>,
    /// File to version.
    pub pkg_pepvpr: BTreeMap<String, Version>,
    /// File to its preference over other versions.
    pub pkg_dp: BTreeMap<String, i32>,
    /// File to the start of the paths of its stamp files.
    pub stamp: BTreeMap<String, String>,
    /// File to the pattern of the stamp files to remove.
    pub stampclean: BTreeMap<String, String>,
    /// File to task to what is added to the name of the task's stamp file.
    pub stamp_extrainfo: BTreeMap<String, BTreeMap<String, Option<String>>>,
    /// File to task to the files it depends on, as a text of `path:exists` words.
    pub file_checksums: BTreeMap<String, BTreeMap<String, String>>,
    /// File to the names it provides for builds.
    pub fn_provides: BTreeMap<String, Vec<String>>,
    /// Recipe name to the names it provides for builds.
    pub pn_provides: BTreeMap<String, Vec<String>>,
    /// Every name that some build depends on.
    pub all_depends: Vec<String>,
    /// File to what its build depends on. A file without dependencies is absent.
    pub deps: BTreeMap<String, Vec<String>>,
    /// Package to the files that build it.
    pub packages: BTreeMap<String, Vec<String>>,
    /// Name to the files that provide it for builds.
    pub providers: BTreeMap<String, Vec<String>>,
    /// Name to the files that provide it at run time.
    pub rproviders: BTreeMap<String, Vec<String>>,
    /// Regular expression of packages to the files that may build them.
    pub packages_dynamic: BTreeMap<String, Vec<String>>,
    /// File to package to what it depends on at run time.
    pub rundeps: BTreeMap<String, BTreeMap<String, Vec<String>>>,
    /// File to package to what it recommends at run time.
    pub runrecs: BTreeMap<String, BTreeMap<String, Vec<String>>>,
    /// Files that a build of everything may include.
    pub possible_world: Vec<String>,
    /// The names of all recipes.
    pub universe_target: Vec<String>,
    /// File to the names under which its output is found in shared state.
    pub hashfn: BTreeMap<String, String>,
    /// `file:task` to the task's hash without its dependencies, in hexadecimal.
    pub basetaskhash: BTreeMap<String, String>,
    /// File to the classes it inherits, as paths in the order of inheritance.
    pub inherits: BTreeMap<String, Vec<String>>,
    /// File to the environment of its tasks that run under fakeroot.
    pub fakerootenv: BTreeMap<String, String>,
    /// File to the environment of its tasks that do not run under fakeroot.
    pub fakerootnoenv: BTreeMap<String, String>,
    /// File to the directories its tasks under fakeroot need.
    pub fakerootdirs: BTreeMap<String, String>,
    /// File to the log its tasks under fakeroot write.
    pub fakerootlogs: BTreeMap<String, String>,
    /// File to Python code that computes more dependencies.
    pub extradepsfunc: BTreeMap<String, String>,
    /// Declared by BitBake, empty in the dumps.
    pub task_queues: Empty,
    /// Declared by BitBake, empty in the dumps.
    pub preferred: Empty,
    /// Declared by BitBake, empty in the dumps.
    pub tasks: Empty,
    /// Names whose absence is no error.
    pub ignored_dependencies: Set,
    /// The files that a build of everything includes; none until such a build is asked for.
    pub world_target: Set,
    /// File to the priority of its layer.
    pub bbfile_priority: BTreeMap<String, i32>,
}

/// `[epoch, version, revision]`; the epoch is often empty.
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
pub(crate) struct Version(
    #[rkyv(with = Intern)] pub String,
    #[rkyv(with = Intern)] pub String,
    #[rkyv(with = Intern)] pub String,
);

walk_struct!(Version, ArchivedVersion(epoch, version, revision));

/// A dictionary that BitBake declares and has left empty in the dumps, so the type of what it would hold
/// is unknown. One that holds something is refused, not lost.
#[derive(
    Debug,
    Clone,
    Copy,
    Default,
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
#[serde(deny_unknown_fields)]
pub(crate) struct Empty {}

impl Walk for Empty {
    fn walk(&self, visitor: &mut impl Visitor) {
        ().walk(visitor);
    }
}

impl Walk for ArchivedEmpty {
    fn walk(&self, visitor: &mut impl Visitor) {
        ().walk(visitor);
    }
}
