//! What BitBake keeps of a parsed recipe: the cache `core_recipe_info`, keyed by virtual file name.

use std::collections::BTreeMap;

use floe::Intern;
use rkyv::with::{Identity, Map, MapKV};
use serde::{Deserialize, Serialize};

use super::stamp::{FileDependency, FileStamp};
use super::task_deps::TaskDeps;
use crate::interning::{List, Lists, Texts};
use crate::walk::cached;

/// Declares the recipe with the fields that each one has and those that a skipped one lacks. They
/// stand side by side in a dump, and apart here.
macro_rules! recipe {
    (
        always {$($(#[$about:meta])* $field:ident: $type:ty,)+}
        parsed {$($(#[$about_part:meta])* $part:ident: $part_type:ty,)+}
    ) => {
        cached! {
            /// A recipe, or one variant of it.
            #[derive(Serialize, Deserialize)]
            #[serde(from = "Fields", tag = "__class__")]
            pub(crate) struct CoreRecipeInfo {
                $($(#[$about])* pub $field: $type,)+
                /// What is known of a recipe that is not skipped.
                #[serde(flatten)]
                pub parsed: Option<ParsedRecipe>,
            }
        }

        cached! {
            /// The part of a [`CoreRecipeInfo`] that only a recipe has that can be built.
            #[derive(Serialize)]
            pub(crate) struct ParsedRecipe {
                $($(#[$about_part])* pub $part: $part_type,)+
            }
        }

        #[derive(Deserialize)]
        struct Fields {
            $($field: $type,)+
            $($part: Option<$part_type>,)+
        }

        impl From<Fields> for CoreRecipeInfo {
            fn from(fields: Fields) -> Self {
                let parsed = || Some(ParsedRecipe { $($part: fields.$part?,)+ });
                Self {
                    parsed: parsed(),
                    $($field: fields.$field,)+
                }
            }
        }
    };
}

recipe! {
    always {
        /// The files it was parsed from, in the order of reading, and those that were looked for in vain.
        #[rkyv(with = List)] file_depends: Vec<FileDependency>,
        timestamp: FileStamp,
        /// The variants of the recipe, `""` for the plain one.
        #[rkyv(with = List)] variants: Vec<String>,
        #[rkyv(with = List)] appends: Vec<String>,
        /// Not empty if the recipe must not be cached.
        #[rkyv(with = Intern)] nocache: String,
        #[rkyv(with = List)] provides: Vec<String>,
        /// The names all its packages provide at run time.
        #[rkyv(with = List)] rprovides: Vec<String>,
        #[rkyv(with = Intern)] pn: String,
        #[rkyv(with = List)] packages: Vec<String>,
        /// Regular expressions of the packages it may build as well.
        #[rkyv(with = List)] packages_dynamic: Vec<String>,
        /// The names that each package provides at run time.
        #[rkyv(with = Lists)] rprovides_pkg: BTreeMap<String, Vec<String>>,
        /// Why it is skipped, empty if it is not.
        #[rkyv(with = Intern)] skipreason: String,
        skipped: bool,
    }
    parsed {
        #[rkyv(with = List)] tasks: Vec<String>,
        /// The hash of each task without its dependencies, in hexadecimal.
        #[rkyv(with = MapKV<Intern, Identity>)] basetaskhashes: BTreeMap<String, String>,
        /// The names under which its output is found in shared state.
        hashfilename: String,
        #[rkyv(with = Intern)] task_deps: TaskDeps,
        /// The epoch, often empty.
        #[rkyv(with = Intern)] pe: String,
        #[rkyv(with = Intern)] pv: String,
        #[rkyv(with = Intern)] pr: String,
        /// The preference of this version over others.
        defaultpref: i32,
        /// Not empty if a build of everything leaves it out.
        #[rkyv(with = Intern)] not_world: String,
        stamp: String,
        /// The pattern of the stamp files to remove.
        stampclean: String,
        /// What is added to the name of each task's stamp file.
        #[rkyv(with = Intern<MapKV<Intern, Map<Intern>>>)] stamp_extrainfo: BTreeMap<String, Option<String>>,
        /// The files each task depends on, as a text of `path:exists` words.
        #[rkyv(with = Texts)] file_checksums: BTreeMap<String, String>,
        #[rkyv(with = List)] depends: Vec<String>,
        /// What all its packages depend on at run time.
        #[rkyv(with = List)] rdepends: Vec<String>,
        /// What all its packages recommend at run time.
        #[rkyv(with = List)] rrecommends: Vec<String>,
        #[rkyv(with = Lists)] rdepends_pkg: BTreeMap<String, Vec<String>>,
        #[rkyv(with = Lists)] rrecommends_pkg: BTreeMap<String, Vec<String>>,
        /// The classes it inherits, as paths in the order of inheritance.
        #[rkyv(with = List)] inherits: Vec<String>,
        /// The environment of its tasks that run under fakeroot.
        fakerootenv: String,
        fakerootdirs: String,
        fakerootlogs: String,
        /// The environment of its tasks that do not run under fakeroot.
        #[rkyv(with = Intern)] fakerootnoenv: String,
        /// Python code that computes more dependencies of the recipe.
        #[rkyv(with = Intern)] extradepsfunc: String,
    }
}
