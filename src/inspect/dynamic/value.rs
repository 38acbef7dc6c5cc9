//! One value, seen through the schema.

use std::borrow::Cow;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::archive::{Archive, Run};
use super::fault::{Fault, FaultKind, Read};
use super::roots::RootValues;
use super::sequences::{Entries, Fields, Items};
use crate::error::Result;
use crate::schema::{FieldStyle, Type, TypeIndex};
use crate::value::BigInt;

/// Most pointers on the way to a value, as where values are frozen.
const POINTER_LIMIT: u8 = 128;
/// Most values around a value, those without a pointer between them included.
const LEVEL_LIMIT: u16 = 384;

/// One value of a region, seen through its schema. Nothing is copied out of a region in memory.
///
/// [`view`](Self::view) tells what it is, and leads to its parts. It implements serde's
/// `Serialize`, and gives what the Rust value itself would give with derived `Serialize`:
///
/// ```
/// use floe::Frozen;
/// use floe::dynamic::{Described, View};
///
/// let frozen = Frozen::freeze("ages", &vec![("Ada".to_owned(), Some(36_u8))])?;
/// let described = Described::of(&frozen)?;
/// let ages = described.root()?;
/// assert_eq!(ages.type_name(), "Vec<(String, Option<u8>)>");
/// assert_eq!(serde_json::to_string(&ages).unwrap(), r#"[["Ada",36]]"#);
///
/// let View::Sequence(mut items) = ages.view()? else { panic!("a vector is a sequence") };
/// let View::Tuple(mut parts) = items.next().unwrap()?.view()? else { panic!("a tuple") };
/// let (_, name) = parts.next().unwrap();
/// assert!(matches!(name.view()?, View::Text(text) if text == "Ada"));
/// # Ok::<(), floe::Error>(())
/// ```
///
/// Keys of maps that JSON cannot take as keys, such as structs, are given as their JSON text.
#[derive(Clone, Copy)]
pub struct Dynamic<'a> {
    pub(super) archive: Archive<'a>,
    pub(super) type_index: TypeIndex,
    /// Archive offset.
    pub(super) at: u64,
    /// Items or bytes of an unsized value.
    pub(super) length: u64,
    pub(super) depth: Depth,
}

/// How deep a value lies.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Depth {
    pointers: u8,
    levels: u16,
}

/// What a value is, and its parts.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum View<'a> {
    /// One value without bytes: `()`, `PhantomData`, `RangeFull`.
    Unit,
    /// Nothing, where a value could be of any kind: JSON's `null`.
    None,
    /// `bool`.
    Bool(bool),
    /// `char`.
    Char(char),
    /// An unsigned integer.
    Unsigned(u128),
    /// A signed integer.
    Signed(i128),
    /// An integer of more than 128 bits.
    BigInt(BigInt),
    /// `f32`.
    F32(f32),
    /// `f64`.
    F64(f64),
    /// `String` or `str`; borrowed from a region in memory.
    Text(Cow<'a, str>),
    /// The bytes of a `CString`, without the final NUL.
    CString(Cow<'a, [u8]>),
    /// A byte string.
    Bytes(Cow<'a, [u8]>),
    /// `Duration`.
    Duration(Duration),
    /// An IP address.
    IpAddr(IpAddr),
    /// A socket address.
    SocketAddr(SocketAddr),
    /// A vector, an array or a slice.
    Sequence(Items<'a>),
    /// A set.
    Set(Items<'a>),
    /// A map; that of a whole region too.
    Map(Entries<'a>),
    /// A tuple: its parts, each by its position.
    Tuple(Fields<'a>),
    /// A struct.
    Struct {
        /// How its fields are written in Rust.
        style: FieldStyle,
        /// Its fields, in the order of declaration.
        fields: Fields<'a>,
    },
    /// All of a region that has [several roots](crate::roots).
    Roots(RootValues<'a>),
    /// An enum.
    Enum {
        /// The name of the variant that the value has.
        variant: &'a str,
        /// The position of the variant, from 0.
        position: u32,
        /// How its fields are written in Rust.
        style: FieldStyle,
        /// Its fields, in the order of declaration.
        fields: Fields<'a>,
    },
    /// An option: its value, if it has one.
    Option(Option<Dynamic<'a>>),
    /// A box, a shared or an interned pointer: the value that it leads to.
    Pointer(Dynamic<'a>),
}

impl<'a> Dynamic<'a> {
    /// The name that the type has in Rust: `Recipe`, `Vec<String>`. A region chooses it freely.
    #[must_use]
    pub fn type_name(&self) -> &'a str {
        &self.described().name
    }

    /// The type, for looking it up in the [`Description`](crate::schema::Description).
    #[must_use]
    pub fn type_index(&self) -> TypeIndex {
        self.type_index
    }

    /// Where the value lies, in bytes from the start of the archive section.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.at
    }

    /// What the value is, and its parts. Costs the same for small and large values, but for text
    /// and for hash tables that are not in memory.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) if the archive does not hold what the schema
    /// says; [`Error::ReadFile`](crate::Error::ReadFile) if the file cannot be read any more.
    pub fn view(&self) -> Result<View<'a>> {
        self.read().map_err(|fault| self.archive.error(*fault))
    }

    /// The value that ends an archive.
    pub(crate) fn root(archive: Archive<'a>) -> Result<Self> {
        let at = archive.root().map_err(|fault| archive.error(*fault))?;
        Ok(Self {
            archive,
            type_index: archive.beside.root_type,
            at,
            length: 0,
            depth: Depth::default(),
        })
    }

    pub(super) fn described(&self) -> &'a Type {
        self.archive.types.get(self.type_index)
    }

    pub(super) fn read(&self) -> Read<View<'a>> {
        let view = super::view::view(self);
        view.map_err(|fault| fault.within(self.type_index))
    }

    /// A value that lies in this one, without a pointer between them.
    #[inline]
    pub(super) fn part(&self, type_index: TypeIndex, at: u64) -> Read<Self> {
        Ok(Self {
            type_index,
            at,
            length: 0,
            depth: self.depth.inner(self.at)?,
            ..*self
        })
    }

    /// The value that a pointer of this one leads to.
    pub(super) fn target(&self, type_index: TypeIndex, run: Run) -> Read<Self> {
        Ok(Self {
            type_index,
            at: run.at,
            length: run.length,
            depth: self.depth.behind_pointer(self.at)?,
            ..*self
        })
    }
}

impl fmt::Debug for Dynamic<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dynamic")
            .field("type", &self.type_name())
            .field("offset", &self.at)
            .finish_non_exhaustive()
    }
}

impl Depth {
    pub(crate) fn inner(self, at: u64) -> Read<Self> {
        let levels = self.levels + 1;
        self.limited(Self { levels, ..self }, at)
    }

    pub(crate) fn behind_pointer(self, at: u64) -> Read<Self> {
        let deeper = Self {
            pointers: self.pointers + 1,
            levels: self.levels + 1,
        };
        self.limited(deeper, at)
    }

    fn limited(self, deeper: Self, at: u64) -> Read<Self> {
        if deeper.pointers > POINTER_LIMIT || deeper.levels > LEVEL_LIMIT {
            let fault = FaultKind::Depth {
                pointers: POINTER_LIMIT,
                levels: LEVEL_LIMIT,
            };
            return Err(Fault::new(at, fault));
        }
        Ok(deeper)
    }
}
