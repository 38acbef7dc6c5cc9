//! From the definition of a type to its `Key`.

#[cfg(test)]
mod tests;

use proc_macro2::{Literal, TokenStream};
use quote::{format_ident, quote};
use syn::{Data, DeriveInput, Error, Field, Fields, Generics, Member, Path, Result, parse_quote};

use crate::crate_path::crate_path;

/// The `impl` of `Key` for `input`: the hashes of its fields, joined in their order. A variant
/// of an enum starts with its position, so that the native and the archived enum, whose
/// discriminants have different types, hash alike.
pub(crate) fn expand(input: &DeriveInput) -> Result<TokenStream> {
    let floe = &crate_path(&input.attrs)?;
    let hash = match &input.data {
        Data::Struct(data) => {
            let names = field_names(&data.fields);
            let members = data.fields.members();
            let joined = join(floe, quote!(0_u64), &names);
            quote!({ let Self { #(#members: #names),* } = self; #joined })
        }
        Data::Enum(data) => {
            let arms = data.variants.iter().enumerate().map(|(position, variant)| {
                let names = field_names(&variant.fields);
                let members: Vec<Member> = variant.fields.members().collect();
                let ident = &variant.ident;
                let position = Literal::u64_suffixed(position as u64 + 1);
                let start = quote!(#floe::map::mix(0, #position));
                let joined = join(floe, start, &names);
                quote!(Self::#ident { #(#members: #names),* } => #joined)
            });
            quote!(match self { #(#arms),* })
        }
        Data::Union(_) => {
            return Err(Error::new_spanned(
                &input.ident,
                "a union cannot be a `Key`: its bytes do not tell which field is valid",
            ));
        }
    };
    let ident = &input.ident;
    let generics = with_bounds(floe, input);
    let (impl_generics, type_generics, bounds) = generics.split_for_impl();
    Ok(quote! {
        #[automatically_derived]
        impl #impl_generics #floe::map::Key for #ident #type_generics #bounds {
            #[inline]
            fn key_hash(&self) -> u64 {
                #hash
            }
        }
    })
}

fn field_names(fields: &Fields) -> Vec<proc_macro2::Ident> {
    (0..fields.len())
        .map(|position| format_ident!("field_{position}"))
        .collect()
}

/// `mix(mix(start, first), second)` and so on.
fn join(floe: &Path, start: TokenStream, names: &[proc_macro2::Ident]) -> TokenStream {
    names.iter().fold(
        start,
        |hash, name| quote!(#floe::map::mix(#hash, #floe::map::Key::key_hash(#name))),
    )
}

/// In a generic type every field must be a key. (On an archived type the parameters are the native
/// ones, so it is the fields that need the bound.)
fn with_bounds(floe: &Path, input: &DeriveInput) -> Generics {
    let mut generics = input.generics.clone();
    if generics.type_params().next().is_some() {
        let bounds = generics.make_where_clause();
        for field in fields(&input.data) {
            let field_type = &field.ty;
            bounds
                .predicates
                .push(parse_quote!(#field_type: #floe::map::Key));
        }
    }
    generics
}

fn fields(data: &Data) -> Vec<&Field> {
    match data {
        Data::Struct(data) => data.fields.iter().collect(),
        Data::Enum(data) => data
            .variants
            .iter()
            .flat_map(|variant| &variant.fields)
            .collect(),
        Data::Union(_) => Vec::new(),
    }
}
