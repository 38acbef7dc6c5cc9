//! Reads a whole layer tree into the caches of this example.

pub(crate) mod discovery;
mod parallel;

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use indicatif::ProgressBar;

use crate::code::{self, CodeHash, PythonCode, ShellCode, python, shell};
use crate::patterns::{self, Pattern, PatternError};
use crate::recipes::{self, Files, Names, Recipe};
use crate::statements::{self, Kind, Language, Parsed, Problem, Statement, inline_python};

/// Everything that was read from a layer tree, one map for each cache, and what there is to tell of it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Layer {
    /// The statements of each file, by its path in the tree.
    pub statements: Files,
    /// The recipes, by the path of their file.
    pub recipes: BTreeMap<String, Recipe>,
    /// What shell functions refer to, by the hash of their body. An append to a Python function that does
    /// not say `python` itself counts as shell, since only the other file tells.
    pub shell: BTreeMap<CodeHash, ShellCode>,
    /// What Python functions and inline expressions refer to, by the hash of their text.
    pub python: BTreeMap<CodeHash, PythonCode>,
    /// The compiled patterns, by their text.
    pub patterns: BTreeMap<String, Pattern>,
    /// Counts and problems.
    pub summary: Summary,
}

/// What there is to tell of a tree that was read.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Summary {
    /// The files that were read, by the ending of their name.
    pub files: BTreeMap<String, usize>,
    /// Their lines.
    pub lines: u64,
    /// The lines that no rule fits; they are kept as they stand.
    pub unknown_lines: u64,
    /// The patterns that no automaton can match.
    pub refused_patterns: Vec<PatternError>,
    /// The files that could not be read in full, by path and line.
    pub problems: Vec<Problem>,
}

/// A layer tree that cannot be read at all.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LayerError {
    /// The path names no folder that can be listed.
    #[error("cannot list the layer `{}`: {source}; name a folder that holds layers", path.display())]
    Unreadable {
        /// The path.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The folder holds no metadata.
    #[error(
        "no metadata in `{}`: expected .bb, .bbclass, .inc, .bbappend or conf/*.conf files, got none; \
         name a folder that holds layers", path.display()
    )]
    NoMetadata {
        /// The path.
        path: PathBuf,
    },
}

impl Layer {
    /// Reads every file with a metadata ending under `path`, on all processors. Equal trees give equal layers.
    ///
    /// Files that cannot be read in full are told of in the summary and cost the others nothing. `progress`
    /// is given the number of files as its length and counts them. The threads are gone when
    /// this returns, so that a process that had one thread can fork.
    ///
    /// # Errors
    /// If `path` cannot be listed or holds no metadata.
    pub(crate) fn read(path: &Path, progress: &ProgressBar) -> Result<Self, LayerError> {
        let unreadable = |source| LayerError::Unreadable {
            path: path.into(),
            source,
        };
        let found = discovery::files(path).map_err(unreadable)?;
        if !found.paths.iter().any(|path| discovery::is_metadata(path)) {
            return Err(LayerError::NoMetadata { path: path.into() });
        }
        progress.set_length(found.paths.len() as u64);
        let parsed = parallel::map(&found.paths, |file| {
            let contents = FileContents::read(path, file);
            progress.inc(1);
            contents
        });
        progress.finish_and_clear();

        let mut merged = Merged::default();
        merged.summary.problems = found.problems;
        for (path, contents) in found.paths.into_iter().zip(parsed) {
            merged.add(path, contents);
        }
        Ok(merged.finish())
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count: usize = self.files.values().sum();
        let kinds: Vec<_> = self
            .files
            .iter()
            .map(|(kind, count)| format!("{count} .{kind}"))
            .collect();
        let share = 100.0 * self.unknown_lines as f64 / self.lines.max(1) as f64;
        write!(
            formatter,
            "{count} files ({}), {} lines, {} not understood ({share:.3} %), {} patterns refused, {} problems",
            kinds.join(", "),
            self.lines,
            self.unknown_lines,
            self.refused_patterns.len(),
            self.problems.len()
        )
    }
}

/// What one file adds to the caches.
struct FileContents {
    parsed: Parsed,
    shell: Vec<(CodeHash, ShellCode)>,
    python: Vec<(CodeHash, PythonCode)>,
    /// Variables and the patterns they hold.
    patterns: Vec<(String, String)>,
}

