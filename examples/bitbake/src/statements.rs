//! Reads a metadata file into its statements, by the rules of BitBake's own reader.
//!
//! The text is taken as it stands: nothing is expanded and no override is resolved. Comments and blank lines
//! leave no statement.

mod assignment;
mod directive;
mod reader;
mod words;

pub(crate) use reader::{Parsed, Rules, parse};
pub(crate) use words::{inline_python, reference_length, words};

use floe::Intern;
use rkyv::with::Map;

use crate::walk::{walk_enum, walk_struct};

/// One statement of a metadata file.
#[derive(Debug, Clone, PartialEq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
#[rkyv(derive(floe::Schema))]
pub(crate) struct Statement {
    /// The line it starts on, counted from 1.
    pub line: u32,
    /// What it says.
    pub kind: Kind,
}

/// What a statement says.
#[derive(Debug, Clone, PartialEq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
#[rkyv(derive(floe::Schema))]
pub(crate) enum Kind {
    /// `VARIABLE = "value"`, with any operator.
    Assign {
        /// How the value joins what the variable holds.
        operator: Operator,
        /// Whether `export` stands before it.
        exported: bool,
        /// The variable that is assigned to.
        variable: Variable,
        /// The flag in brackets, if it is the flag that is assigned to.
        #[rkyv(with = Intern)]
        flag: Option<String>,
        /// The text between the quotes, continued lines joined.
        #[rkyv(with = Intern)]
        value: String,
    },
    /// `export VARIABLE`.
    Export {
        /// The name of the variable.
        name: String,
    },
    /// `include`, `require` or `include_all`.
    Include {
        /// Which of them.
        mode: IncludeMode,
        /// The files, as they are named.
        #[rkyv(with = Intern<Map<Intern>>)]
        files: Vec<String>,
    },
    /// `inherit` or `inherit_defer`.
    Inherit {
        /// The classes, as they are named.
        #[rkyv(with = Intern<Map<Intern>>)]
        classes: Vec<String>,
        /// Whether it is `inherit_defer`.
        deferred: bool,
    },
    /// A shell or Python function with its body.
    Function {
        /// Its name; [`ANONYMOUS`] if it has none.
        name: Variable,
        /// The language of its body.
        language: Language,
        /// Whether it runs under fakeroot.
        fakeroot: bool,
        /// The lines between the braces; for `def`, the whole definition.
        #[rkyv(with = Intern)]
        body: String,
    },
    /// `addtask`.
    AddTask {
        /// The tasks.
        #[rkyv(with = Intern<Map<Intern>>)]
        tasks: Vec<String>,
        /// What they run after.
        #[rkyv(with = Intern<Map<Intern>>)]
        after: Vec<String>,
        /// What they run before.
        #[rkyv(with = Intern<Map<Intern>>)]
        before: Vec<String>,
    },
    /// `deltask`.
    DeleteTask {
        /// The tasks.
        #[rkyv(with = Intern<Map<Intern>>)]
        tasks: Vec<String>,
    },
    /// `addhandler`.
    AddHandler {
        /// The event handlers.
        #[rkyv(with = Intern<Map<Intern>>)]
        functions: Vec<String>,
    },
    /// `EXPORT_FUNCTIONS`.
    ExportFunctions {
        /// The functions that a class gives to its inheritors.
        #[rkyv(with = Intern<Map<Intern>>)]
        functions: Vec<String>,
    },
    /// `unset`.
    Unset {
        /// The name of the variable.
        name: String,
        /// The flag in brackets, if only a flag goes.
        #[rkyv(with = Map<Intern>)]
        flag: Option<String>,
    },
    /// `addpylib`.
    AddPythonLibrary {
        /// The directory of the modules.
        directory: String,
        /// Their name space.
        namespace: String,
    },
    /// `addfragments`.
    AddFragments {
        /// Its arguments.
        arguments: Vec<String>,
    },
    /// The whole text of a file that only looks like metadata: recipes install it as it is.
    Payload {
        /// The text.
        text: String,
    },
    /// Text that no rule fits.
    Unknown {
        /// The text, continued lines joined.
        text: String,
    },
}

/// The name BitBake gives to a Python function without one.
pub(crate) const ANONYMOUS: &str = "__anonymous";

/// A variable or function with its overrides: `do_install:append:qemuarm`.
#[derive(Debug, Clone, PartialEq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
#[rkyv(derive(floe::Schema))]
pub(crate) struct Variable {
    /// The name before the first colon.
    #[rkyv(with = Intern)]
    pub name: String,
    /// What follows, one for each colon, `append`, `prepend` and `remove` included.
    #[rkyv(with = Intern<Map<Intern>>)]
    pub overrides: Vec<String>,
}

impl Variable {
    fn new(text: &str) -> Self {
        let mut parts = text.split(':').map(String::from);
        Self {
            name: parts.next().unwrap_or_default(),
            overrides: parts.collect(),
        }
    }
}

/// How an assigned value joins what the variable holds.
#[derive(Debug, Clone, Copy, PartialEq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
#[rkyv(derive(floe::Schema))]
pub(crate) enum Operator {
    /// `=`
    Set,
    /// `:=`, expanded at once.
    SetNow,
    /// `?=`
    Default,
    /// `??=`
    WeakDefault,
    /// `+=`, with a space between.
    Append,
    /// `=+`, with a space between.
    Prepend,
    /// `.=`
    AppendTight,
    /// `=.`
    PrependTight,
}

/// How a file is included.
#[derive(Debug, Clone, Copy, PartialEq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
#[rkyv(derive(floe::Schema))]
pub(crate) enum IncludeMode {
    /// `include`: it may be absent.
    Optional,
    /// `require`: it must exist.
    Required,
    /// `include_all`: from every layer that has it.
    All,
}

/// The language of a function.
#[derive(Debug, Clone, Copy, PartialEq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
#[rkyv(derive(floe::Schema))]
pub(crate) enum Language {
    /// Shell.
    Shell,
    /// A Python body in braces.
    Python,
    /// A Python definition with `def`.
    Definition,
}

/// Something in a file that keeps part of it from being read.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Problem {
    /// The file, relative to the layer.
    pub path: String,
    /// The line, counted from 1; 0 for the file as a whole.
    pub line: u32,
    /// What is wrong and what would mend it.
    pub what: String,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}:{}: {}", self.path, self.line, self.what)
    }
}

walk_struct!(Statement, ArchivedStatement { line, kind });
walk_struct!(Variable, ArchivedVariable { name, overrides });
walk_enum!(
    Operator,
    ArchivedOperator {
        Set,
        SetNow,
        Default,
        WeakDefault,
        Append,
        Prepend,
        AppendTight,
        PrependTight,
    }
);
walk_enum!(
    IncludeMode,
    ArchivedIncludeMode {
        Optional,
        Required,
        All
    }
);
walk_enum!(
    Language,
    ArchivedLanguage {
        Shell,
        Python,
        Definition
    }
);
walk_enum!(
    Kind,
    ArchivedKind {
        Assign { operator, exported, variable, flag, value },
        Export { name },
        Include { mode, files },
        Inherit { classes, deferred },
        Function { name, language, fakeroot, body },
        AddTask { tasks, after, before },
        DeleteTask { tasks },
        AddHandler { functions },
        ExportFunctions { functions },
        Unset { name, flag },
        AddPythonLibrary { directory, namespace },
        AddFragments { arguments },
        Payload { text },
        Unknown { text },
    }
);
