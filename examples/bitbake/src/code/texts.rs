//! Where code stands in statements, on the heap and archived.

use crate::statements::{ArchivedKind, ArchivedLanguage, Kind, Language, inline_python};

/// What of a statement is code, or may hold some.
#[derive(Clone, Copy, Default)]
pub(crate) struct Code<'a> {
    shell: Option<&'a str>,
    python: Option<&'a str>,
    /// The text of a value, with Python expressions in it.
    value: &'a str,
}

macro_rules! code_in {
    ($kind:ident, $language:ident) => {
        impl<'a> From<&'a $kind> for Code<'a> {
            fn from(kind: &'a $kind) -> Self {
                let mut code = Self::default();
                match kind {
                    $kind::Function { language, body, .. } => match language {
                        $language::Shell => code.shell = Some(body),
                        $language::Python | $language::Definition => code.python = Some(body),
                    },
                    $kind::Assign { value, .. } => code.value = value,
                    _ => {}
                }
                code
            }
        }
    };
}

code_in!(Kind, Language);
code_in!(ArchivedKind, ArchivedLanguage);

impl<'a> Code<'a> {
    pub(crate) fn shell(self) -> impl Iterator<Item = &'a str> {
        self.shell.into_iter()
    }

    /// A Python body, or the expressions in a value.
    pub(crate) fn python(self) -> impl Iterator<Item = &'a str> {
        self.python.into_iter().chain(inline_python(self.value))
    }
}
