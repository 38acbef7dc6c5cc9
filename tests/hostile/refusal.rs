//! How a refusal is asserted.

use floe::format::SectionKind;
use floe::{Content, Error, Frozen};

/// Bytes that are refused because of what their archive says.
#[track_caller]
pub fn assert_invalid_archive<T: Content>(bytes: &[u8]) -> String {
    assert_invalid::<T>(bytes, SectionKind::Archive)
}

/// Bytes that are refused because of what their index says.
#[track_caller]
pub fn assert_invalid_index<T: Content>(bytes: &[u8]) -> String {
    assert_invalid::<T>(bytes, SectionKind::Index)
}

/// Bytes that are refused because of what their list of garbage says.
#[track_caller]
pub fn assert_invalid_garbage<T: Content>(bytes: &[u8]) -> String {
    assert_invalid::<T>(bytes, SectionKind::Garbage)
}

#[track_caller]
fn assert_invalid<T: Content>(bytes: &[u8], expected: SectionKind) -> String {
    match refused::<T>(bytes) {
        Error::Invalid {
            section, reason, ..
        } if section == expected => reason,
        other => panic!("expected an invalid {expected} section, got: {other}"),
    }
}

#[track_caller]
pub fn refused<T: Content>(bytes: &[u8]) -> Error {
    match Frozen::<T>::from_bytes(bytes) {
        Err(error) => error,
        Ok(_) => panic!("bytes that lie were accepted"),
    }
}
