//! What a verb looks at: the one place that knows where the bytes of a region come from.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs::{self, File};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::OnceLock;

use floe::dynamic::Described;
use floe::pages::page_files;
use floe::{ChannelStatus, Client, Error};

use super::CommandError;

/// What the verbs say about the argument.
pub(crate) const HELP: &str = "\
The region: a file, a memfd as /proc/PID/fd/N, posix:NAME, a POSIX shared memory object (`floe \
names` lists them), or SOCKET:NAME, the newest generation of a cache that a broker offers (`floe ls \
SOCKET` lists them). A path that exists is that file, even if it contains a colon";

/// How the argument begins that names a POSIX shared memory object.
const POSIX: &str = "posix:";

/// A region on the command line.
#[derive(Debug, Clone)]
pub(crate) struct Target(OsString);

/// Where the bytes are.
enum Place {
    File(PathBuf),
    /// In a POSIX shared memory object.
    Posix(String),
    /// In the newest generation of a cache of a broker.
    Cache(Socket, String),
}

impl Target {
    /// Opens the region and reads no more of it than is asked for. Damage elsewhere goes unnoticed.
    pub(crate) fn open(&self) -> Result<Described, CommandError> {
        match self.place()? {
            Place::File(path) => Ok(Described::open(path)?),
            Place::Posix(name) => Ok(Described::open_posix(&name)?),
            Place::Cache(socket, name) => {
                let opened = Described::open_fds(socket.fetch(&name)?);
                opened.map_err(|error| self.refuse(error))
            }
        }
    }

    /// Opens the region after a check of all digests, and of the seals if it is in memory: in
    /// place then, else as a sealed copy.
    pub(crate) fn load(&self) -> Result<Described, CommandError> {
        let path = match self.place()? {
            Place::Cache(socket, name) => return self.described(socket.fetch(&name)?),
            Place::Posix(name) => return Ok(Described::load_posix(&name)?),
            Place::File(path) => path,
        };
        match page_files(&path) {
            Ok(Some(fds)) => self.described(fds),
            Ok(None) | Err(Error::ReadFile { .. }) => Ok(Described::load(path)?),
            Err(error) => Err(self.refuse(error)),
        }
    }

    /// Whether the region is in memory, where others may map it.
    pub(crate) fn is_memory_file(&self) -> bool {
        match self.place() {
            Ok(Place::File(path)) => is_memfd(&path),
            Ok(Place::Cache(..)) => true,
            Ok(Place::Posix(_)) | Err(_) => false,
        }
    }

    /// Whether the region is in a POSIX shared memory object.
    pub(crate) fn is_posix_object(&self) -> bool {
        matches!(self.place(), Ok(Place::Posix(_)))
    }

    /// Adds the target to an error that does not tell it.
    pub(crate) fn refuse(&self, reason: impl fmt::Display) -> CommandError {
        let (target, reason) = (self.to_string(), reason.to_string());
        CommandError::In { target, reason }
    }

