//! Keeps the caches of a layer fresh, and says of each refresh what it did.

use std::error::Error;
use std::io::{Write, stdout};
use std::path::Path;
use std::time::Duration;

use floe::Store;
use floe::store::Outcome;

use crate::cached;

/// How often the layer is looked at.
const INTERVAL: Duration = Duration::from_millis(500);

/// Watches a layer until the output is closed, or for a number of looks at it.
pub(crate) fn watch(root: &Path, most: Option<u64>) -> Result<(), Box<dyn Error>> {
    let store = Store::new();
    let statements = cached::statements(&store, root)?;
    cached::recipes(&store, root, &statements)?;
    cached::code(&store, &statements)?;
    for look in 0.. {
        if most.is_some_and(|most| look >= most) {
            break;
        }
        if look > 0 {
            std::thread::sleep(INTERVAL);
        }
        let report = store.refresh()?;
        for cache in &report.caches {
            if !matches!(cache.outcome, Outcome::Fresh | Outcome::Waiting) {
                writeln!(stdout(), "{cache}")?;
            }
        }
    }
    Ok(())
}
