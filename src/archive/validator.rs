//! The context in which bytes from elsewhere are checked.
#![forbid(unsafe_code)]

use std::alloc::Layout;
use std::any::TypeId;
use std::collections::HashMap;
use std::ops::Range;

use rkyv::erased::{ErasedPtr, Metadata};
use rkyv::validation::shared::ValidationState;

use super::visited::Visited;

/// How deep values may be nested: each pointer followed is one level. Without a limit, 50,000
/// levels overflow a stack of 2 MiB.
pub(crate) const DEPTH_LIMIT: u32 = 128;

/// How often each byte of an archive may be claimed on average.
const CLAIMS_PER_BYTE: usize = 4;

/// Checks that every pointer of an archive stays in it. Users meet it only in bounds.
///
/// rkyv's own validator lets every byte be claimed once and in order, which interned values,
/// shared by entries that are checked one after the other, cannot keep. This one bounds the
/// work instead: depth by a limit, and the bytes claimed by a multiple of the archive's length.
/// An honest archive points to each byte once, since values behind shared pointers are checked
/// once for each address and type; some of rkyv's collections look at a node up to three times.
/// Values that overlap are harmless, because nothing in an archive is ever written.
#[derive(Debug, Default)]
pub struct Validator {
    archive: Range<usize>,
    /// What the value or entry being checked may claim without a look at the others, as archive
    /// offsets.
    own: Range<usize>,
    /// Values may lie in earlier entries too, but not before `lowest`.
    shares: bool,
    lowest: usize,
    /// The lowest offset that the value or entry being checked may claim.
    floor: usize,
    depth: u32,
    /// The deepest level since the shared value that was started last.
    deepest: u32,
    /// Bytes that may still be claimed, and how many there were.
    budget: usize,
    granted: usize,
    /// Values behind shared pointers, by archive offset and type.
    shared: HashMap<(usize, TypeId), Shared>,
    /// What self-describing values were found to lead to.
    pub(crate) visited: Visited,
    /// Bytes that would be claimed again, if what is shared was written out at each use.
    again: u64,
}

#[derive(Debug)]
struct Shared {
    metadata: Metadata,
    progress: Progress,
}

#[derive(Debug)]
enum Progress {
    /// The value is being checked: the depth at which it was found, the deepest level before, and
    /// what all came to before.
    Started {
        depth: u32,
        deepest: u32,
        expanded: u64,
    },
    /// The value is valid, reaches so many levels below itself, and comes to so many bytes.
    Finished { height: u32, expanded: u64 },
}

/// Why a pointer was refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PointerError {
    #[error("a pointer to {length} bytes at offset {offset} leaves the archive of {archive} bytes")]
    Bounds {
        offset: isize,
        length: usize,
        archive: usize,
    },
    #[error("a pointer to offset {offset} is not aligned to {align}")]
    Unaligned { offset: isize, align: usize },
    #[error(
        "a pointer to {length} bytes at offset {offset} leads out of its entry, and not to a value that an earlier one shares"
    )]
    OtherEntry { offset: isize, length: usize },
    #[error("values overlap: pointers claim many times the {archive} bytes that the archive has")]
    Overlap { archive: usize },
    #[error("values are nested deeper than {DEPTH_LIMIT} levels")]
    Depth,
    #[error("a shared pointer was finished without being started")]
    NotStarted,
    #[error("a shared value is claimed with two lengths")]
    Metadata,
}

impl Validator {
    /// Checks pointers into `archive`.
    pub(crate) fn new(archive: &[u8]) -> Self {
        let mut validator = Self::default();
        validator.grow(archive);
        validator
    }

    /// Checks pointers of an archive that lead behind its first bytes, as if those were none of it.
    pub(crate) fn behind(start: usize) -> Self {
        // A pointer to no bytes at all leads to the end of what stands before.
        let lowest = if start == 0 { 0 } else { start + 1 };
        Self {
            archive: 0..start,
            lowest,
            ..Self::default()
        }
    }

