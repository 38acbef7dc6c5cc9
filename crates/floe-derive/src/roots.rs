//! From the definition of a type to its `Roots`.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::ext::IdentExt;
use syn::{Data, DeriveInput, Error, Field, Fields, Ident, Path, Result};

use crate::crate_path::crate_path;

/// The `impl`s of `Roots` and `Content` for `input`: its fields, as pairs.
pub(crate) fn expand(input: &DeriveInput) -> Result<TokenStream> {
    let floe = &crate_path(&input.attrs)?;
    let fields = match &input.data {
        Data::Struct(data) => match &data.fields {
            Fields::Named(fields) => &fields.named,
            _ => return Err(refused(input)),
        },
        _ => return Err(refused(input)),
    };
    if let Some(parameter) = input.generics.params.first() {
        let message = "a type that derives `Roots` has no parameters: a region has one type";
        return Err(Error::new_spanned(parameter, message));
    }
    let ident = &input.ident;
    let members: Vec<&Ident> = fields.iter().filter_map(|it| it.ident.as_ref()).collect();
    let names = members.iter().map(|member| member.unraw().to_string());
    let (mut list, mut pattern) = (quote!(()), quote!(()));
    for (number, field) in fields.iter().enumerate().rev() {
        let (ty, name) = (&field.ty, format_ident!("root_{number}"));
        list = quote!((#ty, #list));
        pattern = quote!((#name, #pattern));
    }
    let constants = fields.iter().map(|field| constant(floe, field));
    let roots = (0..members.len()).map(|number| format_ident!("root_{number}"));
    Ok(quote! {
        impl #ident {
            #(#constants)*
        }

        #[automatically_derived]
        impl #floe::Content for #ident {
            type Archived = Self;
            type Form = #floe::roots::Several;
        }

        #[automatically_derived]
        impl #floe::roots::Roots for #ident {
            const NAMES: &'static [&'static str] = &[#(#names),*];
            type List = #list;

            fn from_list(#pattern: Self::List) -> Self {
                Self { #(#members: #roots),* }
            }
        }
    })
}

/// The name and type of a root, as a constant for its builder.
fn constant(floe: &Path, field: &Field) -> TokenStream {
    let Some(ident) = &field.ident else {
        return TokenStream::new();
    };
    let name = ident.unraw().to_string();
    let constant = Ident::new(&name.to_uppercase(), ident.span());
    let documentation = format!("The name of the root `{name}`, for the builder.");
    let (visibility, ty) = (&field.vis, &field.ty);
    // Who only reads the roots has no use for the constants.
    quote! {
        #[doc = #documentation]
        #[allow(dead_code)]
        #visibility const #constant: #floe::roots::RootName<
            <#ty as #floe::roots::RootField>::Content,
        > = #floe::roots::RootName::new(#name);
    }
}

fn refused(input: &DeriveInput) -> Error {
    Error::new_spanned(
        &input.ident,
        "`Roots` is for structs with named fields: each field is a `Root<T>`, and its name is the \
         name of the root",
    )
}

#[cfg(test)]
mod tests {
    use syn::parse_quote;

    use super::*;

    #[test]
    fn fields_become_pairs_in_their_order() {
        let expanded = expand(&parse_quote! {
            #[floe(crate = "cache")]
            struct Caches {
                recipes: Root<Map<String, u8>>,
                pub r#type: Root<u8>,
            }
        });
        let code = expanded.expect("a struct").to_string().replace(' ', "");
        for part in [
            "constRECIPES:cache::roots::RootName<<Root<Map<String,u8>>ascache::roots::RootField>",
            "pubconstTYPE:",
            "implcache::ContentforCaches",
            "&[\"recipes\",\"type\"]",
            "typeList=(Root<Map<String,u8>>,(Root<u8>,()));",
            "fnfrom_list((root_0,(root_1,())):Self::List)",
            "Self{recipes:root_0,r#type:root_1}",
        ] {
            assert!(code.contains(part), "{part}: {code}");
        }
    }

    #[test]
    fn what_has_no_names_is_refused() {
        let inputs: [DeriveInput; 5] = [
            parse_quote!(
                struct Caches(Root<u8>);
            ),
            parse_quote!(
                struct Caches;
            ),
            parse_quote!(
                enum Caches {
                    One { root: Root<u8> },
                }
            ),
            parse_quote!(
                union Caches {
                    root: Root<u8>,
                }
            ),
            parse_quote!(
                struct Caches<T> {
                    root: Root<T>,
                }
            ),
        ];
        for input in inputs {
            expand(&input).expect_err("must be refused");
        }
    }
}
