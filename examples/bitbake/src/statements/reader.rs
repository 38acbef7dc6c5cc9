//! Joins the lines of a file into statements.

use crate::layer::discovery;

use super::{ANONYMOUS, Kind, Language, Statement, Variable, directive, problem};

/// Which statements a file may hold.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Rules {
    /// Recipes, classes, appends and includes: everything.
    Recipe,
    /// Configuration files: no functions, no tasks, no classes.
    Configuration,
}

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
        return parse(path, &text, discovery::rules_of(path));
    }
    Parsed {
        lines: u32::try_from(text.lines().count()).unwrap_or(u32::MAX),
        statements: vec![Statement {
            line: 1,
            kind: Kind::Payload { text },
        }],
        ..Parsed::default()
    }
}

/// Reads the text of the file `path`, in one pass. No text makes it fail.
pub(crate) fn parse(path: &str, text: &str, rules: Rules) -> Parsed {
    let (state, parsed) = (State::Between, Parsed::default());
    let mut reader = Reader {
        path,
        rules,
        state,
        parsed,
    };
    for line in text.lines() {
        reader.parsed.lines += 1;
        reader.line(line.trim_end());
    }
    reader.finish();
    reader.parsed
}

struct Reader<'t> {
    path: &'t str,
    rules: Rules,
    state: State,
    parsed: Parsed,
}

/// What the lines read so far have left open.
enum State {
    Between,
    Continued(Open),
    Function(Head, Open),
}

/// Text that later lines may add to, and the line it started on.
struct Open {
    line: u32,
    text: String,
}

/// How a function starts.
struct Head {
    name: Variable,
    language: Language,
    fakeroot: bool,
}

impl Reader<'_> {
    fn line(&mut self, text: &str) {
        match std::mem::replace(&mut self.state, State::Between) {
            State::Between => self.statement_line(self.parsed.lines, String::new(), text),
            State::Continued(open) => self.continuation(open, text),
            State::Function(head, open) => self.body_line(head, open, text),
        }
    }

    /// Adds a line to a function, or ends it. The line that ends a definition is no part of it.
    fn body_line(&mut self, head: Head, mut open: Open, text: &str) {
        let definition = head.language == Language::Definition;
        let goes_on = if definition {
            continues_definition(text)
        } else {
            text != "}"
        };
        if goes_on {
            open.text.push_str(text);
            open.text.push('\n');
            self.state = State::Function(head, open);
            return;
        }
        self.function(head, open);
        if definition {
            self.statement_line(self.parsed.lines, String::new(), text);
        }
    }

    /// Adds a line to a statement that an earlier line left open.
    fn continuation(&mut self, open: Open, text: &str) {
        match (open.text.starts_with('#'), text.starts_with('#')) {
            (false, true) => {
                self.problem(
                    self.parsed.lines,
                    "a comment in the middle of a continued statement: move it before the statement",
                );
                self.state = State::Continued(open);
            }
            (true, false) => {
                self.problem(
                    self.parsed.lines,
                    "a continued comment is followed by a line that is none: end the line before without a backslash",
                );
                self.statement_line(self.parsed.lines, String::new(), text);
            }
            _ => self.statement_line(open.line, open.text, text),
        }
    }

    /// Takes a line outside function bodies, after the text of the lines it continues.
    fn statement_line(&mut self, line: u32, mut before: String, text: &str) {
        if let Some(text) = text.strip_suffix('\\') {
            before.push_str(text);
            self.state = State::Continued(Open { line, text: before });
            return;
        }
        before.push_str(text);
        if !before.is_empty() && !before.starts_with('#') {
            self.statement(line, before);
        }
    }

    fn statement(&mut self, line: u32, text: String) {
        let recipe = self.rules == Rules::Recipe;
        let head = || function_head(&text).or_else(|| definition_head(&text));
        if recipe && let Some(head) = head() {
            let text = match head.language {
                Language::Definition => text + "\n",
                _ => String::new(),
            };
            self.state = State::Function(head, Open { line, text });
        } else if recipe && let Some(kind) = directive::recipe_statement(&text) {
            self.push(line, kind);
        } else if let Some(kind) = directive::common_statement(&text) {
            self.push(line, kind);
        } else {
            self.parsed.unknown_lines += self.parsed.lines - line + 1;
            self.push(line, Kind::Unknown { text });
        }
    }

    fn function(&mut self, head: Head, open: Open) {
        let Head {
            name,
            language,
            fakeroot,
        } = head;
        let Open {
            line,
            text: mut body,
        } = open;
        if language == Language::Definition {
            body.truncate(body.trim_end().len());
            body.push('\n');
        }
        self.push(
            line,
            Kind::Function {
                name,
                language,
                fakeroot,
                body,
            },
        );
    }

    fn finish(&mut self) {
        match std::mem::replace(&mut self.state, State::Between) {
            State::Between => {}
            State::Function(head, open) if head.language == Language::Definition => {
                self.function(head, open);
            }
            State::Continued(open) => self.problem(
                open.line,
                "the file ends in a continued statement: remove its last backslash",
            ),
            State::Function(head, open) => self.problem(
                open.line,
                &format!(
                    "the function `{}` has no end: a line with `}}` alone, not indented, must close it",
                    head.name.name
                ),
            ),
        }
    }

    fn push(&mut self, line: u32, kind: Kind) {
        self.parsed.statements.push(Statement { line, kind });
    }

    fn problem(&mut self, line: u32, what: &str) {
        let problem = problem(self.path, line as usize, what);
        self.parsed.problems.push(problem);
    }
}