    /// Goes on with an archive that has the bytes of the one before at its start, wherever it lies
    /// in memory now. What was found valid behind shared pointers stays so.
    pub(crate) fn grow(&mut self, archive: &[u8]) {
        let grown = archive.len() - self.length();
        let range = archive.as_ptr_range();
        self.archive = range.start as usize..range.end as usize;
        self.enter(0..archive.len());
        let granted = grown.saturating_mul(CLAIMS_PER_BYTE);
        self.budget = self.budget.saturating_add(granted);
        self.granted = self.granted.saturating_add(granted);
    }

    /// How many bytes were claimed.
    pub(crate) fn claimed(&self) -> usize {
        self.granted - self.budget
    }

    /// How many bytes were claimed, and would be if what is shared was written out at each use: about
    /// what values come to that are thawed. Of what self-describing values share that is known only if
    /// their [sizes are noted](Visited::note_sizes).
    pub(crate) fn expanded(&self) -> u64 {
        self.again.saturating_add(self.claimed() as u64)
    }

    /// Counts so many bytes as those of a shared value that is used again.
    pub(crate) fn use_again(&mut self, expanded: u64) {
        self.again = self.again.saturating_add(expanded);
    }

    /// How many bytes pointers may claim in an archive of a length.
    pub(crate) fn most_claimed(length: usize) -> usize {
        length.saturating_mul(CLAIMS_PER_BYTE)
    }

    /// What a shared value is known by.
    fn key(&self, pointer: ErasedPtr, pointer_type: TypeId) -> (usize, TypeId) {
        let offset = (pointer.data_address() as usize).wrapping_sub(self.archive.start);
        (offset, pointer_type)
    }

    /// Goes on to the entry of a map at archive offsets.
    #[inline]
    pub(crate) fn enter(&mut self, entry: Range<usize>) {
        self.floor = match self.shares {
            true => self.lowest,
            false => self.lowest.max(entry.start),
        };
        self.own = entry;
    }

    /// Lets values lead into earlier entries: for maps with interned values.
    pub(crate) fn share(&mut self) {
        self.shares = true;
    }

    /// Whether values may lie in earlier entries.
    pub(crate) fn shares(&self) -> bool {
        self.shares
    }

    fn length(&self) -> usize {
        self.archive.end - self.archive.start
    }

    /// Bytes of the archive.
    pub(crate) fn archive_length(&self) -> usize {
        self.length()
    }

    /// The archive offset of an address, if so many bytes of the archive lie there.
    pub(crate) fn offset_of(&self, address: usize, size: usize) -> Option<usize> {
        let offset = address.checked_sub(self.archive.start)?;
        let end = offset.checked_add(size)?;
        (end <= self.length()).then_some(offset)
    }

    /// Accepts bytes at an archive offset that a value leads to, as [`check`](Self::check) does.
    #[inline]
    pub(crate) fn claim(&mut self, offset: usize, size: usize) -> Result<(), PointerError> {
        let end = self.own.end;
        let fits = self.floor <= offset && offset <= end && size <= end - offset;
        match self.budget.checked_sub(size) {
            Some(rest) if fits => {
                self.budget = rest;
                Ok(())
            }
            _ => Err(self.refused_claim(offset, size)),
        }
    }

    #[cold]
    fn refused_claim(&self, offset: usize, length: usize) -> PointerError {
        let archive = self.length();
        let end = offset.checked_add(length);
        if end.is_none_or(|end| end > archive) {
            let offset = offset as isize;
            return PointerError::Bounds {
                offset,
                length,
                archive,
            };
        }
        if offset < self.floor || offset + length > self.own.end {
            let offset = offset as isize;
            return PointerError::OtherEntry { offset, length };
        }
        PointerError::Overlap { archive }
    }

    /// How many levels lie around the value that is being checked. It is one itself.
    pub(crate) fn depth(&self) -> u32 {
        self.depth.saturating_sub(1)
    }

    /// Notes that a value reaches so many levels below itself.
    pub(crate) fn reach_down(&mut self, height: u32) -> Result<(), PointerError> {
        let deepest = self.depth() + height;
        if deepest > DEPTH_LIMIT {
            return Err(PointerError::Depth);
        }
        self.deepest = self.deepest.max(deepest);
        Ok(())
    }

