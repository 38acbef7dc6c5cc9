//! Which objects there are, and which their owners have left behind.
#![forbid(unsafe_code)]

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, SystemTime};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use rustix::process::geteuid;

use super::{DRAFT, failed};
use crate::error::{PosixError, Result};
use crate::region::file::read_start;
use crate::region::format::Header;
use crate::sys::shm;

/// How long an object may be without a lock while it is made.
const IN_THE_MAKING: Duration = Duration::from_secs(60);

/// A POSIX shared memory object that an owner of this user has published, or has begun to.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Object {
    /// Its name, without a slash.
    pub name: String,
    /// The name of the cache in it; none if its owner died while it wrote.
    pub cache: Option<String>,
    /// The number of this version of the cache.
    pub generation: Option<u64>,
    /// When it was frozen.
    pub created: Option<SystemTime>,
    /// Its length in bytes.
    pub bytes: u64,
    /// Whether its owner runs. What one has left that does not is removed by [`sweep`].
    pub owner_runs: bool,
}

/// An object, and the file that it was when it was looked at.
struct Found {
    object: Object,
    file: File,
}

/// The objects that owners of this user have published, by their names. Those that are being written
/// just now are none yet.
///
/// # Errors
/// [`PosixError::List`].
pub fn list() -> Result<Vec<Object>> {
    let is_shown = |it: &Object| it.cache.is_some() || !it.owner_runs;
    let objects = found()?.into_iter().map(|found| found.object);
    Ok(objects.filter(is_shown).collect())
}

/// Removes the objects of this user whose owners have ended without doing it, and returns what
/// they were. Never touches what an owner holds that runs, nor what no owner has published.
///
/// # Errors
/// [`PosixError::List`], and the [`PosixError::Step`] of the first that could not be removed.
pub fn sweep() -> Result<Vec<Object>> {
    let (mut swept, mut failure) = (Vec::new(), None);
    for found in found()? {
        match found.sweep() {
            Ok(true) => swept.push(found.object),
            Ok(false) => {}
            Err(error) => failure = failure.or(Some(error)),
        }
    }
    match failure {
        Some(error) => Err(error.into()),
        None => Ok(swept),
    }
}

/// Removes what a dead owner has left under a name. False if no owner has made what is there.
pub(super) fn sweep_name(name: &str) -> Result<bool> {
    if let Some(found) = look(name) {
        found.sweep()?;
        return Ok(true);
    }
    Ok(false)
}

fn found() -> Result<Vec<Found>> {
    let names = shm::names().map_err(|reason| PosixError::List {
        folder: shm::FOLDER,
        reason,
    })?;
    Ok(names.iter().filter_map(|name| look(name)).collect())
}

impl Found {
    /// Removes it if nobody holds it. The lock keeps others out who sweep, or publish.
    fn sweep(&self) -> Result<bool, PosixError> {
        if self.object.owner_runs {
            return Ok(false);
        }
        let name = &self.object.name;
        match flock(&self.file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) if !shm::is_name_of(name, &self.file) => Ok(true),
            Ok(()) => shm::unlink(name)
                .map(|()| true)
                .map_err(failed(name, "remove")),
            Err(Errno::WOULDBLOCK) => Ok(false),
            Err(errno) => Err(failed(name, "lock (flock)")(errno.into())),
        }
    }
}

/// What has a name, if an owner of this user made it.
fn look(name: &str) -> Option<Found> {
    let is_draft = is_draft(name);
    let opened = match is_draft {
        true => shm::open_unfinished(name),
        false => shm::open(name),
    };
    let mut file = opened.ok()?;
    let metadata = file.metadata().ok()?;
    if !metadata.is_file() || metadata.uid() != geteuid().as_raw() {
        return None;
    }
    let header = read_start(&mut file).ok();
    let header = header.and_then(|start| Header::decode(&start).ok());
    let is_own = |it: &Header| metadata.modified().is_ok_and(|at| at == it.created.wall());
    let header = header.filter(|it| !is_draft && is_own(it));
    if header.is_none() && !is_draft {
        return None;
    }
    let owner_runs = is_held(&file).ok()? || is_draft && is_young(&metadata);
    let object = Object {
        name: name.to_owned(),
        cache: header.as_ref().map(|it| it.name.clone()),
        generation: header.as_ref().map(|it| it.generation),
        created: header.as_ref().map(|it| it.created.wall()),
        bytes: metadata.len(),
        owner_runs,
    };
    Some(Found { object, file })
}

fn is_draft(name: &str) -> bool {
    let number = name.strip_prefix(DRAFT);
    number.is_some_and(|it| it.len() == 16 && it.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// Whether an owner has its lock. Those who look at the same time do not keep each other out.
fn is_held(file: &File) -> io::Result<bool> {
    match flock(file, FlockOperation::NonBlockingLockShared) {
        Ok(()) => {
            flock(file, FlockOperation::Unlock)?;
            Ok(false)
        }
        Err(Errno::WOULDBLOCK) => Ok(true),
        Err(errno) => Err(errno.into()),
    }
}

/// Whether it may be that its owner has not come to lock it. A date to come counts as now.
fn is_young(metadata: &Metadata) -> bool {
    let age = metadata.modified().map(|it| it.elapsed());
    !age.is_ok_and(|age| age.is_ok_and(|age| age >= IN_THE_MAKING))
}
