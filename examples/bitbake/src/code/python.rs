//! Reads a Python body: tokens first, then calls.

use super::PythonCode;

/// What the Python text refers to. No text makes it fail.
pub(crate) fn parse(text: &str) -> PythonCode {
    let tokens: Vec<Token> = Tokens { rest: text }.collect();
    let mut code = PythonCode::default();
    for (index, window) in tokens.windows(2).enumerate() {
        let [Token::Name(name), Token::Symbol('(')] = *window else {
            continue;
        };
        let before = index.checked_sub(1).map(|before| tokens[before]);
        if !matches!(before, Some(Token::Name("def" | "class"))) {
            call(&mut code, name, &tokens[index + 2..]);
        }
    }
    code
}

/// Notes a call of `name`; `arguments` starts behind its opening parenthesis.
fn call(code: &mut PythonCode, name: &str, arguments: &[Token]) {
    let method = name.rsplit_once('.').map_or("", |(_, method)| method);
    let accesses = ["Var", "VarFlag", "VarFlags"]
        .iter()
        .any(|end| method.ends_with(end));
    let split: Option<fn(&str) -> Vec<&str>> = match name {
        "bb.utils.contains" | "base_contains" => Some(|values| vec![values]),
        "bb.utils.contains_any" | "bb.utils.filter" => Some(|v| v.split_whitespace().collect()),
        _ => None,
    };
    let variable = literal(arguments).map(String::from);
    if let (Some(split), Some(variable)) = (split, &variable) {
        let values = arguments.get(2..).and_then(literal).map(split);
        let sought = code.contains.entry(variable.clone()).or_default();
        sought.extend(values.into_iter().flatten().map(String::from));
    } else if accesses || name == "oe.utils.conditional" && variable.is_some() {
        code.variables.extend(variable);
    } else if split.is_none() && !name.starts_with('.') && !KEYWORDS.contains(&name) {
        code.functions.insert(name.into());
    }
}

/// The string at the start of `arguments`, if the whole argument is one literal.
fn literal<'t>(arguments: &[Token<'t>]) -> Option<&'t str> {
    match *arguments {
        [Token::Text(text), Token::Symbol(',' | ')'), ..] => Some(text),
        _ => None,
    }
}

/// Words that may stand before a parenthesis without calling anything.
const KEYWORDS: [&str; 23] = [
    "and", "as", "assert", "await", "case", "del", "elif", "else", "except", "finally", "for",
    "from", "if", "import", "in", "is", "lambda", "not", "or", "raise", "return", "while", "yield",
];

#[derive(Debug, Clone, Copy, PartialEq)]
enum Token<'t> {
    /// A name, dotted parts included: `bb.utils.which`. A leading dot says that it is a member of
    /// the expression before it.
    Name(&'t str),
    /// The inside of a string, escapes as they are written.
    Text(&'t str),
    Symbol(char),
}

struct Tokens<'t> {
    rest: &'t str,
}

impl<'t> Iterator for Tokens<'t> {
    type Item = Token<'t>;

    fn next(&mut self) -> Option<Token<'t>> {
        self.skip_space_and_comments();
        let first = self.rest.chars().next()?;
        if first == '"' || first == '\'' {
            return Some(self.string(first));
        }
        if is_name_start(first) || first == '.' {
            return Some(self.name());
        }
        if first.is_ascii_digit() {
            self.take_while(|c| c.is_ascii_alphanumeric() || c == '_' || c == '.');
            return Some(Token::Symbol('0'));
        }
        self.take(first.len_utf8());
        Some(Token::Symbol(first))
    }
}

impl<'t> Tokens<'t> {
    fn take(&mut self, length: usize) -> &'t str {
        let (taken, rest) = self.rest.split_at(length);
        self.rest = rest;
        taken
    }

    fn take_while(&mut self, accept: impl Fn(char) -> bool) -> &'t str {
        let end = self.rest.find(|c| !accept(c));
        self.take(end.unwrap_or(self.rest.len()))
    }

    fn skip_space_and_comments(&mut self) {
        self.take_while(|c| c.is_whitespace() || c == '\\');
        while self.rest.starts_with('#') {
            self.take_while(|c| c != '\n');
            self.take_while(|c| c.is_whitespace() || c == '\\');
        }
    }

    fn name(&mut self) -> Token<'t> {
        let name = self.take_while(|c| is_name_start(c) || c.is_numeric() || c == '.');
        let is_prefix = name.len() <= 2 && name.chars().all(|c| "rRbBuUfF".contains(c));
        match self.rest.chars().next() {
            Some(quote @ ('"' | '\'')) if is_prefix => self.string(quote),
            _ => Token::Name(name),
        }
    }

    /// Takes a string that starts with `quote`. One that is never closed ends with its line, or
    /// with the text if it has three quotes.
    fn string(&mut self, quote: char) -> Token<'t> {
        let long = self
            .rest
            .starts_with(&[quote; 3].iter().collect::<String>());
        let close = self.take(if long { 3 } else { 1 });
        let mut escaped = false;
        for (position, character) in self.rest.char_indices() {
            if escaped || character == '\\' {
                escaped = !escaped;
            } else if self.rest[position..].starts_with(close) {
                let text = self.take(position);
                self.take(close.len());
                return Token::Text(text);
            } else if character == '\n' && !long {
                return Token::Text(self.take(position));
            }
        }
        Token::Text(self.take(self.rest.len()))
    }
}

fn is_name_start(character: char) -> bool {
    character.is_alphabetic() || character == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(texts: &[&str]) -> std::collections::BTreeSet<String> {
        texts.iter().copied().map(String::from).collect()
    }

    #[test]
    fn variables_are_literal_first_arguments_of_the_store() {
        let code = parse(
            "d.getVar('A')\nd.setVar(\"B\", x)\ne.data.getVarFlag('C', 'f')\nd.getVar(name)\n\
             d.appendVar('D_' + n, 'v')\noe.utils.conditional('E', 'x', 'y', '', d)\n",
        );
        assert_eq!(code.variables, set(&["A", "B", "C", "E"]));
        assert_eq!(code.functions, set(&[]));
    }

    #[test]
    fn calls_are_functions_unless_keywords_definitions_or_methods_of_expressions() {
        let code = parse(
            "def own(d):\n    if (x): return (y)\n    bb.utils.which(p, f)\n    run (a)\n    ''.join(b)\n    f().g()\n",
        );
        assert_eq!(code.functions, set(&["bb.utils.which", "run", "f"]));
    }

    #[test]
    fn strings_and_comments_hide_what_they_hold() {
        let code = parse(
            "# a()\n'b()' \"c(\\\"d()\" r'e()'\n\"\"\"f()\n'g()' \"\"\"\nh() # i('\nj()\n'open\nk()\n",
        );
        assert_eq!(code.functions, set(&["h", "j", "k"]));
    }

    #[test]
    fn sought_values_are_kept_by_variable() {
        let code = parse(
            "bb.utils.contains('F', 'x y', 'a', 'b', d) or bb.utils.filter('F', 'u v', d)\n\
             bb.utils.contains_any('G', ['w'], 1, 0, d)",
        );
        assert_eq!(code.contains["F"], set(&["x y", "u", "v"]));
        assert_eq!(code.contains["G"], set(&[]));
        assert_eq!(code.functions, set(&[]));
    }

    #[test]
    fn odd_text_does_no_harm() {
        for text in "|'|\"\"\"|\\|é(ü)|f(|1.5e3(|...|x.'".split('|') {
            parse(text);
        }
    }
}
