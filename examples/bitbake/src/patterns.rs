//! Regular expressions of a layer, compiled once and matched straight from their bytes.
//!
//! An automaton is a sparse DFA in the byte format of `regex-automata`. It needs no alignment, so it is used
//! where it lies in an archive. `\d`, `\w`, `.` and their kin mean ASCII: names and versions are ASCII.

use std::collections::BTreeSet;
use std::error::Error;

use floe::Intern;
use regex_automata::dfa::{Automaton, dense, sparse};
use regex_automata::util::syntax;
use regex_automata::{Input, MatchKind};

use crate::statements::{Kind, Operator, Variable, words};
use crate::walk::{Visitor, Walk};

/// A compiled pattern. Its text is its key in the cache.
#[derive(Debug, Clone, Default, PartialEq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
#[rkyv(derive(floe::Schema))]
pub(crate) struct Pattern {
    /// The variables that hold it.
    #[rkyv(with = Intern)]
    pub variables: BTreeSet<String>,
    /// The automaton, little-endian.
    pub automaton: Vec<u8>,
}

// To read a pattern is to match with it, where it lies.
macro_rules! walk_pattern {
    ($($pattern:ident),+) => {$(
        impl Walk for $pattern {
            fn walk(&self, visitor: &mut impl Visitor) {
                let Self { variables, automaton } = self;
                visitor.begin(3);
                variables.walk(visitor);
                automaton.walk(visitor);
                visitor.number(matches(automaton, SAMPLE).map_or(2, u64::from));
                visitor.end();
            }
        }
    )+};
}

walk_pattern!(Pattern, ArchivedPattern);

/// What workers match: a name as it stands in `PACKAGES_DYNAMIC` and `COMPATIBLE_HOST` alike.
const SAMPLE: &str = "x86_64-oe-linux";

/// What an automaton may take up, in bytes, and what building it may.
const AUTOMATON_LIMIT: usize = 1 << 20;

/// The variables that hold patterns, and where each pattern must match.
const VARIABLES: [(&str, Place); 6] = [
    ("PACKAGES_DYNAMIC", Place::StartEachWord),
    ("COMPATIBLE_HOST", Place::Start),
    ("COMPATIBLE_MACHINE", Place::Start),
    ("UPSTREAM_CHECK_REGEX", Place::Anywhere),
    ("UPSTREAM_CHECK_GITTAGREGEX", Place::Anywhere),
    ("UPSTREAM_CHECK_COMMITS_REGEX", Place::Anywhere),
];

#[derive(Clone, Copy, PartialEq)]
enum Place {
    /// The value is one pattern that must match at the start of a text.
    Start,
    /// The value is a list of such patterns.
    StartEachWord,
    /// The value is one pattern that may match anywhere.
    Anywhere,
}

/// The patterns in the value of an assigned variable, `${...}` replaced by `expand`. None for flags, for
/// other variables, and for values that stay unknown until they are expanded in full. A pattern that
/// must match at the start is written `^(?:...)`.
pub(crate) fn patterns_in(kind: &Kind, expand: impl Fn(&str) -> String) -> Vec<String> {
    let Kind::Assign {
        variable: Variable { name, .. },
        flag: None,
        operator,
        value,
        ..
    } = kind
    else {
        return vec![];
    };
    let Some((_, place)) = VARIABLES.iter().find(|(variable, _)| variable == name) else {
        return vec![];
    };
    let whole = matches!(
        operator,
        Operator::Set | Operator::SetNow | Operator::Default | Operator::WeakDefault
    );
    let value = expand(value);
    let texts: Vec<&str> = match place {
        Place::StartEachWord => words(&value).collect(),
        _ if whole && !value.is_empty() => vec![&value],
        _ => vec![],
    };
    let known = texts.into_iter().filter(|text| !text.contains("${"));
    known
        .map(|text| match place {
            Place::Anywhere => String::from(text),
            _ => format!("^(?:{text})"),
        })
        .collect()
}

