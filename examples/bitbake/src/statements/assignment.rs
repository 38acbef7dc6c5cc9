//! Reads an assignment: `export NAME:override[flag] ?= "value"`.

use super::{Kind, Operator, Variable};

/// The assignment in `text`, or nothing if it is something else.
pub(super) fn parse(text: &str) -> Option<Kind> {
    let (exported, text) = match after_keyword(text, "export") {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (left, rest) = split_name(text);
    let (flag, rest) = split_flag(rest)?;
    let (left, operator, rest) = split_operator(left, flag.is_some(), rest)?;
    let value = quoted(rest.trim_start())?;
    (!left.is_empty()).then(|| Kind::Assign {
        variable: Variable::new(left),
        flag: flag.map(String::from),
        operator,
        value: value.into(),
        exported,
    })
}

/// What follows `keyword` and at least one space, if `text` starts so.
pub(super) fn after_keyword<'t>(text: &'t str, keyword: &str) -> Option<&'t str> {
    let rest = text.strip_prefix(keyword)?;
    rest.starts_with(char::is_whitespace)
        .then(|| rest.trim_start())
}

/// Splits off the longest run of characters that a name may hold.
pub(super) fn split_name(text: &str) -> (&str, &str) {
    let is_name = |c: char| c.is_ascii_alphanumeric() || "-_+.${}/~:".contains(c);
    text.split_at(text.find(|c| !is_name(c)).unwrap_or(text.len()))
}

/// Splits off `[flag]`, if there is one. A bracket that holds no flag fits nothing.
pub(super) fn split_flag(text: &str) -> Option<(Option<&str>, &str)> {
    let Some(rest) = text.strip_prefix('[') else {
        return Some((None, text));
    };
    let (flag, rest) = rest.split_once(']')?;
    let is_flag = |c: char| c.is_ascii_alphanumeric() || "-_+.@/".contains(c);
    let fits = !flag.is_empty() && !flag.starts_with(['@', '/']) && flag.chars().all(is_flag);
    fits.then_some((Some(flag), rest))
}

/// Splits off the operator. The first character of `:=`, `+=` and `.=` may have been taken for the
/// end of the name, since names may hold it.
fn split_operator<'t>(
    left: &'t str,
    has_flag: bool,
    rest: &'t str,
) -> Option<(&'t str, Operator, &'t str)> {
    let tight = [
        (':', Operator::SetNow),
        ('+', Operator::Append),
        ('.', Operator::AppendTight),
    ];
    if let (false, Some(after)) = (has_flag, rest.strip_prefix('=')) {
        for (sign, operator) in tight {
            if let Some(left) = left.strip_suffix(sign) {
                return Some((left, operator, after));
            }
        }
    }
    let rest = rest.trim_start();
    OPERATORS
        .into_iter()
        .find_map(|(sign, operator)| Some((left, operator, rest.strip_prefix(sign)?)))
}

/// Longer signs first, where one starts like another.
const OPERATORS: [(&str, Operator); 8] = [
    (":=", Operator::SetNow),
    ("??=", Operator::WeakDefault),
    ("?=", Operator::Default),
    ("+=", Operator::Append),
    ("=+", Operator::Prepend),
    ("=.", Operator::PrependTight),
    (".=", Operator::AppendTight),
    ("=", Operator::Set),
];

/// The text between the quotes. Exactly one more quote inside is refused as a slip of the pen, as BitBake
/// does; two and more are taken.
fn quoted(text: &str) -> Option<&str> {
    let quote = text.chars().next().filter(|c| ['"', '\''].contains(c))?;
    let value = text.strip_prefix(quote)?.strip_suffix(quote)?;
    (value.matches(quote).count() != 1).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assigned(text: &str) -> (Variable, Option<String>, Operator, String) {
        match parse(text) {
            Some(Kind::Assign {
                variable,
                flag,
                operator,
                value,
                ..
            }) => (variable, flag, operator, value),
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn every_operator_is_known_with_and_without_spaces() {
        for (sign, operator) in OPERATORS {
            for text in [format!("A {sign} \"v\""), format!("A{sign}'v'")] {
                let expected = (Variable::new("A"), None, operator, "v".into());
                assert_eq!(assigned(&text), expected, "{text}");
            }
        }
    }

    #[test]
    fn overrides_flags_and_export_are_taken_apart() {
        let (variable, flag, ..) = assigned("A_${B}:append:arm-x[vardeps] += \"x\"");
        assert_eq!(variable.name, "A_${B}");
        assert_eq!(variable.overrides, ["append", "arm-x"]);
        assert_eq!(flag.as_deref(), Some("vardeps"));
        let exported = parse("export A = \"\"");
        assert!(matches!(
            exported,
            Some(Kind::Assign { exported: true, .. })
        ));
    }

    #[test]
    fn quotes_follow_the_rule_of_bitbake() {
        assert_eq!(assigned(r#"A = "say "x" loud""#).3, r#"say "x" loud"#);
        assert_eq!(assigned(r#"A = "it's""#).3, "it's");
        let refused = [
            r#"A = "one " more""#,
            "A = \"",
            "A = \"x'",
            "A = x",
            "A \"x\"",
        ];
        for refused in
            refused
                .into_iter()
                .chain(["= \"x\"", "  A = \"x\"", "A[] = \"x\"", "A[x y] = \"x\""])
        {
            assert_eq!(parse(refused), None, "{refused}");
        }
    }
}
