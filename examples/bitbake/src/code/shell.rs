//! Reads a shell body: words and operators, as far as they tell commands from arguments.

mod references;

use std::collections::BTreeSet;

use super::ShellCode;

/// What the shell text refers to. No text makes it fail.
pub(crate) fn parse(text: &str) -> ShellCode {
    let mut scanner = Scanner::of(text);
    scanner.list(None);
    let mut code = scanner.code;
    code.commands
        .retain(|command| !scanner.defined.contains(command));
    code
}

/// How deep substitutions may nest; deeper ones are passed over as text.
const DEPTH_LIMIT: usize = 64;

#[derive(Default)]
struct Scanner<'t> {
    /// The text that was not read yet.
    rest: &'t str,
    depth: usize,
    /// Whether the next backquote ends a substitution.
    backquoted: bool,
    /// The delimiters of here-documents whose text starts on the next line.
    heredocs: Vec<Word>,
    defined: BTreeSet<String>,
    code: ShellCode,
}

/// A word of the text.
#[derive(Default)]
struct Word {
    /// The word without its quotes.
    text: String,
    /// Whether anything in it is expanded.
    expanded: bool,
    /// Whether any of it was quoted.
    quoted: bool,
}

/// Where in a list of commands the scanner is.
struct Place {
    next: Next,
    /// How many `case` are open.
    cases: usize,
    /// How many parentheses are open.
    parentheses: usize,
}

/// What the next word is.
#[derive(Clone, Copy, PartialEq)]
enum Next {
    Command,
    Argument,
    /// What a `case` looks at, or the `in` behind it.
    Subject,
    /// A pattern of a `case`.
    Pattern,
}

impl<'t> Scanner<'t> {
    fn of(rest: &'t str) -> Self {
        Self {
            rest,
            ..Self::default()
        }
    }

    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn take(&mut self, length: usize) -> &'t str {
        let (taken, rest) = self.rest.split_at(length);
        self.rest = rest;
        taken
    }

    fn take_while(&mut self, accept: impl Fn(char) -> bool) -> &'t str {
        let end = self.rest.find(|c| !accept(c));
        self.take(end.unwrap_or(self.rest.len()))
    }

    /// Steps over `expected`, if the text goes on with it.
    fn eat(&mut self, expected: &str) -> bool {
        let rest = self.rest.strip_prefix(expected);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    /// Reads commands up to `close`, which is stepped over, or to the end of the text.
    fn list(&mut self, close: Option<char>) {
        let mut place = Place {
            next: Next::Command,
            cases: 0,
            parentheses: 0,
        };
        while let Some(character) = self.peek() {
            if Some(character) == close && !(character == ')' && place.is_inside()) {
                self.take(1);
                return;
            }
            match character {
                '\n' => {
                    self.take(1);
                    self.read_heredocs();
                    place.end_line();
                }
                '#' => drop(self.take_while(|c| c != '\n')),
                '<' | '>' => self.redirection(),
                ';' | '&' | '|' | '(' | ')' => {
                    self.take(1);
                    place.operator(character, character == ';' && self.eat(";"));
                }
                _ if character.is_whitespace() => drop(self.take(character.len_utf8())),
                _ if self.eat("\\\n") => {}
                _ => self.command_or_argument(&mut place),
            }
        }
    }

    fn command_or_argument(&mut self, place: &mut Place) {
        let word = self.word();
        let digits = !word.quoted && word.text.chars().all(|c| c.is_ascii_digit());
        let is_descriptor = digits && self.rest.starts_with(['<', '>']);
        if is_descriptor || !place.is_command(&word) {
            return;
        }
        place.next = Next::Argument;
        if word.expanded {
            return;
        }
        let behind = self.rest.trim_start_matches([' ', '\t']);
        if let Some(body) = behind.strip_prefix("()") {
            self.rest = body;
            self.defined.insert(word.text);
            place.next = Next::Command;
        } else {
            self.code.commands.insert(word.text);
        }
    }

    fn redirection(&mut self) {
        let heredoc = !self.rest.starts_with("<<<") && self.eat("<<");
        if heredoc {
            self.eat("-");
        } else {
            self.take_while(|c| "<>&|".contains(c));
        }
        self.take_while(|c| c == ' ' || c == '\t');
        let before = self.rest;
        let word = self.word();
        if heredoc && self.rest.len() < before.len() {
            self.heredocs.push(word);
        }
    }

    fn read_heredocs(&mut self) {
        for delimiter in std::mem::take(&mut self.heredocs) {
            let text = self.rest;
            let mut length = 0;
            for line in text.split_inclusive('\n') {
                if line.trim() == delimiter.text {
                    // Quotes around the delimiter keep the shell from expanding the text.
                    self.references(&text[..length], !delimiter.quoted);
                    length += line.len();
                    break;
                }
                length += line.len();
            }
            self.take(length);
        }
    }

    /// Reads one word. It steps over at least one character, unless an operator stands there.
    fn word(&mut self) -> Word {
        let mut word = Word::default();
        while let Some(character) = self.peek() {
            match character {
                _ if character.is_whitespace() || ";&|<>()".contains(character) => break,
                '`' if self.backquoted => break,
                '\'' => self.single_quoted(&mut word),
                '"' => self.double_quoted(&mut word),
                _ => self.part(character, &mut word),
            }
        }
        word
    }

    /// Reads what is the same inside double quotes and outside.
    fn part(&mut self, character: char, word: &mut Word) {
        match character {
            '$' | '`' => self.expansion(word),
            '\\' => {
                self.take(1);
                if !self.eat("\n") {
                    let escaped = self.peek().map_or(0, char::len_utf8);
                    word.text += self.take(escaped);
                    word.quoted = true;
                }
            }
            _ => word.text += self.take(character.len_utf8()),
        }
    }

    fn single_quoted(&mut self, word: &mut Word) {
        self.take(1);
        let inside = self.take_while(|c| c != '\'');
        self.eat("'");
        self.references(inside, false);
        word.text += inside;
        word.expanded |= inside.contains("${");
        word.quoted = true;
    }

    fn double_quoted(&mut self, word: &mut Word) {
        self.take(1);
        word.quoted = true;
        while let Some(character) = self.peek() {
            match character {
                _ if self.eat("\"") => return,
                '`' if self.backquoted => return,
                _ => self.part(character, word),
            }
        }
    }
}

