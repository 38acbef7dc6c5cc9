//! How the library is named. The library's tests prove the hashes.

use super::*;

#[test]
fn the_library_is_named_as_the_attribute_says_and_nowhere_else() {
    let named: DeriveInput = parse_quote! {
        #[floe(crate = "cache::frozen")]
        enum Kind<T> { A, B(T), C { d: u32 } }
    };
    let mut plain = named.clone();
    plain.attrs.clear();
    let code = |input| expand(&input).expect("a key").to_string();
    let (named, plain) = (code(named), code(plain));
    assert!(!named.contains("floe"), "{named}");
    assert_eq!(named, plain.replace(":: floe ::", "cache :: frozen ::"));
}
