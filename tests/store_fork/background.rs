//! Refreshing on a thread.

use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::time::Duration;

use floe::{Policy, Store, prefork};

use crate::owners::counted;

pub fn a_thread_refreshes_until_it_is_dropped() {
    let store = Store::new();
    let (cache, value) = counted(&store, 3);
    let (said, hears) = mpsc::sync_channel(0);
    let last = store.cache("last", Policy::new(), move |inputs| {
        inputs.cache(&cache)?;
        said.send(())?;
        Ok(0_u32)
    });
    last.unwrap();
    let long = Duration::from_secs(3600);
    let background = store.refresh_in_background(long, |_| {}).unwrap();
    let minute = Duration::from_secs(60);
    hears.recv_timeout(minute).unwrap();
    value.store(2, Ordering::Relaxed);
    for name in ["counted", "last"] {
        store.invalidate(name).unwrap();
    }
    background.wake();
    hears.recv_timeout(minute).unwrap();
    drop(background);
    // The thread is gone, so that a fork is safe again.
    let read = prefork::spawn(1, |_| 0);
    read.unwrap().join().unwrap();
    assert_eq!(store.status().unwrap()[0].generation, 2);
}
