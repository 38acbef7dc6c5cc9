//! Joins the lines of a file into statements.

use super::{ANONYMOUS, Kind, Language, Problem, Statement, Variable, directive};

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
    pub problems: Vec<Problem>,
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
        self.parsed.problems.push(Problem {
            path: self.path.into(),
            line,
            what: what.into(),
        });
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
    use super::super::Operator;
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
        let parsed = read("# c\n\nA = \"x \\\n  y \\  \n\"\nB = \"\"\n");
        let value = String::from("x   y ");
        let (flag, operator, exported) = (None, Operator::Set, false);
        let variable = Variable::new("A");
        let expected = Kind::Assign {
            variable,
            flag,
            operator,
            value,
            exported,
        };
        assert_eq!(
            parsed.statements[0],
            Statement {
                line: 3,
                kind: expected
            }
        );
        assert_eq!(parsed.statements[1].line, 6);
        assert_eq!((parsed.lines, parsed.unknown_lines), (6, 0));
        assert_eq!(parsed.problems, []);
    }

    #[test]
    fn functions_of_every_kind_keep_their_bodies() {
        let text =
            "do_a() {\n\tx\n  }\n}\nfakeroot python do_b:append () {\n    y\n}\npython(){\n}\n";
        let parsed = read(text);
        let expected = [
            function("do_a", Language::Shell, false, "\tx\n  }\n"),
            function("do_b:append", Language::Python, true, "    y\n"),
            function(ANONYMOUS, Language::Python, false, ""),
        ];
        assert!(
            parsed
                .statements
                .iter()
                .map(|statement| &statement.kind)
                .eq(&expected)
        );
        assert_eq!(parsed.problems, []);
    }

    #[test]
    fn a_definition_ends_where_the_indent_ends() {
        let parsed = read("def f(d):\n    return 1\n\n# still\n\nA = \"\"\ndef g(d):\n    pass");
        let expected = "def f(d):\n    return 1\n\n# still\n";
        assert_eq!(
            parsed.statements[0].kind,
            function("f", Language::Definition, false, expected)
        );
        assert_eq!(parsed.statements[1].line, 6);
        let expected = "def g(d):\n    pass\n";
        assert_eq!(
            parsed.statements[2].kind,
            function("g", Language::Definition, false, expected)
        );
    }

    #[test]
    fn unknown_text_is_kept_and_its_lines_are_counted() {
        let parsed = read("this is \\\n nothing\nA = \"\"\n<<<\n");
        let unknown = |line, text: &str| Statement {
            line,
            kind: Kind::Unknown { text: text.into() },
        };
        assert_eq!(parsed.statements[0], unknown(1, "this is  nothing"));
        assert_eq!(parsed.statements[2], unknown(4, "<<<"));
        assert_eq!((parsed.lines, parsed.unknown_lines), (4, 3));
    }

    #[test]
    fn configuration_has_no_functions_tasks_or_classes() {
        let parsed = parse(
            "a.conf",
            "A = \"\"\ninherit x\naddtask y\nf() {\n}\n",
            Rules::Configuration,
        );
        assert_eq!(parsed.unknown_lines, 4);
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
            assert_eq!(problems.len(), 1, "{text}");
            assert_eq!(
                (problems[0].path.as_str(), problems[0].line),
                ("a.bb", line),
                "{text}"
            );
            assert!(problems[0].what.contains(part), "{}", problems[0].what);
        }
    }

    #[test]
    fn a_continued_comment_may_go_on_as_comment() {
        let parsed = read("# A = \" \\\n#  x \\\n# \"\nB = \"\"\n");
        assert_eq!((parsed.statements.len(), parsed.problems.len()), (1, 0));
    }
}
