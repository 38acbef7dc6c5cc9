//! Regions that lie: any section replaced, and every digest made right again.

use floe::{Content, Frozen};

use crate::sign::{HEADER, HEADER_LENGTH, ROW, TABLE, TABLE_END, sign, u64_at};

pub use crate::sign::u32_at;

pub const ARCHIVE: u32 = 1;
pub const INDEX: u32 = 2;
pub const GARBAGE: u32 = 5;

/// The parts of a region, to be edited and put together again.
#[derive(Clone)]
pub struct Forgery {
    /// As long as the region says: a page, where it is in pages.
    header: Vec<u8>,
    /// Kind and bytes of each section.
    pub sections: Vec<(u32, Vec<u8>)>,
}

impl Forgery {
    pub fn of<T: Content>(frozen: &Frozen<T>) -> Self {
        let bytes = frozen.region().bytes();
        let rows = bytes[TABLE..]
            .chunks_exact(ROW)
            .take(usize::from(bytes[19]));
        let section = |row: &[u8]| {
            let (offset, length) = (u64_at(row, 8) as usize, u64_at(row, 16) as usize);
            (u32_at(row, 0), bytes[offset..][..length].to_vec())
        };
        Self {
            header: bytes[..u32_at(bytes, HEADER_LENGTH) as usize].to_vec(),
            sections: rows.map(section).collect(),
        }
    }

    pub fn archive(&mut self) -> &mut Vec<u8> {
        self.section(ARCHIVE)
    }

    pub fn index(&mut self) -> &mut Vec<u8> {
        self.section(INDEX)
    }

    /// The list of garbage, empty if there is none yet.
    pub fn garbage(&mut self) -> &mut Vec<u8> {
        if self.sections.iter().all(|(kind, _)| *kind != GARBAGE) {
            self.sections.push((GARBAGE, Vec::new()));
        }
        self.section(GARBAGE)
    }

    fn section(&mut self, kind: u32) -> &mut Vec<u8> {
        let section = self.sections.iter_mut().find(|(it, _)| *it == kind);
        &mut section.unwrap().1
    }

    /// The region, with all lengths and digests as an honest writer would have written them.
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.header.clone();
        let multiple = match bytes.len() {
            HEADER => 64,
            page => page,
        };
        bytes[TABLE..TABLE_END].fill(0);
        bytes[19] = self.sections.len() as u8;
        for (number, (kind, section)) in self.sections.iter().enumerate() {
            bytes.resize(bytes.len().next_multiple_of(multiple), 0);
            let row = TABLE + number * ROW;
            let offset = bytes.len() as u64;
            bytes[row..row + 4].copy_from_slice(&kind.to_le_bytes());
            bytes[row + 8..row + 16].copy_from_slice(&offset.to_le_bytes());
            bytes[row + 16..row + 24].copy_from_slice(&(section.len() as u64).to_le_bytes());
            bytes.extend_from_slice(section);
        }
        if multiple > 64 {
            bytes.resize(bytes.len().next_multiple_of(multiple), 0);
        }
        let length = bytes.len() as u64;
        bytes[80..88].copy_from_slice(&length.to_le_bytes());
        sign(&mut bytes);
        bytes
    }
}

pub fn put_u32(bytes: &mut [u8], offset: usize, value: u32) {
    bytes[offset..offset + 4].copy_from_slice(&value.to_le_bytes());
}

/// Writes a relative pointer at `place` that leads to `target`.
pub fn point(bytes: &mut [u8], place: usize, target: i64) {
    put_u32(bytes, place, (target - place as i64) as u32);
}
