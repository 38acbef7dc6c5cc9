//! The status of a published cache.

use std::fmt::Write;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::contribute::Counts;

/// The status of a published cache, from its owner or from a [broker](crate::Broker).
///
/// Durations are serialised in seconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ChannelStatus {
    /// The name of the cache.
    pub name: String,
    /// The number of the newest generation.
    pub generation: u64,
    /// How long ago it was frozen, or last found up to date.
    #[serde(rename = "age_seconds", with = "seconds")]
    pub age: Duration,
    /// Number of entries, if the cache is a [`Map`](crate::Map).
    pub entries: Option<u64>,
    /// Length of the region in bytes.
    pub bytes: u64,
    /// The structural fingerprint of the type, in hexadecimal digits.
    pub fingerprint: String,
    /// Time until it expires; zero once it has, `None` if it never does.
    #[serde(rename = "expires_in_seconds", with = "optional_seconds")]
    pub expires_in: Option<Duration>,
    /// Time until the owner builds it again; zero if that is due, `None` if the owner does not
    /// say.
    #[serde(rename = "refresh_in_seconds", with = "optional_seconds")]
    pub refresh_in: Option<Duration>,
    /// Why the last build failed, or why this status could not be read; `None` if neither.
    pub last_error: Option<String>,
    /// Lookups of workers, if [counters](crate::Counters) count them.
    pub lookups: Option<u64>,
    /// Lookups that found nothing.
    pub misses: Option<u64>,
    /// What workers have contributed, if the owner accepts that.
    #[serde(default)]
    pub contributions: Option<Counts>,
}

impl ChannelStatus {
    /// The status of a cache of which nothing else is known.
    pub(crate) fn unreadable(name: String, reason: String) -> Self {
        Self {
            name,
            generation: 0,
            age: Duration::ZERO,
            entries: None,
            bytes: 0,
            fingerprint: String::new(),
            expires_in: None,
            refresh_in: None,
            last_error: Some(reason),
            lookups: None,
            misses: None,
            contributions: None,
        }
    }
}

/// Name, help, and the value if a cache has one.
type Metric<'a> = (&'a str, &'a str, &'a dyn Fn(&ChannelStatus) -> Option<f64>);

/// Writes statuses in the text format of Prometheus.
///
/// ```
/// use floe::{Frozen, Publisher, prometheus};
///
/// let publisher = Publisher::new(&Frozen::freeze("answer", &42_u32)?)?;
/// let page = prometheus(&[publisher.status()?]);
/// assert!(page.contains("floe_generation{cache=\"answer\"} 1\n"));
/// # Ok::<(), floe::Error>(())
/// ```
#[must_use]
pub fn prometheus(list: &[ChannelStatus]) -> String {
    let seconds = |duration: Option<Duration>| duration.map(|it| it.as_secs_f64());
    let contributed = |it: &ChannelStatus, count: fn(&Counts) -> u64| {
        let counts = it.contributions.as_ref();
        counts.map(|counts| count(counts) as f64)
    };
    let metrics: [Metric; 13] = [
        ("generation", "Number of the newest generation.", &|it| {
            Some(it.generation as f64)
        }),
        ("age_seconds", "Age of the newest generation.", &|it| {
            seconds(Some(it.age))
        }),
        ("entries", "Entries of the newest generation.", &|it| {
            it.entries.map(|entries| entries as f64)
        }),
        ("bytes", "Length of the newest generation.", &|it| {
            Some(it.bytes as f64)
        }),
        (
            "expires_in_seconds",
            "Time until the newest generation expires.",
            &|it| seconds(it.expires_in),
        ),
        (
            "refresh_in_seconds",
            "Time until the next build is due.",
            &|it| seconds(it.refresh_in),
        ),
        ("lookups", "Lookups of workers that count them.", &|it| {
            it.lookups.map(|count| count as f64)
        }),
        ("misses", "Lookups that found nothing.", &|it| {
            it.misses.map(|count| count as f64)
        }),
        ("contributors", "Connections of contributors.", &|it| {
            contributed(it, |counts| counts.connected)
        }),
        ("contributions_merged", "Deltas that were merged.", &|it| {
            contributed(it, |counts| counts.merged)
        }),
        (
            "contributions_refused",
            "Contributions of which nothing was taken.",
            &|it| contributed(it, |counts| counts.refused),
        ),
        (
            "contributors_cut_off",
            "How often a contributor was cut off.",
            &|it| contributed(it, |counts| counts.cut_off),
        ),
        ("failing", "Whether the last build failed.", &|it| {
            Some(f64::from(u8::from(it.last_error.is_some())))
        }),
    ];
    let mut page = String::new();
    for (name, help, value) in metrics {
        // A `String` takes everything.
        let _ = writeln!(page, "# HELP floe_{name} {help}\n# TYPE floe_{name} gauge");
        for status in list {
            if let Some(value) = value(status) {
                let cache = escaped(&status.name);
                let _ = writeln!(page, "floe_{name}{{cache=\"{cache}\"}} {value}");
            }
        }
    }
    page
}

/// As the text format writes the value of a label.
fn escaped(label: &str) -> String {
    let doubled = label.replace('\\', "\\\\");
    doubled.replace('"', "\\\"").replace('\n', "\\n")
}

mod seconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(it: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_f64(it.as_secs_f64())
    }

    pub(super) fn deserialize<'a, D: Deserializer<'a>>(from: D) -> Result<Duration, D::Error> {
        f64::deserialize(from).map(duration)
    }

    /// The nearest duration: the longest one is rounded up when it is written.
    pub(super) fn duration(seconds: f64) -> Duration {
        let bound = match seconds > 0.0 {
            true => Duration::MAX,
            false => Duration::ZERO,
        };
        Duration::try_from_secs_f64(seconds).unwrap_or(bound)
    }
}

mod optional_seconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(
        it: &Option<Duration>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        it.map(|it| it.as_secs_f64()).serialize(to)
    }

    pub(super) fn deserialize<'a, D: Deserializer<'a>>(
        from: D,
    ) -> Result<Option<Duration>, D::Error> {
        let seconds = Option::<f64>::deserialize(from)?;
        Ok(seconds.map(super::seconds::duration))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_duration_reads_back_and_so_does_every_number() {
        let mut status = ChannelStatus::unreadable("a".to_owned(), String::new());
        for duration in [
            Duration::ZERO,
            Duration::from_nanos(1),
            Duration::from_secs(1 << 62),
            Duration::MAX,
        ] {
            status.age = duration;
            (status.expires_in, status.refresh_in) = (Some(duration), Some(duration));
            let text = serde_json::to_string(&status).unwrap();
            assert_eq!(
                serde_json::from_str::<ChannelStatus>(&text).unwrap(),
                status
            );
        }
        for (seconds, duration) in [
            (-1.0, Duration::ZERO),
            (-1e300, Duration::ZERO),
            (1e300, Duration::MAX),
            (f64::NAN, Duration::ZERO),
            (f64::INFINITY, Duration::MAX),
        ] {
            assert_eq!(seconds::duration(seconds), duration, "{seconds}");
        }
    }
}
