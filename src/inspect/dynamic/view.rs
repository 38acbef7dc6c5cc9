//! From the shape of a type and the bytes of a value to its view.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::time::Duration;

use super::archive::Run;
use super::checked::{Checked, address_offset};
use super::collections::{EntryLayout, Table, Tree};
use super::fault::{Fault, FaultKind, Read};
use super::self_describing;
use super::sequences::{Entries, Fields, Items};
use super::value::{Dynamic, View};
use crate::region::format::{BIG_ENDIAN, byte_order};
use crate::schema::{Shape, Type};

pub(super) fn view<'a>(value: &Dynamic<'a>) -> Read<View<'a>> {
    let (archive, at) = (value.archive, value.at);
    let described = value.described();
    let (shape, is_set) = collection_shape(archive.types, described);
    Ok(match shape {
        Shape::Unit => View::Unit,
        Shape::Bool => View::Bool(archive.flag(at)?),
        Shape::Char => View::Char(character(value)?),
        Shape::Unsigned => View::Unsigned(unsigned(value, at, described.size)?),
        Shape::Signed => View::Signed(signed(value, described.size)?),
        Shape::Float if described.size == 4 => {
            View::F32(f32::from_bits(unsigned(value, at, 4)? as u32))
        }
        Shape::Float => View::F64(f64::from_bits(unsigned(value, at, 8)? as u64)),
        Shape::String => View::Text(archive.str(archive.string(at)?)?),
        Shape::Str => View::Text(archive.str(own_run(value))?),
        Shape::CString => View::CString(archive.bytes(archive.c_string(at)?)?),
        Shape::Duration => View::Duration(duration(value)?),
        Shape::IpAddr if described.size == 4 => View::IpAddr(IpAddr::V4(ipv4(value)?)),
        Shape::IpAddr => View::IpAddr(IpAddr::V6(ipv6(value)?)),
        Shape::SocketAddrV4 | Shape::SocketAddrV6 => {
            View::SocketAddr(socket(value, &described.shape)?)
        }
        Shape::Slice { item } => View::Sequence(Items::run(*value, *item, own_run(value))?),
        Shape::Array { item, length } => {
            let length = *length as u64;
            View::Sequence(Items::run(*value, *item, Run { at, length })?)
        }
        Shape::Vec { item } => {
            let run = archive.items(at, archive.types.get(*item))?;
            View::Sequence(Items::behind_pointer(*value, *item, run)?)
        }
        Shape::Address { v4, v6 } => {
            let version = if archive.flag(at)? { *v6 } else { *v4 };
            let offset = address_offset(archive.types.get(version)) as u64;
            value.part(version, at + offset)?.read()?
        }
        Shape::Tuple { parts } => View::Tuple(Fields::new(*value, parts)?),
        Shape::Struct { style, fields } => View::Struct {
            style: *style,
            fields: Fields::new(*value, fields)?,
        },
        Shape::Enum { variants } => {
            let position = archive.variant(at, variants)?;
            let variant = &variants[position];
            View::Enum {
                variant: &variant.name,
                position: position as u32,
                style: variant.style,
                fields: Fields::new(*value, &variant.fields)?,
            }
        }
        Shape::Option { some, offset, none } => {
            let is_some = archive.is_some(at, described.size, *none)?;
            let inner = is_some.then(|| value.part(*some, at + *offset as u64));
            View::Option(inner.transpose()?)
        }
        Shape::Box { target } | Shape::Shared { target } | Shape::Interned { target } => {
            View::Pointer(value.target(*target, archive.pointee(at, *target)?)?)
        }
        Shape::BTreeMap {
            key,
            value: inner,
            node_entries,
        } => {
            let tree = Tree::new(archive, at, *key, *inner, *node_entries)?;
            collection(is_set, Entries::tree(*value, *key, *inner, tree)?)
        }
        Shape::HashMap { entry } => {
            let table = Table::new(archive, at, *entry)?;
            collection(is_set, Entries::table(*value, *entry, table)?)
        }
        Shape::IndexMap { entry } => {
            let table = Table::indexed(archive, at, *entry)?;
            collection(is_set, Entries::table(*value, *entry, table)?)
        }
        // The map of a set is none: that was checked with the schema.
        Shape::Set { .. } => return Err(Fault::new(at, FaultKind::Unkeyed)),
        Shape::Map { .. } => {
            let layout = EntryLayout::new(archive.types, value.type_index);
            let layout = layout.ok_or_else(|| Fault::new(at, FaultKind::Unkeyed))?;
            View::Map(Entries::keyed(*value, layout)?)
        }
        Shape::SelfDescribing { integer, float } => {
            self_describing::view(value, (*integer, *float))?
        }
        Shape::Roots { .. } => View::Roots(archive.roots().iter()),
    })
}

