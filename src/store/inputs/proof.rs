//! What an equal stamp proves: that depends on who sets the times of a file.

use std::os::fd::AsFd;
use std::time::Duration;

use rustix::fs::fstatfs;
use xxhash_rust::xxh3::xxh3_64;

use super::stamp::{Found, Stamp};
use crate::sys::clock::Moment;

/// What it proves of a file's content, or of the names in a directory, that the stamp is equal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Proof {
    /// Nothing: the content is compared every time.
    Nothing,
    /// That it is equal while the file is on the mount with this digest.
    SameMount(u64),
    /// That it is equal.
    Equal,
}

/// Who sets the times of the files of a file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Times {
    /// This kernel, at every change.
    Kernel,
    /// Another machine, as far as its own file systems do.
    Server,
    /// Whoever made the image that is mounted, or the layers of which one may be such an image.
    Image,
    /// A program, as it likes.
    Program,
    /// Nobody, or it is not known.
    Unknown,
}

/// Which file systems have times that tell of changes. Those that are not listed have none:
/// `/proc`, `/sys`, cgroups and their like make content when it is read, and FAT and exFAT keep no
/// time that users cannot set back.
const KNOWN: [(u32, Times); 28] = [
    (0xef53, Times::Kernel),       // ext2, ext3, ext4
    (0x5846_5342, Times::Kernel),  // XFS
    (0x9123_683e, Times::Kernel),  // Btrfs
    (0x0102_1994, Times::Kernel),  // tmpfs
    (0x8584_58f6, Times::Kernel),  // ramfs
    (0xf2f5_2010, Times::Kernel),  // F2FS
    (0xca45_1a4e, Times::Kernel),  // bcachefs
    (0x2fc1_2fc1, Times::Kernel),  // ZFS
    (0x3153_464a, Times::Kernel),  // JFS
    (0x5265_4973, Times::Kernel),  // ReiserFS
    (0x3434, Times::Kernel),       // NILFS
    (0x2405_1905, Times::Kernel),  // UBIFS
    (0x6969, Times::Server),       // NFS
    (0xff53_4d42, Times::Server),  // CIFS
    (0xfe53_4d42, Times::Server),  // SMB 2 and later
    (0x0102_1997, Times::Server),  // 9P
    (0x00c3_6400, Times::Server),  // Ceph
    (0x7461_636f, Times::Server),  // OCFS2
    (0x0116_1970, Times::Server),  // GFS2
    (0x0bd0_0bd0, Times::Server),  // Lustre
    (0x794c_7630, Times::Image),   // overlayfs
    (0xf15f, Times::Image),        // eCryptfs
    (0x7371_7368, Times::Image),   // squashfs
    (0xe0f5_e1e2, Times::Image),   // EROFS
    (0x9660, Times::Image),        // ISO 9660
    (0x28cd_3d45, Times::Image),   // cramfs
    (0x7275, Times::Image),        // romfs
    (0x6573_5546, Times::Program), // FUSE
];

impl Times {
    /// Those of the file system that an open file or directory is on.
    pub(super) fn of(file: impl AsFd) -> Self {
        fstatfs(file).map_or(Self::Unknown, |it| Self::of_type(it.f_type as u32))
    }

    fn of_type(kind: u32) -> Self {
        let known = KNOWN.iter().find(|(number, _)| *number == kind);
        known.map_or(Self::Unknown, |(_, times)| *times)
    }
}

/// By what stamps are judged: the moment before anything was read, since reading may take longer
/// than stamps need to settle, and the time that they need.
#[derive(Debug, Clone, Copy)]
pub(super) struct Trust {
    now: Moment,
    settle: u64,
}

impl Trust {
    pub(super) fn new(now: Moment, settle: Duration) -> Self {
        let settle = u64::try_from(settle.as_nanos()).unwrap_or(u64::MAX);
        Self { now, settle }
    }

    /// What it will prove when the stamp of this file is found again.
    pub(super) fn proof(&self, found: &Found, times: Times) -> Proof {
        if self.is_unsettled(&found.stamp) {
            return Proof::Nothing;
        }
        // A kernel counts in less than seconds. A time without them is set by hand, as that of a
        // reproducible image is, or comes from a file system that keeps no more.
        let whole_seconds = found.stamp.changed % 1_000_000_000 == 0;
        match (times, whole_seconds) {
            (Times::Kernel | Times::Server, false) => Proof::Equal,
            (Times::Kernel, true) | (Times::Image, _) | (Times::Program, false) => {
                self.mount(found).map_or(Proof::Nothing, Proof::SameMount)
            }
            (Times::Server | Times::Program, true) | (Times::Unknown, _) => Proof::Nothing,
        }
    }

    /// The same of a file of which so many bytes were read: a size that is not theirs is none.
    pub(super) fn proof_of_content(&self, found: &Found, times: Times, length: u64) -> Proof {
        match found.stamp.size == length {
            true => self.proof(found, times),
            false => Proof::Nothing,
        }
    }

    /// Whether what is found is proved to be what was recorded.
    pub(super) fn proves(&self, proof: Proof, recorded: &Stamp, found: &Found) -> bool {
        let holds = match proof {
            Proof::Nothing => false,
            Proof::SameMount(mount) => self.mount(found) == Some(mount),
            Proof::Equal => true,
        };
        // Settled then, a stamp is settled now, unless a longer time is asked for.
        holds && *recorded == found.stamp && !self.is_unsettled(recorded)
    }

    fn is_unsettled(&self, stamp: &Stamp) -> bool {
        stamp.is_unsettled(self.now.wall_nanos, self.settle)
    }

    /// A digest of boot and mount: each boot numbers mounts anew.
    fn mount(&self, found: &Found) -> Option<u64> {
        let (boot, mount) = (self.now.boot_id, found.mount?);
        let known = boot != <[u8; 16]>::default();
        known.then(|| xxh3_64(&[&boot[..], &mount.to_le_bytes()].concat()))
    }
}
