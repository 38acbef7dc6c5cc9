//! What an inputs section begins with. The rest is the matter of the store.
#![forbid(unsafe_code)]

use std::ops::Range;

/// Version of the section.
pub(crate) const VERSION: u32 = 2;
/// The digest of the value that the cache is keyed by; 0 if there is none.
const KEYED_BY: Range<usize> = 4..20;
/// No inputs; one set, which is empty, for the whole and for all entries; none of those are listed.
const NOTHING: [u8; 7] = [0, 1, 0, 0, 0, 0, 0];

/// A section without inputs, built under a value of this digest.
pub(crate) fn without_inputs(keyed_by: u128) -> Vec<u8> {
    [
        &VERSION.to_le_bytes()[..],
        &keyed_by.to_le_bytes(),
        &NOTHING,
    ]
    .concat()
}

/// The digest in a section; none in one that is cut short, or of another version.
pub(crate) fn keyed_by(section: &[u8]) -> Option<u128> {
    let version = section.get(..KEYED_BY.start)?;
    let digest = section.get(KEYED_BY)?.try_into().ok()?;
    (version == VERSION.to_le_bytes()).then(|| u128::from_le_bytes(digest))
}
