//! Reads small dumps of the same shapes as real ones.

use tempfile::TempDir;

use super::*;

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

/// What the caches are named and how many entries they have, after each was frozen and compared.
fn read_all(files: &[(&str, String)]) -> Result<Vec<(&'static str, usize)>> {
    let directory = TempDir::new().expect("a folder");
    for (name, text) in files {
        fs::write(directory.path().join(name).with_extension("json"), text).expect("writes");
    }
    let mut source = read(directory.path())?;
    for cache in &mut source.caches {
        cache.freeze().expect("freezes");
        cache.verify().expect("equal");
    }
    let caches = source.caches.iter();
    let shown = caches.map(|cache| (cache.name(), cache.entries()));
    Ok(shown.collect())
}

fn recipe(recipe: &str) -> String {
    format!(r#"{{"/a.bb": {recipe}}}"#)
}

/// The dump is refused with a message that names it and says `expected`.
fn refused(name: &str, text: String, expected: &str) {
    let error = read_all(&[(name, text)]).expect_err("refused").to_string();
    assert!(error.contains(name) && error.contains(expected), "{error}");
}

#[test]
fn every_field_of_every_dump_is_read_and_frozen() {
    let (parsed, skipped) = (parsed(), skipped());
    let recipes = format!(r#"{{"/a.bb": {parsed}, "virtual:native:/a.bb": {skipped}}}"#);
    let caches = read_all(&[
        ("core_recipe_info", recipes),
        ("cachedata", cachedata()),
        ("codeparser_python", PYTHON.into()),
        ("codeparser_shell", SHELL.into()),
        ("cached_statements", STATEMENTS.into()),
        ("file_checksums", CHECKSUMS.into()),
    ]);
    let expected = [
        ("core_recipe_info", 2),
        ("codeparser_python", 2),
        ("codeparser_shell", 1),
        ("cached_statements", 1),
        ("file_checksums", 1),
        ("cachedata", 1),
        ("cachedata_names", 9),
    ];
    assert_eq!(caches.expect("fits"), expected);
}

#[test]
fn a_folder_without_dumps_is_named() {
    let refused = read(Path::new("/nonexistent/dumps")).err();
    let error = refused.expect("refused").to_string();
    assert!(error.contains("/nonexistent/dumps"), "{error}");
}

#[test]
fn a_field_more_is_refused_and_located() {
    let added = |name, text: &str, before: &str| {
        let text = text.replace(before, &format!("\"new\": 1, {before}"));
        refused(name, text, "[\"new\"]: expected 1, got nothing");
    };
    added("core_recipe_info", &recipe(&skipped()), "\"skipped\":");
    added("cachedata", &cachedata(), "\"stamp\":");
    let inside = cachedata().replace("\"preferred\": {", "\"preferred\": {\"new\": 1");
    refused("cachedata", inside, "[\"new\"]: expected 1, got nothing");
    added("codeparser_shell", SHELL, "\"execs\":");
    added("cached_statements", STATEMENTS, "\"colon\":");
}

#[test]
fn a_field_less_is_refused_and_named() {
    let refused = |name, text: &str, without: &str, field| {
        refused(name, text.replace(without, ""), field);
    };
    let [parsed, skipped] = [parsed(), skipped()].map(|text| recipe(&text));
    refused(
        "core_recipe_info",
        &parsed,
        "\"pv\": \"1.0\",",
        "basetaskhashes",
    );
    refused("core_recipe_info", &skipped, "\"pn\": \"a\",", "pn");
    refused("cachedata", &cachedata(), "\"deps\": {},", "deps");
    refused("cached_statements", STATEMENTS, "\"colon\": null,", "colon");
}

#[test]
fn another_class_is_refused() {
    let refused = |name, text: &str, class| {
        let text = text.replacen(class, "Other", 1);
        refused(name, text.clone(), "Other");
        refused(name, text, class);
    };
    refused("core_recipe_info", &recipe(&skipped()), "CoreRecipeInfo");
    refused("codeparser_python", PYTHON, "pythonCacheLine");
    refused("cached_statements", STATEMENTS, "IncludeNode");
}

#[test]
fn a_recipe_that_only_some_indexes_have_is_named() {
    let refused = |from, to, index, recipe| {
        let text = cachedata().replace(from, to);
        let expected = format!("index {index} of cachedata: expected the recipe {recipe}");
        refused("cachedata", text, &expected);
    };
    refused(
        r#""stamp": {"/a.bb": "/s"}"#,
        r#""stamp": {}"#,
        "stamp",
        "/a.bb",
    );
    refused(r#""deps": {}"#, r#""deps": {"/b.bb": []}"#, "deps", "/b.bb");
    refused("/a.bb:do_fetch", "do_fetch", "basetaskhash", "do_fetch");
}
