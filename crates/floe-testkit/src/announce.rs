//! A schema that is the one that the header announces, whatever it says.

use xxhash_rust::xxh3::xxh3_128;

use crate::sign::{ROW, TABLE, sign, u64_at};

/// The kind of the schema section.
pub const SCHEMA: u32 = 4;

/// Makes the fingerprint and all digests of a region right, as far as its section table makes
/// sense.
pub fn announce(bytes: &mut [u8]) {
    let rows = (TABLE..TABLE + 6 * ROW).step_by(ROW);
    let is_schema = |row: &usize| bytes[*row..][..4] == SCHEMA.to_le_bytes();
    if let Some(row) = rows.into_iter().find(is_schema) {
        let (offset, length) = (u64_at(bytes, row + 8), u64_at(bytes, row + 16));
        let end = offset.saturating_add(length);
        if let Some(schema) = bytes.get(offset as usize..end as usize) {
            let fingerprint = xxh3_128(schema).to_le_bytes();
            bytes[32..48].copy_from_slice(&fingerprint);
        }
    }
    sign(bytes);
}
