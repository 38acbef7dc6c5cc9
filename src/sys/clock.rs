//! Moments on the wall clock and on the boot clock, and where they come from.
#![forbid(unsafe_code)]

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::time::{ClockId, clock_gettime};

/// A moment on both clocks.
///
/// The boot clock is set back by no administrator and goes on while the machine sleeps, but it
/// stands still in a snapshot, begins anew at each boot, and may have another beginning in each
/// time namespace. The wall clock knows of all that, but is set. So an age is what either clock
/// says, whichever says more: too old costs a rebuild, too young serves what has expired.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Moment {
    /// Since 1970; zero if the clock could not be read.
    pub(crate) wall_nanos: u64,
    /// Since boot; zero if the clock could not be read.
    pub(crate) boot_nanos: u64,
    /// Zeros if it is not known.
    pub(crate) boot_id: [u8; 16],
}

/// The name of a boot that is not known.
const UNKNOWN: [u8; 16] = [0; 16];

impl Moment {
    /// Now. A clock that cannot be read reads zero, and nothing is concluded from that.
    #[must_use]
    pub fn now() -> Self {
        Self::on_boot(boot_id().unwrap_or(UNKNOWN))
    }

    /// A moment of a boot, for clocks of tests: how long ago the system started, and how long ago
    /// 1970 began; zero for a clock that cannot be read, zeros for a boot that is not known.
    #[must_use]
    pub fn new(since_boot: Duration, since_1970: Duration, boot_id: [u8; 16]) -> Self {
        Self {
            wall_nanos: saturated(since_1970),
            boot_nanos: saturated(since_boot),
            boot_id,
        }
    }

    /// The moment on the wall clock.
    #[must_use]
    pub fn wall(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_nanos(self.wall_nanos)
    }

    /// The time from an earlier moment to this one: the longest of what the clocks say. `None` if
    /// nothing is known of it, since no clock that counts could be read, or the one that counts
    /// was set back.
    ///
    /// - On one boot the boot clock counts, and the wall clock where it says more: the machine may
    ///   have been restored from a snapshot, for which the boot clock stood still. So a wall clock
    ///   that is set ahead makes older, and one that is set back changes nothing.
    /// - On another boot the wall clock counts, and at least as much time has passed as since this
    ///   boot.
    /// - If a boot is not known (in a sandbox without its file in `/proc`), the wall clock counts,
    ///   and the boot clock where it says more.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Option<Duration> {
        let known = self.boot_id != UNKNOWN && earlier.boot_id != UNKNOWN;
        let boot = passed(self.boot_nanos, earlier.boot_nanos);
        let wall = passed(self.wall_nanos, earlier.wall_nanos);
        let nanos = match boot {
            Passed::Unreadable => wall.forward()?,
            _ if known && self.boot_id == earlier.boot_id => {
                boot.forward()?.max(wall.forward().unwrap_or(0))
            }
            Passed::Forward(nanos) if !known => wall.forward()?.max(nanos),
            // Another boot, on which the boot clock began at zero.
            _ => wall.forward()?.max(self.boot_nanos),
        };
        Some(Duration::from_nanos(nanos))
    }

    fn on_boot(boot_id: [u8; 16]) -> Self {
        Self {
            wall_nanos: nanos(ClockId::CLOCK_REALTIME),
            boot_nanos: nanos(ClockId::CLOCK_BOOTTIME),
            boot_id,
        }
    }
}

/// Where a [`Store`](crate::Store) gets the time from: the system, or a test.
///
/// ```
/// use std::time::Duration;
/// use floe::{Clock, Moment};
///
/// let start = Moment::now();
/// let clock = Clock::manual(start);
/// clock.set(start + Duration::from_secs(60));
/// assert_eq!(clock.now().since(&start), Some(Duration::from_secs(60)));
/// ```
#[derive(Debug, Clone)]
pub struct Clock(Source);

