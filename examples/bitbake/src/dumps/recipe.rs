//! What BitBake keeps of a parsed recipe: the cache `core_recipe_info`, keyed by virtual file name.

use std::collections::BTreeMap;

use serde::de::{Deserializer, Error};
use serde::{Deserialize, Serialize};

use super::python::Instance;
use super::stamp::{FileDependency, FileStamp};
use super::task_deps::TaskDeps;
use crate::walk::walk_struct;
use floe::Intern;
use rkyv::with::{Map, MapKV};

/// A recipe, or one variant of it.
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
)]
#[rkyv(derive(floe::Schema))]
#[serde(tag = "__class__")]
pub(crate) struct CoreRecipeInfo {
    /// The files it was parsed from, in the order of reading, and those that were looked for in vain.
    #[rkyv(with = Intern<Map<Intern>>)]
    pub file_depends: Vec<FileDependency>,
    /// The stamp of the recipe's own file.
    pub timestamp: FileStamp,
    /// The variants of the recipe, `""` for the plain one.
    #[rkyv(with = Intern<Map<Intern>>)]
    pub variants: Vec<String>,
    /// The append files that were applied, in order.
    #[rkyv(with = Intern<Map<Intern>>)]
    pub appends: Vec<String>,
    /// Not empty if the recipe must not be cached.
    #[rkyv(with = Intern)]
    pub nocache: String,
    /// The names it provides for builds.
    #[rkyv(with = Intern<Map<Intern>>)]
    pub provides: Vec<String>,
    /// The names all its packages provide at run time.
    #[rkyv(with = Intern<Map<Intern>>)]
    pub rprovides: Vec<String>,
    /// The recipe's name.
    #[rkyv(with = Intern)]
    pub pn: String,
    /// The packages it builds.
    #[rkyv(with = Intern<Map<Intern>>)]
    pub packages: Vec<String>,
    /// Regular expressions of the packages it may build as well.
    #[rkyv(with = Intern<Map<Intern>>)]
    pub packages_dynamic: Vec<String>,
    /// The names that each package provides at run time.
    #[rkyv(with = Intern<MapKV<Intern, Intern<Map<Intern>>>>)]
    pub rprovides_pkg: BTreeMap<String, Vec<String>>,
    /// Why it is skipped, empty if it is not.
    #[rkyv(with = Intern)]
    pub skipreason: String,
    /// Whether it is skipped.
    pub skipped: bool,
    /// What is known of a recipe that is not skipped. Its fields stand beside the others in the dump.
    #[serde(flatten)]
    pub parsed: Option<ParsedRecipe>,
}

walk_struct!(
    CoreRecipeInfo,
    ArchivedCoreRecipeInfo {
        file_depends,
        timestamp,
        variants,
        appends,
        nocache,
        provides,
        rprovides,
        pn,
        packages,
        packages_dynamic,
        rprovides_pkg,
        skipreason,
        skipped,
        parsed,
    }
);

/// The part of a [`CoreRecipeInfo`] that only a recipe has that can be built.
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
)]
#[rkyv(derive(floe::Schema))]
pub(crate) struct ParsedRecipe {
    /// The recipe's tasks.
    #[rkyv(with = Intern<Map<Intern>>)]
    pub tasks: Vec<String>,
    /// The hash of each task without its dependencies, in hexadecimal.
    #[rkyv(with = MapKV<Intern, rkyv::with::Identity>)]
    pub basetaskhashes: BTreeMap<String, String>,
    /// The names under which its output is found in shared state.
    pub hashfilename: String,
    /// How its tasks depend on each other and on those of other recipes.
    #[rkyv(with = Intern)]
    pub task_deps: TaskDeps,
    /// The epoch, often empty.
    #[rkyv(with = Intern)]
    pub pe: String,
    /// The version.
    #[rkyv(with = Intern)]
    pub pv: String,
    /// The revision.
    #[rkyv(with = Intern)]
    pub pr: String,
    /// The preference of this version over others.
    pub defaultpref: i32,
    /// Not empty if a build of everything leaves it out.
    #[rkyv(with = Intern)]
    pub not_world: String,
    /// The start of the paths of its tasks' stamp files.
    pub stamp: String,
    /// The pattern of the stamp files to remove.
    pub stampclean: String,
    /// What is added to the name of each task's stamp file.
    #[rkyv(with = Intern<MapKV<Intern, Map<Intern>>>)]
    pub stamp_extrainfo: BTreeMap<String, Option<String>>,
    /// The files each task depends on, as a text of `path:exists` words.
    #[rkyv(with = Intern<MapKV<Intern, Intern>>)]
    pub file_checksums: BTreeMap<String, String>,
    /// What the build depends on.
    #[rkyv(with = Intern<Map<Intern>>)]
    pub depends: Vec<String>,
    /// What all its packages depend on at run time.
    #[rkyv(with = Intern<Map<Intern>>)]
    pub rdepends: Vec<String>,
    /// What all its packages recommend at run time.
    #[rkyv(with = Intern<Map<Intern>>)]
    pub rrecommends: Vec<String>,
    /// What each package depends on at run time.
    #[rkyv(with = Intern<MapKV<Intern, Intern<Map<Intern>>>>)]
    pub rdepends_pkg: BTreeMap<String, Vec<String>>,
    /// What each package recommends at run time.
    #[rkyv(with = Intern<MapKV<Intern, Intern<Map<Intern>>>>)]
    pub rrecommends_pkg: BTreeMap<String, Vec<String>>,
    /// The classes it inherits, as paths in the order of inheritance.
    #[rkyv(with = Intern<Map<Intern>>)]
    pub inherits: Vec<String>,
    /// The environment of its tasks that run under fakeroot.
    pub fakerootenv: String,
    /// The directories those tasks need.
    pub fakerootdirs: String,
    /// The log those tasks write.
    pub fakerootlogs: String,
    /// The environment of its tasks that do not run under fakeroot.
    #[rkyv(with = Intern)]
    pub fakerootnoenv: String,
    /// Python code that computes more dependencies of the recipe.
    #[rkyv(with = Intern)]
    pub extradepsfunc: String,
}

