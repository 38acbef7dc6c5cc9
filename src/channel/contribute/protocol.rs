//! The messages between an owner and those who contribute.
//!
//! ```text
//! door      magic | 1 + lane                       a new contributor's connection
//! lane      magic | 2 + answer, page files         a delta
//! answer    magic | 3 | Outcome as JSON            what became of it
//! lane back magic | 4 | NotTaken as JSON           why the owner has closed the lane
//! ```
//! Each is one message of a `SOCK_SEQPACKET` socket: it comes whole with its descriptors, or not at
//! all.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::outcome::Outcome;
use crate::error::NotTaken;

/// What every message begins with; the digit is the version of the protocol.
const MAGIC: &[u8; 8] = b"\x89floect1";
/// Length of the longest message of a contributor.
pub(super) const LONGEST_REQUEST: usize = MAGIC.len() + 1;
/// Length of the longest message of an owner.
pub(super) const LONGEST_REPLY: usize = 8 << 10;
/// Most bytes of a reason, so that the longest reply has room for it whatever JSON escapes.
const LONGEST_REASON: usize = 1 << 10;

pub(super) const CONNECT: u8 = 1;
pub(super) const OFFER: u8 = 2;
const ANSWER: u8 = 3;
const GOODBYE: u8 = 4;

/// What a contributor sends, beside descriptors.
pub(super) fn request(kind: u8) -> [u8; LONGEST_REQUEST] {
    let mut bytes = [kind; LONGEST_REQUEST];
    bytes[..MAGIC.len()].copy_from_slice(MAGIC);
    bytes
}

pub(super) fn answer(outcome: &Outcome) -> Vec<u8> {
    reply(ANSWER, &shortened(outcome.clone()))
}

pub(super) fn goodbye(why: &NotTaken) -> Vec<u8> {
    reply(GOODBYE, why)
}

/// `None` for what is not an answer.
pub(super) fn read_answer(bytes: &[u8]) -> Option<Outcome> {
    read(ANSWER, bytes)
}

/// `None` for what is not a goodbye.
pub(super) fn read_goodbye(bytes: &[u8]) -> Option<NotTaken> {
    read(GOODBYE, bytes)
}

fn reply(kind: u8, content: &impl Serialize) -> Vec<u8> {
    let mut bytes = request(kind).to_vec();
    // Numbers and texts can be written.
    bytes.extend(serde_json::to_vec(content).unwrap_or_default());
    bytes
}

fn read<T: DeserializeOwned>(kind: u8, bytes: &[u8]) -> Option<T> {
    let content = bytes.strip_prefix(MAGIC)?.strip_prefix(&[kind])?;
    serde_json::from_slice(content).ok()
}

/// The same with a reason that fits into a message.
fn shortened(mut outcome: Outcome) -> Outcome {
    if let Outcome::NotTaken(
        NotTaken::Invalid { reason }
        | NotTaken::Failed { reason }
        | NotTaken::Forbidden { key: reason },
    ) = &mut outcome
    {
        reason.truncate(reason.floor_char_boundary(LONGEST_REASON));
    }
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channel::contribute::outcome::Merged;

    #[test]
    fn outcomes_read_back_and_long_reasons_are_cut() {
        let reason = "\u{1}".repeat(LONGEST_REASON) + "é";
        let long = NotTaken::Failed { reason };
        let sent = answer(&Outcome::NotTaken(long));
        assert!(sent.len() <= LONGEST_REPLY, "{}", sent.len());
        assert!(read_answer(&sent).is_some());
        for outcome in [
            Outcome::Merged(Merged::default()),
            Outcome::NotTaken(NotTaken::Lost),
        ] {
            assert_eq!(read_answer(&answer(&outcome)), Some(outcome));
        }
        let why = NotTaken::Closed;
        assert_eq!(read_goodbye(&goodbye(&why)), Some(why));
    }

    #[test]
    fn garbage_is_neither() {
        let answer = answer(&Outcome::NotTaken(NotTaken::Lost));
        for garbage in [b"", &MAGIC[..], &answer[..answer.len() - 1], b"floe"] {
            assert_eq!(read_answer(garbage), None);
            assert_eq!(read_goodbye(garbage), None);
        }
        assert_eq!(read_goodbye(&answer), None);
    }
}
