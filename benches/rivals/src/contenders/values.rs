//! Archived recipes among the bytes of a store that does not align them.
#![allow(unsafe_code)]

use rkyv::rancor::Error;
use rkyv::util::AlignedVec;

use super::ContenderError;
use crate::data::{ArchivedRecipe, Recipe, Touch};

/// Archives one recipe. The length is a multiple of the alignment that it needs.
pub fn archive(recipe: &Recipe) -> Result<AlignedVec, ContenderError> {
    Ok(rkyv::to_bytes::<Error>(recipe)?)
}

/// Touches recipes in place where they happen to lie aligned, in a copy otherwise.
#[derive(Default)]
pub struct Reader {
    copy: AlignedVec,
}

impl Reader {
    /// Touches an archived recipe.
    ///
    /// # Safety
    /// The bytes are what [`archive`] returned.
    #[inline]
    pub unsafe fn touch(&mut self, bytes: &[u8]) -> u64 {
        let aligned = if bytes.as_ptr().cast::<ArchivedRecipe>().is_aligned() {
            bytes
        } else {
            self.copy.clear();
            self.copy.extend_from_slice(bytes);
            &self.copy
        };
        // SAFETY: the caller vouches for an archived recipe, with its root at the end; the bytes
        // are aligned now, and so is the root, because their length is a multiple of it.
        unsafe { rkyv::access_unchecked::<ArchivedRecipe>(aligned) }.touch()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::MapValue;

    #[test]
    fn recipes_are_read_at_any_address() {
        let recipe = Recipe::numbered(3);
        let archived = archive(&recipe).unwrap();
        assert!(archived.len().is_multiple_of(align_of::<ArchivedRecipe>()));
        let mut reader = Reader::default();
        for shift in 0..4 {
            let mut bytes: AlignedVec = AlignedVec::new();
            bytes.extend_from_slice(&[0; 4][..shift]);
            bytes.extend_from_slice(&archived);
            // SAFETY: the bytes behind the shift come from `archive`.
            assert_eq!(unsafe { reader.touch(&bytes[shift..]) }, recipe.touch());
        }
    }
}
