//! Reads a whole logical line: an assignment, a keyword with arguments, or nothing known.

use super::assignment::{self, after_keyword, split_flag, split_name};
use super::words::words;
use super::{IncludeMode, Kind};

/// The keywords of recipes and classes only.
pub(super) fn recipe_statement(text: &str) -> Option<Kind> {
    let (keyword, arguments) = split_keyword(text)?;
    match keyword {
        "inherit" => Some(Kind::Inherit {
            classes: list(arguments),
            deferred: false,
        }),
        "inherit_defer" => Some(Kind::Inherit {
            classes: list(arguments),
            deferred: true,
        }),
        "EXPORT_FUNCTIONS" => Some(Kind::ExportFunctions {
            functions: list(arguments),
        }),
        "addhandler" => Some(Kind::AddHandler {
            functions: list(arguments),
        }),
        "addtask" => Some(add_task(without_comment(arguments))),
        "deltask" => Some(Kind::DeleteTask {
            tasks: list(without_comment(arguments)),
        }),
        _ => None,
    }
}

/// What configuration files and recipes have in common.
pub(super) fn common_statement(text: &str) -> Option<Kind> {
    if let Some(assignment) = assignment::parse(text) {
        return Some(assignment);
    }
    let (keyword, arguments) = split_keyword(text)?;
    let include = |mode| {
        Some(Kind::Include {
            mode,
            files: list(arguments),
        })
    };
    match keyword {
        "include" => include(IncludeMode::Optional),
        "require" => include(IncludeMode::Required),
        "include_all" => include(IncludeMode::All),
        "export" => match variable(arguments)? {
            (name, None) => Some(Kind::Export { name }),
            _ => None,
        },
        "unset" => variable(arguments).map(|(name, flag)| Kind::Unset { name, flag }),
        "addpylib" => match <[String; 2]>::try_from(list(arguments)) {
            Ok([directory, namespace]) => Some(Kind::AddPythonLibrary {
                directory,
                namespace,
            }),
            Err(_) => None,
        },
        "addfragments" => Some(Kind::AddFragments {
            arguments: list(arguments),
        }),
        _ => None,
    }
}

fn split_keyword(text: &str) -> Option<(&str, &str)> {
    let (keyword, _) = text.split_once(char::is_whitespace)?;
    let arguments = after_keyword(text, keyword)?;
    (!arguments.is_empty()).then_some((keyword, arguments))
}

fn list(text: &str) -> Vec<String> {
    words(text).map(String::from).collect()
}

fn without_comment(text: &str) -> &str {
    text.split('#').next().unwrap_or(text)
}

fn add_task(arguments: &str) -> Kind {
    let (mut tasks, mut after, mut before) = (vec![], vec![], vec![]);
    let mut target = &mut tasks;
    for word in words(arguments) {
        match word {
            "after" => target = &mut after,
            "before" => target = &mut before,
            task => target.push(String::from(task)),
        }
    }
    Kind::AddTask {
        tasks,
        after,
        before,
    }
}

/// A name with an optional flag, and nothing else.
fn variable(text: &str) -> Option<(String, Option<String>)> {
    let (name, rest) = split_name(text);
    let (flag, rest) = split_flag(rest)?;
    let fits = !name.is_empty() && rest.is_empty();
    fits.then(|| (name.into(), flag.map(String::from)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every argument of the statement, in the order of its fields.
    fn shown(text: &str) -> String {
        format!("{:?}", recipe_statement(text).or(common_statement(text)))
    }

    #[test]
    fn every_keyword_is_known_with_its_arguments() {
        for (text, expected) in [
            (
                "addtask a b before d after c before e # why",
                r#"Some(AddTask { tasks: ["a", "b"], after: ["c"], before: ["d", "e"] })"#,
            ),
            ("deltask x # why", r#"Some(DeleteTask { tasks: ["x"] })"#),
            (
                "inherit_defer a ${@f('b c', d)}",
                r#"Some(Inherit { classes: ["a", "${@f('b c', d)}"], deferred: true })"#,
            ),
            (
                "require x.inc",
                r#"Some(Include { mode: Required, files: ["x.inc"] })"#,
            ),
            ("export A", r#"Some(Export { name: "A" })"#),
            (
                "unset A[b]",
                r#"Some(Unset { name: "A", flag: Some("b") })"#,
            ),
            (
                "addpylib a oe",
                r#"Some(AddPythonLibrary { directory: "a", namespace: "oe" })"#,
            ),
            (
                "addfragments a b",
                r#"Some(AddFragments { arguments: ["a", "b"] })"#,
            ),
        ] {
            assert_eq!(shown(text), expected);
        }
        for text in [
            "inherit",
            "addtask ",
            "else x",
            "unset A B",
            "export A[b]",
            "addpylib lib",
        ] {
            assert_eq!(shown(text), "None", "{text}");
        }
    }
}
