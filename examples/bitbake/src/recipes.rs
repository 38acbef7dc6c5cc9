//! What a recipe says of itself: names, dependencies, sources.
//!
//! A recipe is read together with the files that it includes or requires. This is not BitBake's
//! evaluation: classes and configuration are not read, overrides that depend on machine,
//! distribution or class are left out, appends of other layers and variants made by class extension
//! do not exist, and of all references only `${PN}`, `${PV}`, `${BPN}` and `${BP}` are expanded;
//! others stay as text.

mod variables;

use std::collections::{BTreeMap, BTreeSet};

use floe::Intern;
use rkyv::with::Map;

use crate::interning::{List, Lists};
use crate::statements::{Kind, Operator, Statement, words};
use crate::walk::cached;
pub(crate) use variables::Names;
use variables::Variables;

cached! {
    /// What a recipe says of itself. A text is absent if no statement assigns it.
    #[derive(Default)]
    pub(crate) struct Recipe {
        /// `PN`, or the name in the file name.
        pub name: String,
        /// `PV`, or the version in the file name, or `1.0`.
        #[rkyv(with = Intern)] pub version: String,
        #[rkyv(with = Map<Intern>)] pub summary: Option<String>,
        #[rkyv(with = Map<Intern>)] pub description: Option<String>,
        #[rkyv(with = Map<Intern>)] pub homepage: Option<String>,
        #[rkyv(with = Map<Intern>)] pub section: Option<String>,
        #[rkyv(with = Map<Intern>)] pub license: Option<String>,
        /// `DEPENDS`, in order.
        #[rkyv(with = List)] pub depends: Vec<String>,
        /// `RDEPENDS` by package, in order.
        #[rkyv(with = Lists)] pub runtime_depends: BTreeMap<String, Vec<String>>,
        /// `PROVIDES`, in order, the recipe's own name first.
        #[rkyv(with = List)] pub provides: Vec<String>,
        /// The classes it inherits, in order, each once.
        #[rkyv(with = List)] pub inherits: Vec<String>,
        /// The tasks it adds and does not delete.
        #[rkyv(with = Intern)] pub tasks: BTreeSet<String>,
        /// `SRC_URI`, in order.
        #[rkyv(with = Map<Intern>)] pub sources: Vec<String>,
        /// The files it includes and requires, in order: the path in the layer, or the name as it is written
        /// if the layer has no such file.
        #[rkyv(with = List)] pub files: Vec<String>,
    }
}

/// The parsed files of a layer tree, by path.
pub(crate) type Files = BTreeMap<String, Vec<Statement>>;

/// Reads the recipe at `path`. `roots` are the folders that included files are looked for in, after
/// the recipe's own: the layers of the tree.
pub(crate) fn read(path: &str, files: &Files, roots: &[String]) -> Recipe {
    read_with(path, files, roots, &|path| files.contains_key(path))
}

/// The same where files `exist` that were not parsed yet: they are found, and read as empty.
pub(crate) fn read_with(
    path: &str,
    files: &Files,
    roots: &[String],
    exists: &dyn Fn(&str) -> bool,
) -> Recipe {
    let mut reader = Reader {
        files,
        exists,
        roots,
        names: Names::of(path),
        variables: Variables::default(),
        recipe: Recipe::default(),
        open: vec![],
    };
    reader.file(path);
    reader.finish()
}

/// How many inclusions one recipe may make. Files that include each other again and again would
/// otherwise take time without end.
const INCLUDE_LIMIT: usize = 256;

struct Reader<'f> {
    files: &'f Files,
    exists: &'f dyn Fn(&str) -> bool,
    roots: &'f [String],
    names: Names,
    variables: Variables,
    recipe: Recipe,
    /// The files being read, the innermost last.
    open: Vec<&'f str>,
}

impl<'f> Reader<'f> {
    fn file(&mut self, path: &str) {
        let files = self.files;
        if let Some((path, statements)) = files.get_key_value(path) {
            self.open.push(path);
            for statement in statements {
                self.statement(&statement.kind);
            }
            self.open.pop();
        }
    }

    fn statement(&mut self, kind: &'f Kind) {
        match kind {
            Kind::Assign {
                variable,
                flag: None,
                operator,
                value,
                ..
            } => {
                let value = match operator {
                    Operator::SetNow => self.names.expand(value),
                    _ => value.clone(),
                };
                let variable = self.names.expand_variable(variable);
                self.variables.assign(&variable, *operator, value);
                self.names.update(&self.variables);
            }
            Kind::Include { files, .. } => files.iter().for_each(|name| self.include(name)),
            Kind::Inherit { classes, .. } => {
                for class in classes {
                    let class = self.names.expand(class);
                    if !self.recipe.inherits.contains(&class) {
                        self.recipe.inherits.push(class);
                    }
                }
            }
            Kind::AddTask { tasks, .. } => self.recipe.tasks.extend(tasks.iter().cloned()),
            Kind::DeleteTask { tasks } => self.recipe.tasks.retain(|task| !tasks.contains(task)),
            Kind::Unset { name, flag: None } => self.variables.unset(name),
            _ => {}
        }
    }

    /// Reads an included file, unless it is being read already.
    fn include(&mut self, name: &str) {
        let name = self.names.expand(name);
        let found = self.find(&name);
        let path = found.clone().unwrap_or(name);
        if self.recipe.files.len() < INCLUDE_LIMIT {
            self.recipe.files.push(path);
            if let Some(path) = found.filter(|path| !self.open.contains(&path.as_str())) {
                self.file(&path);
            }
        }
    }

