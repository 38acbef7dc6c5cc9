//! The indexes that BitBake derives from all recipes: `cachedata`.
//!
//! *File* stands for the virtual file name of a recipe, the key of `core_recipe_info`. The indexes
//! of one file are frozen side by side: one look-up finds them all, and the file, the key of 20
//! indexes and part of every key of `basetaskhash`, is written once.

use std::collections::BTreeMap;

use floe::Intern;
use rkyv::with::{Identity, Map, MapKV};
use serde::{Deserialize, Serialize};

use super::code_parser::Set;
use super::task_deps::TaskDeps;
use crate::Result;
use crate::interning::{List, Lists, Texts};
use crate::walk::cached;

/// Declares the indexes under BitBake's own names: those by file, and those by other keys or by
/// none.
macro_rules! indexes {
    (
        by_file {$($(#[$about_file:meta])* $of_file:ident: $file_type:ty,)+}
        by_name {$($(#[$about_name:meta])* $of_name:ident: $name_type:ty,)+}
    ) => {
        /// The indexes as they are dumped.
        #[derive(Serialize, Deserialize)]
        pub(crate) struct CacheData {
            $($of_file: BTreeMap<String, $file_type>,)+
            deps: BTreeMap<String, Vec<String>>,
            basetaskhash: BTreeMap<String, String>,
            $($of_name: $name_type,)+
        }

        cached! {
            /// What [`CacheData`] knows of one file.
            pub(crate) struct RecipeIndexes {
                $($(#[$about_file])* pub $of_file: $file_type,)+
                /// What its build depends on. Absent for some that depend on nothing.
                #[rkyv(with = Map<List>)] pub deps: Option<Vec<String>>,
                /// Task to the task's hash without its dependencies, in hexadecimal.
                #[rkyv(with = MapKV<Intern, Identity>)] pub basetaskhash: BTreeMap<String, String>,
            }
        }

        cached! {
            /// The indexes of [`CacheData`] that have other keys, or none.
            pub(crate) struct NameIndexes {
                $($(#[$about_name])* pub $of_name: $name_type,)+
            }
        }

        impl CacheData {
            /// The indexes by file, and the others. No value is copied.
            ///
            /// # Errors
            /// If an index other than `deps` lacks a file, or one has a file that `pkg_fn` has not.
            pub(crate) fn split(mut self) -> Result<(BTreeMap<String, RecipeIndexes>, NameIndexes)> {
                let mut hashes = hashes_by_file(self.basetaskhash)?;
                let mut recipes = BTreeMap::new();
                for file in self.pkg_fn.keys().cloned().collect::<Vec<_>>() {
                    let indexes = RecipeIndexes {
                        $($of_file: self.$of_file.remove(&file)
                            .ok_or_else(|| incomplete(stringify!($of_file), &file))?,)+
                        deps: self.deps.remove(&file),
                        basetaskhash: hashes.remove(&file).unwrap_or_default(),
                    };
                    recipes.insert(file, indexes);
                }
                let left = [
                    $((stringify!($of_file), self.$of_file.into_keys().next()),)+
                    ("deps", self.deps.into_keys().next()),
                    ("basetaskhash", hashes.into_keys().next()),
                ];
                match left.into_iter().find_map(|(index, file)| Some((index, file?))) {
                    Some((index, file)) => Err(incomplete(index, &file).into()),
                    None => Ok((recipes, NameIndexes { $($of_name: self.$of_name,)+ })),
                }
            }
        }
    };
}

// Most indexes by file are fields of `CoreRecipeInfo`, where it is said what they are.
indexes! {
    by_file {
        #[rkyv(with = Intern)] task_deps: TaskDeps,
        #[rkyv(with = Intern)] pkg_fn: String,
        #[rkyv(with = Intern)] pkg_pepvpr: Version,
        pkg_dp: i32,
        stamp: String,
        stampclean: String,
        #[rkyv(with = Intern<MapKV<Intern, Map<Intern>>>)] stamp_extrainfo: BTreeMap<String, Option<String>>,
        #[rkyv(with = Texts)] file_checksums: BTreeMap<String, String>,
        #[rkyv(with = List)] fn_provides: Vec<String>,
        #[rkyv(with = Lists)] rundeps: BTreeMap<String, Vec<String>>,
        #[rkyv(with = Lists)] runrecs: BTreeMap<String, Vec<String>>,
        hashfn: String,
        #[rkyv(with = List)] inherits: Vec<String>,
        fakerootenv: String,
        #[rkyv(with = Intern)] fakerootnoenv: String,
        fakerootdirs: String,
        fakerootlogs: String,
        #[rkyv(with = Intern)] extradepsfunc: String,
        bbfile_priority: i32,
    }
    by_name {
        #[rkyv(with = MapKV<Intern, List>)] pkg_pn: BTreeMap<String, Vec<String>>,
        /// Recipe name to the names it provides for builds.
        #[rkyv(with = MapKV<Intern, List>)] pn_provides: BTreeMap<String, Vec<String>>,
        /// Every name that some build depends on.
        #[rkyv(with = Map<Intern>)] all_depends: Vec<String>,
        /// Package to the files that build it.
        #[rkyv(with = MapKV<Intern, List>)] packages: BTreeMap<String, Vec<String>>,
        /// Name to the files that provide it for builds.
        #[rkyv(with = MapKV<Intern, List>)] providers: BTreeMap<String, Vec<String>>,
        /// Name to the files that provide it at run time.
        #[rkyv(with = MapKV<Intern, List>)] rproviders: BTreeMap<String, Vec<String>>,
        /// Regular expression of packages to the files that may build them.
        #[rkyv(with = MapKV<Intern, List>)] packages_dynamic: BTreeMap<String, Vec<String>>,
        /// Files that a build of everything may include.
        #[rkyv(with = Map<Intern>)] possible_world: Vec<String>,
        #[rkyv(with = Map<Intern>)] universe_target: Vec<String>,
        task_queues: Empty,
        preferred: Empty,
        tasks: Empty,
        /// Names whose absence is no error.
        ignored_dependencies: Set,
        /// The files that a build of everything includes; none until such a build is asked for.
        world_target: Set,
    }
}

impl NameIndexes {
    /// The names, recipes and packages in all indexes together.
    pub(crate) fn len(&self) -> usize {
        let lists = self.all_depends.len() + self.possible_world.len() + self.universe_target.len();
        let named = self.pkg_pn.len() + self.pn_provides.len() + self.packages.len();
        let provided = self.providers.len() + self.rproviders.len() + self.packages_dynamic.len();
        lists + named + provided
    }
}

cached! {
    /// `[epoch, version, revision]`; the epoch is often empty.
    #[derive(Serialize, Deserialize)]
    pub(crate) struct Version(
        #[rkyv(with = Intern)] epoch: String,
        #[rkyv(with = Intern)] version: String,
        #[rkyv(with = Intern)] revision: String,
    );
}

cached! {
    /// A dictionary that BitBake declares and has left empty in the dumps, so the type of what it would
    /// hold is unknown.
    #[derive(Serialize, Deserialize)]
    pub(crate) struct Empty {}
}

/// Takes the keys `file:task` apart. A task's name has no colon.
fn hashes_by_file(
    hashes: BTreeMap<String, String>,
) -> Result<BTreeMap<String, BTreeMap<String, String>>, String> {
    let mut files = BTreeMap::<String, BTreeMap<String, String>>::new();
    for (key, hash) in hashes {
        let parts = key.rsplit_once(':');
        let (file, task) = parts.ok_or_else(|| incomplete("basetaskhash", &key))?;
        let tasks = files.entry(file.into()).or_default();
        tasks.insert(task.into(), hash);
    }
    Ok(files)
}

fn incomplete(index: &str, file: &str) -> String {
    format!(
        "index {index} of cachedata: expected the recipe {file} in all indexes or in none, got it in some; \
         dump the caches again"
    )
}