#[derive(Debug, Clone)]
enum Source {
    System { boot_id: [u8; 16] },
    Manual(Arc<Mutex<Moment>>),
}

impl Clock {
    /// The clocks of the system.
    #[must_use]
    pub fn system() -> Self {
        Self(Source::System {
            boot_id: boot_id().unwrap_or(UNKNOWN),
        })
    }

    /// A clock that stands still until it is [`set`](Self::set). Clones are the same clock.
    #[must_use]
    pub fn manual(start: Moment) -> Self {
        Self(Source::Manual(Arc::new(Mutex::new(start))))
    }

    /// Sets a manual clock; that of the system is left alone.
    pub fn set(&self, moment: Moment) {
        if let Source::Manual(now) = &self.0 {
            *now.lock().unwrap_or_else(PoisonError::into_inner) = moment;
        }
    }

    /// The moment it is.
    #[must_use]
    pub fn now(&self) -> Moment {
        match &self.0 {
            Source::System { boot_id } => Moment::on_boot(*boot_id),
            Source::Manual(now) => *now.lock().unwrap_or_else(PoisonError::into_inner),
        }
    }
}

impl std::ops::Add<Duration> for Moment {
    type Output = Self;

    /// The moment some time later, on both clocks.
    fn add(self, time: Duration) -> Self {
        let nanos = saturated(time);
        Self {
            wall_nanos: self.wall_nanos.saturating_add(nanos),
            boot_nanos: self.boot_nanos.saturating_add(nanos),
            boot_id: self.boot_id,
        }
    }
}

fn saturated(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// Since boot, sleep included; zero if the clock cannot be read.
pub(crate) fn boot_now() -> Duration {
    clock_gettime(ClockId::CLOCK_BOOTTIME).map_or(Duration::ZERO, Duration::from)
}

/// What one clock says of the time between two moments.
#[derive(Clone, Copy)]
enum Passed {
    /// It could not be read at one of them.
    Unreadable,
    Forward(u64),
    Back,
}

fn passed(now: u64, then: u64) -> Passed {
    match now.checked_sub(then) {
        _ if now == 0 || then == 0 => Passed::Unreadable,
        Some(nanos) => Passed::Forward(nanos),
        None => Passed::Back,
    }
}

impl Passed {
    fn forward(self) -> Option<u64> {
        match self {
            Self::Forward(nanos) => Some(nanos),
            Self::Unreadable | Self::Back => None,
        }
    }
}

fn nanos(clock: ClockId) -> u64 {
    clock_gettime(clock).map_or(0, |time| Duration::from(time).as_nanos() as u64)
}

/// The kernel's random name of this boot: 32 hexadecimal digits and hyphens. None where `/proc` is
/// hidden, or has processes alone.
///
/// It is read once in a process, which no boot outlives. Nobody waits for another who reads it: a
/// process may be forked meanwhile.
fn boot_id() -> Option<[u8; 16]> {
    static IS_KNOWN: AtomicBool = AtomicBool::new(false);
    static KNOWN: [AtomicU64; 2] = [const { AtomicU64::new(0) }; 2];
    if IS_KNOWN.load(Ordering::Acquire) {
        let [high, low] = KNOWN.each_ref().map(|it| it.load(Ordering::Relaxed));
        return Some((u128::from(high) << 64 | u128::from(low)).to_be_bytes());
    }
    let read = read_boot_id()?;
    KNOWN[0].store((read >> 64) as u64, Ordering::Relaxed);
    KNOWN[1].store(read as u64, Ordering::Relaxed);
    IS_KNOWN.store(true, Ordering::Release);
    Some(read.to_be_bytes())
}

fn read_boot_id() -> Option<u128> {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let digits = text.trim().replace('-', "");
    u128::from_str_radix(&digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_boot_that_is_remembered_is_the_one_that_was_read() {
        let read = read_boot_id().map(u128::to_be_bytes);
        assert_eq!([boot_id(), boot_id()], [read, read]);
    }
}
