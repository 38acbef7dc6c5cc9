//! The statements of a parsed metadata file: the cache `cached_statements`, keyed by path.

use floe::Intern;
use serde::{Deserialize, Serialize};

use crate::walk::cached;

cached! {
    /// One statement, with its file and its line as BitBake counts it.
    ///
    /// These are the classes that occur in the dumps. Another one is refused by name, not skipped.
    #[derive(Serialize, Deserialize)]
    #[serde(tag = "__class__")]
    pub(crate) enum Statement {
        /// `VARIABLE = "value"` in all its forms.
        #[serde(rename = "DataNode")]
        Data { #[rkyv(with = Intern)] filename: String, lineno: u32, groupd: Box<Assignment> },
        /// `include` or, where `force`, `require`.
        #[serde(rename = "IncludeNode")]
        Include { #[rkyv(with = Intern)] filename: String, lineno: u32, what_file: String, force: bool },
        #[serde(rename = "InheritNode")]
        Inherit { #[rkyv(with = Intern)] filename: String, lineno: u32, classes: String },
        #[serde(rename = "InheritDeferredNode")]
        InheritDeferred { #[rkyv(with = Intern)] filename: String, lineno: u32, inherit: DeferredClasses },
        /// `def function():` in Python.
        #[serde(rename = "PythonMethodNode")]
        PythonMethod {
            #[rkyv(with = Intern)] filename: String,
            lineno: u32,
            function: String,
            modulename: String,
            body: Vec<String>,
        },
        /// `function() { .. }` in shell, or in Python where `python`.
        #[serde(rename = "MethodNode")]
        Method {
            #[rkyv(with = Intern)] filename: String,
            lineno: u32,
            func_name: String,
            body: Vec<String>,
            python: bool,
            fakeroot: bool,
        },
        #[serde(rename = "AddTaskNode")]
        AddTask {
            #[rkyv(with = Intern)] filename: String,
            lineno: u32,
            tasks: String,
            before: String,
            after: String,
        },
        /// `addhandler`.
        #[serde(rename = "BBHandlerNode")]
        Handler { #[rkyv(with = Intern)] filename: String, lineno: u32, hs: Vec<String> },
        /// `EXPORT_FUNCTIONS`.
        #[serde(rename = "ExportFuncsNode")]
        ExportFunctions { #[rkyv(with = Intern)] filename: String, lineno: u32, n: Vec<String>, classname: String },
    }
}

cached! {
    /// The classes of an `inherit_defer`, and the file and line of the statement.
    #[derive(Serialize, Deserialize)]
    pub(crate) struct DeferredClasses(classes: String, filename: String, lineno: u32);
}

cached! {
    /// The groups of the regular expression that matches an assignment. A group without a match is null.
    #[derive(Serialize, Deserialize)]
    pub(crate) struct Assignment {
        /// `export `.
        pub exp: Option<String>,
        pub var: String,
        /// The flag in `VARIABLE[flag]`.
        pub flag: Option<String>,
        /// The white space before the operator.
        pub whitespace: String,
        /// One of `:=`, `??=`, `?=`, `+=`, `=+`, `=.` and `.=`, or none of them for `=`.
        pub colon: Option<String>,
        pub lazyques: Option<String>,
        pub ques: Option<String>,
        pub append: Option<String>,
        pub prepend: Option<String>,
        pub predot: Option<String>,
        pub postdot: Option<String>,
        /// The white space after the operator.
        pub whitespace2: String,
        /// The quotation mark.
        pub apo: String,
        pub value: String,
    }
}