/// Compiles a pattern to the bytes of its automaton.
///
/// # Errors
/// If the pattern is none, uses what automata cannot do (look-around, references back), or would take
/// more than a MiB.
pub(crate) fn compile(text: &str) -> Result<Vec<u8>, String> {
    let failed =
        |error: &dyn Error| format!("the pattern `{text}` has no automaton: {}", reason(error));
    let config = dense::Config::new()
        .match_kind(MatchKind::LeftmostFirst)
        .start_kind(regex_automata::dfa::StartKind::Unanchored)
        .dfa_size_limit(Some(AUTOMATON_LIMIT))
        .determinize_size_limit(Some(AUTOMATON_LIMIT));
    let dense = dense::Builder::new()
        .configure(config)
        .syntax(syntax::Config::new().unicode(false).utf8(false))
        .build(text)
        .map_err(|error| failed(&error))?;
    let sparse = dense.to_sparse().map_err(|error| failed(&error))?;
    Ok(sparse.to_bytes_little_endian())
}

/// Whether the automaton in `bytes` matches in `haystack`. It is checked and used in place: the cost is
/// linear in its length and that of the haystack, and nothing is compiled or allocated.
///
/// # Errors
/// If `bytes` are no automaton that [`compile`] made on a machine of this endianness.
pub(crate) fn matches(bytes: &[u8], haystack: &str) -> Result<bool, String> {
    let (automaton, _) = sparse::DFA::from_bytes(bytes).map_err(|error| error.to_string())?;
    let found = automaton.try_search_fwd(&Input::new(haystack).earliest(true));
    Ok(found.map_err(|error| error.to_string())?.is_some())
}

/// The innermost reason. The parser's own message draws the pattern over several lines; the last one says
/// what is wrong.
fn reason(mut error: &dyn Error) -> String {
    while let Some(source) = error.source() {
        error = source;
    }
    let text = error.to_string();
    let last = text.lines().last().unwrap_or_default();
    last.trim_start_matches("error: ").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str, haystack: &str) -> bool {
        matches(&compile(text).expect(text), haystack).expect(text)
    }

    #[test]
    fn patterns_match_as_in_python() {
        assert!(found(r"^(?:(i.86|x86_64|arm).*-linux)", "i686-poky-linux"));
        assert!(!found(
            r"^(?:(i.86|x86_64|arm).*-linux)",
            "an i686-poky-linux"
        ));
        assert!(found(r"v(?P<pver>\d+(\.\d+)+)$", "release v1.20.3"));
    }

    #[test]
    fn what_automata_cannot_do_is_an_error_that_names_the_pattern() {
        for text in [r"(?!rc)x", r"(a)\1", "(", "(.{0,500}){500}"] {
            let error = compile(text).expect_err(text);
            assert!(error.contains(text), "{error}");
        }
    }

    #[test]
    fn damaged_automata_are_refused() {
        let automaton = compile("a+b").expect("compiles");
        assert!(matches(&automaton[..automaton.len() / 2], "ab").is_err());
        assert!(matches(b"", "ab").is_err());
    }

    #[test]
    fn values_are_split_anchored_and_expanded_by_their_variable() {
        let patterns = |name, value: &str| {
            let assign = Kind::Assign {
                variable: Variable::new(name),
                flag: None,
                operator: Operator::Set,
                value: value.into(),
                exported: false,
            };
            patterns_in(&assign, |text| text.replace("${PN}", "glow"))
        };
        let words = patterns("PACKAGES_DYNAMIC", "^${PN}-.* ${@f('a b')} x-.*");
        assert_eq!(words, ["^(?:^glow-.*)", "^(?:x-.*)"]);
        assert_eq!(patterns("COMPATIBLE_HOST", "a b"), ["^(?:a b)"]);
        assert_eq!(patterns("UPSTREAM_CHECK_REGEX", "v1"), ["v1"]);
        assert!(patterns("SUMMARY", "v1").is_empty());
        assert!(patterns("COMPATIBLE_MACHINE", "${OTHER}").is_empty());
    }
}
