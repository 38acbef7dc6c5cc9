//! Everything that a tool can ask of a region.

use std::num::NonZero;

use floe::census::{Census, Options};
use floe::dynamic::Described;

/// Asks for everything; returns whether all of it was answered. Panics if the answers contradict
/// each other.
pub fn read_everything(bytes: &[u8]) -> bool {
    let Ok(described) = Described::from_bytes(bytes) else {
        return false;
    };
    let threads = NonZero::<usize>::MIN;
    let census = Census::of(&described, &Options::default().threads(threads));
    if let Ok(census) = &census {
        for table in [&census.by_kind, &census.by_path] {
            assert_eq!(table.total().1, census.bytes);
            assert!(table.to_string().lines().count() == table.rows.len() + 2);
        }
    }
    let dumped = described
        .root()
        .map(|root| serde_json::to_writer(std::io::sink(), &root));
    let mut all = matches!(dumped, Ok(Ok(()))) && census.is_ok() && described.check().is_ok();
    for (key, _) in described.entries().into_iter().flatten().take(30).flatten() {
        let text = serde_json::to_string(&key).unwrap_or_default();
        all &= described.get(&text).is_ok();
    }
    if described.entries().is_some() {
        let nearest = described.nearest_keys("recipe", 3);
        all &= nearest.is_ok_and(|keys| keys.len() <= 3);
    }
    all
}
