//! Checking a region of unknown origin as a value of a type.
#![forbid(unsafe_code)]

use std::fmt;

use rkyv::Archive;
use rkyv::api::check_pos_with_context;
use rkyv::rancor::{BoxedError, Strategy};

use super::Value;
use super::checked::{Checked, Form};
use super::collections::Collections;
use super::content::Content;
use super::parts::Part;
use super::validator::Validator;
use crate::error::{Error, Result};
use crate::region::Region;
use crate::region::format::SectionKind;
use crate::sys::threads;

/// What a check has found that the check of the next generation builds on.
#[derive(Debug, Clone, Copy, Default)]
pub struct Findings {
    /// How many steps from line to line the searches for all keys of a map take in all, at most.
    /// None if nobody has counted them.
    pub(crate) steps: Option<u64>,
}

/// Bytes from which on they are digested on another processor than the one that checks values.
const MANY_BYTES: u64 = 4 << 20;

/// Checks digests, padding and sections of a region; if it follows an earlier one with a valid
/// value, only what differs where that will do.
pub(super) fn of_region<T: Content>(
    region: &Region,
    earlier: Option<&Checked<T>>,
) -> Result<Findings> {
    let bytes = || region.check_bytes();
    let value = || match earlier {
        Some(earlier) => T::Form::check_after(region, earlier),
        None => T::Form::check(region),
    };
    match region.bytes_to_check() {
        MANY_BYTES.. => {
            let (bytes, findings) = threads::both(bytes, value);
            bytes.and(findings)
        }
        _ => bytes().and_then(|()| value()),
    }
}

/// Refuses the region of another type.
pub(super) fn check_fingerprint<T: Content>(region: &Region) -> Result<()> {
    let expected = T::describe().fingerprint();
    match region.fingerprint() {
        got if got == expected => Ok(()),
        got => Err(Error::SchemaMismatch {
            name: region.name().to_owned(),
            expected_type: std::any::type_name::<T>(),
            expected,
            got,
        }),
    }
}

/// Checks a whole value.
pub(super) fn check_whole<T: Value>(part: &Part<'_>) -> Result<()> {
    let archive = part.archive;
    let invalid = |reason| part.invalid(SectionKind::Archive, reason);
    let position = root_position::<T>(archive).map_err(|reason| invalid(reason.to_owned()))?;
    let mut validator = Validator::new(archive);
    let context = Strategy::<_, BoxedError>::wrap(&mut validator);
    check_pos_with_context::<<T as Archive>::Archived, _, BoxedError>(archive, position, context)
        .map_err(|error| invalid(error.to_string()))?;
    let description = T::describe();
    let checked = Collections::new(&description, archive).check(position);
    checked.map_err(|refusal| invalid(refusal.to_string()))
}

/// The root of a whole value is the end of its archive.
fn root_position<T: Archive>(archive: &[u8]) -> Result<usize, &'static str> {
    let position = archive.len().checked_sub(size_of::<T::Archived>());
    let position = position.ok_or("it is shorter than the root of the type")?;
    if !position.is_multiple_of(align_of::<T::Archived>()) {
        return Err("the root of the type is not aligned");
    }
    Ok(position)
}

impl<T: Content> fmt::Debug for Checked<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.region(), f)
    }
}
