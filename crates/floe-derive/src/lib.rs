//! The derive macros of `floe`. Their documentation is with the traits `floe::Schema` and
//! `floe::Key`, and with the module `floe::roots`.
#![forbid(unsafe_code)]

mod crate_path;
mod key;
mod roots;
mod schema;

use proc_macro::TokenStream;
use syn::{DeriveInput, parse_macro_input};

/// Describes an archived type field by field: `#[rkyv(derive(Schema))]` on the type it is the
/// archived form of.
///
/// Structs keep the offsets that the compiler gave them; enums must be `#[repr(u8)]`, as rkyv makes
/// them.
///
/// Where this crate has another name, or comes by way of another crate, say so to the archived
/// type: `#[rkyv(derive(Schema), attr(floe(crate = "path::to::floe")))]`.
#[proc_macro_derive(Schema, attributes(floe))]
pub fn derive_schema(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    schema::expand(&input)
        .unwrap_or_else(syn::Error::into_compile_error)
        .into()
}

/// Hashes a type field by field, alike for a type and its archived form: `#[derive(Key)]` on the
/// type and `#[rkyv(derive(Key))]` for the archived one.
///
/// Where this crate has another name, or comes by way of another crate, say so to both types:
/// `#[floe(crate = "path::to::floe")]`, and `#[rkyv(attr(floe(crate = "path::to::floe")))]`.
#[proc_macro_derive(Key, attributes(floe))]
pub fn derive_key(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    key::expand(&input)
        .unwrap_or_else(syn::Error::into_compile_error)
        .into()
}

/// Says which named values a region has: `#[derive(Roots)]` on a struct each of whose fields is a
/// `Root<T>`.
///
/// Where this crate has another name, or comes by way of another crate, say so:
/// `#[floe(crate = "path::to::floe")]`.
#[proc_macro_derive(Roots, attributes(floe))]
pub fn derive_roots(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    roots::expand(&input)
        .unwrap_or_else(syn::Error::into_compile_error)
        .into()
}