walk_struct!(
    ParsedRecipe,
    ArchivedParsedRecipe {
        tasks,
        basetaskhashes,
        hashfilename,
        task_deps,
        pe,
        pv,
        pr,
        defaultpref,
        not_world,
        stamp,
        stampclean,
        stamp_extrainfo,
        file_checksums,
        depends,
        rdepends,
        rrecommends,
        rdepends_pkg,
        rrecommends_pkg,
        inherits,
        fakerootenv,
        fakerootdirs,
        fakerootlogs,
        fakerootnoenv,
        extradepsfunc,
    }
);

impl<'de> Deserialize<'de> for CoreRecipeInfo {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Fields::deserialize(Instance(deserializer))?
            .group()
            .map_err(D::Error::custom)
    }
}

/// All fields side by side, as the dump has them. Serde's own flattening reads an incomplete group of
/// fields as no group at all, and does not notice unknown fields.
#[derive(Deserialize)]
#[serde(rename = "CoreRecipeInfo", deny_unknown_fields)]
struct Fields {
    file_depends: Vec<FileDependency>,
    timestamp: FileStamp,
    variants: Vec<String>,
    appends: Vec<String>,
    nocache: String,
    provides: Vec<String>,
    rprovides: Vec<String>,
    pn: String,
    packages: Vec<String>,
    packages_dynamic: Vec<String>,
    rprovides_pkg: BTreeMap<String, Vec<String>>,
    skipreason: String,
    skipped: bool,
    tasks: Option<Vec<String>>,
    basetaskhashes: Option<BTreeMap<String, String>>,
    hashfilename: Option<String>,
    task_deps: Option<TaskDeps>,
    pe: Option<String>,
    pv: Option<String>,
    pr: Option<String>,
    defaultpref: Option<i32>,
    not_world: Option<String>,
    stamp: Option<String>,
    stampclean: Option<String>,
    stamp_extrainfo: Option<BTreeMap<String, Option<String>>>,
    file_checksums: Option<BTreeMap<String, String>>,
    depends: Option<Vec<String>>,
    rdepends: Option<Vec<String>>,
    rrecommends: Option<Vec<String>>,
    rdepends_pkg: Option<BTreeMap<String, Vec<String>>>,
    rrecommends_pkg: Option<BTreeMap<String, Vec<String>>>,
    inherits: Option<Vec<String>>,
    fakerootenv: Option<String>,
    fakerootdirs: Option<String>,
    fakerootlogs: Option<String>,
    fakerootnoenv: Option<String>,
    extradepsfunc: Option<String>,
}

/// A struct of the fields named, `None` if none of them is there, an error if only some are.
macro_rules! all_or_none {
    ($fields:expr => $group:ident { $($field:ident),+ $(,)? }) => {
        if [$($fields.$field.is_none()),+] == [true; [$(stringify!($field)),+].len()] {
            None
        } else {
            Some($group {
                $($field: $fields.$field.ok_or(concat!("missing field `", stringify!($field), "`"))?),+
            })
        }
    };
}

impl Fields {
    fn group(self) -> Result<CoreRecipeInfo, &'static str> {
        let parsed = all_or_none!(self => ParsedRecipe {
            tasks, basetaskhashes, hashfilename, task_deps, pe, pv, pr, defaultpref, not_world, stamp,
            stampclean, stamp_extrainfo, file_checksums, depends, rdepends, rrecommends, rdepends_pkg,
            rrecommends_pkg, inherits, fakerootenv, fakerootdirs, fakerootlogs, fakerootnoenv,
            extradepsfunc,
        });
        Ok(CoreRecipeInfo {
            file_depends: self.file_depends,
            timestamp: self.timestamp,
            variants: self.variants,
            appends: self.appends,
            nocache: self.nocache,
            provides: self.provides,
            rprovides: self.rprovides,
            pn: self.pn,
            packages: self.packages,
            packages_dynamic: self.packages_dynamic,
            rprovides_pkg: self.rprovides_pkg,
            skipreason: self.skipreason,
            skipped: self.skipped,
            parsed,
        })
    }
}
