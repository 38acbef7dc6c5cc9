//! Joins the lines of a file into statements.

use std::iter::Peekable;
use std::str::Lines;

use super::assignment::after_keyword;
use super::{ANONYMOUS, Kind, Language, Statement, Variable, directive, problem};
use crate::layer::discovery;

/// What reading a file gave.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Parsed {
    /// Its statements, in order.
    pub statements: Vec<Statement>,
    /// How many lines it has.
    pub lines: u32,
    /// How many of them no rule fits.
    pub unknown_lines: u32,
    /// What kept parts of it from being read.
    pub problems: Vec<String>,
}

/// Reads the text of the file `path`. One that BitBake does not parse is its only statement.
pub(crate) fn parse_file(path: &str, text: String) -> Parsed {
    if discovery::is_metadata(path) {
        return parse(path, &text);
    }
    let lines = u32::try_from(text.lines().count()).unwrap_or(u32::MAX);
    let kind = Kind::Payload { text };
    Parsed {
        lines,
        statements: vec![Statement { line: 1, kind }],
        ..Parsed::default()
    }
}

/// Reads the text of the file `path`, in one pass. No text makes it fail. Configuration has no
/// functions, no tasks and no classes.
fn parse(path: &str, text: &str) -> Parsed {
    let mut reader = Reader {
        path,
        lines: text.lines().peekable(),
        parsed: Parsed::default(),
    };
    while let Some(first) = reader.next_line() {
        let line = reader.parsed.lines;
        let text = reader.join(first).unwrap_or_default();
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        if let Some(kind) = reader.statement(line, text) {
            reader.parsed.statements.push(Statement { line, kind });
        }
    }
    reader.parsed
}

struct Reader<'t> {
    path: &'t str,
    lines: Peekable<Lines<'t>>,
    parsed: Parsed,
}

impl<'t> Reader<'t> {
    fn next_line(&mut self) -> Option<&'t str> {
        let line = self.lines.next()?;
        self.parsed.lines += 1;
        Some(line.trim_end())
    }

    /// Joins a line with those that it is continued on; nothing if they are no whole statement.
    fn join(&mut self, mut line: &'t str) -> Option<String> {
        let first = self.parsed.lines;
        let mut text = String::new();
        while let Some(part) = line.strip_suffix('\\') {
            text.push_str(part);
            line = self.continuation(first, text.starts_with('#'))?;
        }
        text.push_str(line);
        Some(text)
    }

    /// The next line of a statement or comment that started at the line `first`.
    fn continuation(&mut self, first: u32, in_comment: bool) -> Option<&'t str> {
        while let Some(next) = self.lines.peek() {
            match (in_comment, next.starts_with('#')) {
                (false, true) => {
                    self.next_line();
                    self.problem(self.parsed.lines, IN_THE_MIDDLE);
                }
                (true, false) => {
                    self.problem(self.parsed.lines + 1, BEHIND_COMMENT);
                    return None;
                }
                _ => return self.next_line(),
            }
        }
        self.problem(first, AT_THE_END);
        None
    }

    /// Reads the statement that `text` is, or starts. A function without an end is none.
    fn statement(&mut self, line: u32, text: String) -> Option<Kind> {
        let in_recipe = |text| {
            let head = function_head(text).or_else(|| definition_head(text));
            head.or_else(|| directive::recipe_statement(text))
        };
        let is_configuration = self.path.ends_with(".conf");
        let known = if is_configuration {
            None
        } else {
            in_recipe(&text)
        };
        let Some(mut kind) = known.or_else(|| directive::common_statement(&text)) else {
            self.parsed.unknown_lines += self.parsed.lines - line + 1;
            return Some(Kind::Unknown { text });
        };
        if let Kind::Function {
            name,
            language,
            body,
            ..
        } = &mut kind
        {
            *body = match language {
                Language::Definition => self.definition(text),
                Language::Shell | Language::Python => self.braced(line, &name.name)?,
            };
        }
        Some(kind)
    }

    /// The lines up to the closing brace.
    fn braced(&mut self, first: u32, name: &str) -> Option<String> {
        let mut body = String::new();
        while let Some(line) = self.next_line() {
            if line == "}" {
                return Some(body);
            }
            body.push_str(line);
            body.push('\n');
        }
        let what = format!(
            "the function `{name}` has no end: a line with `}}` alone, not indented, must close it"
        );
        self.problem(first, &what);
        None
    }

    /// A definition that starts with `text`, up to the next line that is not indented.
    fn definition(&mut self, text: String) -> String {
        let mut body = text + "\n";
        let goes_on = |line: &&str| {
            line.is_empty() || line.starts_with('#') || line.starts_with(char::is_whitespace)
        };
        while self.lines.peek().is_some_and(goes_on) {
            body.push_str(self.next_line().unwrap_or_default());
            body.push('\n');
        }
        body.truncate(body.trim_end().len());
        body.push('\n');
        body
    }

    fn problem(&mut self, line: u32, what: &str) {
        let problem = problem(self.path, line as usize, what);
        self.parsed.problems.push(problem);
    }
}