fn collection(is_set: bool, entries: Entries<'_>) -> View<'_> {
    match is_set {
        true => View::Set(Items::keys(entries)),
        false => View::Map(entries),
    }
}

/// The shape by which values of a type are walked, and whether they are sets: those have the bytes
/// of a map.
pub(crate) fn collection_shape<'a>(types: &'a Checked, described: &'a Type) -> (&'a Shape, bool) {
    match &described.shape {
        Shape::Set { map } => (&types.get(*map).shape, true),
        shape => (shape, false),
    }
}

fn own_run(value: &Dynamic<'_>) -> Run {
    Run {
        at: value.at,
        length: value.length,
    }
}

fn character(value: &Dynamic<'_>) -> Read<char> {
    let got = unsigned(value, value.at, 4)? as u32;
    char::from_u32(got).ok_or_else(|| Fault::new(value.at, FaultKind::Character { got }))
}

/// An unsigned number of up to 16 bytes.
fn unsigned(value: &Dynamic<'_>, at: u64, size: usize) -> Read<u128> {
    let archive = value.archive;
    Ok(match size {
        1 => u128::from(archive.array::<1>(at)?[0]),
        2 => u128::from(u16::from_le_bytes(little_endian(archive.array(at)?))),
        4 => u128::from(u32::from_le_bytes(little_endian(archive.array(at)?))),
        8 => u128::from(u64::from_le_bytes(little_endian(archive.array(at)?))),
        _ => u128::from_le_bytes(little_endian(archive.array(at)?)),
    })
}

fn signed(value: &Dynamic<'_>, size: usize) -> Read<i128> {
    let unused = u128::BITS - 8 * size as u32;
    let number = unsigned(value, value.at, size)?;
    Ok((number << unused).cast_signed() >> unused)
}

fn little_endian<const N: usize>(mut bytes: [u8; N]) -> [u8; N] {
    if byte_order() == BIG_ENDIAN {
        bytes.reverse();
    }
    bytes
}

fn duration(value: &Dynamic<'_>) -> Read<Duration> {
    let seconds = unsigned(value, value.at, 8)? as u64;
    let got = unsigned(value, value.at + 8, 4)? as u32;
    if got >= 1_000_000_000 {
        return Err(Fault::new(value.at, FaultKind::Nanoseconds { got }));
    }
    Ok(Duration::new(seconds, got))
}

fn ipv4(value: &Dynamic<'_>) -> Read<Ipv4Addr> {
    Ok(Ipv4Addr::from(value.archive.array::<4>(value.at)?))
}

fn ipv6(value: &Dynamic<'_>) -> Read<Ipv6Addr> {
    Ok(Ipv6Addr::from(value.archive.array::<16>(value.at)?))
}

fn socket(value: &Dynamic<'_>, shape: &Shape) -> Read<SocketAddr> {
    let number = |offset, size| unsigned(value, value.at + offset, size);
    if matches!(shape, Shape::SocketAddrV4) {
        let port = number(4, 2)? as u16;
        return Ok(SocketAddrV4::new(ipv4(value)?, port).into());
    }
    let (port, flow) = (number(16, 2)? as u16, number(20, 4)? as u32);
    Ok(SocketAddrV6::new(ipv6(value)?, port, flow, number(24, 4)? as u32).into())
}
