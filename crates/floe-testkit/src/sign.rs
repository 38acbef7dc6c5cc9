//! Digests that are right, whatever the bytes say.

use xxhash_rust::xxh3::xxh3_128;

pub const HEADER: usize = 576;
pub const TABLE: usize = 256;
pub const ROW: usize = 24;
pub const TABLE_END: usize = 400;
const FILE_DIGEST: usize = 464;
pub const DIGEST: usize = 512;
/// Where the length of the header stands.
pub const HEADER_LENGTH: usize = 20;

/// Makes the digests of a region of one file right, as far as its header makes sense.
pub fn sign(bytes: &mut [u8]) {
    if bytes.len() < HEADER {
        return;
    }
    let length = u32_at(bytes, HEADER_LENGTH) as usize;
    let (header, rest) = bytes.split_at_mut(length.clamp(HEADER, bytes.len()));
    let file = xxh3_128(rest).to_le_bytes();
    header[FILE_DIGEST..][..16].copy_from_slice(&file);
    let mut others = header[..DIGEST].to_vec();
    others.extend_from_slice(&header[DIGEST + 16..]);
    let digest = xxh3_128(&others).to_le_bytes();
    header[DIGEST..][..16].copy_from_slice(&digest);
}

pub fn u32_at(bytes: &[u8], offset: usize) -> u32 {
    u32::from_le_bytes(bytes[offset..offset + 4].try_into().unwrap())
}

pub fn u64_at(bytes: &[u8], offset: usize) -> u64 {
    u64::from_le_bytes(bytes[offset..offset + 8].try_into().unwrap())
}
