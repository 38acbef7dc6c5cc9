//! When a region was frozen, on the wall clock and on the boot clock.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::time::{ClockId, clock_gettime};

/// A moment on both clocks. Ages within one boot are counted on the boot clock, which no
/// administrator sets back; the wall clock serves across boots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Created {
    pub(crate) wall_nanos: u64,
    pub(crate) boot_nanos: u64,
    pub(crate) boot_id: [u8; 16],
}

impl Created {
    /// Now. A clock that cannot be read counts as zero.
    pub(crate) fn now() -> Self {
        Self {
            wall_nanos: nanos(ClockId::CLOCK_REALTIME),
            boot_nanos: nanos(ClockId::CLOCK_BOOTTIME),
            boot_id: boot_id().unwrap_or_default(),
        }
    }

    /// How long ago it was; zero for what is yet to come. In the same boot as a `later` moment, which
    /// is that of this system, the boot clock tells.
    pub(crate) fn age(&self, later: &Self) -> Duration {
        let age = if self.boot_id == later.boot_id {
            nanos(ClockId::CLOCK_BOOTTIME).saturating_sub(self.boot_nanos)
        } else {
            nanos(ClockId::CLOCK_REALTIME).saturating_sub(self.wall_nanos)
        };
        Duration::from_nanos(age)
    }

    pub(crate) fn wall(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_nanos(self.wall_nanos)
    }
}

/// Since boot, sleep included. A clock that cannot be read counts as zero.
pub(crate) fn boot_now() -> Duration {
    clock_gettime(ClockId::CLOCK_BOOTTIME).map_or(Duration::ZERO, Duration::from)
}

fn nanos(clock: ClockId) -> u64 {
    clock_gettime(clock).map_or(0, |time| Duration::from(time).as_nanos() as u64)
}

/// The kernel's random name of this boot: 32 hexadecimal digits and hyphens.
fn boot_id() -> Option<[u8; 16]> {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let digits = text.trim().replace('-', "");
    u128::from_str_radix(&digits, 16)
        .ok()
        .map(u128::to_be_bytes)
}