impl Place {
    /// Whether a closing parenthesis belongs to something in this list.
    fn is_inside(&self) -> bool {
        self.parentheses > 0 || self.next == Next::Pattern
    }

    fn end_line(&mut self) {
        if self.next == Next::Argument {
            self.next = Next::Command;
        }
    }

    fn operator(&mut self, operator: char, doubled: bool) {
        self.next = match (operator, self.next) {
            (')', Next::Pattern) => Next::Command,
            (_, Next::Pattern | Next::Subject) => return,
            (';', _) if doubled && self.cases > 0 => Next::Pattern,
            (')', _) => {
                self.parentheses = self.parentheses.saturating_sub(1);
                Next::Argument
            }
            ('(', _) => {
                self.parentheses += 1;
                Next::Command
            }
            _ => Next::Command,
        };
    }

    /// Takes note of a word; true if it is a command.
    fn is_command(&mut self, word: &Word) -> bool {
        let text = if word.quoted { "" } else { &word.text[..] };
        match (text, self.next) {
            ("in", Next::Subject) => self.next = Next::Pattern,
            ("esac", Next::Pattern | Next::Command) => {
                self.cases = self.cases.saturating_sub(1);
                self.next = Next::Argument;
            }
            ("case", Next::Command) => {
                self.cases += 1;
                self.next = Next::Subject;
            }
            ("for" | "fi" | "done" | "}", Next::Command) => self.next = Next::Argument,
            (text, Next::Command) => return !OPENING.contains(&text) && !is_assignment(&word.text),
            _ => {}
        }
        false
    }
}

/// Words that a command follows.
const OPENING: [&str; 10] = [
    "if", "then", "elif", "else", "while", "until", "do", "!", "{", "time",
];

fn is_assignment(word: &str) -> bool {
    let (name, _) = word.split_once('=').unwrap_or_default();
    references::is_identifier(name.strip_suffix('+').unwrap_or(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_told_from_everything_else() {
        let found = |text: &str, expected: &str| {
            let commands: Vec<String> = parse(text).commands.into_iter().collect();
            assert_eq!(commands.join(" "), expected, "{text}");
        };
        let lists = "a x; b | c && d || ! e &\nif f; then g; elif h; then i; else j; fi\n";
        found(lists, "a b c d e f g h i j");
        let loops = "for x in p q; do a; done\nwhile b; do { c; }; done > n 2>&1\n";
        found(loops, "a b c");
        found("A=1 B+='2' d e=f\n(g; h)\n", "d g h");
        let cases = "case $x in\n  a|b) c ;;\n  (d) case y in z) e;; esac ;;\n  *) f\nesac\ng\n";
        found(cases, "c e f g");
        let nested = "a $(b x | c) \"$(d \"$(e)\")\" `f y` '$(g)'\nh=$(i) ; $(j) k\n";
        found(nested, "a b c d e f i j");
        let quoted = "a '; b' \"; c\" \\; d # ; e\n'f' x \\\n  g\nh#i\n";
        found(quoted, "a f h#i");
        found("own() {\n a\n}\nown\n${CC} x\n./b.sh\n", "./b.sh a");
    }

    #[test]
    fn heredocs_are_text() {
        let code = parse("cat > f << EOF\nrm ${A} $B\nEOF\ncat <<- 'X'\n\tls $C ${D}\n\tX\nend\n");
        assert!(code.commands.iter().eq(["cat", "end"]), "{code:?}");
        assert!(code.variables.iter().eq(["A", "B", "D"]), "{code:?}");
    }

    #[test]
    fn odd_text_does_no_harm() {
        let (deep, quotes) = ("$(".repeat(100_000), "\"$(".repeat(100_000));
        for text in "|'|\"|$|${|$(|`|\\|<<|<<\n|é'ü|)|;;".split('|') {
            parse(text);
        }
        parse(&deep);
        parse(&quotes);
    }
}
