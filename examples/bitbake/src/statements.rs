//! Reads a metadata file into its statements, by the rules of BitBake's own reader.
//!
//! The text is taken as it stands: nothing is expanded and no override is resolved. Comments and
//! blank lines leave no statement.

mod assignment;
mod directive;
mod reader;
mod words;

pub(crate) use reader::{Parsed, parse_file};
pub(crate) use words::{inline_python, reference_length, words};

use std::fmt::Display;

use floe::Intern;
use rkyv::with::Map;

use crate::interning::List;
use crate::walk::cached;

cached! {
    /// One statement of a metadata file.
    pub(crate) struct Statement {
        /// The line it starts on, counted from 1.
        pub line: u32,
        pub kind: Kind,
    }
}

cached! {
    /// What a statement says. Names and arguments stand as they are written.
    pub(crate) enum Kind {
        /// `VARIABLE = "value"`, with any operator.
        Assign {
            operator: Operator,
            exported: bool,
            variable: Variable,
            /// The flag in brackets, if it is the flag that is assigned to.
            #[rkyv(with = Intern)] flag: Option<String>,
            /// The text between the quotes, continued lines joined.
            #[rkyv(with = Intern)] value: String,
        },
        Export { name: String },
        Include { mode: IncludeMode, #[rkyv(with = List)] files: Vec<String> },
        /// `inherit` or, where `deferred`, `inherit_defer`.
        Inherit { #[rkyv(with = List)] classes: Vec<String>, deferred: bool },
        /// A shell or Python function with its body.
        Function {
            /// [`ANONYMOUS`] if it has none.
            name: Variable,
            language: Language,
            fakeroot: bool,
            /// The lines between the braces; for `def`, the whole definition.
            #[rkyv(with = Intern)] body: String,
        },
        AddTask {
            #[rkyv(with = List)] tasks: Vec<String>,
            #[rkyv(with = List)] after: Vec<String>,
            #[rkyv(with = List)] before: Vec<String>,
        },
        DeleteTask { #[rkyv(with = List)] tasks: Vec<String> },
        AddHandler { #[rkyv(with = List)] functions: Vec<String> },
        /// `EXPORT_FUNCTIONS`, which a class gives to its inheritors.
        ExportFunctions { #[rkyv(with = List)] functions: Vec<String> },
        /// `unset` of a variable, or of one flag of it.
        Unset { name: String, #[rkyv(with = Map<Intern>)] flag: Option<String> },
        AddPythonLibrary { directory: String, namespace: String },
        AddFragments { arguments: Vec<String> },
        /// The whole text of a file that only looks like metadata: recipes install it as it is.
        Payload { text: String },
        /// Text that no rule fits, continued lines joined.
        Unknown { text: String },
    }
}

/// The name BitBake gives to a Python function without one.
pub(crate) const ANONYMOUS: &str = "__anonymous";

cached! {
    /// A variable or function with its overrides: `do_install:append:qemuarm`.
    pub(crate) struct Variable {
        /// What stands before the first colon.
        #[rkyv(with = Intern)] pub name: String,
        /// What follows, one for each colon, `append`, `prepend` and `remove` included.
        #[rkyv(with = List)] pub overrides: Vec<String>,
    }
}

impl Variable {
    pub(crate) fn new(text: &str) -> Self {
        let mut parts = text.split(':').map(String::from);
        Self {
            name: parts.next().unwrap_or_default(),
            overrides: parts.collect(),
        }
    }
}

cached! {
    /// How an assigned value joins what the variable holds.
    #[derive(Copy)]
    pub(crate) enum Operator {
        /// `=`
        Set,
        /// `:=`, expanded at once.
        SetNow,
        /// `?=`
        Default,
        /// `??=`
        WeakDefault,
        /// `+=` and `=+`, with a space between.
        Append,
        Prepend,
        /// `.=` and `=.`
        AppendTight,
        PrependTight,
    }
}

cached! {
    /// `include`, which may find nothing, `require`, and `include_all`, which takes every layer's.
    #[derive(Copy)]
    pub(crate) enum IncludeMode { Optional, Required, All }
}

cached! {
    /// The language of a function; `Definition` is Python with `def`.
    #[derive(Copy)]
    pub(crate) enum Language { Shell, Python, Definition }
}

/// One line that says what keeps part of a file from being read, and what would mend it. Lines
/// count from 1; 0 is the file as a whole.
pub(crate) fn problem(path: &str, line: usize, what: impl Display) -> String {
    format!("{path}:{line}: {what}")
}
