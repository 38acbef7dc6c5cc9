//! What a builder remembers of the values that it has written.
#![forbid(unsafe_code)]

use std::any::TypeId;
use std::collections::HashMap;
use std::hash::{BuildHasher, BuildHasherDefault, Hasher, RandomState};

use xxhash_rust::xxh3::xxh3_128_with_seed;

/// Records a value as bytes, from which its identity is digested.
///
/// It is a [`Hasher`], so every value that implements `Hash` can be recorded.
#[derive(Debug, Default)]
pub struct Recorder {
    bytes: Vec<u8>,
}

impl Hasher for Recorder {
    fn write(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Not used: the identity is digested from all recorded bytes at once.
    fn finish(&self) -> u64 {
        self.bytes.len() as u64
    }
}

/// Archive offsets of distinct values, by how they are written, which is wrapper and archived type,
/// and identity.
pub(crate) struct Interner {
    /// Drawn for each builder, so that no input can be made to collide.
    seed: u64,
    recorder: Recorder,
    /// A cache has few interned types, and many values of each.
    types: Vec<(TypeId, Offsets)>,
}

/// Archive offsets by identity.
type Offsets = HashMap<ValueDigest, u64, BuildHasherDefault<FirstHalf>>;

/// A digest of 128 bits; as halves, so that a table of them and offsets has no padding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct ValueDigest([u64; 2]);

impl From<u128> for ValueDigest {
    fn from(digest: u128) -> Self {
        Self([digest as u64, (digest >> 64) as u64])
    }
}

impl Default for Interner {
    fn default() -> Self {
        Self {
            seed: RandomState::new().build_hasher().finish(),
            recorder: Recorder::default(),
            types: Vec::new(),
        }
    }
}

impl Interner {
    pub(crate) fn identify(&mut self, record: impl FnOnce(&mut Recorder)) -> u128 {
        self.recorder.bytes.clear();
        record(&mut self.recorder);
        xxh3_128_with_seed(&self.recorder.bytes, self.seed)
    }

    /// The digest of a value that bytes tell.
    pub(crate) fn identify_bytes(&self, bytes: &[u8]) -> u128 {
        xxh3_128_with_seed(bytes, self.seed)
    }

    pub(crate) fn find(&self, written_as: TypeId, identity: u128) -> Option<u64> {
        let (_, offsets) = self.types.iter().find(|(known, _)| *known == written_as)?;
        offsets.get(&ValueDigest::from(identity)).copied()
    }

    pub(crate) fn remember(&mut self, written_as: TypeId, identity: u128, offset: u64) {
        let index = self
            .types
            .iter()
            .position(|(known, _)| *known == written_as);
        let index = index.unwrap_or_else(|| {
            self.types.push((written_as, Offsets::default()));
            self.types.len() - 1
        });
        self.types[index]
            .1
            .insert(ValueDigest::from(identity), offset);
    }

    /// Forgets the values that lie at or behind an archive offset: their entry was taken back.
    pub(crate) fn forget_from(&mut self, end: u64) {
        for (_, offsets) in &mut self.types {
            offsets.retain(|_, offset| *offset < end);
        }
    }
}

/// A digest is its own hash: half of it serves.
#[derive(Default)]
struct FirstHalf(u64);

impl Hasher for FirstHalf {
    fn write(&mut self, bytes: &[u8]) {
        if let Some(half) = bytes.first_chunk() {
            self.0 = u64::from_ne_bytes(*half);
        }
    }

    fn write_u64(&mut self, half: u64) {
        self.0 = half;
    }

    fn write_usize(&mut self, _length: usize) {}

    fn finish(&self) -> u64 {
        self.0
    }
}
