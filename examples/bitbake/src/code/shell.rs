//! Reads a shell body: words and operators, as far as they tell commands from arguments.

mod references;

use std::collections::BTreeSet;

use super::ShellCode;

/// What the shell text refers to. No text makes it fail.
pub(crate) fn parse(text: &str) -> ShellCode {
    let mut scanner = Scanner {
        text,
        position: 0,
        depth: 0,
        backquoted: false,
        heredocs: vec![],
        defined: BTreeSet::new(),
        code: ShellCode::default(),
    };
    scanner.list(None);
    let Scanner {
        defined, mut code, ..
    } = scanner;
    code.commands.retain(|command| !defined.contains(command));
    code
}

/// How deep substitutions may nest; deeper ones are passed over as text.
const DEPTH_LIMIT: usize = 64;

struct Scanner<'t> {
    text: &'t str,
    position: usize,
    depth: usize,
    /// Whether the next backquote ends a substitution.
    backquoted: bool,
    heredocs: Vec<Heredoc>,
    defined: BTreeSet<String>,
    code: ShellCode,
}

/// A here-document whose text starts on the next line.
struct Heredoc {
    delimiter: String,
    /// Whether the delimiter is quoted, which keeps the shell from expanding the text.
    quoted: bool,
}

/// Where in a list of commands the scanner is.
struct Place {
    /// Whether the next word is a command.
    command: bool,
    /// How many `case` are open.
    cases: usize,
    /// Whether the next word is a pattern of a `case`.
    pattern: bool,
    /// Whether `case` was read and its `in` was not.
    header: bool,
    /// How many parentheses are open.
    parentheses: usize,
}

/// A word of the text.
struct Word {
    /// The word without its quotes.
    text: String,
    /// Whether nothing in it is expanded.
    literal: bool,
    /// Whether any of it was quoted.
    quoted: bool,
}

impl Scanner<'_> {
    fn rest(&self) -> &str {
        self.text.get(self.position..).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn bump(&mut self) {
        self.position += self.peek().map_or(0, char::len_utf8);
    }

    /// Steps over `expected`, if the text goes on with it.
    fn eat(&mut self, expected: &str) -> bool {
        let found = self.rest().starts_with(expected);
        if found {
            self.position += expected.len();
        }
        found
    }

    fn skip_while(&mut self, accept: impl Fn(char) -> bool) {
        while self.peek().is_some_and(&accept) {
            self.bump();
        }
    }

    /// Reads commands up to `close`, which is stepped over, or to the end of the text.
    fn list(&mut self, close: Option<char>) {
        let mut place = Place {
            command: true,
            cases: 0,
            pattern: false,
            header: false,
            parentheses: 0,
        };
        while let Some(character) = self.peek() {
            let inner = character == ')' && (place.parentheses > 0 || place.pattern);
            if Some(character) == close && !inner {
                self.bump();
                return;
            }
            match character {
                '\n' => {
                    self.bump();
                    self.read_heredocs();
                    place.command = true;
                }
                '#' => self.skip_while(|c| c != '\n'),
                '<' | '>' => self.redirection(),
                ';' | '&' | '|' | '(' | ')' => {
                    self.bump();
                    place.operator(character, character == ';' && self.eat(";"));
                }
                _ if character.is_whitespace() => self.bump(),
                _ if self.eat("\\\n") => {}
                _ => self.command_or_argument(&mut place),
            }
        }
    }

    fn command_or_argument(&mut self, place: &mut Place) {
        let word = self.word();
        let is_descriptor = word.text.chars().all(|c| c.is_ascii_digit());
        if (is_descriptor && !word.quoted && self.rest().starts_with(['<', '>']))
            || !place.word(&word)
        {
            return;
        }
        let before = self.position;
        self.skip_while(|c| c == ' ' || c == '\t');
        if word.literal && self.eat("()") {
            self.defined.insert(word.text);
            place.command = true;
            return;
        }
        self.position = before;
        if word.literal {
            self.code.commands.insert(word.text);
        }
        place.command = false;
    }

    fn redirection(&mut self) {
        let heredoc = !self.rest().starts_with("<<<") && self.eat("<<");
        if heredoc {
            self.eat("-");
        } else {
            self.skip_while(|c| "<>&|".contains(c));
        }
        self.skip_while(|c| c == ' ' || c == '\t');
        let before = self.position;
        let word = self.word();
        if heredoc && self.position > before {
            self.heredocs.push(Heredoc {
                delimiter: word.text,
                quoted: word.quoted,
            });
        }
    }

    fn read_heredocs(&mut self) {
        for heredoc in std::mem::take(&mut self.heredocs) {
            let rest = self.text.get(self.position..).unwrap_or_default();
            let mut length = 0;
            for line in rest.split_inclusive('\n') {
                if line.trim() == heredoc.delimiter {
                    self.references(&rest[..length], !heredoc.quoted);
                    length += line.len();
                    break;
                }
                length += line.len();
            }
            self.position += length;
        }
    }

    /// Reads one word. It steps over at least one character, unless an operator stands there.
    fn word(&mut self) -> Word {
        let mut word = Word {
            text: String::new(),
            literal: true,
            quoted: false,
        };
        while let Some(character) = self.peek() {
            match character {
                _ if character.is_whitespace() || ";&|<>()".contains(character) => break,
                '`' if self.backquoted => break,
                '\'' => self.single_quoted(&mut word),
                '"' => self.double_quoted(&mut word),
                '$' | '`' => self.expansion(&mut word),
                '\\' => self.escaped(&mut word),
                _ => {
                    word.text.push(character);
                    self.bump();
                }
            }
        }
        word
    }

    fn escaped(&mut self, word: &mut Word) {
        self.bump();
        if !self.eat("\n") {
            word.text.extend(self.peek());
            self.bump();
            word.quoted = true;
        }
    }

    fn single_quoted(&mut self, word: &mut Word) {
        self.bump();
        let rest = self.text.get(self.position..).unwrap_or_default();
        let inside = rest.split('\'').next().unwrap_or(rest);
        self.references(inside, false);
        word.text.push_str(inside);
        word.literal &= !inside.contains("${");
        word.quoted = true;
        self.position += inside.len();
        self.eat("'");
    }

    fn double_quoted(&mut self, word: &mut Word) {
        self.bump();
        word.quoted = true;
        while let Some(character) = self.peek() {
            match character {
                '"' => {
                    self.bump();
                    return;
                }
                '`' if self.backquoted => return,
                '$' | '`' => self.expansion(word),
                '\\' => self.escaped(word),
                _ => {
                    word.text.push(character);
                    self.bump();
                }
            }
        }
    }
}