const IN_THE_MIDDLE: &str =
    "a comment in the middle of a continued statement: move it before the statement";
const BEHIND_COMMENT: &str = "a continued comment is followed by a line that is none: \
     end the line before without a backslash";
const AT_THE_END: &str = "the file ends in a continued statement: remove its last backslash";

/// The start of a function in braces: `fakeroot python name() {`.
fn function_head(text: &str) -> Option<Kind> {
    let text = text.strip_suffix('{')?.trim_end();
    let text = text.strip_suffix(')')?.trim_end();
    let mut name = text.strip_suffix('(')?.trim();
    let (mut language, mut fakeroot) = (Language::Shell, false);
    loop {
        let (word, rest) = name.split_once(char::is_whitespace).unwrap_or((name, ""));
        match word {
            "python" => language = Language::Python,
            "fakeroot" => fakeroot = true,
            _ => break,
        }
        name = rest.trim_start();
    }
    if name.is_empty() && language == Language::Python {
        name = ANONYMOUS;
    }
    let is_name = |c: char| c.is_alphanumeric() || "_.-+{}$:".contains(c);
    let fits = !name.is_empty() && name.chars().all(is_name);
    fits.then(|| function(name, language, fakeroot, ""))
}

/// The start of a definition: `def name(...):`.
fn definition_head(text: &str) -> Option<Kind> {
    let text = after_keyword(text, "def")?;
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_')?;
    let (name, rest) = text.split_at(end);
    let fits = !name.is_empty() && rest.contains(':');
    fits.then(|| function(name, Language::Definition, false, ""))
}

fn function(name: &str, language: Language, fakeroot: bool, body: &str) -> Kind {
    Kind::Function {
        name: Variable::new(name),
        language,
        fakeroot,
        body: body.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Parsed {
        parse("a.bb", text)
    }

    #[test]
    fn continued_lines_are_one_statement_at_the_first_line() {
        let parsed = read("# A = \" \\\n#  x\n\nA = \"x \\\n  y \\  \n\"\nthis is \\\n nothing\n");
        let (assign, unknown) = (&parsed.statements[0], &parsed.statements[1]);
        assert_eq!(parsed.statements.len(), 2);
        assert!(matches!(&assign.kind, Kind::Assign { value, .. } if value == "x   y "));
        assert!(matches!(&unknown.kind, Kind::Unknown { text } if text == "this is  nothing"));
        assert_eq!((assign.line, unknown.line), (4, 7));
        assert_eq!((parsed.lines, parsed.unknown_lines), (8, 2));
        assert!(parsed.problems.is_empty());
    }

    #[test]
    fn functions_of_every_kind_keep_their_bodies() {
        let parsed = read(
            "do_a() {\n\tx\n  }\n}\nfakeroot python do_b:append () {\n    y\n}\npython(){\n}\n\
             def f(d):\n    return 1\n\n# still\n\ndef g(d):\n    pass",
        );
        use Language::*;
        let f = "def f(d):\n    return 1\n\n# still\n";
        let expected = [
            function("do_a", Shell, false, "\tx\n  }\n"),
            function("do_b:append", Python, true, "    y\n"),
            function(ANONYMOUS, Python, false, ""),
            function("f", Definition, false, f),
            function("g", Definition, false, "def g(d):\n    pass\n"),
        ];
        let kinds = parsed.statements.iter().map(|statement| &statement.kind);
        assert!(kinds.eq(&expected), "{parsed:?}");
    }

    #[test]
    fn configuration_has_no_functions_tasks_or_classes() {
        let text = "A = \"\"\ninherit x\naddtask y\nf() {\n}\n";
        assert_eq!(parse("a.conf", text).unknown_lines, 4);
    }

    #[test]
    fn what_is_left_open_is_reported_where_it_starts() {
        for (text, line, part) in [
            ("A = \"\"\ndo_x() {\n  y\n", 2, "`do_x` has no end"),
            ("\nA = \"x \\\n y \\\n", 2, "continued statement"),
            ("A = \"x \\\n# no\n\"\n", 2, "comment in the middle"),
            ("# A = \"x \\\nB = \"\"\n", 2, "continued comment"),
        ] {
            let problems = read(text).problems;
            let place = format!("a.bb:{line}: ");
            assert!(
                problems[0].starts_with(&place) && problems[0].contains(part),
                "{problems:?}"
            );
        }
    }
}
