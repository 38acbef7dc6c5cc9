//! Reads an assignment: `export NAME:override[flag] ?= "value"`.

use super::{Kind, Operator, Variable};

/// What may stand before the equals sign. The longer of two comes first.
const BEFORE: [(&str, Operator); 5] = [
    ("??", Operator::WeakDefault),
    ("?", Operator::Default),
    (":", Operator::SetNow),
    ("+", Operator::Append),
    (".", Operator::AppendTight),
];

/// What may stand behind it, if nothing stands before it.
const BEHIND: [(&str, Operator); 3] = [
    ("+", Operator::Prepend),
    (".", Operator::PrependTight),
    ("", Operator::Set),
];

/// The assignment in `text`, or nothing if it is something else.
pub(super) fn parse(text: &str) -> Option<Kind> {
    let exported = after_keyword(text, "export");
    let (left, right) = exported.unwrap_or(text).split_once('=')?;
    let mut before = BEFORE.into_iter();
    let before =
        before.find_map(|(sign, operator)| Some((left.strip_suffix(sign)?, operator, right)));
    let mut behind = BEHIND.into_iter();
    let behind =
        || behind.find_map(|(sign, operator)| Some((left, operator, right.strip_prefix(sign)?)));
    let (left, operator, right) = before.or_else(behind)?;
    let (name, flag) = variable(left.trim_end())?;
    let value = quoted(right.trim_start())?;
    Some(Kind::Assign {
        variable: Variable::new(name),
        flag: flag.map(String::from),
        operator,
        value: value.into(),
        exported: exported.is_some(),
    })
}

/// What follows `keyword` and at least one space, if `text` starts so.
pub(super) fn after_keyword<'t>(text: &'t str, keyword: &str) -> Option<&'t str> {
    let rest = text.strip_prefix(keyword)?;
    let apart = rest.starts_with(char::is_whitespace);
    apart.then(|| rest.trim_start())
}

/// The name and the flag in `NAME[flag]`, where nothing else stands.
pub(super) fn variable(text: &str) -> Option<(&str, Option<&str>)> {
    let (name, flag) = match text.strip_suffix(']') {
        Some(text) => text.split_once('[')?,
        None => (text, ""),
    };
    let flag = (name.len() < text.len()).then_some(flag);
    let is_letter = |c: char| c.is_ascii_alphanumeric() || "-_+.".contains(c);
    let is_name = |c: char| is_letter(c) || "${}/~:".contains(c);
    let is_flag = |flag: &str| {
        flag.starts_with(is_letter) && flag.chars().all(|c| is_letter(c) || "@/".contains(c))
    };
    let fits = !name.is_empty() && name.chars().all(is_name) && flag.is_none_or(is_flag);
    fits.then_some((name, flag))
}

/// The text between the quotes. Exactly one more quote inside is refused as a slip of the pen, as
/// BitBake does; two and more are taken.
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
        let before = BEFORE.map(|(sign, operator)| (format!("{sign}="), operator));
        let behind = BEHIND.map(|(sign, operator)| (format!("={sign}"), operator));
        for (sign, operator) in before.into_iter().chain(behind) {
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
        let refused = r#"
            A = "one " more"|A = "|A = "x'|A = x|A "x"|= "x"|  A = "x"|A[] = "x"|A[x y] = "x"
        "#;
        for refused in refused.trim_matches(['\n', ' ']).split('|') {
            assert_eq!(parse(refused), None, "{refused}");
        }
    }
}