    /// The path of an included file: next to the file that names it, next to the recipe, or in a
    /// layer.
    fn find(&self, name: &str) -> Option<String> {
        let files = [self.open.last(), self.open.first()].into_iter().flatten();
        let folders = files.map(|path| path.rsplit_once('/').map_or("", |(folder, _)| folder));
        let folders = folders.chain(self.roots.iter().map(String::as_str));
        let mut paths = folders.filter_map(|folder| join(folder, name));
        paths.find(|path| (self.exists)(path))
    }

    fn finish(self) -> Recipe {
        let (names, variables) = (self.names, self.variables);
        let text = |name: &str| variables.value(name).map(|value| names.expand(&value));
        let list = |name: &str| dependencies(&text(name).unwrap_or_default());
        let sources = text("SRC_URI").unwrap_or_default();
        let mut provides = vec![names.name.clone()];
        let others = list("PROVIDES").into_iter();
        provides.extend(others.filter(|name| *name != names.name));
        let needed_by = |package: &str| (package.into(), list(&format!("RDEPENDS:{package}")));
        Recipe {
            summary: text("SUMMARY"),
            description: text("DESCRIPTION"),
            homepage: text("HOMEPAGE"),
            section: text("SECTION"),
            license: text("LICENSE"),
            depends: list("DEPENDS"),
            sources: words(&sources).map(String::from).collect(),
            provides,
            runtime_depends: variables.packages().map(needed_by).collect(),
            name: names.name,
            version: names.version,
            ..self.recipe
        }
    }
}

/// The names in a list of dependencies, without their versions: `a (>= 1.0) b`.
fn dependencies(text: &str) -> Vec<String> {
    let mut inside = false;
    let mut names = vec![];
    for word in words(text) {
        inside |= word.starts_with('(');
        if !inside {
            names.push(word.into());
        }
        inside &= !word.ends_with(')');
    }
    names
}

/// Joins a relative name to a folder and resolves `.` and `..`; nothing if it leads out of the
/// tree.
fn join(folder: &str, name: &str) -> Option<String> {
    let mut parts: Vec<&str> = vec![];
    for part in folder.split('/').chain(name.split('/')) {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statements::parse_file;

    fn recipe(files: &[(&str, &str)]) -> Recipe {
        let parse = |&(path, text): &(&str, &str)| {
            let parsed = parse_file(path, String::from(text));
            (String::from(path), parsed.statements)
        };
        let parsed = files.iter().map(parse).collect();
        read(files[0].0, &parsed, &["meta".into()])
    }

    #[test]
    fn a_recipe_is_read_with_what_it_requires() {
        let path = "meta/recipes-x/glow/glow_1.2.bb";
        let own = "require glow.inc\ninclude absent.inc\nSUMMARY = \"Light of ${BP}\"\n\
            DEPENDS += \"ink (>= 2) ${@f('a b')}\"\nDEPENDS:append = \" last\"\n\
            DEPENDS:append:qemuarm = \" never\"\nDEPENDS:remove = \"oil\"\n";
        let near = "require conf/common.inc\nDEPENDS = \"wax oil\"\n\
            SRC_URI = \"https://e.org/${BP}.tar \\\n file://a\"\n";
        let common = "inherit paint ${@g('b c')}\nSECTION ?= \"base\"\n";
        let [near_path, common_path] = ["meta/recipes-x/glow/glow.inc", "meta/conf/common.inc"];
        let recipe = recipe(&[(path, own), (near_path, near), (common_path, common)]);
        assert_eq!(recipe.version, "1.2");
        assert_eq!(recipe.summary.as_deref(), Some("Light of glow-1.2"));
        assert_eq!(recipe.section.as_deref(), Some("base"));
        assert_eq!(recipe.license, None);
        assert_eq!(recipe.depends, ["wax", "ink", "${@f('a b')}", "last"]);
        assert_eq!(recipe.sources, ["https://e.org/glow-1.2.tar", "file://a"]);
        assert_eq!(recipe.inherits, ["paint", "${@g('b c')}"]);
        assert_eq!(recipe.files, [near_path, common_path, "absent.inc"]);
    }

    #[test]
    fn packages_tasks_and_provided_names_are_gathered() {
        let recipe = recipe(&[(
            "a/glow-native_git.bb",
            "DESCRIPTION := \"${PV}\"\nHOMEPAGE = \"${PV}\"\nPV = \"3+git\"\nRDEPENDS:${PN} = \"x\"\n\
             RDEPENDS:${PN}:append = \" y\"\nRDEPENDS:${PN}:append:arm = \" z\"\nRDEPENDS:${BPN}-dev += \"w\"\n\
             RDEPENDS:class-target = \"v\"\nPROVIDES = \"virtual/light ${PN}\"\naddtask one two\ndeltask two\n",
        )]);
        assert_eq!(recipe.description.as_deref(), Some("git"));
        assert_eq!(recipe.homepage.as_deref(), Some("3+git"));
        let needs = format!("{:?}", recipe.runtime_depends);
        assert_eq!(needs, r#"{"glow-dev": ["w"], "glow-native": ["x", "y"]}"#);
        assert_eq!(recipe.provides, ["glow-native", "virtual/light"]);
        assert!(recipe.tasks.iter().eq(["one"]));
    }

    #[test]
    fn files_that_include_each_other_come_to_an_end() {
        let recipe = recipe(&[
            ("a/a.bb", "require b.inc\nrequire b.inc\n"),
            ("a/b.inc", "require b.inc\nrequire c.inc\nrequire c.inc\n"),
            ("a/c.inc", "require b.inc\nrequire a.bb\n"),
        ]);
        assert!(recipe.files.len() < INCLUDE_LIMIT);
    }
}
