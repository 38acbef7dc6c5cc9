//! Page files, as errors name them.

use std::fmt;

use super::bytes;

/// A page file that an image needs, and that is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct MissingFile {
    /// Its length in bytes.
    pub bytes: u64,
    /// BLAKE3 of what stands behind its header.
    pub digest: [u8; 32],
}

impl fmt::Display for MissingFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (BLAKE3 ", bytes(self.bytes))?;
        self.digest[..4]
            .iter()
            .try_for_each(|byte| write!(f, "{byte:02x}"))?;
        f.write_str(")")
    }
}

/// A few of them, and how many more there are.
pub(super) struct Listed<'a>(pub(super) &'a [MissingFile]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 3;
        let shown = &self.0[..self.0.len().min(SHOWN)];
        for (number, file) in shown.iter().enumerate() {
            let before = if number == 0 { "" } else { ", " };
            write!(f, "{before}{file}")?;
        }
        match self.0.len() - shown.len() {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}