    /// Accepts a pointer only if all its bytes lie in the archive that this validator was made for,
    /// and are aligned for the layout.
    #[inline]
    pub(super) fn check(&mut self, address: usize, layout: &Layout) -> Result<(), PointerError> {
        // What an entry may claim ends in the archive, and begins there.
        let start = address.wrapping_sub(self.archive.start);
        let (size, end) = (layout.size(), self.own.end);
        let fits = self.floor <= start && start <= end && size <= end - start;
        let is_aligned = address & (layout.align() - 1) == 0;
        match self.budget.checked_sub(size) {
            Some(rest) if fits && is_aligned => {
                self.budget = rest;
                Ok(())
            }
            _ => Err(self.refusal(address, layout)),
        }
    }

    /// Why a pointer is refused.
    #[cold]
    fn refusal(&self, address: usize, layout: &Layout) -> PointerError {
        let (length, align) = (layout.size(), layout.align());
        let (offset, archive) = (
            address.wrapping_sub(self.archive.start) as isize,
            self.length(),
        );
        let end = address.checked_add(length);
        if address < self.archive.start || end.is_none_or(|end| end > self.archive.end) {
            return PointerError::Bounds {
                offset,
                length,
                archive,
            };
        }
        if !address.is_multiple_of(align) {
            return PointerError::Unaligned { offset, align };
        }
        let start = address - self.archive.start;
        if start < self.floor || start + length > self.own.end {
            return PointerError::OtherEntry { offset, length };
        }
        PointerError::Overlap { archive }
    }

    /// Follows a pointer.
    #[inline]
    pub(super) fn descend(&mut self) -> Result<Range<usize>, PointerError> {
        if self.depth == DEPTH_LIMIT {
            return Err(PointerError::Depth);
        }
        self.depth += 1;
        self.deepest = self.deepest.max(self.depth);
        Ok(self.archive.clone())
    }

    /// Comes back from where a pointer led to.
    #[inline]
    pub(super) fn ascend(&mut self) {
        self.depth -= 1;
    }

    /// Begins the check of a value behind a shared pointer, unless it began before: then
    /// `is_same` compares the metadata of the pointer that was met first.
    pub(super) fn start(
        &mut self,
        pointer_type: TypeId,
        pointer: ErasedPtr,
        is_same: impl FnOnce(Metadata) -> bool,
    ) -> Result<ValidationState, PointerError> {
        let key = self.key(pointer, pointer_type);
        let expanded = self.expanded();
        let Some(known) = self.shared.get(&key) else {
            let started = Shared {
                metadata: pointer.metadata(),
                progress: Progress::Started {
                    depth: self.depth,
                    deepest: std::mem::replace(&mut self.deepest, self.depth),
                    expanded,
                },
            };
            self.shared.insert(key, started);
            return Ok(ValidationState::Started);
        };
        if !is_same(known.metadata) {
            return Err(PointerError::Metadata);
        }
        let Progress::Finished { height, expanded } = known.progress else {
            return Ok(ValidationState::Pending);
        };
        self.again = self.again.saturating_add(expanded);
        self.deepest = self.deepest.max(self.depth + height);
        if self.deepest > DEPTH_LIMIT {
            return Err(PointerError::Depth);
        }
        Ok(ValidationState::Finished)
    }

    /// Ends the check of a value behind a shared pointer, which is valid.
    pub(super) fn finish(
        &mut self,
        pointer_type: TypeId,
        pointer: ErasedPtr,
    ) -> Result<(), PointerError> {
        let key = self.key(pointer, pointer_type);
        let now = self.expanded();
        let Some(known) = self.shared.get_mut(&key) else {
            return Err(PointerError::NotStarted);
        };
        let Progress::Started {
            depth,
            deepest,
            expanded,
        } = known.progress
        else {
            return Err(PointerError::NotStarted);
        };
        let height = self.deepest - depth;
        known.progress = Progress::Finished {
            height,
            expanded: now.saturating_sub(expanded),
        };
        self.deepest = self.deepest.max(deepest);
        Ok(())
    }
}
