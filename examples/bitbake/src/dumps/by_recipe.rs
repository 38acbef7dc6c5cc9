//! The indexes of [`CacheData`] with those of one recipe side by side: one look-up finds them all, and the
//! recipe's virtual file name, the key of 20 indexes and part of every key of `basetaskhash`, is written
//! once.

use std::collections::BTreeMap;

use super::cache_data::{CacheData, Empty, Version};
use super::python::Set;
use super::task_deps::TaskDeps;
use crate::walk::walk_struct;
use floe::Intern;
use rkyv::with::{Map, MapKV};

/// What [`CacheData`] knows of one recipe, under the names of the indexes.
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
)]
#[rkyv(derive(floe::Schema))]
pub(crate) struct RecipeIndexes {
    /// The dependencies of its tasks.
    #[rkyv(with = Intern)]
    pub task_deps: TaskDeps,
    /// The recipe name.
    #[rkyv(with = Intern)]
    pub pkg_fn: String,
    /// The version.
    #[rkyv(with = Intern)]
    pub pkg_pepvpr: Version,
    /// The preference over other versions.
    pub pkg_dp: i32,
    /// The start of the paths of its stamp files.
    pub stamp: String,
    /// The pattern of the stamp files to remove.
    pub stampclean: String,
    /// Task to what is added to the name of the task's stamp file.
    #[rkyv(with = Intern<MapKV<Intern, Map<Intern>>>)]
    pub stamp_extrainfo: BTreeMap<String, Option<String>>,
    /// Task to the files it depends on, as a text of `path:exists` words.
    #[rkyv(with = Intern<MapKV<Intern, Intern>>)]
    pub file_checksums: BTreeMap<String, String>,
    /// The names it provides for builds.
    #[rkyv(with = Intern<Map<Intern>>)]
    pub fn_provides: Vec<String>,
    /// Package to what it depends on at run time.
    #[rkyv(with = Intern<MapKV<Intern, Intern<Map<Intern>>>>)]
    pub rundeps: BTreeMap<String, Vec<String>>,
    /// Package to what it recommends at run time.
    #[rkyv(with = Intern<MapKV<Intern, Intern<Map<Intern>>>>)]
    pub runrecs: BTreeMap<String, Vec<String>>,
    /// The names under which its output is found in shared state.
    pub hashfn: String,
    /// The classes it inherits, as paths in the order of inheritance.
    #[rkyv(with = Intern<Map<Intern>>)]
    pub inherits: Vec<String>,
    /// The environment of its tasks that run under fakeroot.
    pub fakerootenv: String,
    /// The environment of its tasks that do not run under fakeroot.
    #[rkyv(with = Intern)]
    pub fakerootnoenv: String,
    /// The directories its tasks under fakeroot need.
    pub fakerootdirs: String,
    /// The log its tasks under fakeroot write.
    pub fakerootlogs: String,
    /// Python code that computes more dependencies.
    #[rkyv(with = Intern)]
    pub extradepsfunc: String,
    /// The priority of its layer.
    pub bbfile_priority: i32,
    /// What its build depends on. Absent for some that depend on nothing.
    #[rkyv(with = Map<Intern<Map<Intern>>>)]
    pub deps: Option<Vec<String>>,
    /// Task to the task's hash without its dependencies, in hexadecimal.
    #[rkyv(with = MapKV<Intern, rkyv::with::Identity>)]
    pub basetaskhash: BTreeMap<String, String>,
}

walk_struct!(
    RecipeIndexes,
    ArchivedRecipeIndexes {
        task_deps,
        pkg_fn,
        pkg_pepvpr,
        pkg_dp,
        stamp,
        stampclean,
        stamp_extrainfo,
        file_checksums,
        fn_provides,
        rundeps,
        runrecs,
        hashfn,
        inherits,
        fakerootenv,
        fakerootnoenv,
        fakerootdirs,
        fakerootlogs,
        extradepsfunc,
        bbfile_priority,
        deps,
        basetaskhash
    }
);

/// The indexes of [`CacheData`] that have other keys, or none.
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
)]
#[rkyv(derive(floe::Schema))]
pub(crate) struct NameIndexes {
    /// Recipe name to files.
    #[rkyv(with = MapKV<Intern, Intern<Map<Intern>>>)]
    pub pkg_pn: BTreeMap<String, Vec<String>>,
    /// Recipe name to the names it provides for builds.
    #[rkyv(with = MapKV<Intern, Intern<Map<Intern>>>)]
    pub pn_provides: BTreeMap<String, Vec<String>>,
    /// Every name that some build depends on.
    #[rkyv(with = Map<Intern>)]
    pub all_depends: Vec<String>,
    /// Package to the files that build it.
    #[rkyv(with = MapKV<Intern, Intern<Map<Intern>>>)]
    pub packages: BTreeMap<String, Vec<String>>,
    /// Name to the files that provide it for builds.
    #[rkyv(with = MapKV<Intern, Intern<Map<Intern>>>)]
    pub providers: BTreeMap<String, Vec<String>>,
    /// Name to the files that provide it at run time.
    #[rkyv(with = MapKV<Intern, Intern<Map<Intern>>>)]
    pub rproviders: BTreeMap<String, Vec<String>>,
    /// Regular expression of packages to the files that may build them.
    #[rkyv(with = MapKV<Intern, Intern<Map<Intern>>>)]
    pub packages_dynamic: BTreeMap<String, Vec<String>>,
    /// Files that a build of everything may include.
    #[rkyv(with = Map<Intern>)]
    pub possible_world: Vec<String>,
    /// The names of all recipes.
    #[rkyv(with = Map<Intern>)]
    pub universe_target: Vec<String>,
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
}

