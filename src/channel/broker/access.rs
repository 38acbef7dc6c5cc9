//! Who may ask a broker.

use std::os::fd::OwnedFd;

use nix::unistd::{Gid, Uid, geteuid};

use crate::sys::peer::credentials;
use crate::sys::process::peer_groups;

/// The users that a broker answers, beside its own and root.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Access {
    /// The members of this group.
    pub(super) group: Option<Gid>,
}

impl Access {
    /// The permissions of the socket.
    pub(super) fn mode(self) -> u32 {
        if self.group.is_some() { 0o660 } else { 0o600 }
    }

    /// The user of a client, if it is answered.
    pub(super) fn admit(self, client: &OwnedFd) -> Option<Uid> {
        let (user, group) = credentials(client).ok()?;
        let is_member = |wanted| {
            let further = || peer_groups(client).unwrap_or_default();
            group == wanted || further().contains(&wanted)
        };
        let is_welcome = is_own(user) || self.group.is_some_and(is_member);
        is_welcome.then_some(user)
    }
}

/// Whether it is the user of this process, or root, whom nothing is kept from anyway.
pub(super) fn is_own(user: Uid) -> bool {
    user == geteuid() || user.is_root()
}
