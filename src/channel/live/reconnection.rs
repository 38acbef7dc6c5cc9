//! Connecting to the next owner once the one before has ended.

use std::time::Duration;

use crate::channel::Subscription;
use crate::channel::broker::Client;
use crate::error::{Error, Result};
use crate::sys::clock;

/// How long the broker has to answer: somebody wants to read meanwhile.
const PATIENCE: Duration = Duration::from_millis(100);

#[derive(Debug)]
pub(super) struct Reconnection {
    client: Client,
    pause: Duration,
    /// When to look after the owner again, on the boot clock.
    next: Duration,
    last_error: Option<Error>,
}

impl Reconnection {
    /// `None` for a client that is not to connect again.
    pub(super) fn of(client: &Client) -> Option<Box<Self>> {
        let pause = client.pause()?;
        Some(Box::new(Self {
            client: client.clone(),
            pause,
            next: clock::boot_now().saturating_add(pause),
            last_error: None,
        }))
    }

    pub(super) fn pause(&self) -> Duration {
        self.pause
    }

    /// Whether it is time to look after the owner; then it is not for a while.
    pub(super) fn is_due(&mut self) -> bool {
        let now = clock::boot_now();
        let is_due = now >= self.next;
        if is_due {
            self.next = now.saturating_add(self.pause);
        }
        is_due
    }

    pub(super) fn subscribe(&self, name: &str) -> Result<Subscription> {
        self.client.subscribe(name, PATIENCE)
    }

    /// Why the last attempt failed, if it has.
    pub(super) fn note(&mut self, error: Option<Error>) {
        self.last_error = error;
    }

    pub(super) fn last_error(&self) -> Option<&Error> {
        self.last_error.as_ref()
    }
}

impl Clone for Reconnection {
    fn clone(&self) -> Self {
        Self {
            client: self.client.clone(),
            pause: self.pause,
            next: self.next,
            last_error: None,
        }
    }
}