    /// The root that is asked for, or all of the region.
    pub(crate) fn root<'a>(
        &self,
        region: &'a Described,
        name: Option<&str>,
    ) -> Result<&'a Described, CommandError> {
        let Some(name) = name else {
            return Ok(region);
        };
        if region.roots().len() == 0 {
            return Err(self.refuse("it has no named roots; leave out --root"));
        }
        region.named(name).map_err(|error| self.refuse(error))
    }

    fn described(&self, fds: Vec<OwnedFd>) -> Result<Described, CommandError> {
        Described::from_fds(fds).map_err(|error| self.refuse(error))
    }

    /// Tells a file from an object and from a cache: a path that exists wins, then `posix:`, and else
    /// what stands before a colon and is a socket.
    fn place(&self) -> Result<Place, CommandError> {
        let whole = Path::new(&self.0);
        if is_socket(whole) {
            return Err(self.without_name(&Socket(whole.to_owned())));
        }
        if whole.exists() {
            return Ok(Place::File(whole.to_owned()));
        }
        if let Some(name) = self.0.as_bytes().strip_prefix(POSIX.as_bytes()) {
            let name = String::from_utf8_lossy(name);
            // POSIX begins names with a slash.
            let name = name.strip_prefix('/').unwrap_or(&name);
            return Ok(Place::Posix(name.to_owned()));
        }
        let colons = self.0.as_bytes().iter().enumerate();
        let colons = colons.filter(|(_, byte)| **byte == b':');
        let mut splits = colons.map(|(colon, _)| {
            let (path, name) = self.0.as_bytes().split_at(colon);
            (Path::new(OsStr::from_bytes(path)), &name[1..])
        });
        let Some((path, name)) = splits.clone().find(|(path, _)| is_socket(path)) else {
            return match splits.next_back() {
                Some((path, _)) => Err(self.refuse(format_args!(
                    "the file does not exist, and {} is not a socket",
                    path.display()
                ))),
                // Opening it tells what is the matter.
                None => Ok(Place::File(whole.to_owned())),
            };
        };
        let socket = Socket(path.to_owned());
        match String::from_utf8_lossy(name).into_owned() {
            name if name.is_empty() => Err(self.without_name(&socket)),
            name => Ok(Place::Cache(socket, name)),
        }
    }

    /// Lists what could have been meant.
    fn without_name(&self, socket: &Socket) -> CommandError {
        let caches = match socket.list() {
            Ok(caches) => caches,
            Err(failure) => return failure,
        };
        let targets: Vec<String> = caches
            .iter()
            .map(|cache| format!("{socket}:{}", cache.name))
            .collect();
        self.refuse(match targets.is_empty() {
            true => "it is a broker that offers no cache".to_owned(),
            false => format!(
                "it is a broker; name one of its caches: {}",
                targets.join(", ")
            ),
        })
    }
}

/// Users whose brokers are believed, by their numbers: those that the command line tells.
static TRUSTED: OnceLock<Vec<u32>> = OnceLock::new();

/// Says, once, which users are trusted beside this one and root.
pub(crate) fn trust(users: &[User]) {
    let _ = TRUSTED.set(users.iter().map(|user| user.0).collect());
}

/// A user on the command line, by number or name.
#[derive(Debug, Clone)]
pub(crate) struct User(u32);

impl FromStr for User {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let by_name = || match nix::unistd::User::from_name(text) {
            Ok(Some(user)) => Ok(user.uid.as_raw()),
            Ok(None) => Err("there is no such user".to_owned()),
            Err(errno) => Err(errno.to_string()),
        };
        text.parse().or_else(|_| by_name()).map(Self)
    }
}

/// The socket of a broker on the command line.
#[derive(Debug, Clone)]
pub(crate) struct Socket(PathBuf);

impl Socket {
    /// What the broker offers.
    pub(crate) fn list(&self) -> Result<Vec<ChannelStatus>, CommandError> {
        if self.0.exists() && !is_socket(&self.0) {
            let reason = "it is not the socket of a broker".to_owned();
            let target = self.to_string();
            return Err(CommandError::In { target, reason });
        }
        Ok(self.client().list()?)
    }

    fn fetch(&self, name: &str) -> Result<Vec<OwnedFd>, CommandError> {
        Ok(self.client().fetch(name)?)
    }

    fn client(&self) -> Client {
        let trusted = TRUSTED.get().into_iter().flatten();
        trusted.fold(Client::new(&self.0), |client, user| {
            client.trust_user(*user)
        })
    }
}

fn is_socket(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|metadata| metadata.file_type().is_socket())
}

fn is_memfd(path: &Path) -> bool {
    let is_file = fs::metadata(path).is_ok_and(|metadata| metadata.is_file());
    // Opening something else, such as a FIFO, might not return.
    let Some(file) = is_file.then(|| File::open(path).ok()).flatten() else {
        return false;
    };
    let shown = fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd()));
    let shown = shown.unwrap_or_default();
    shown.as_os_str().as_encoded_bytes().starts_with(b"/memfd:")
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.display().fmt(f)
    }
}

impl fmt::Display for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.display().fmt(f)
    }
}

impl From<OsString> for Target {
    fn from(argument: OsString) -> Self {
        Self(argument)
    }
}

impl From<OsString> for Socket {
    fn from(argument: OsString) -> Self {
        Self(argument.into())
    }
}
