//! Reads a whole logical line: an assignment, a keyword with arguments, or nothing known.

use super::assignment::{self, after_keyword, variable};
use super::words::words;
use super::{IncludeMode, Kind};

/// The keywords of recipes and classes only.
pub(super) fn recipe_statement(text: &str) -> Option<Kind> {
    let (keyword, arguments) = split_keyword(text)?;
    let list = || list(arguments);
    Some(match keyword {
        "inherit" | "inherit_defer" => Kind::Inherit {
            classes: list(),
            deferred: keyword == "inherit_defer",
        },
        "EXPORT_FUNCTIONS" => Kind::ExportFunctions { functions: list() },
        "addhandler" => Kind::AddHandler { functions: list() },
        "addtask" => add_task(without_comment(arguments)),
        "deltask" => {
            let tasks = self::list(without_comment(arguments));
            Kind::DeleteTask { tasks }
        }
        _ => return None,
    })
}

/// What configuration files and recipes have in common.
pub(super) fn common_statement(text: &str) -> Option<Kind> {
    if let Some(assignment) = assignment::parse(text) {
        return Some(assignment);
    }
    let (keyword, arguments) = split_keyword(text)?;
    let include = |mode| {
        let files = list(arguments);
        Kind::Include { mode, files }
    };
    Some(match keyword {
        "include" => include(IncludeMode::Optional),
        "require" => include(IncludeMode::Required),
        "include_all" => include(IncludeMode::All),
        "export" => match variable(arguments)? {
            (name, None) => Kind::Export { name: name.into() },
            _ => return None,
        },
        "unset" => {
            let (name, flag) = variable(arguments)?;
            let (name, flag) = (name.into(), flag.map(String::from));
            Kind::Unset { name, flag }
        }
        "addpylib" => {
            let [directory, namespace] = list(arguments).try_into().ok()?;
            Kind::AddPythonLibrary {
                directory,
                namespace,
            }
        }
        "addfragments" => {
            let arguments = list(arguments);
            Kind::AddFragments { arguments }
        }
        _ => return None,
    })
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
    let mut lists = [vec![], vec![], vec![]];
    let mut target = 0;
    for word in words(arguments) {
        match word {
            "after" => target = 1,
            "before" => target = 2,
            task => lists[target].push(String::from(task)),
        }
    }
    let [tasks, after, before] = lists;
    Kind::AddTask {
        tasks,
        after,
        before,
    }
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
        let known = r#"
addtask a b before d after c before e # why => AddTask { tasks: ["a", "b"], after: ["c"], before: ["d", "e"] }
deltask x # why => DeleteTask { tasks: ["x"] }
inherit_defer a ${@f('b c', d)} => Inherit { classes: ["a", "${@f('b c', d)}"], deferred: true }
require x.inc => Include { mode: Required, files: ["x.inc"] }
export A => Export { name: "A" }
unset A[b] => Unset { name: "A", flag: Some("b") }
addpylib a oe => AddPythonLibrary { directory: "a", namespace: "oe" }
addfragments a b => AddFragments { arguments: ["a", "b"] }"#;
        for line in known.trim().lines() {
            let (text, expected) = line.split_once(" => ").expect("a pair");
            assert_eq!(shown(text), format!("Some({expected})"));
        }
        for text in "inherit|addtask |else x|unset A B|export A[b]|addpylib lib".split('|') {
            assert_eq!(shown(text), "None", "{text}");
        }
    }
}
