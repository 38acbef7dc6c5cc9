//! From the definition of an archived type to its `Schema`.

#[cfg(test)]
mod tests;

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::ext::IdentExt;
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::visit::Visit;
use syn::{
    Attribute, Data, DataEnum, DeriveInput, Error, Field, Fields, GenericParam, Generics, Ident,
    LitStr, Meta, Path, Result, Token, Variant, WhereClause, parse_quote,
};

use crate::crate_path::crate_path;

/// The `impl` of `Schema` for `input`.
pub(crate) fn expand(input: &DeriveInput) -> Result<TokenStream> {
    let floe = &crate_path(&input.attrs)?;
    let representations = representations(&input.attrs)?;
    if representations.is_empty() {
        return Err(Error::new_spanned(
            &input.ident,
            "`Schema` describes archived types: write `#[rkyv(derive(Schema))]` beside \
             `#[derive(rkyv::Archive)]` instead of `#[derive(Schema)]`",
        ));
    }
    let shape = match &input.data {
        Data::Struct(data) => struct_shape(floe, &data.fields),
        Data::Enum(data) if representations == ["u8"] => enum_shape(floe, data),
        Data::Enum(_) => {
            return Err(Error::new_spanned(
                &input.ident,
                "an enum must be `#[repr(u8)]` and nothing else to have a `Schema`: the layout of \
                 its fields follows from that",
            ));
        }
        Data::Union(_) => {
            return Err(Error::new_spanned(
                &input.ident,
                "a union has no `Schema`: its bytes do not tell which field is valid; use an enum",
            ));
        }
    };
    let ident = &input.ident;
    let name = name(ident, &input.generics);
    let bounds = bounds(floe, input);
    let contained = fields(&input.data).map(|field| {
        let ty = &field.ty;
        quote_spanned!(ty.span()=> <#ty as #floe::schema::Schema>::SELF_CONTAINED)
    });
    let (impl_generics, type_generics, _) = input.generics.split_for_impl();
    Ok(quote! {
        // SAFETY: size, alignment and the offsets of struct fields are the compiler's. The fields
        // of an enum are where `#[repr(u8)]` puts them. Each field's type has a `Schema` that keeps
        // the contract for it.
        #[automatically_derived]
        unsafe impl #impl_generics #floe::schema::Schema for #ident #type_generics #bounds {
            const SELF_CONTAINED: bool = true #(&& #contained)*;

            fn describe(__types: &mut #floe::schema::Types) -> #floe::schema::TypeIndex {
                __types.define::<Self>(#name, |__types| #shape)
            }
        }
    })
}

/// The arguments of all `#[repr(..)]`.
fn representations(attributes: &[Attribute]) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for attribute in attributes
        .iter()
        .filter(|attribute| attribute.path().is_ident("repr"))
    {
        for argument in
            attribute.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated)?
        {
            found.extend(argument.path().get_ident().map(Ident::to_string));
        }
    }
    Ok(found)
}

