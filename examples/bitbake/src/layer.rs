//! Reads a whole layer tree into the caches of this example.

pub(crate) mod discovery;
mod parallel;

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use floe::Inputs;

use crate::Result;
use crate::code::{self, Code, CodeHash, PythonCode, ShellCode, python, shell};
use crate::parsers::{self, ParserCosts};
use crate::patterns::{self, Pattern};
use crate::recipes::{self, Files, Names, Recipe};
use crate::statements::{self, Parsed, Statement};

/// Everything that was read from a layer tree, one map for each cache, and what there is to tell of
/// it.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Layer {
    /// The statements of each file, by its path in the tree.
    pub statements: Files,
    /// The recipes, by the path of their file.
    pub recipes: BTreeMap<String, Recipe>,
    /// What shell functions refer to, by the hash of their body. An append to a Python function
    /// that does not say `python` itself counts as shell, since only the other file tells.
    pub shell: BTreeMap<CodeHash, ShellCode>,
    /// What Python functions and inline expressions refer to, by the hash of their text.
    pub python: BTreeMap<CodeHash, PythonCode>,
    /// The compiled patterns, by their text.
    pub patterns: BTreeMap<String, Pattern>,
    pub summary: Summary,
    /// What it cost to bring together what processes parsed.
    pub parser_costs: Option<ParserCosts>,
}

/// Who parses code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Parsers {
    /// A thread for each processor.
    Threads,
    /// So many forked processes, whose overlays are merged.
    Processes(usize),
}

/// What there is to tell of a tree that was read.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Summary {
    /// The files that were read, by the ending of their name.
    pub files: BTreeMap<String, usize>,
    pub lines: u64,
    /// The lines that no rule fits; they are kept as they stand.
    pub unknown_lines: u64,
    /// How many patterns no automaton can match.
    pub refused_patterns: usize,
    /// What could not be read, each with its path and line.
    pub problems: Vec<String>,
}

impl Layer {
    /// Reads every file with a metadata ending under `path`, on all processors. Equal trees give
    /// equal layers.
    ///
    /// Files that cannot be read in full are told of in the summary and cost the others nothing.
    /// The threads are gone when this returns, so that a process that had one thread can fork.
    ///
    /// # Errors
    /// If `path` cannot be listed or holds no metadata.
    ///
    /// Processes parse code alone; everything else is read by threads all the same.
    pub(crate) fn read(path: &Path, parsers: Parsers) -> Result<Self> {
        let paths = discovery::files(path, &mut Inputs::new())?;
        if !paths.iter().any(|path| discovery::is_metadata(path)) {
            return Err(format!(
                "no metadata in `{}`: expected .bb, .bbclass, .inc, .bbappend or conf/*.conf files, got none; \
                 name a folder that holds layers",
                path.display()
            )
            .into());
        }
        let with_code = matches!(parsers, Parsers::Threads);
        let read = parallel::map(&paths, |file| FileContents::read(path, file, with_code));
        let mut layer = Self::default();
        for (path, contents) in paths.into_iter().zip(read) {
            layer.add(path, contents);
        }
        if let Parsers::Processes(count) = parsers {
            let (code, costs) = parsers::parse(&layer.statements, count)?;
            (layer.shell, layer.python) = (code.shell, code.python);
            layer.parser_costs = Some(costs);
        }
        layer.read_recipes();
        layer.compile_patterns();
        Ok(layer)
    }

    fn add(&mut self, path: String, contents: FileContents) {
        let summary = &mut self.summary;
        let ending = discovery::ending(&path);
        *summary.files.entry(ending.into()).or_default() += 1;
        summary.lines += u64::from(contents.parsed.lines);
        summary.unknown_lines += u64::from(contents.parsed.unknown_lines);
        summary.problems.extend(contents.parsed.problems);
        self.statements.insert(path, contents.parsed.statements);
        self.shell.extend(contents.shell);
        self.python.extend(contents.python);
        for (variable, pattern) in contents.patterns {
            let pattern = self.patterns.entry(pattern).or_default();
            pattern.variables.insert(variable);
        }
    }

    fn read_recipes(&mut self) {
        let roots = layer_roots(self.statements.keys().map(String::as_str));
        let paths = self.statements.keys().filter(|path| path.ends_with(".bb"));
        let paths: Vec<String> = paths.cloned().collect();
        let recipes = parallel::map(&paths, |path| recipes::read(path, &self.statements, &roots));
        self.recipes = paths.into_iter().zip(recipes).collect();
    }

