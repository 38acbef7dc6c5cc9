//! What structs and enums whose parts are public look like: tuples, ranges, options, results,
//! bounds, addresses.
#![forbid(unsafe_code)]

use std::marker::PhantomData;

use rkyv::net::*;
use rkyv::ops::ArchivedBound;
use rkyv::option::ArchivedOption;
use rkyv::result::ArchivedResult;

use super::{Field, FieldStyle, NoneMark, Schema, Shape, TypeIndex, Types, Variant};

pub(super) fn phantom<T: ?Sized + 'static>(types: &mut Types) -> TypeIndex {
    types.define::<PhantomData<T>>("PhantomData", |_| Shape::Unit)
}

#[cfg(feature = "uuid-1")]
pub(super) fn uuid(types: &mut Types) -> TypeIndex {
    let item = u8::describe(types);
    types.define::<uuid::Uuid>("Uuid", |_| Shape::Array { item, length: 16 })
}

pub(super) fn option<T: Schema>(types: &mut Types) -> TypeIndex {
    let some = T::describe(types);
    let offset = size_of::<u8>().next_multiple_of(align_of::<T>());
    let shape = Shape::Option {
        some,
        offset,
        none: NoneMark::Tag,
    };
    types.define_generic::<ArchivedOption<T>>("Option", &[some], shape)
}

/// The option `O` whose none is a mark in place of its value.
pub(super) fn niched<O: Schema, T: Schema>(types: &mut Types, none: NoneMark) -> TypeIndex {
    let some = T::describe(types);
    let shape = Shape::Option {
        some,
        offset: 0,
        none,
    };
    types.define_generic::<O>("Option", &[some], shape)
}

pub(super) fn result<T: Schema, E: Schema>(types: &mut Types) -> TypeIndex {
    let ok = T::describe(types);
    let err = E::describe(types);
    let variants = vec![
        tuple_variant(types, "Ok", 0, ok),
        tuple_variant(types, "Err", 1, err),
    ];
    types.define_generic::<ArchivedResult<T, E>>("Result", &[ok, err], Shape::Enum { variants })
}

pub(super) fn bound<T: Schema>(types: &mut Types) -> TypeIndex {
    let bound = T::describe(types);
    let variants = vec![
        tuple_variant(types, "Included", 0, bound),
        tuple_variant(types, "Excluded", 1, bound),
        types.variant("Unbounded", 2, FieldStyle::Unit, Vec::new()),
    ];
    types.define_generic::<ArchivedBound<T>>("Bound", &[bound], Shape::Enum { variants })
}

pub(super) fn ip_address(types: &mut Types) -> TypeIndex {
    types.define::<ArchivedIpAddr>("IpAddr", versions::<ArchivedIpv4Addr, ArchivedIpv6Addr>)
}

pub(super) fn socket_address(types: &mut Types) -> TypeIndex {
    let versions = versions::<ArchivedSocketAddrV4, ArchivedSocketAddrV6>;
    types.define::<ArchivedSocketAddr>("SocketAddr", versions)
}

/// An address of either version of the protocol.
fn versions<V4: Schema, V6: Schema>(types: &mut Types) -> Shape {
    let v4 = V4::describe(types);
    let v6 = V6::describe(types);
    Shape::Address { v4, v6 }
}

fn tuple_variant(types: &Types, name: &str, tag: u8, part: TypeIndex) -> Variant {
    types.variant(name, tag, FieldStyle::Tuple, vec![("0", part)])
}

/// The range `R`, whose ends are of type `T`, each given by its name and offset.
pub(super) fn range<R: Schema, T: Schema>(
    types: &mut Types,
    name: &str,
    ends: &[(&str, usize)],
) -> TypeIndex {
    let end = T::describe(types);
    let fields = ends
        .iter()
        .map(|&(name, offset)| Field::new(name, offset, end));
    let shape = Shape::Struct {
        style: FieldStyle::Named,
        fields: fields.collect(),
    };
    types.define_generic::<R>(name, &[end], shape)
}

/// The tuple `T`, whose parts are given by their offsets and types.
pub(super) fn tuple<T: Schema>(types: &mut Types, parts: &[(usize, TypeIndex)]) -> TypeIndex {
    let indices: Vec<TypeIndex> = parts.iter().map(|part| part.1).collect();
    // As Rust writes it: `(u8, String)`, and `(u8,)` for one part.
    let name = match indices[..] {
        [part] => format!("({},)", types[part].name),
        _ => format!("({})", types.names(&indices)),
    };
    let parts = parts
        .iter()
        .enumerate()
        .map(|(position, &(offset, part))| Field::new(position.to_string(), offset, part));
    let parts = parts.collect();
    types.define::<T>(name, |_| Shape::Tuple { parts })
}
