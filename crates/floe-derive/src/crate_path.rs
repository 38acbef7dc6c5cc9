//! Where the generated code finds the library: `#[floe(crate = "path")]`.

use syn::parse::ParseStream;
use syn::{Attribute, LitStr, Path, Result, parse_quote};

/// `::floe`, if the attributes of a type say nothing else.
///
/// The path is given as text, as serde wants it, or as it is, as rkyv does.
pub(crate) fn crate_path(attributes: &[Attribute]) -> Result<Path> {
    let mut found = None;
    for attribute in attributes
        .iter()
        .filter(|attribute| attribute.path().is_ident("floe"))
    {
        attribute.parse_nested_meta(|meta| {
            if !meta.path.is_ident("crate") {
                return Err(meta.error("expected `crate = \"path\"`"));
            }
            let path = path(meta.value()?)?;
            match found.replace(path) {
                None => Ok(()),
                Some(_) => Err(meta.error("the path of the crate is given twice")),
            }
        })?;
    }
    Ok(found.unwrap_or_else(|| parse_quote!(::floe)))
}

fn path(value: ParseStream<'_>) -> Result<Path> {
    if value.peek(LitStr) {
        value.parse::<LitStr>()?.parse_with(Path::parse_mod_style)
    } else {
        value.call(Path::parse_mod_style)
    }
}

#[cfg(test)]
mod tests {
    use quote::ToTokens;
    use syn::DeriveInput;

    use super::*;

    fn found(input: DeriveInput) -> Result<String> {
        let path = crate_path(&input.attrs)?;
        Ok(path.to_token_stream().to_string().replace(' ', ""))
    }

    #[test]
    fn path_is_taken_as_text_or_as_it_is() {
        let inputs: [(DeriveInput, &str); 4] = [
            (
                parse_quote!(
                    struct A;
                ),
                "::floe",
            ),
            (
                parse_quote!(
                    #[floe(crate = "::cache::floe")]
                    struct A;
                ),
                "::cache::floe",
            ),
            (
                parse_quote!(
                    #[floe(crate = crate::floe)]
                    struct A;
                ),
                "crate::floe",
            ),
            (
                parse_quote!(
                    #[floe(crate = "crate")]
                    struct A;
                ),
                "crate",
            ),
        ];
        for (input, expected) in inputs {
            assert_eq!(found(input).expect("a path"), expected);
        }
    }

    #[test]
    fn what_is_not_a_path_is_refused() {
        let inputs: [DeriveInput; 6] = [
            parse_quote!(
                #[floe(crate = "")]
                struct A;
            ),
            parse_quote!(
                #[floe(crate = "a b")]
                struct A;
            ),
            parse_quote!(
                #[floe(crate = 1)]
                struct A;
            ),
            parse_quote!(
                #[floe(crate)]
                struct A;
            ),
            parse_quote!(
                #[floe(name = "floe")]
                struct A;
            ),
            parse_quote!(
                #[floe(crate = "a", crate = "b")]
                struct A;
            ),
        ];
        for input in inputs {
            found(input).expect_err("must be refused");
        }
    }
}
