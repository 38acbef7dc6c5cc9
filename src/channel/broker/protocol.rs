//! The messages between a broker and its clients.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::channel::ChannelStatus;
use crate::region::format::NAME_LENGTH;
use crate::sys::memfd::{self, SealedFile};

/// What every message begins with; the digit is the version of the protocol.
const MAGIC: &[u8; 8] = b"\x89floebr1";
/// Length of the longest message.
pub(super) const LONGEST: usize = MAGIC.len() + 1 + NAME_LENGTH;
/// Most bytes of a list: a lying broker costs no more.
const LONGEST_LIST: u64 = 64 << 20;
/// Most rows of a list, for the same reason.
const MOST_ROWS: usize = 1 << 16;

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
    Busy = 5,
}

impl Reply {
    const ALL: [Self; 5] = [
        Self::List,
        Self::Channel,
        Self::Unknown,
        Self::Refused,
        Self::Busy,
    ];

    pub(super) fn encode(self) -> Vec<u8> {
        message(self as u8, "")
    }

    /// `None` for what is not a reply.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let [kind] = bytes.strip_prefix(MAGIC)? else {
            return None;
        };
        Self::ALL.into_iter().find(|reply| *reply as u8 == *kind)
    }
}

fn message(kind: u8, name: &str) -> Vec<u8> {
    [MAGIC, &[kind][..], name.as_bytes()].concat()
}

/// Writes a list into a sealed memfd: of any length, and sent without waiting.
pub(super) fn write_list(list: &[ChannelStatus]) -> io::Result<OwnedFd> {
    let mut file = memfd::create("floe-list")?;
    file.write_all(&serde_json::to_vec(list)?)?;
    Ok(File::from(SealedFile::seal(file)?).into())
}

/// Reads a list from a descriptor of anybody.
pub(super) fn read_list(fd: OwnedFd) -> io::Result<Vec<ChannelStatus>> {
    // Reading from anything but a memfd might never end.
    let sealed = SealedFile::open(fd).map_err(io::Error::other)?;
    let length = sealed.length();
    if length > LONGEST_LIST {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    let mut text = vec![0; length as usize];
    File::from(sealed).read_exact_at(&mut text, 0)?;
    let rows: Vec<&RawValue> = serde_json::from_slice(&text)?;
    if rows.len() > MOST_ROWS {
        let problem = format!("the list has {} rows, more than {MOST_ROWS}", rows.len());
        return Err(io::Error::new(io::ErrorKind::InvalidData, problem));
    }
    Ok(rows.into_iter().map(read_row).collect())
}

/// Reads a row; of a strange one, what there is: others are none the worse for it.
fn read_row(row: &RawValue) -> ChannelStatus {
    #[derive(Deserialize)]
    struct Named {
        name: String,
    }
    serde_json::from_str(row.get()).unwrap_or_else(|error| {
        let name = serde_json::from_str(row.get()).map(|Named { name }| name);
        let reason = format!("the broker sent a status of this cache that cannot be read: {error}");
        ChannelStatus::unreadable(name.unwrap_or_default(), reason)
    })
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
        for reply in Reply::ALL {
            assert_eq!(Reply::decode(&reply.encode()), Some(reply));
        }
    }

    fn sealed(text: &str) -> OwnedFd {
        let mut file = memfd::create("list").unwrap();
        file.write_all(text.as_bytes()).unwrap();
        File::from(SealedFile::seal(file).unwrap()).into()
    }

    #[test]
    fn a_strange_row_is_one_row() {
        let good = ChannelStatus::unreadable("good".to_owned(), "rain".to_owned());
        let strange = [
            r#"{"name":"short"}"#,
            r#"{"name":"huge","generation":1,"age_seconds":1e999}"#,
            r#"{"name":"null","generation":1,"age_seconds":null}"#,
            r#"{"name":5}"#,
            "[[[]]]",
            "7",
        ];
        let good = serde_json::to_string(&good).unwrap();
        let text = format!("[{},{good}]", strange.join(","));
        let rows = read_list(sealed(&text)).unwrap();
        let names: Vec<_> = rows.iter().map(|row| &*row.name).collect();
        assert_eq!(names, ["short", "huge", "null", "", "", "", "good"]);
        assert_eq!(rows[6].last_error.as_deref(), Some("rain"));
        for row in &rows[..6] {
            let reason = row.last_error.as_ref().unwrap();
            assert!(reason.contains("cannot be read"), "{reason}");
        }
    }

    #[test]
    fn a_list_of_nothing_costs_nothing() {
        let text = format!("[0{}]", ",0".repeat(MOST_ROWS));
        let refused = read_list(sealed(&text)).unwrap_err();
        assert!(refused.to_string().contains("65537 rows"), "{refused}");
    }

    #[test]
    fn garbage_is_neither() {
        let mut not_utf8 = message(2, "");
        not_utf8.push(0xff);
        for garbage in [
            b"",
            &MAGIC[..],
            &message(1, "a"),
            &message(6, ""),
            &not_utf8,
        ] {
            assert_eq!(Request::decode(garbage), None);
            assert_eq!(Reply::decode(garbage), None);
        }
    }
}
