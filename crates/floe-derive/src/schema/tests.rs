//! What the macro refuses, and the bounds it sets. The library's tests prove what it generates.

use super::*;

/// The message of the error that `input` causes.
fn refusal(input: DeriveInput) -> String {
    expand(&input).expect_err("must be refused").to_string()
}

/// The `where` clause for `input`, without spaces.
fn where_clause(input: DeriveInput) -> String {
    let clause = bounds(&parse_quote!(::floe), &input);
    quote!(#clause).to_string().replace(' ', "")
}

#[test]
fn union_is_refused() {
    let message = refusal(parse_quote! {
        #[repr(C)]
        union ArchivedEither { a: u8, b: i8 }
    });
    assert!(message.starts_with("a union has no `Schema`"), "{message}");
}

#[test]
fn unarchived_type_is_pointed_to_rkyv() {
    let message = refusal(parse_quote!(
        struct Recipe {
            name: String,
        }
    ));
    assert!(message.contains("#[rkyv(derive(Schema))]"), "{message}");
}

#[test]
fn enum_with_another_layout_is_refused() {
    let enums: [DeriveInput; 4] = [
        parse_quote! { #[repr(u8, C)] enum ArchivedKind { A(u32) } },
        parse_quote! { #[repr(u8)] #[repr(C)] enum ArchivedKind { A(u32) } },
        parse_quote! { #[repr(u16)] enum ArchivedKind { A(u32) } },
        parse_quote! { #[repr(u8, align(8))] enum ArchivedKind { A(u32) } },
    ];
    for input in enums {
        let message = refusal(input);
        assert!(
            message.starts_with("an enum must be `#[repr(u8)]`"),
            "{message}"
        );
    }
}

#[test]
fn one_prefix_and_raw_marks_are_taken_off_names() {
    let expected = [
        ("ArchivedRecipe", "\"Recipe\""),
        ("ArchivedArchivedRecipe", "\"ArchivedRecipe\""),
        ("Recipe", "\"Recipe\""),
        ("Archived", "\"Archived\""),
        ("r#type", "\"type\""),
    ];
    for (ident, expected) in expected {
        let ident: Ident = syn::parse_str(ident).expect("an identifier");
        assert_eq!(name(&ident, &Generics::default()).to_string(), expected);
    }
}

#[test]
fn only_fields_that_depend_on_a_parameter_are_bounded() {
    let clause = where_clause(parse_quote! {
        struct ArchivedPair<'a, T, const N: usize> where T: Archive {
            plain: ArchivedString,
            generic: <T as Archive>::Archived,
            lifetime: <With as ArchiveWith<&'a str>>::Archived,
            array: [u8; N],
            itself: ArchivedOptionBox<ArchivedPair<'a, T, N>>,
            #[bytecheck(omit_bounds)]
            omitted: <Vec<Pair<T>> as Archive>::Archived,
        }
    });
    assert_eq!(
        clause,
        "whereT:Archive,Self:'static,\
         <TasArchive>::Archived:::floe::schema::Schema,\
         <WithasArchiveWith<&'astr>>::Archived:::floe::schema::Schema,\
         [u8;N]:::floe::schema::Schema"
    );
}

#[test]
fn type_without_parameters_keeps_its_bounds_alone() {
    let clause = where_clause(parse_quote! {
        struct ArchivedRecipe where String: Archive { name: <String as Archive>::Archived }
    });
    assert_eq!(clause, "whereString:Archive");
}

#[test]
fn the_library_is_named_as_the_attribute_says_and_nowhere_else() {
    let named: DeriveInput = parse_quote! {
        #[repr(u8)]
        #[floe(crate = "cache::frozen")]
        enum ArchivedKind<T> where T: Archive { A, B(<T as Archive>::Archived), C { d: u32 } }
    };
    let mut plain = named.clone();
    plain.attrs.truncate(1);
    let code = |input| expand(&input).expect("a schema").to_string();
    let (named, plain) = (code(named), code(plain));
    assert!(!named.contains("floe"), "{named}");
    assert_eq!(named, plain.replace(":: floe ::", "cache :: frozen ::"));
}
