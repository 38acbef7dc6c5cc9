//! Where code stands in statements, on the heap and archived.

use crate::statements::{ArchivedKind, ArchivedLanguage, Kind, Language, inline_python};

/// What of a statement is code, or may hold some.
#[derive(Clone, Copy)]
pub(crate) enum Code<'a> {
    Shell(&'a str),
    Python(&'a str),
    Value(&'a str),
    None,
}

macro_rules! code_in {
    ($kind:ident, $language:ident) => {
        impl<'a> From<&'a $kind> for Code<'a> {
            fn from(kind: &'a $kind) -> Self {
                match kind {
                    $kind::Function { language, body, .. } => match language {
                        $language::Shell => Self::Shell(body),
                        $language::Python | $language::Definition => Self::Python(body),
                    },
                    $kind::Assign { value, .. } => Self::Value(value),
                    _ => Self::None,
                }
            }
        }
    };
}

code_in!(Kind, Language);
code_in!(ArchivedKind, ArchivedLanguage);

impl<'a> Code<'a> {
    pub(crate) fn shell(self) -> impl Iterator<Item = &'a str> {
        let body = match self {
            Self::Shell(body) => Some(body),
            Self::Python(_) | Self::Value(_) | Self::None => None,
        };
        body.into_iter()
    }

    /// A Python body, or the expressions in a value.
    pub(crate) fn python(self) -> impl Iterator<Item = &'a str> {
        let (body, value) = match self {
            Self::Python(body) => (Some(body), ""),
            Self::Value(value) => (None, value),
            Self::Shell(_) | Self::None => (None, ""),
        };
        body.into_iter().chain(inline_python(value))
    }
}