    /// Puts the automata into the patterns; those that have none go to the summary.
    fn compile_patterns(&mut self) {
        let texts: Vec<String> = self.patterns.keys().cloned().collect();
        let compiled = parallel::map(&texts, |text| patterns::compile(text));
        for (text, automaton) in texts.into_iter().zip(compiled) {
            if let Some(automaton) = automaton {
                self.patterns.entry(text).or_default().automaton = automaton;
            } else {
                self.patterns.remove(&text);
                self.summary.refused_patterns += 1;
            }
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count: usize = self.files.values().sum();
        let kinds = self.files.iter();
        let kinds = kinds.map(|(kind, count)| format!("{count} .{kind}"));
        let share = 100.0 * self.unknown_lines as f64 / self.lines.max(1) as f64;
        write!(
            f,
            "{count} files ({}), {} lines, {} not understood ({share:.3} %), {} patterns refused, {} problems",
            kinds.collect::<Vec<_>>().join(", "),
            self.lines,
            self.unknown_lines,
            self.refused_patterns,
            self.problems.len()
        )
    }
}

/// What one file adds to the caches.
#[derive(Default)]
struct FileContents {
    parsed: Parsed,
    shell: Vec<(CodeHash, ShellCode)>,
    python: Vec<(CodeHash, PythonCode)>,
    /// Variables and the patterns they hold.
    patterns: Vec<(String, String)>,
}

impl FileContents {
    fn read(root: &Path, path: &str, with_code: bool) -> Self {
        let mut contents = Self::default();
        match discovery::read_text(root, path) {
            Ok(text) => contents.parsed = statements::parse_file(path, text),
            Err(problem) => contents.parsed.problems.push(problem),
        }
        let names = path.ends_with(".bb").then(|| Names::of(path));
        let expand = |text: &str| match &names {
            Some(names) => names.expand(text),
            None => text.into(),
        };
        for Statement { kind, .. } in &contents.parsed.statements {
            let code = if with_code {
                Code::from(kind)
            } else {
                Code::default()
            };
            for body in code.shell() {
                contents.shell.push((code::hash(body), shell::parse(body)));
            }
            for body in code.python() {
                let entry = (code::hash(body), python::parse(body));
                contents.python.push(entry);
            }
            let patterns = patterns::patterns_in(kind, expand);
            contents.patterns.extend(patterns);
        }
        contents
    }
}

/// The folders of the tree that are layers, and the tree itself.
pub(crate) fn layer_roots<'p>(paths: impl Iterator<Item = &'p str>) -> Vec<String> {
    let layers = paths.filter_map(|path| path.strip_suffix("/conf/layer.conf"));
    layers.map(String::from).chain([String::new()]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statements::Kind;

    fn read(files: &[(&str, &[u8])]) -> Result<Layer> {
        let tree = tempfile::tempdir().expect("a folder");
        for (path, text) in files {
            let path = tree.path().join(path);
            std::fs::create_dir_all(path.parent().expect("a parent")).expect("folders");
            std::fs::write(path, text).expect("a file");
        }
        Layer::read(tree.path(), Parsers::Threads)
    }

    #[test]
    fn every_cache_is_filled() {
        let recipe =
            b"require inc/a.inc\ninclude shared.inc\nA = \"${@f(d)}\"\ndo_x() {\n\tls $B\n}\n";
        let near = b"SUMMARY = \"s\"\nCOMPATIBLE_HOST = \"x86.*\"\ndef f(d):\n    g()\n";
        let shared = b"SECTION = \"x\"\nPACKAGES_DYNAMIC = \"^${PN}-.* ^x-.*\"\n";
        let layer = read(&[
            ("meta/conf/layer.conf", b"BBPATH .= \":${LAYERDIR}\"\n"),
            ("meta/recipes-x/a/a_2.bb", recipe),
            ("meta/inc/a.inc", near),
            ("shared.inc", shared),
            ("meta/recipes-x/a/files/payload.conf", b"not metadata\n"),
        ])
        .expect("a layer");
        let payload = &layer.statements["meta/recipes-x/a/files/payload.conf"][0].kind;
        assert!(matches!(payload, Kind::Payload { text } if text == "not metadata\n"));
        let recipe = &layer.recipes["meta/recipes-x/a/a_2.bb"];
        assert_eq!(recipe.summary.as_deref(), Some("s"));
        assert_eq!(recipe.files, ["meta/inc/a.inc", "shared.inc"]);
        let shell = &layer.shell[&code::hash("\tls $B\n")];
        assert!(shell.commands.contains("ls"));
        assert!(layer.python[&code::hash("f(d)")].functions.contains("f"));
        assert!(layer.patterns.keys().eq(["^(?:^x-.*)", "^(?:x86.*)"]));
        let automaton = &layer.patterns["^(?:x86.*)"].automaton;
        assert_eq!(patterns::matches(automaton, "x86_64"), Some(true));
        let told = "5 files (1 .bb, 2 .conf, 2 .inc), 14 lines, 0 not understood (0.000 %), 0 patterns refused, 0 problems";
        assert_eq!(layer.summary.to_string(), told);
    }

    #[test]
    fn a_bad_file_is_told_of_and_the_rest_goes_on() {
        let layer = read(&[
            ("a.bb", b"A = \"1\"\nB = \"\xff\"\n"),
            ("b.bb", b"A = \"1\"\ndo_x() {\n"),
            ("c.bb", b"include d.inc\nUPSTREAM_CHECK_REGEX = \"(?!x)\"\n"),
        ])
        .expect("a layer");
        let problems = &layer.summary.problems;
        assert_eq!(problems.len(), 2, "{problems:?}");
        assert!(problems[0].starts_with("a.bb:2: ") && problems[1].starts_with("b.bb:2: "));
        assert_eq!(layer.summary.refused_patterns, 1);
        assert_eq!(layer.statements["c.bb"].len(), 2);
    }

    #[test]
    fn a_tree_without_metadata_is_an_error_that_names_the_path() {
        let error = Layer::read(Path::new("/nonexistent/layer"), Parsers::Threads)
            .expect_err("no such folder");
        let expected = "no metadata in `/nonexistent/layer`";
        assert!(error.to_string().contains(expected), "{error}");
        read(&[("README", b"")]).expect_err("no metadata");
    }
}
