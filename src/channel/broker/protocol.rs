//! The messages between a broker and its clients.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;

use crate::channel::ChannelStatus;
use crate::region::format::NAME_LENGTH;
use crate::sys::memfd;

/// What every message begins with; the digit is the version of the protocol.
const MAGIC: &[u8; 8] = b"\x89floebr1";
/// Length of the longest message.
pub(super) const LONGEST: usize = MAGIC.len() + 1 + NAME_LENGTH;
/// Most bytes of a list: a lying broker costs no more.
const LONGEST_LIST: u64 = 64 << 20;

/// What a client asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Request {
    List,
    Follow { name: String },
}

impl Request {
    pub(super) fn encode(&self) -> Vec<u8> {
        match self {
            Self::List => message(1, ""),
            Self::Follow { name } => message(2, name),
        }
    }

    /// `None` for what is not a request.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        match bytes.strip_prefix(MAGIC)?.split_first()? {
            (1, []) => Some(Self::List),
            (2, name) => Some(Self::Follow {
                name: str::from_utf8(name).ok()?.to_owned(),
            }),
            _ => None,
        }
    }
}

/// What a message of the broker announces; the descriptors come with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reply {
    List = 1,
    Channel = 2,
    Unknown = 3,
    Refused = 4,
}

impl Reply {
    pub(super) fn encode(self) -> Vec<u8> {
        message(self as u8, "")
    }

    /// `None` for what is not a reply.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let [kind] = bytes.strip_prefix(MAGIC)? else {
            return None;
        };
        [Self::List, Self::Channel, Self::Unknown, Self::Refused]
            .into_iter()
            .find(|reply| *reply as u8 == *kind)
    }
}

fn message(kind: u8, name: &str) -> Vec<u8> {
    [MAGIC, &[kind][..], name.as_bytes()].concat()
}

/// Writes a list into a sealed memory file: of any length, and sent without waiting.
pub(super) fn write_list(list: &[ChannelStatus]) -> io::Result<OwnedFd> {
    let mut file = memfd::create("floe-list")?;
    file.write_all(&serde_json::to_vec(list)?)?;
    memfd::seal(&file)?;
    Ok(file.into())
}

/// Reads a list from a descriptor of anybody.
pub(super) fn read_list(fd: OwnedFd) -> io::Result<Vec<ChannelStatus>> {
    // Reading from anything but a memory file might never end.
    let length = memfd::sealed_length(&fd, memfd::all_seals()).map_err(io::Error::other)?;
    if length > LONGEST_LIST {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    let mut text = vec![0; length as usize];
    File::from(fd).read_exact_at(&mut text, 0)?;
    Ok(serde_json::from_slice(&text)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_and_replies_read_back() {
        let name = "é".repeat(64);
        for request in [Request::List, Request::Follow { name }] {
            let bytes = request.encode();
            assert!(bytes.len() <= LONGEST);
            assert_eq!(Request::decode(&bytes), Some(request));
        }
        for reply in [Reply::List, Reply::Channel, Reply::Unknown, Reply::Refused] {
            assert_eq!(Reply::decode(&reply.encode()), Some(reply));
        }
    }

    #[test]
    fn garbage_is_neither() {
        let mut not_utf8 = message(2, "");
        not_utf8.push(0xff);
        for garbage in [
            b"",
            &MAGIC[..],
            &message(1, "a"),
            &message(5, ""),
            &not_utf8,
        ] {
            assert_eq!(Request::decode(garbage), None);
            assert_eq!(Reply::decode(garbage), None);
        }
    }
}
