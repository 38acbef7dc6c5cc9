//! The statements of a parsed metadata file: the cache `cached_statements`, keyed by path.

use floe::Intern;
use serde::{Deserialize, Serialize};

use crate::walk::{walk_enum, walk_struct};

/// One statement, with its file and its line as BitBake counts it.
///
/// These are the classes that occur in the dumps. Another one is refused by name, not skipped.
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
    Serialize,
    Deserialize,
)]
#[rkyv(derive(floe::Schema))]
#[serde(tag = "__class__", deny_unknown_fields)]
pub(crate) enum Statement {
    /// `VARIABLE = "value"` in all its forms.
    #[serde(rename = "DataNode")]
    Data {
        #[rkyv(with = Intern)]
        filename: String,
        lineno: u32,
        groupd: Box<Assignment>,
    },
    /// `include` or, where `force`, `require`.
    #[serde(rename = "IncludeNode")]
    Include {
        #[rkyv(with = Intern)]
        filename: String,
        lineno: u32,
        what_file: String,
        force: bool,
    },
    /// `inherit`.
    #[serde(rename = "InheritNode")]
    Inherit {
        #[rkyv(with = Intern)]
        filename: String,
        lineno: u32,
        classes: String,
    },
    /// `inherit_defer`.
    #[serde(rename = "InheritDeferredNode")]
    InheritDeferred {
        #[rkyv(with = Intern)]
        filename: String,
        lineno: u32,
        inherit: DeferredClasses,
    },
    /// `def function():` in Python.
    #[serde(rename = "PythonMethodNode")]
    PythonMethod {
        #[rkyv(with = Intern)]
        filename: String,
        lineno: u32,
        function: String,
        modulename: String,
        body: Vec<String>,
    },
    /// `function() { .. }` in shell, or in Python where `python`.
    #[serde(rename = "MethodNode")]
    Method {
        #[rkyv(with = Intern)]
        filename: String,
        lineno: u32,
        func_name: String,
        body: Vec<String>,
        python: bool,
        fakeroot: bool,
    },
    /// `addtask .. before .. after ..`.
    #[serde(rename = "AddTaskNode")]
    AddTask {
        #[rkyv(with = Intern)]
        filename: String,
        lineno: u32,
        tasks: String,
        before: String,
        after: String,
    },
    /// `addhandler`.
    #[serde(rename = "BBHandlerNode")]
    Handler {
        #[rkyv(with = Intern)]
        filename: String,
        lineno: u32,
        hs: Vec<String>,
    },
    /// `EXPORT_FUNCTIONS`.
    #[serde(rename = "ExportFuncsNode")]
    ExportFunctions {
        #[rkyv(with = Intern)]
        filename: String,
        lineno: u32,
        n: Vec<String>,
        classname: String,
    },
}

walk_enum!(
    Statement,
    ArchivedStatement {
        Data { filename, lineno, groupd },
        Include { filename, lineno, what_file, force },
        Inherit { filename, lineno, classes },
        InheritDeferred { filename, lineno, inherit },
        PythonMethod { filename, lineno, function, modulename, body },
        Method { filename, lineno, func_name, body, python, fakeroot },
        AddTask { filename, lineno, tasks, before, after },
        Handler { filename, lineno, hs },
        ExportFunctions { filename, lineno, n, classname },
    }
);

/// The classes of an `inherit_defer`, and the file and line of the statement.
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
    Serialize,
    Deserialize,
)]
#[rkyv(derive(floe::Schema))]
pub(crate) struct DeferredClasses(pub String, pub String, pub u32);

walk_struct!(
    DeferredClasses,
    ArchivedDeferredClasses(classes, filename, lineno)
);

/// The groups of the regular expression that matches an assignment. A group without a match is null.
// With `deserialize_with` a field has to be there: by itself serde takes a missing option as null.
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
    Serialize,
    Deserialize,
)]
#[rkyv(derive(floe::Schema))]
#[serde(deny_unknown_fields)]
pub(crate) struct Assignment {
    /// `export `.
    #[serde(deserialize_with = "Option::deserialize")]
    pub exp: Option<String>,
    /// The variable's name.
    pub var: String,
    /// The flag in `VARIABLE[flag]`.
    #[serde(deserialize_with = "Option::deserialize")]
    pub flag: Option<String>,
    /// The white space before the operator.
    pub whitespace: String,
    /// `:=`.
    #[serde(deserialize_with = "Option::deserialize")]
    pub colon: Option<String>,
    /// `??=`.
    #[serde(deserialize_with = "Option::deserialize")]
    pub lazyques: Option<String>,
    /// `?=`.
    #[serde(deserialize_with = "Option::deserialize")]
    pub ques: Option<String>,
    /// `+=`.
    #[serde(deserialize_with = "Option::deserialize")]
    pub append: Option<String>,
    /// `=+`.
    #[serde(deserialize_with = "Option::deserialize")]
    pub prepend: Option<String>,
    /// `=.`.
    #[serde(deserialize_with = "Option::deserialize")]
    pub predot: Option<String>,
    /// `.=`.
    #[serde(deserialize_with = "Option::deserialize")]
    pub postdot: Option<String>,
    /// The white space after the operator.
    pub whitespace2: String,
    /// The quotation mark.
    pub apo: String,
    /// The text between the quotation marks.
    pub value: String,
}

walk_struct!(
    Assignment,
    ArchivedAssignment {
        exp,
        var,
        flag,
        whitespace,
        colon,
        lazyques,
        ques,
        append,
        prepend,
        predot,
        postdot,
        whitespace2,
        apo,
        value,
    }
);
