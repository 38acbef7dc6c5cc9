//! Regular expressions of a layer, compiled once and matched straight from their bytes.
//!
//! An automaton is a sparse DFA in the byte format of `regex-automata`. It needs no alignment, so
//! it is used where it lies in an archive. `\d`, `\w`, `.` and their kin mean ASCII: names and
//! versions are ASCII.

use std::collections::BTreeSet;

use floe::Intern;
use regex_automata::dfa::{Automaton, StartKind, dense, sparse};
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

/// The variable that is assigned and each pattern in its value, `${...}` replaced by `expand`. None
/// for flags, for other variables, and for values that stay unknown until they are expanded in
/// full. A pattern that must match at the start is written `^(?:...)`.
pub(crate) fn patterns_in(kind: &Kind, expand: impl Fn(&str) -> String) -> Vec<(String, String)> {
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
    use Operator::{Default, Set, SetNow, WeakDefault};
    let whole = matches!(operator, Set | SetNow | Default | WeakDefault);
    let value = expand(value);
    let texts: Vec<&str> = match place {
        Place::StartEachWord => words(&value).collect(),
        _ if whole && !value.is_empty() => vec![&value],
        _ => vec![],
    };
    let known = texts.into_iter().filter(|text| !text.contains("${"));
    let patterns = known.map(|text| match place {
        Place::Anywhere => String::from(text),
        _ => format!("^(?:{text})"),
    });
    patterns.map(|pattern| (name.clone(), pattern)).collect()
}

/// Compiles a pattern to the bytes of its automaton. There is none for what is no pattern, uses
/// what automata cannot do (look-around, references back), or would take more than a MiB.
pub(crate) fn compile(text: &str) -> Option<Vec<u8>> {
    let config = dense::Config::new()
        .match_kind(MatchKind::LeftmostFirst)
        .start_kind(StartKind::Unanchored)
        .dfa_size_limit(Some(AUTOMATON_LIMIT))
        .determinize_size_limit(Some(AUTOMATON_LIMIT));
    let syntax = syntax::Config::new().unicode(false).utf8(false);
    let mut builder = dense::Builder::new();
    let dense = builder.configure(config).syntax(syntax).build(text).ok()?;
    Some(dense.to_sparse().ok()?.to_bytes_little_endian())
}

/// Whether the automaton in `bytes` matches in `haystack`; nothing if they are no automaton that
/// [`compile`] made on a machine of this endianness. It is checked and used in place: the cost is
/// linear in its length and that of the haystack, and nothing is compiled or allocated.
pub(crate) fn matches(bytes: &[u8], haystack: &str) -> Option<bool> {
    let (automaton, _) = sparse::DFA::from_bytes(bytes).ok()?;
    let input = Input::new(haystack).earliest(true);
    let found = automaton.try_search_fwd(&input).ok()?;
    Some(found.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str, haystack: &str) -> bool {
        matches(&compile(text).expect(text), haystack).expect(text)
    }

    #[test]
    fn patterns_match_as_in_python() {
        let host = r"^(?:(i.86|x86_64|arm).*-linux)";
        assert!(found(host, "i686-poky-linux"));
        assert!(!found(host, "an i686-poky-linux"));
        assert!(found(r"v(?P<pver>\d+(\.\d+)+)$", "release v1.20.3"));
    }

    #[test]
    fn what_automata_cannot_do_has_none() {
        for text in [r"(?!rc)x", r"(a)\1", "(", "(.{0,500}){500}"] {
            assert_eq!(compile(text), None, "{text}");
        }
    }

    #[test]
    fn damaged_automata_are_refused() {
        let automaton = compile("a+b").expect("compiles");
        assert_eq!(matches(&automaton[..automaton.len() / 2], "ab"), None);
        assert_eq!(matches(b"", "ab"), None);
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
            let found = patterns_in(&assign, |text| text.replace("${PN}", "glow"));
            found
                .into_iter()
                .map(|(_, pattern)| pattern)
                .collect::<Vec<_>>()
        };
        let words = patterns("PACKAGES_DYNAMIC", "^${PN}-.* ${@f('a b')} x-.*");
        assert_eq!(words, ["^(?:^glow-.*)", "^(?:x-.*)"]);
        assert_eq!(patterns("COMPATIBLE_HOST", "a b"), ["^(?:a b)"]);
        assert_eq!(patterns("UPSTREAM_CHECK_REGEX", "v1"), ["v1"]);
        assert!(patterns("SUMMARY", "v1").is_empty());
        assert!(patterns("COMPATIBLE_MACHINE", "${OTHER}").is_empty());
    }
}
