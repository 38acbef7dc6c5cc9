//! Changes of files wake the background thread.

use std::sync::mpsc;
use std::time::Duration;

use floe::{Policy, Store};

use crate::fixture::Sources;

#[test]
fn an_edit_is_built_long_before_the_interval_has_passed() {
    let sources = Sources::new(&[("source", "one")]);
    let store = Store::new();
    let (said, hears) = mpsc::channel();
    let path = sources.path("source");
    let cache = store.cache(
        "watched",
        Policy::new().revalidate_inputs(),
        move |inputs| {
            let text = inputs.read_to_string(&path)?.unwrap_or_default();
            said.send(text.clone())?;
            Ok(text)
        },
    );
    cache.unwrap();
    let _background = store
        .refresh_in_background(Duration::from_secs(3600), |_| {})
        .unwrap();
    let minute = Duration::from_secs(60);
    assert_eq!(hears.recv_timeout(minute).unwrap(), "one");
    // The watch may begin a moment after the build: edits until one is heard.
    let heard = (0..6000).any(|_| {
        sources.write("source", "another");
        hears
            .recv_timeout(Duration::from_millis(10))
            .is_ok_and(|text| text == "another")
    });
    assert!(heard);
}
