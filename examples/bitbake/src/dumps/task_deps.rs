//! How the tasks of a recipe depend on each other and on those of other recipes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::interning::{List, Lists, Texts};
use crate::walk::cached;

cached! {
    /// The tasks of a recipe and their flags. A task without a flag is absent from the flag's map.
    #[derive(Serialize, Deserialize)]
    pub(crate) struct TaskDeps {
        #[rkyv(with = List)] pub tasks: Vec<String>,
        /// The tasks of the same recipe that come before each task.
        #[rkyv(with = Lists)] pub parents: BTreeMap<String, Vec<String>>,
        /// Tasks of other configurations, `mc:from:to:recipe:task`.
        #[rkyv(with = Texts)] pub mcdepends: BTreeMap<String, String>,
        /// Tasks of other recipes, `recipe:task`, for every task if only as an empty text.
        #[rkyv(with = Texts)] pub depends: BTreeMap<String, String>,
        /// Tasks of what is depended on at run time.
        #[rkyv(with = Texts)] pub rdepends: BTreeMap<String, String>,
        /// The tasks to run in everything the recipe depends on: for its build, at run time, recursively.
        #[rkyv(with = Texts)] pub deptask: BTreeMap<String, String>,
        #[rkyv(with = Texts)] pub rdeptask: BTreeMap<String, String>,
        #[rkyv(with = Texts)] pub recrdeptask: BTreeMap<String, String>,
        /// The tasks whose dependencies are followed recursively.
        #[rkyv(with = Texts)] pub recideptask: BTreeMap<String, String>,
        /// Tasks that run each time, that run under fakeroot, and that do nothing.
        #[rkyv(with = Texts)] pub nostamp: BTreeMap<String, String>,
        #[rkyv(with = Texts)] pub fakeroot: BTreeMap<String, String>,
        #[rkyv(with = Texts)] pub noexec: BTreeMap<String, String>,
        /// The umask in octal.
        #[rkyv(with = Texts)] pub umask: BTreeMap<String, String>,
    }
}