/// The name of the unarchived type, with the values of constant parameters: `Recipe`, `Grid<3>`.
fn name(ident: &Ident, generics: &Generics) -> TokenStream {
    let ident = ident.unraw().to_string();
    let name = ident
        .strip_prefix("Archived")
        .filter(|rest| !rest.is_empty())
        .unwrap_or(&ident);
    let constants: Vec<_> = generics
        .const_params()
        .map(|parameter| &parameter.ident)
        .collect();
    if constants.is_empty() {
        return quote!(#name);
    }
    let format = format!("{name}<{}>", vec!["{}"; constants.len()].join(", "));
    quote!(::std::format!(#format, #(#constants),*))
}

fn struct_shape(floe: &Path, fields: &Fields) -> TokenStream {
    let style = style(floe, fields);
    let members = fields.members();
    let names = names(fields);
    let indices = fields.iter().map(|field| describe(floe, field));
    quote! {
        #floe::schema::Shape::Struct {
            style: #style,
            fields: ::std::vec![#(#floe::schema::Field::new(
                #names,
                ::core::mem::offset_of!(Self, #members),
                #indices,
            )),*],
        }
    }
}

fn enum_shape(floe: &Path, data: &DataEnum) -> TokenStream {
    // The compiler evaluates discriminants, by the same rule as for the enum itself.
    let tags = data.variants.iter().map(|variant| {
        let ident = &variant.ident;
        let discriminant = variant
            .discriminant
            .as_ref()
            .map(|(equals, value)| quote!(#equals #value));
        quote!(#ident #discriminant)
    });
    let variants = data.variants.iter().map(|it| variant(floe, it));
    quote! {{
        #[repr(u8)]
        enum __Tag { #(#tags),* }
        #floe::schema::Shape::Enum { variants: ::std::vec![#(#variants),*] }
    }}
}

fn variant(floe: &Path, variant: &Variant) -> TokenStream {
    let ident = &variant.ident;
    let name = literal(ident);
    let style = style(floe, &variant.fields);
    let names = names(&variant.fields);
    let indices = variant.fields.iter().map(|field| describe(floe, field));
    quote! {{
        let __fields = ::std::vec![#((#names, #indices)),*];
        __types.variant(#name, __Tag::#ident as u8, #style, __fields)
    }}
}

fn style(floe: &Path, fields: &Fields) -> TokenStream {
    match fields {
        Fields::Unit => quote!(#floe::schema::FieldStyle::Unit),
        Fields::Unnamed(_) => quote!(#floe::schema::FieldStyle::Tuple),
        Fields::Named(_) => quote!(#floe::schema::FieldStyle::Named),
    }
}

fn names(fields: &Fields) -> impl Iterator<Item = LitStr> {
    fields
        .iter()
        .enumerate()
        .map(|(position, field)| match &field.ident {
            Some(ident) => literal(ident),
            None => LitStr::new(&position.to_string(), field.span()),
        })
}

fn literal(ident: &Ident) -> LitStr {
    LitStr::new(&ident.unraw().to_string(), ident.span())
}

/// Describes the field's type. The span makes the compiler point at a field whose type has no
/// `Schema`.
fn describe(floe: &Path, field: &Field) -> TokenStream {
    let ty = &field.ty;
    quote_spanned!(ty.span()=> <#ty as #floe::schema::Schema>::describe(__types))
}

/// The type's own bounds, and what `Schema` asks of a generic type.
///
/// Only fields that depend on a parameter are bounded: a bound on the type's own fields would be a
/// cycle where the type contains itself.
fn bounds(floe: &Path, input: &DeriveInput) -> Option<WhereClause> {
    let mut generics = input.generics.clone();
    if generics.params.is_empty() {
        return generics.where_clause;
    }
    let parameters: Vec<&Ident> = input
        .generics
        .params
        .iter()
        .map(|parameter| match parameter {
            GenericParam::Lifetime(parameter) => &parameter.lifetime.ident,
            GenericParam::Type(parameter) => &parameter.ident,
            GenericParam::Const(parameter) => &parameter.ident,
        })
        .collect();
    let predicates = &mut generics.make_where_clause().predicates;
    predicates.push(parse_quote!(Self: 'static));
    for field in fields(&input.data).filter(|field| !omits_bounds(field)) {
        let mentioned = mentioned(field);
        if parameters
            .iter()
            .any(|parameter| mentioned.contains(parameter))
            && !mentioned.contains(&&input.ident)
        {
            let ty = &field.ty;
            predicates.push(parse_quote!(#ty: #floe::schema::Schema));
        }
    }
    generics.where_clause
}

fn fields(data: &Data) -> Box<dyn Iterator<Item = &Field> + '_> {
    match data {
        Data::Struct(data) => Box::new(data.fields.iter()),
        Data::Enum(data) => Box::new(data.variants.iter().flat_map(|variant| &variant.fields)),
        Data::Union(data) => Box::new(data.fields.named.iter()),
    }
}

/// Whether the unarchived field had `#[rkyv(omit_bounds)]`: rkyv hands that on to bytecheck.
fn omits_bounds(field: &Field) -> bool {
    field.attrs.iter().any(|attribute| {
        attribute.path().is_ident("bytecheck")
            && attribute
                .parse_args::<Ident>()
                .is_ok_and(|argument| argument == "omit_bounds")
    })
}

/// All identifiers in the field's type, those of lifetimes too.
fn mentioned(field: &Field) -> Vec<&Ident> {
    struct Identifiers<'a>(Vec<&'a Ident>);

    impl<'a> Visit<'a> for Identifiers<'a> {
        fn visit_ident(&mut self, ident: &'a Ident) {
            self.0.push(ident);
        }
    }

    let mut identifiers = Identifiers(Vec::new());
    identifiers.visit_type(&field.ty);
    identifiers.0
}
