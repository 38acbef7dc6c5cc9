//! Channels for programs that are started by exec: two descriptors, named in the environment, and a
//! third one to contribute through, if the owner accepts contributions.

use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::process::Command;
use std::sync::Arc;
use std::{env, io};

use rustix::io::fcntl_dupfd_cloexec;

use super::Subscription;
use super::control::ControlPage;
use crate::error::{ChannelError, Error, InheritanceError, Result};
use crate::sys::process;

/// `NAME/CONTROL/MAILBOX` for each cache, joined with slashes, which no name contains.
const VARIABLE: &str = "FLOE_LIVE";
/// `NAME/DOOR` for each cache to which programs can contribute.
const DOORS: &str = "FLOE_ACCEPT";
/// Standard input, output and error have the numbers before.
const FIRST_FREE: RawFd = 3;

/// Hands a channel to the program that a command starts, and to no other.
pub(super) fn pass(subscription: &Subscription, command: &mut Command) -> io::Result<()> {
    let duplicate = |fd| fcntl_dupfd_cloexec(fd, FIRST_FREE);
    let passed = [
        duplicate(subscription.control.as_fd())?,
        duplicate(subscription.mailbox())?,
    ];
    let door = subscription.door().map(|door| duplicate(door.as_fd()));
    let door = door.transpose()?;
    let [control, mailbox] = passed.each_ref().map(AsRawFd::as_raw_fd);
    let name = &subscription.name;
    add_row(command, VARIABLE, &format!("{name}/{control}/{mailbox}"));
    if let Some(door) = &door {
        let number = door.as_raw_fd();
        add_row(command, DOORS, &format!("{name}/{number}"));
    }
    process::keep_open_in(command, passed.into_iter().chain(door).collect());
    Ok(())
}

/// Adds a row to a variable of a command.
fn add_row(command: &mut Command, variable: &str, row: &str) {
    let earlier = command
        .get_envs()
        .find_map(|(key, value)| (key == variable).then_some(value?.to_str()?));
    let mut value = earlier.map_or(String::new(), |earlier| format!("{earlier}/"));
    value.push_str(row);
    command.env(variable, value);
}

/// A channel that the parent of this program has passed.
pub(crate) struct Inherited {
    pub(crate) subscription: Subscription,
    pub(crate) numbers: Vec<RawFd>,
}

impl Inherited {
    /// Finds the channel of a cache.
    ///
    /// # Errors
    /// [`ChannelError::NotInherited`], [`Error::UnknownCache`], [`Error::Descriptor`] and those of
    /// [`ControlPage::open`].
    pub(crate) fn find(name: &str) -> Result<Self> {
        if process::has_more_rights_than_its_parent() {
            return Err(not_inherited(InheritanceError::MoreRights));
        }
        let value = env::var(VARIABLE).map_err(|_| not_inherited(InheritanceError::NotPassed))?;
        let malformed = || not_inherited(InheritanceError::Malformed);
        let fields: Vec<&str> = value.split('/').collect();
        let (rows, rest) = fields.as_chunks::<3>();
        if !rest.is_empty() {
            return Err(malformed());
        }
        let Some([_, control, mailbox]) = rows.iter().rfind(|row| row[0] == name) else {
            return Err(Error::UnknownCache {
                name: name.to_owned(),
                place: "the environment".to_owned(),
                known: rows.iter().map(|row| row[0].to_owned()).collect(),
            });
        };
        let number = |text: &str| text.parse().map_err(|_| malformed());
        let numbers = [number(control)?, number(mailbox)?];
        let opened = |number| {
            process::inherited(number).map_err(|source| Error::Descriptor { reason: source })
        };
        let [control, mailbox] = numbers.map(opened);
        let door = inherited_door(name)?;
        let numbers = numbers.into_iter().chain(door).collect();
        let door = door.map(opened).transpose()?.map(Arc::new);
        let subscription =
            Subscription::new(name.to_owned(), ControlPage::open(control?)?, mailbox?);
        Ok(Self {
            subscription: subscription.with_door(door),
            numbers,
        })
    }

    /// Keeps the descriptors from the children of this program. To be called once they have proved
    /// to be those of a channel, and not others that happen to have these numbers.
    pub(crate) fn close_on_exec(numbers: Vec<RawFd>) {
        numbers.into_iter().for_each(process::close_on_exec);
    }
}

/// The number of the door of a cache, if its owner accepts contributions.
fn inherited_door(name: &str) -> Result<Option<RawFd>> {
    let Ok(value) = env::var(DOORS) else {
        return Ok(None);
    };
    let malformed = || not_inherited(InheritanceError::Malformed);
    let fields: Vec<&str> = value.split('/').collect();
    let (rows, rest) = fields.as_chunks::<2>();
    if !rest.is_empty() {
        return Err(malformed());
    }
    let door = rows.iter().rfind(|row| row[0] == name);
    door.map(|row| row[1].parse().map_err(|_| malformed()))
        .transpose()
}

fn not_inherited(reason: InheritanceError) -> Error {
    Error::Channel(ChannelError::NotInherited { reason })
}