/// The start of a function in braces: `fakeroot python name() {`.
fn function_head(text: &str) -> Option<Head> {
    let text = text
        .strip_suffix('{')?
        .trim_end()
        .strip_suffix(')')?
        .trim_end();
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
    fits.then(|| Head {
        name: Variable::new(name),
        language,
        fakeroot,
    })
}

/// The start of a definition: `def name(...):`.
fn definition_head(text: &str) -> Option<Head> {
    let text = super::assignment::after_keyword(text, "def")?;
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_')?;
    let (name, rest) = text.split_at(end);
    (!name.is_empty() && rest.contains(':')).then(|| Head {
        name: Variable::new(name),
        language: Language::Definition,
        fakeroot: false,
    })
}

fn continues_definition(text: &str) -> bool {
    text.is_empty() || text.starts_with('#') || text.starts_with(char::is_whitespace)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Parsed {
        parse("a.bb", text, Rules::Recipe)
    }

    fn function(name: &str, language: Language, fakeroot: bool, body: &str) -> Kind {
        Kind::Function {
            name: Variable::new(name),
            language,
            fakeroot,
            body: body.into(),
        }
    }

    #[test]
    fn continued_lines_are_one_statement_at_the_first_line() {
        let parsed = read("# A = \" \\\n#  x\n\nA = \"x \\\n  y \\  \n\"\nthis is \\\n nothing\n");
        let [assign, unknown] = &parsed.statements[..] else {
            panic!("{parsed:?}");
        };
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
        let expected = [
            function("do_a", Language::Shell, false, "\tx\n  }\n"),
            function("do_b:append", Language::Python, true, "    y\n"),
            function(ANONYMOUS, Language::Python, false, ""),
            function(
                "f",
                Language::Definition,
                false,
                "def f(d):\n    return 1\n\n# still\n",
            ),
            function("g", Language::Definition, false, "def g(d):\n    pass\n"),
        ];
        let kinds = parsed.statements.iter().map(|statement| &statement.kind);
        assert!(kinds.eq(&expected), "{parsed:?}");
    }

    #[test]
    fn configuration_has_no_functions_tasks_or_classes() {
        let text = "A = \"\"\ninherit x\naddtask y\nf() {\n}\n";
        assert_eq!(parse("a.conf", text, Rules::Configuration).unknown_lines, 4);
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
