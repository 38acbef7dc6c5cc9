//! Finds the variables that shell text reads: `$NAME`, `${NAME}`, `${NAME:-other}`, `${@python}`.

use super::{DEPTH_LIMIT, Scanner, Word};
use crate::code::python;
use crate::statements::reference_length;

impl<'t> Scanner<'t> {
    /// Reads what starts with `$` or a backquote.
    pub(super) fn expansion(&mut self, word: &mut Word) {
        word.expanded = true;
        if self.rest.starts_with("$((") {
            let end = self.rest.find("))").map(|end| end + 2);
            let text = self.take(end.unwrap_or(self.rest.len()));
            self.references(&text[2..], true);
        } else if self.eat("$(") {
            self.substitution(')');
        } else if self.eat("`") {
            self.substitution('`');
        } else {
            let length = self.reference(self.rest, true);
            self.take(length);
        }
    }

    fn substitution(&mut self, close: char) {
        if self.depth < DEPTH_LIMIT {
            let outer = std::mem::replace(&mut self.backquoted, close == '`');
            self.depth += 1;
            self.list(Some(close));
            self.depth -= 1;
            self.backquoted = outer;
        }
    }

    /// Notes every variable in a run of text; without `shell` those only that BitBake itself
    /// expands.
    pub(super) fn references(&mut self, mut text: &str, shell: bool) {
        while let Some(start) = text.find('$') {
            let length = self.reference(&text[start..], shell);
            text = &text[start + length..];
        }
    }

    /// Notes the variable that the `$` at the start of `text` reads, and tells how long the reading
    /// is.
    fn reference(&mut self, text: &str, shell: bool) -> usize {
        let name = &text[1..];
        if let Some(inside) = name.strip_prefix('{') {
            let length = reference_length(text);
            let inside = &inside[..length - 2];
            let inside = inside.strip_suffix('}').unwrap_or(inside);
            self.braced(inside, shell);
            return length;
        }
        let (name, _) = split_identifier(name);
        if shell && is_identifier(name) {
            self.code.variables.insert(name.into());
            return 1 + name.len();
        }
        1
    }

    fn braced(&mut self, inside: &str, shell: bool) {
        let is_name = |c: char| c.is_ascii_alphanumeric() || "-_+./~:".contains(c);
        if let Some(expression) = inside.strip_prefix('@') {
            let code = python::parse(expression);
            self.code.variables.extend(code.variables);
            self.code.variables.extend(code.contains.into_keys());
        } else if !inside.is_empty() && inside.chars().all(is_name) && !inside.contains(":-") {
            self.variable(inside);
        } else if shell {
            let (name, behind) = split_identifier(inside.trim_start_matches(['#', '!']));
            self.variable(name);
            self.nested(behind);
        }
    }

    /// Notes the variables of what stands behind a name in braces, each level of braces once.
    fn nested(&mut self, text: &str) {
        if self.depth < DEPTH_LIMIT {
            self.depth += 1;
            self.references(text, true);
            self.depth -= 1;
        }
    }

    fn variable(&mut self, name: &str) {
        if !name.chars().all(|c| c.is_ascii_digit()) {
            self.code.variables.insert(name.into());
        }
    }
}

/// Whether the shell takes `name` as the name of a variable.
pub(super) fn is_identifier(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.chars().all(is_identifier_part)
}

fn split_identifier(text: &str) -> (&str, &str) {
    let end = text.find(|c| !is_identifier_part(c));
    text.split_at(end.unwrap_or(text.len()))
}

fn is_identifier_part(character: char) -> bool {
    character.is_ascii_alphanumeric() || character == '_'
}

#[cfg(test)]
mod tests {
    use crate::code::shell::parse;

    fn variables(text: &str) -> Vec<String> {
        parse(text).variables.into_iter().collect()
    }

    #[test]
    fn every_form_of_reference_is_found() {
        let text = "x $A ${B} \"$C ${D-x_y}\" '$no ${E}' ${F:-$G} ${H%%${I}} ${#J} $1 $@ ${2} $$\n";
        let expected = "A B C D-x_y E F G H I J";
        assert!(variables(text).iter().eq(expected.split(' ')));
    }

    #[test]
    fn names_of_bitbake_may_hold_more_than_those_of_the_shell() {
        assert_eq!(variables("x ${do_a.b-c} $D-e\n"), ["D", "do_a.b-c"]);
    }

    #[test]
    fn python_inside_is_read_too() {
        let text =
            "x ${@d.getVar('A')} \"${@bb.utils.contains('B', 'c', '1', '0', d)}\" $((C + $D))\n";
        assert_eq!(variables(text), ["A", "B", "D"]);
    }
}