impl FileContents {
    fn read(root: &Path, path: &str) -> Self {
        let parsed = match discovery::read_text(root, path) {
            Ok(text) if discovery::is_metadata(path) => {
                statements::parse(path, &text, discovery::rules_of(path))
            }
            Ok(text) => payload(text),
            Err(problem) => Parsed {
                problems: vec![problem],
                ..Parsed::default()
            },
        };
        let mut contents = Self {
            parsed,
            shell: vec![],
            python: vec![],
            patterns: vec![],
        };
        let names = path.ends_with(".bb").then(|| Names::of(path));
        for Statement { kind, .. } in &contents.parsed.statements {
            match kind {
                Kind::Function {
                    language: Language::Shell,
                    body,
                    ..
                } => {
                    contents.shell.push((code::hash(body), shell::parse(body)));
                }
                Kind::Function { body, .. } => {
                    contents
                        .python
                        .push((code::hash(body), python::parse(body)));
                }
                Kind::Assign {
                    variable, value, ..
                } => {
                    for text in inline_python(value) {
                        contents
                            .python
                            .push((code::hash(text), python::parse(text)));
                    }
                    let expand = |text: &str| match &names {
                        Some(names) => names.expand(text),
                        None => text.into(),
                    };
                    for pattern in patterns::patterns_in(kind, expand) {
                        contents.patterns.push((variable.name.clone(), pattern));
                    }
                }
                _ => {}
            }
        }
        contents
    }
}

/// A file that BitBake does not parse, as its only statement.
fn payload(text: String) -> Parsed {
    Parsed {
        lines: u32::try_from(text.lines().count()).unwrap_or(u32::MAX),
        statements: vec![Statement {
            line: 1,
            kind: Kind::Payload { text },
        }],
        ..Parsed::default()
    }
}

/// The caches while the files are put together, in the order of their paths.
#[derive(Default)]
struct Merged {
    statements: Files,
    shell: BTreeMap<CodeHash, ShellCode>,
    python: BTreeMap<CodeHash, PythonCode>,
    patterns: BTreeMap<String, Pattern>,
    summary: Summary,
}

impl Merged {
    fn add(&mut self, path: String, contents: FileContents) {
        let FileContents {
            parsed,
            shell,
            python,
            patterns,
        } = contents;
        let Parsed {
            statements,
            lines,
            unknown_lines,
            problems,
        } = parsed;
        let kind = path.rsplit('.').next().unwrap_or_default();
        *self.summary.files.entry(kind.into()).or_default() += 1;
        self.summary.lines += u64::from(lines);
        self.summary.unknown_lines += u64::from(unknown_lines);
        self.summary.problems.extend(problems);
        self.statements.insert(path, statements);
        self.shell.extend(shell);
        self.python.extend(python);
        for (variable, pattern) in patterns {
            self.patterns
                .entry(pattern)
                .or_default()
                .variables
                .insert(variable);
        }
    }

    fn finish(mut self) -> Layer {
        let roots = layer_roots(self.statements.keys().map(String::as_str));
        let paths: Vec<_> = self
            .statements
            .keys()
            .filter(|path| path.ends_with(".bb"))
            .cloned()
            .collect();
        let recipes = parallel::map(&paths, |path| recipes::read(path, &self.statements, &roots));
        let texts: Vec<_> = self.patterns.keys().cloned().collect();
        let compiled = parallel::map(&texts, |text| patterns::compile(text));
        Layer {
            recipes: paths.into_iter().zip(recipes).collect(),
            patterns: keep_compiled(self.patterns, compiled, &mut self.summary),
            statements: self.statements,
            shell: self.shell,
            python: self.python,
            summary: self.summary,
        }
    }
}

/// Puts the automata into the patterns; those that have none go to the summary.
fn keep_compiled(
    patterns: BTreeMap<String, Pattern>,
    compiled: Vec<Result<Vec<u8>, PatternError>>,
    summary: &mut Summary,
) -> BTreeMap<String, Pattern> {
    let mut kept = BTreeMap::new();
    for ((text, Pattern { variables, .. }), result) in patterns.into_iter().zip(compiled) {
        match result {
            Ok(automaton) => {
                kept.insert(
                    text,
                    Pattern {
                        variables,
                        automaton,
                    },
                );
            }
            Err(error) => summary.refused_patterns.push(error),
        }
    }
    kept
}

