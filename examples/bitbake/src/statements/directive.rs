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

    fn strings(texts: &[&str]) -> Vec<String> {
        texts.iter().copied().map(String::from).collect()
    }

    #[test]
    fn tasks_have_an_order_and_comments_end_them() {
        let expected = Kind::AddTask {
            tasks: strings(&["a", "b"]),
            after: strings(&["c"]),
            before: strings(&["d", "e"]),
        };
        assert_eq!(
            recipe_statement("addtask a b before d after c before e # why"),
            Some(expected)
        );
        let expected = Kind::DeleteTask {
            tasks: strings(&["x"]),
        };
        assert_eq!(recipe_statement("deltask x"), Some(expected));
    }

    #[test]
    fn classes_and_files_are_listed() {
        let classes = strings(&["a", "${@f('b c', d)}"]);
        assert_eq!(
            recipe_statement("inherit_defer a ${@f('b c', d)}"),
            Some(Kind::Inherit {
                classes,
                deferred: true
            })
        );
        let include = |mode| {
            Some(Kind::Include {
                mode,
                files: strings(&["x.inc"]),
            })
        };
        assert_eq!(
            common_statement("include x.inc"),
            include(IncludeMode::Optional)
        );
        assert_eq!(
            common_statement("require x.inc"),
            include(IncludeMode::Required)
        );
        assert_eq!(
            common_statement("include_all x.inc"),
            include(IncludeMode::All)
        );
    }

    #[test]
    fn export_and_unset_take_one_name() {
        assert_eq!(
            common_statement("export A"),
            Some(Kind::Export { name: "A".into() })
        );
        let unset = |flag| {
            Some(Kind::Unset {
                name: "A".into(),
                flag,
            })
        };
        assert_eq!(common_statement("unset A"), unset(None));
        assert_eq!(common_statement("unset A[b]"), unset(Some("b".into())));
        assert_eq!(common_statement("unset A B"), None);
        assert_eq!(common_statement("export A[b]"), None);
    }

    #[test]
    fn libraries_and_fragments_are_known() {
        let expected = Kind::AddPythonLibrary {
            directory: "${LAYERDIR}/lib".into(),
            namespace: "oe".into(),
        };
        assert_eq!(
            common_statement("addpylib ${LAYERDIR}/lib oe"),
            Some(expected)
        );
        assert_eq!(common_statement("addpylib lib"), None);
        let expected = Kind::AddFragments {
            arguments: strings(&["a", "b", "c"]),
        };
        assert_eq!(common_statement("addfragments a b c"), Some(expected));
    }

    #[test]
    fn a_keyword_without_arguments_is_nothing() {
        for text in ["inherit", "addtask ", "something else"] {
            assert_eq!(recipe_statement(text).or(common_statement(text)), None);
        }
    }
}
