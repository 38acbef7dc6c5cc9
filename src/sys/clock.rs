//! Moments on the wall clock and on the boot clock, and where they come from.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::time::{ClockId, clock_gettime};

/// A moment on both clocks.
///
/// Ages within one boot are counted on the boot clock, which no administrator sets back and which
/// goes on while the machine sleeps; the wall clock serves across boots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    pub(crate) wall_nanos: u64,
    pub(crate) boot_nanos: u64,
    pub(crate) boot_id: [u8; 16],
}

impl Moment {
    /// Now. A clock that cannot be read counts as zero.
    #[must_use]
    pub fn now() -> Self {
        Self::on_boot(boot_id().unwrap_or_default())
    }

    /// A moment of a boot, for clocks of tests: how long ago the system started, and how long ago
    /// 1970 began.
    #[must_use]
    pub fn new(since_boot: Duration, since_1970: Duration, boot_id: [u8; 16]) -> Self {
        Self {
            wall_nanos: since_1970.as_nanos() as u64,
            boot_nanos: since_boot.as_nanos() as u64,
            boot_id,
        }
    }

    /// The moment on the wall clock.
    #[must_use]
    pub fn wall(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_nanos(self.wall_nanos)
    }

    /// The time from an earlier moment to this one: by the boot clock, or by the wall clock if the
    /// system was started again meanwhile. `None` if the moment is not earlier: then a clock was
    /// changed, and nothing is known of the age.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Option<Duration> {
        let nanos = if self.boot_id == earlier.boot_id {
            self.boot_nanos.checked_sub(earlier.boot_nanos)
        } else {
            self.wall_nanos.checked_sub(earlier.wall_nanos)
        };
        nanos.map(Duration::from_nanos)
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
            boot_id: boot_id().unwrap_or_default(),
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
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        Self {
            wall_nanos: self.wall_nanos.saturating_add(nanos),
            boot_nanos: self.boot_nanos.saturating_add(nanos),
            boot_id: self.boot_id,
        }
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