/// The folders of the tree that are layers, and the tree itself.
pub(crate) fn layer_roots<'p>(paths: impl Iterator<Item = &'p str>) -> Vec<String> {
    let layers = paths.filter_map(|path| path.strip_suffix("/conf/layer.conf"));
    layers.map(String::from).chain([String::new()]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(files: &[(&str, &[u8])]) -> Result<Layer, LayerError> {
        let tree = tempfile::tempdir().expect("a folder");
        for (path, text) in files {
            let path = tree.path().join(path);
            std::fs::create_dir_all(path.parent().expect("a parent")).expect("folders");
            std::fs::write(path, text).expect("a file");
        }
        Layer::read(tree.path(), &ProgressBar::hidden())
    }

    #[test]
    fn every_cache_is_filled() {
        let layer = read(&[
            ("meta/conf/layer.conf", b"BBPATH .= \":${LAYERDIR}\"\n"),
            (
                "meta/recipes-x/a/a_2.bb",
                b"require inc/a.inc\ninclude shared.inc\nA = \"${@f(d)}\"\ndo_x() {\n\tls $B\n}\n",
            ),
            (
                "meta/inc/a.inc",
                b"SUMMARY = \"s\"\nCOMPATIBLE_HOST = \"x86.*\"\ndef f(d):\n    g()\n",
            ),
            (
                "shared.inc",
                b"SECTION = \"x\"\nPACKAGES_DYNAMIC = \"^${PN}-.* ^x-.*\"\n",
            ),
            ("meta/recipes-x/a/files/payload.conf", b"not metadata\n"),
        ])
        .expect("a layer");
        assert_eq!(layer.statements.len(), 5);
        let payload = &layer.statements["meta/recipes-x/a/files/payload.conf"][0].kind;
        assert!(matches!(payload, Kind::Payload { text } if text == "not metadata\n"));
        let recipe = &layer.recipes["meta/recipes-x/a/a_2.bb"];
        assert_eq!(recipe.summary.as_deref(), Some("s"));
        assert_eq!(recipe.section.as_deref(), Some("x"));
        assert_eq!(recipe.files, ["meta/inc/a.inc", "shared.inc"]);
        assert!(
            layer.shell[&code::hash("\tls $B\n")]
                .commands
                .contains("ls")
        );
        assert!(layer.python[&code::hash("f(d)")].functions.contains("f"));
        assert!(
            layer.python[&code::hash("def f(d):\n    g()\n")]
                .functions
                .contains("g")
        );
        assert!(layer.patterns.keys().eq(["^(?:^x-.*)", "^(?:x86.*)"]));
        let automaton = &layer.patterns["^(?:x86.*)"].automaton;
        assert_eq!(patterns::matches(automaton, "x86_64"), Ok(true));
        let kinds = [("bb", 1), ("conf", 2), ("inc", 2)].map(|(kind, count)| (kind.into(), count));
        assert_eq!(layer.summary.files, kinds.into());
        assert_eq!((layer.summary.lines, layer.summary.unknown_lines), (14, 0));
        assert_eq!(layer.summary.problems, []);
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
        let places: Vec<_> = problems
            .iter()
            .map(|it| (it.path.as_str(), it.line))
            .collect();
        assert_eq!(places, [("a.bb", 2), ("b.bb", 2)]);
        assert_eq!(layer.summary.refused_patterns.len(), 1);
        assert_eq!(layer.statements["c.bb"].len(), 2);
    }

    #[test]
    fn no_layer_is_an_error_that_names_the_path() {
        let error = Layer::read(Path::new("/nonexistent/layer"), &ProgressBar::hidden());
        let error = error.expect_err("no such folder");
        assert!(matches!(error, LayerError::Unreadable { .. }));
        assert!(error.to_string().contains("/nonexistent/layer"));
        let error = read(&[("README", b"")]).expect_err("no metadata");
        assert!(matches!(error, LayerError::NoMetadata { .. }));
    }
}
