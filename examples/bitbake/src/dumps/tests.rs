//! Reading and verifying small dumps of the same shapes as real ones.

use std::path::PathBuf;

use floe::Frozen;
use rkyv::rancor::BoxedError;
use tempfile::TempDir;

use super::stamp::{FileDependency, Stamp};
use super::*;
use crate::caches::Thaw;

const DEPS: &str = r#"{
    "tasks": ["do_fetch", "do_build"], "parents": {"do_fetch": [], "do_build": ["do_fetch"]},
    "mcdepends": {}, "depends": {"do_fetch": ""}, "rdepends": {}, "deptask": {}, "rdeptask": {},
    "recrdeptask": {}, "recideptask": {}, "nostamp": {"do_fetch": "1"}, "fakeroot": {}, "noexec": {},
    "umask": {"do_fetch": "002"}
}"#;

const SKIPPED: &str = r#""file_depends": [["/a.bb", [1795371863210508617, 266, 10019338]], ["/b.inc", 0]],
    "timestamp": [1795371863210508617, 266, 10019338], "variants": ["", "native"], "appends": [],
    "nocache": "", "provides": ["a"], "rprovides": [], "pn": "a", "packages": ["a-dev", "a"],
    "packages_dynamic": ["^a-.*"], "rprovides_pkg": {"a": ["b", "a"], "a-dev": []}, "skipreason": """#;

fn skipped() -> String {
    format!(r#"{{"__class__": "CoreRecipeInfo", {SKIPPED}, "skipped": true}}"#)
}

fn parsed() -> String {
    format!(
        r#"{{"__class__": "CoreRecipeInfo", {SKIPPED}, "tasks": ["do_fetch", "do_build"],
        "basetaskhashes": {{"do_fetch": "0f", "do_build": "1e"}}, "hashfilename": "h", "task_deps": {DEPS},
        "skipped": false, "pe": "", "pv": "1.0", "pr": "r0", "defaultpref": -1, "not_world": "",
        "stamp": "/s", "stampclean": "/s*", "stamp_extrainfo": {{"do_fetch": null, "do_build": "x"}},
        "file_checksums": {{"do_fetch": " /f:True"}}, "depends": ["b"], "rdepends": [], "rrecommends": [],
        "rdepends_pkg": {{"a": ["b"]}}, "rrecommends_pkg": {{"a": []}}, "inherits": ["/base.bbclass"],
        "fakerootenv": "E=1", "fakerootdirs": "/d", "fakerootlogs": "/l", "fakerootnoenv": "E=0",
        "extradepsfunc": "pass"}}"#
    )
}

fn cachedata() -> String {
    format!(
        r#"{{"task_deps": {{"/a.bb": {DEPS}}}, "pkg_fn": {{"/a.bb": "a"}}, "pkg_pn": {{"a": ["/a.bb"]}},
        "pkg_pepvpr": {{"/a.bb": ["", "1.0", "r0"]}}, "pkg_dp": {{"/a.bb": -1}}, "stamp": {{"/a.bb": "/s"}},
        "stampclean": {{"/a.bb": "/s*"}}, "stamp_extrainfo": {{"/a.bb": {{"do_fetch": null}}}},
        "file_checksums": {{"/a.bb": {{"do_fetch": "/f:True"}}}}, "fn_provides": {{"/a.bb": ["a"]}},
        "pn_provides": {{"a": ["a"]}}, "all_depends": ["c", "b"], "deps": {{}}, "packages": {{"a": ["/a.bb"]}},
        "providers": {{"a": ["/a.bb"]}}, "rproviders": {{}}, "packages_dynamic": {{"^a-.*": ["/a.bb"]}},
        "rundeps": {{"/a.bb": {{"a": ["b"]}}}}, "runrecs": {{"/a.bb": {{"a": []}}}},
        "possible_world": ["/a.bb"], "universe_target": ["a"], "hashfn": {{"/a.bb": "h"}},
        "basetaskhash": {{"/a.bb:do_fetch": "0f"}}, "inherits": {{"/a.bb": ["/base.bbclass"]}},
        "fakerootenv": {{"/a.bb": "E=1"}}, "fakerootnoenv": {{"/a.bb": "E=0"}},
        "fakerootdirs": {{"/a.bb": "/d"}}, "fakerootlogs": {{"/a.bb": "/l"}},
        "extradepsfunc": {{"/a.bb": "pass"}}, "task_queues": {{}}, "preferred": {{}}, "tasks": {{}},
        "ignored_dependencies": {{"__set__": ["y", "x"]}}, "world_target": {{"__set__": []}},
        "bbfile_priority": {{"/a.bb": 5}}}}"#
    )
}

const PYTHON: &str = r#"{"4f": {"__class__": "pythonCacheLine", "refs": {"__set__": ["B", "A"]},
    "execs": {"__set__": []}, "contains": {"DISTRO_FEATURES": {"__set__": ["pam"]}}, "extra": null},
    "5e": {"__class__": "pythonCacheLine", "refs": {"__set__": []}, "execs": {"__set__": ["len"]},
    "contains": {}, "extra": "6d"}}"#;

const SHELL: &str = r#"{"7c": {"__class__": "shellCacheLine", "execs": {"__set__": ["rm", "["]}}}"#;

const STATEMENTS: &str = r#"{"/a.bb": [
    {"__class__": "DataNode", "filename": "/a.bb", "lineno": 1, "groupd": {"exp": null, "var": "V",
        "flag": null, "whitespace": " ", "colon": null, "lazyques": null, "ques": "?=", "append": null,
        "prepend": null, "predot": null, "postdot": null, "whitespace2": "", "apo": "\"", "value": "v"}},
    {"__class__": "IncludeNode", "filename": "/a.bb", "lineno": 2, "what_file": "b.inc", "force": true},
    {"__class__": "InheritNode", "filename": "/a.bb", "lineno": 3, "classes": "b c"},
    {"__class__": "InheritDeferredNode", "filename": "/a.bb", "lineno": 4, "inherit": ["d", "/a.bb", 4]},
    {"__class__": "PythonMethodNode", "filename": "/a.bb", "lineno": 5, "function": "f", "modulename": "a",
        "body": ["def f():", "    pass"]},
    {"__class__": "MethodNode", "filename": "/a.bb", "lineno": 8, "func_name": "do_x", "body": ["\ttrue"],
        "python": false, "fakeroot": true},
    {"__class__": "AddTaskNode", "filename": "/a.bb", "lineno": 9, "tasks": "x", "before": "", "after": "y"},
    {"__class__": "BBHandlerNode", "filename": "/a.bb", "lineno": 10, "hs": ["h"]},
    {"__class__": "ExportFuncsNode", "filename": "/a.bb", "lineno": 11, "n": ["do_x"], "classname": "a"}
]}"#;

const CHECKSUMS: &str = r#"{"/a.patch": [1795371863, "1f55"]}"#;

fn directory(files: &[(&str, &str)]) -> TempDir {
    let directory = tempfile::tempdir().expect("a temporary directory");
    for (name, text) in files {
        fs::write(directory.path().join(name), text).expect("writes");
    }
    directory
}

fn all_dumps() -> TempDir {
    let recipes = format!(
        r#"{{"/a.bb": {}, "virtual:native:/a.bb": {}}}"#,
        parsed(),
        skipped()
    );
    directory(&[
        (CORE_RECIPE_INFO, &recipes),
        (CACHEDATA, &cachedata()),
        (CODEPARSER_PYTHON, PYTHON),
        (CODEPARSER_SHELL, SHELL),
        (CACHED_STATEMENTS, STATEMENTS),
        (FILE_CHECKSUMS, CHECKSUMS),
    ])
}

fn refusal(name: &str, text: &str) -> String {
    let directory = directory(&[(name, text)]);
    let error = Dumps::read(directory.path())
        .expect_err("refused")
        .to_string();
    assert!(error.contains(name), "{error}");
    error
}

#[test]
fn every_field_of_every_dump_is_read() {
    let directory = all_dumps();
    let dumps = Dumps::read(directory.path()).expect("fits");
    dumps.verify(directory.path()).expect("equal");

    let recipes = dumps.core_recipe_info.as_ref().expect("there");
    assert_eq!(
        recipes["/a.bb"].file_depends[1],
        FileDependency("/b.inc".into(), Stamp::Absent)
    );
    assert_eq!(
        recipes["/a.bb"]
            .parsed
            .as_ref()
            .map(|parsed| parsed.defaultpref),
        Some(-1)
    );
    assert_eq!(recipes["virtual:native:/a.bb"].parsed, None);
    assert_eq!(
        dumps.cached_statements.as_ref().expect("there")["/a.bb"].len(),
        9
    );
    assert_eq!(
        dumps.cachedata.expect("there").ignored_dependencies.members,
        ["x", "y"]
    );
}

#[test]
fn a_dump_that_is_not_there_is_none() {
    let directory = directory(&[(FILE_CHECKSUMS, CHECKSUMS)]);
    let dumps = Dumps::read(directory.path()).expect("fits");
    assert!(dumps.cachedata.is_none());
    assert_eq!(
        dumps.file_checksums.as_ref().expect("there")["/a.patch"],
        FileChecksum(1795371863, "1f55".into())
    );
    dumps.verify(directory.path()).expect("equal");
}

#[test]
fn a_directory_without_dumps_is_named() {
    let empty = directory(&[("other.json", "{}")]);
    for path in [empty.path().to_owned(), PathBuf::from("/nonexistent/dumps")] {
        let error = Dumps::read(&path).expect_err("refused");
        assert!(
            matches!(&error, DumpError::NoDumps { directory, .. } if *directory == path),
            "{error}"
        );
        assert!(error.to_string().contains(CACHEDATA), "{error}");
    }
}

#[test]
fn a_dump_that_cannot_be_read_is_named() {
    let directory = directory(&[]);
    fs::create_dir(directory.path().join(CACHEDATA)).expect("creates");
    let error = Dumps::read(directory.path()).expect_err("refused");
    assert!(
        matches!(&error, DumpError::Read { file, .. } if file.ends_with(CACHEDATA)),
        "{error}"
    );
}

#[test]
fn a_value_of_another_type_is_located() {
    let error = refusal(
        CORE_RECIPE_INFO,
        &format!(
            r#"{{"/a.bb": {}}}"#,
            parsed().replace(
                r#""tasks": ["do_fetch", "do_build"],
        "base"#,
                r#""tasks": ["do_fetch", 7], "base"#
            )
        ),
    );
    assert!(error.contains(r#"at ["/a.bb"].tasks[1]: "#), "{error}");
    assert!(
        error.contains("invalid type: integer `7`, expected a string at line 4 column "),
        "{error}"
    );
}

#[test]
fn an_unknown_field_is_refused() {
    for (name, text) in [
        (
            CORE_RECIPE_INFO,
            format!(
                r#"{{"/a.bb": {}}}"#,
                skipped().replace("\"pn\":", "\"new\": 1, \"pn\":")
            ),
        ),
        (
            CACHEDATA,
            cachedata().replace("\"stamp\":", "\"new\": 1, \"stamp\":"),
        ),
        (
            CACHEDATA,
            cachedata().replace("\"preferred\": {", "\"preferred\": {\"new\": 1"),
        ),
        (
            CACHEDATA,
            cachedata().replace("\"umask\":", "\"new\": 1, \"umask\":"),
        ),
        (
            CODEPARSER_PYTHON,
            PYTHON.replace("\"extra\":", "\"new\": 1, \"extra\":"),
        ),
        (
            CODEPARSER_SHELL,
            SHELL.replace("\"execs\":", "\"new\": 1, \"execs\":"),
        ),
        (
            CACHED_STATEMENTS,
            STATEMENTS.replace("\"force\":", "\"new\": 1, \"force\":"),
        ),
        (
            CACHED_STATEMENTS,
            STATEMENTS.replace("\"colon\":", "\"new\": 1, \"colon\":"),
        ),
    ] {
        let error = refusal(name, &text);
        assert!(error.contains("unknown field `new`"), "{error}");
    }
}

#[test]
fn a_missing_field_is_refused() {
    for (name, text, field) in [
        (
            CORE_RECIPE_INFO,
            format!(
                r#"{{"/a.bb": {}}}"#,
                parsed().replace("\"pv\": \"1.0\",", "")
            ),
            "pv",
        ),
        (
            CORE_RECIPE_INFO,
            format!(r#"{{"/a.bb": {}}}"#, parsed().replace("\"pn\": \"a\",", "")),
            "pn",
        ),
        (CACHEDATA, cachedata().replace("\"deps\": {},", ""), "deps"),
        (
            CACHED_STATEMENTS,
            STATEMENTS.replace("\"colon\": null,", ""),
            "colon",
        ),
    ] {
        let error = refusal(name, &text);
        assert!(
            error.contains(&format!("missing field `{field}`")),
            "{error}"
        );
    }
}

#[test]
fn a_key_that_occurs_twice_is_refused() {
    for (name, text, location) in [
        (
            FILE_CHECKSUMS,
            CHECKSUMS.replace('}', r#", "/a.patch": [1, "2a"]}"#),
            r#"["/a.patch"]"#,
        ),
        (
            CACHEDATA,
            cachedata().replace(
                r#"{"do_fetch": null"#,
                r#"{"do_fetch": "", "do_fetch": null"#,
            ),
            r#".stamp_extrainfo["/a.bb"].do_fetch"#,
        ),
    ] {
        let error = refusal(name, &text);
        assert!(error.contains(&format!("at {location}: ")), "{error}");
        assert!(error.contains("more than once"), "{error}");
    }
}

#[test]
fn another_class_is_refused() {
    for (name, text, class) in [
        (
            CORE_RECIPE_INFO,
            format!(r#"{{"/a.bb": {}}}"#, skipped()),
            "CoreRecipeInfo",
        ),
        (CODEPARSER_PYTHON, PYTHON.into(), "pythonCacheLine"),
        (CODEPARSER_SHELL, SHELL.into(), "shellCacheLine"),
        (CACHED_STATEMENTS, STATEMENTS.into(), "IncludeNode"),
    ] {
        let error = refusal(name, &text.replacen(class, "Other", 1));
        assert!(error.contains("Other") && error.contains(class), "{error}");
    }
}

#[test]
fn verifying_finds_what_was_changed() {
    let directory = all_dumps();
    let mut dumps = Dumps::read(directory.path()).expect("fits");
    let recipes = dumps.core_recipe_info.as_mut().expect("there");
    recipes.get_mut("/a.bb").expect("there").packages.swap(0, 1);
    let error = dumps
        .verify(directory.path())
        .expect_err("differs")
        .to_string();
    assert!(
        error.contains(r#"["/a.bb"].packages[0]: expected "a-dev" as in the dump, got "a";"#),
        "{error}"
    );
}

#[test]
fn verifying_finds_a_dump_that_was_not_read() {
    let complete = all_dumps();
    for name in NAMES {
        let incomplete = all_dumps();
        fs::remove_file(incomplete.path().join(name)).expect("removes");
        let dumps = Dumps::read(incomplete.path()).expect("fits");
        let error = dumps.verify(complete.path()).expect_err("differs");
        assert!(
            matches!(&error, DumpError::Different { file, .. } if file.ends_with(name)),
            "{error}"
        );
        let error = Dumps::read(complete.path())
            .expect("fits")
            .verify(incomplete.path());
        assert!(matches!(error, Err(DumpError::Different { .. })));
    }
}

/// Freezes the value and thaws it again.
fn thawed<T: floe::Value>(value: &T) -> T
where
    T::Archived: Thaw<T>,
{
    let frozen = Frozen::freeze_on_heap("test", value).expect("freezes");
    rkyv::deserialize::<T, BoxedError>(&*frozen).expect("thaws")
}

#[test]
fn archived_values_are_equal_to_their_source() {
    let directory = all_dumps();
    let dumps = Dumps::read(directory.path()).expect("fits");
    assert_eq!(thawed(&dumps.core_recipe_info), dumps.core_recipe_info);
    assert_eq!(thawed(&dumps.codeparser_python), dumps.codeparser_python);
    assert_eq!(thawed(&dumps.codeparser_shell), dumps.codeparser_shell);
    assert_eq!(thawed(&dumps.cached_statements), dumps.cached_statements);
    assert_eq!(thawed(&dumps.file_checksums), dumps.file_checksums);
}

fn cachedata_value() -> CacheData {
    serde_json::from_str(&cachedata()).expect("fits")
}

#[test]
fn indexes_by_recipe_join_to_what_was_split() {
    let (recipes, names) = by_recipe::split(cachedata_value()).expect("complete");
    let recipe = &recipes["/a.bb"];
    assert_eq!(recipe.basetaskhash["do_fetch"], "0f");
    assert_eq!(recipe.deps, None);
    assert_eq!(thawed(&recipes), recipes);
    assert_eq!(thawed(&names), names);
    assert_eq!(by_recipe::join(recipes, names), cachedata_value());
}

#[test]
fn a_recipe_that_only_some_indexes_have_is_named() {
    let incomplete = |change: fn(&mut CacheData)| {
        let mut data = cachedata_value();
        change(&mut data);
        let error = by_recipe::split(data).expect_err("refused");
        (error.index, error.file)
    };
    let found = incomplete(|data| data.stamp.clear());
    assert_eq!(found, ("stamp", "/a.bb".into()));
    let found = incomplete(|data| data.pkg_fn.clear());
    assert_eq!(found, ("task_deps", "/a.bb".into()));
    let found = incomplete(|data| drop(data.deps.insert("/b.bb".into(), Vec::new())));
    assert_eq!(found, ("deps", "/b.bb".into()));
    for (key, file) in [("/b.bb:do_fetch", "/b.bb"), ("do_fetch", "do_fetch")] {
        let mut data = cachedata_value();
        data.basetaskhash.insert(key.into(), "1e".into());
        let error = by_recipe::split(data).expect_err("refused");
        assert_eq!((error.index, &*error.file), ("basetaskhash", file));
    }
}
