//! How the tasks of a recipe depend on each other and on those of other recipes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::walk::cached;
use floe::Intern;
use rkyv::with::{Map, MapKV};

cached! {
    /// The tasks of a recipe and their flags. A task without a flag is absent from the flag's map.
    #[derive(Serialize, Deserialize)]
    pub(crate) struct TaskDeps {
        /// The tasks.
        #[rkyv(with = Intern<Map<Intern>>)]
        pub tasks: Vec<String>,
        /// The tasks of the same recipe that come before each task.
        #[rkyv(with = Intern<MapKV<Intern, Intern<Map<Intern>>>>)]
        pub parents: BTreeMap<String, Vec<String>>,
        /// Tasks of other configurations, `mc:from:to:recipe:task`.
        #[rkyv(with = Intern<MapKV<Intern, Intern>>)]
        pub mcdepends: BTreeMap<String, String>,
        /// Tasks of other recipes, `recipe:task`, for every task if only as an empty text.
        #[rkyv(with = Intern<MapKV<Intern, Intern>>)]
        pub depends: BTreeMap<String, String>,
        /// Tasks of what is depended on at run time.
        #[rkyv(with = Intern<MapKV<Intern, Intern>>)]
        pub rdepends: BTreeMap<String, String>,
        /// The tasks to run in everything the recipe depends on for its build.
        #[rkyv(with = Intern<MapKV<Intern, Intern>>)]
        pub deptask: BTreeMap<String, String>,
        /// The tasks to run in everything the recipe depends on at run time.
        #[rkyv(with = Intern<MapKV<Intern, Intern>>)]
        pub rdeptask: BTreeMap<String, String>,
        /// The tasks to run in everything the recipe depends on, recursively.
        #[rkyv(with = Intern<MapKV<Intern, Intern>>)]
        pub recrdeptask: BTreeMap<String, String>,
        /// The tasks whose dependencies are followed recursively.
        #[rkyv(with = Intern<MapKV<Intern, Intern>>)]
        pub recideptask: BTreeMap<String, String>,
        /// Tasks that run each time.
        #[rkyv(with = Intern<MapKV<Intern, Intern>>)]
        pub nostamp: BTreeMap<String, String>,
        /// Tasks that run under fakeroot.
        #[rkyv(with = Intern<MapKV<Intern, Intern>>)]
        pub fakeroot: BTreeMap<String, String>,
        /// Tasks that do nothing.
        #[rkyv(with = Intern<MapKV<Intern, Intern>>)]
        pub noexec: BTreeMap<String, String>,
        /// The umask in octal.
        #[rkyv(with = Intern<MapKV<Intern, Intern>>)]
        pub umask: BTreeMap<String, String>,
    }
}
