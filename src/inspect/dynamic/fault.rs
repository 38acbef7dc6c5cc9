//! Why bytes could not be read as the schema says.

use std::io;

use crate::schema::TypeIndex;

/// Result of reading bytes by a schema.
pub(crate) type Read<T> = Result<T, Box<Fault>>;

/// What does not fit, and where.
#[derive(Debug)]
pub(crate) struct Fault {
    /// Archive offset.
    pub(super) at: u64,
    /// The type that was being read, once that is known.
    pub(super) type_index: Option<TypeIndex>,
    pub(super) problem: FaultKind,
}

impl Fault {
    pub(crate) fn new(at: u64, problem: FaultKind) -> Box<Self> {
        Box::new(Self {
            at,
            type_index: None,
            problem,
        })
    }

    /// Remembers the innermost type that was being read.
    pub(super) fn within(mut self: Box<Self>, type_index: TypeIndex) -> Box<Self> {
        self.type_index.get_or_insert(type_index);
        self
    }
}

/// What does not fit.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FaultKind {
    #[error("it needs {length} bytes there, but the archive has {archive}")]
    Bounds { length: u64, archive: u64 },
    #[error("it has {length} bytes, where {most} are the most that a value has")]
    TooLong { length: u64, most: u64 },
    #[error("its pointer leads {distance} bytes away, out of the archive")]
    Pointer { distance: i64 },
    #[error("it is not aligned to {align}")]
    Unaligned { align: usize },
    #[error("its {length} items leave the archive")]
    Items { length: u64 },
    #[error("its byte is {got}, neither 0 nor 1")]
    Flag { got: u8 },
    #[error("{got:#x} is no character")]
    Character { got: u32 },
    #[error("it has {got} nanoseconds, which is a second or more")]
    Nanoseconds { got: u32 },
    #[error("its text is not UTF-8 from byte {valid} on")]
    Text { valid: usize },
    #[error("its text lacks the final NUL")]
    Unterminated,
    #[error("no variant has the tag {got}")]
    Variant { got: u8 },
    #[error("it is nested deeper than {pointers} pointers or {levels} levels")]
    Depth { pointers: u8, levels: u16 },
    #[error("it says that it has {expected} entries, but has {got}")]
    Entries { expected: u64, got: u64 },
    #[error("a node of it has {got} entries, where 1 to {most} are possible")]
    Node { got: u64, most: u64 },
    #[error("an entry has {length} bytes, but needs {least} and has room for {most}")]
    Frame { length: u64, least: u64, most: u64 },
    #[error("the schema has more than {most} fields, counted by their paths")]
    Paths { most: usize },
    #[error("its word {got:#x} is of no kind that this version knows, or leads to another one")]
    Word { got: u32 },
    #[error("{0}")]
    Value(String),
    #[error("it is no entry of a keyed map")]
    Unkeyed,
    #[error("it expands to more than {most} values and bytes of text")]
    Expansion { most: u64 },
    #[error("values overlap: they claim more than the {archive} bytes of the archive")]
    Overlap { archive: u64 },
    #[error("cannot read the file: {0}")]
    File(io::Error),
}