impl Place {
    fn operator(&mut self, operator: char, doubled: bool) {
        match operator {
            ')' if self.pattern => {
                self.pattern = false;
                self.command = true;
            }
            _ if self.pattern => {}
            ';' if doubled && self.cases > 0 => self.pattern = true,
            ')' => {
                self.parentheses = self.parentheses.saturating_sub(1);
                self.command = false;
            }
            '(' => {
                self.parentheses += 1;
                self.command = true;
            }
            _ => self.command = true,
        }
    }

    /// Takes note of a word; true if it is a command.
    fn word(&mut self, word: &Word) -> bool {
        let text = if word.quoted { "" } else { &word.text[..] };
        if self.header {
            self.header = text != "in";
            self.pattern = !self.header;
            return false;
        }
        if text == "esac" && (self.pattern || self.command) {
            self.cases = self.cases.saturating_sub(1);
            (self.pattern, self.command) = (false, false);
            return false;
        }
        if self.pattern || !self.command {
            return false;
        }
        match text {
            "case" => {
                self.cases += 1;
                (self.header, self.command) = (true, false);
            }
            "for" | "fi" | "done" | "}" => self.command = false,
            "if" | "then" | "elif" | "else" | "while" | "until" | "do" | "!" | "{" | "time" => {}
            _ => return !is_assignment(&word.text),
        }
        false
    }
}

fn is_assignment(word: &str) -> bool {
    let name = word
        .split_once('=')
        .map_or("", |(name, _)| name.strip_suffix('+').unwrap_or(name));
    references::is_identifier(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_told_from_everything_else() {
        for (text, expected) in [
            (
                "a x; b | c && d || ! e &\nif f; then g; elif h; then i; else j; fi\n",
                "a b c d e f g h i j",
            ),
            (
                "for x in p q; do a; done\nwhile b; do { c; }; done > n 2>&1\nA=1 B+='2' d e=f\n(g; h)\n",
                "a b c d g h",
            ),
            (
                "case $x in\n  a|b) c ;;\n  (d) case y in z) e;; esac ;;\n  *) f\nesac\ng\n",
                "c e f g",
            ),
            (
                "a $(b x | c) \"$(d \"$(e)\")\" `f y` '$(g)'\nh=$(i) ; $(j) k\n",
                "a b c d e f i j",
            ),
            (
                "a '; b' \"; c\" \\; d # ; e\n'f' x \\\n  g\nh#i\n",
                "a f h#i",
            ),
            ("own() {\n a\n}\nown\n${CC} x\n./b.sh\n", "./b.sh a"),
        ] {
            let commands: Vec<String> = parse(text).commands.into_iter().collect();
            assert_eq!(commands.join(" "), expected, "{text}");
        }
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
        let odd = [
            "", "'", "\"", "$", "${", "$(", "`", "\\", "<<", "<<\n", "é'ü", ")", ";;",
        ];
        odd.into_iter()
            .chain([&deep[..], &quotes])
            .for_each(|text| drop(parse(text)));
    }
}