impl NameIndexes {
    /// The names, recipes and packages in all indexes together.
    pub(crate) fn len(&self) -> usize {
        let maps = [
            &self.pkg_pn,
            &self.pn_provides,
            &self.packages,
            &self.providers,
            &self.rproviders,
            &self.packages_dynamic,
        ];
        let lists = [
            &self.all_depends,
            &self.possible_world,
            &self.universe_target,
        ];
        maps.map(BTreeMap::len).iter().sum::<usize>() + lists.map(Vec::len).iter().sum::<usize>()
    }
}

walk_struct!(
    NameIndexes,
    ArchivedNameIndexes {
        pkg_pn,
        pn_provides,
        all_depends,
        packages,
        providers,
        rproviders,
        packages_dynamic,
        possible_world,
        universe_target,
        task_queues,
        preferred,
        tasks,
        ignored_dependencies,
        world_target
    }
);

/// An index lacks a recipe that another one has.
#[derive(Debug, PartialEq, thiserror::Error)]
#[error(
    "index {index} of cachedata: expected the recipe {file} in all indexes or in none, got it in some; dump the caches again"
)]
pub(crate) struct Incomplete {
    /// The index that lacks the recipe, or has it alone.
    pub index: &'static str,
    /// The recipe's virtual file name.
    pub file: String,
}

/// Calls a macro with the indexes that have every recipe.
macro_rules! of_every_recipe {
    ($macro:ident) => {
        $macro!(
            task_deps,
            pkg_fn,
            pkg_pepvpr,
            pkg_dp,
            stamp,
            stampclean,
            stamp_extrainfo,
            file_checksums,
            fn_provides,
            rundeps,
            runrecs,
            hashfn,
            inherits,
            fakerootenv,
            fakerootnoenv,
            fakerootdirs,
            fakerootlogs,
            extradepsfunc,
            bbfile_priority
        )
    };
}

/// Calls a macro with the fields of [`NameIndexes`].
macro_rules! of_names {
    ($macro:ident) => {
        $macro!(
            pkg_pn,
            pn_provides,
            all_depends,
            packages,
            providers,
            rproviders,
            packages_dynamic,
            possible_world,
            universe_target,
            task_queues,
            preferred,
            tasks,
            ignored_dependencies,
            world_target
        )
    };
}

/// The indexes by recipe, and the others. No value is copied.
///
/// # Errors
/// If an index other than `deps` lacks a recipe, or one has a recipe that `pkg_fn` has not.
pub(crate) fn split(
    mut data: CacheData,
) -> Result<(BTreeMap<String, RecipeIndexes>, NameIndexes), Incomplete> {
    let mut hashes = hashes_by_file(std::mem::take(&mut data.basetaskhash))?;
    let mut recipes = BTreeMap::new();
    for file in data.pkg_fn.keys().cloned().collect::<Vec<_>>() {
        macro_rules! take {
            ($($index:ident),+) => {
                RecipeIndexes {
                    $($index: match data.$index.remove(&file) {
                        Some(value) => value,
                        None => return Err(Incomplete { index: stringify!($index), file }),
                    },)+
                    deps: data.deps.remove(&file),
                    basetaskhash: hashes.remove(&file).unwrap_or_default(),
                }
            };
        }
        let indexes = of_every_recipe!(take);
        recipes.insert(file, indexes);
    }
    macro_rules! expect_empty {
        ($($index:ident),+) => {
            $(if let Some((file, _)) = data.$index.pop_first() {
                return Err(Incomplete { index: stringify!($index), file });
            })+
        };
    }
    of_every_recipe!(expect_empty);
    expect_empty!(deps);
    if let Some((file, _)) = hashes.pop_first() {
        return Err(Incomplete {
            index: "basetaskhash",
            file,
        });
    }
    macro_rules! names {
        ($($index:ident),+) => {
            NameIndexes { $($index: data.$index),+ }
        };
    }
    Ok((recipes, of_names!(names)))
}

/// The indexes that [`split`] took apart.
#[cfg(test)]
pub(crate) fn join(recipes: BTreeMap<String, RecipeIndexes>, names: NameIndexes) -> CacheData {
    macro_rules! start {
        ($($index:ident),+) => {
            CacheData { $($index: names.$index,)+ ..CacheData::default() }
        };
    }
    let mut data = of_names!(start);
    for (file, indexes) in recipes {
        for (task, hash) in indexes.basetaskhash {
            data.basetaskhash.insert(format!("{file}:{task}"), hash);
        }
        if let Some(deps) = indexes.deps {
            data.deps.insert(file.clone(), deps);
        }
        macro_rules! put {
            ($($index:ident),+) => {
                $(data.$index.insert(file.clone(), indexes.$index);)+
            };
        }
        of_every_recipe!(put);
    }
    data
}

/// Takes the keys `file:task` apart. A task's name has no colon.
fn hashes_by_file(
    hashes: BTreeMap<String, String>,
) -> Result<BTreeMap<String, BTreeMap<String, String>>, Incomplete> {
    let mut files = BTreeMap::<String, BTreeMap<String, String>>::new();
    for (key, hash) in hashes {
        let Some((file, task)) = key.rsplit_once(':') else {
            return Err(Incomplete {
                index: "basetaskhash",
                file: key,
            });
        };
        if let Some(tasks) = files.get_mut(file) {
            tasks.insert(task.into(), hash);
        } else {
            files.insert(file.into(), BTreeMap::from([(task.into(), hash)]));
        }
    }
    Ok(files)
}
