//! The bytes of the inputs section.
//!
//! ```text
//! inputs section = version (u32, little-endian) | keyed by (16 bytes)
//!                | list of inputs | list of sets | whole | common | list of entries | list of idle
//! list    = count | elements
//! input   = subject (0 path, 1 environment variable, 2 named value)
//!         | shared (u8: how many bytes the name begins with that the name before begins with too)
//!         | text (the rest of the name) | seen
//! seen    = 0 (absent) | 1 (present) | 2 stamp digest (metadata) | 3 stamp proof length digest (content)
//!         | 4 stamp proof filter names (listing) | 5 digest | 6 stamp most (too large)
//!         | 7 attempt failure (a number of the kernel, or one of our own)
//! stamp   = device | inode | size | modified | changed     (times in nanoseconds since 1970, i64)
//! proof   = what an equal stamp proves: 0 nothing | 1 equal content
//!         | 2 equal content on the same mount (8 bytes: xxh3-64 of boot id and mount id)
//! attempt = 0 (find) | 1 (read) | 2 filter (list)
//! filter  = 0 (none) | 1 text
//! text    = length | bytes
//! set     = list of inputs, each as the distance from the one before, the first from 0
//! entry   = unit as the distance from the one before | set
//! idle    = unit as the distance from the one before | generation
//! whole   = set of the whole value or of the list of keys
//! common  = set of the entries that are not listed
//! ```
//!
//! Numbers without a size are LEB128: seven bits a byte, lowest first, the high bit set in all but
//! the last. Digests are xxh3-128, little-endian. The unit of an entry is its archive offset in
//! units of 4 bytes. Inputs are sorted and distinct, as are units.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::sync::Arc;

use super::input::{Attempt, Input, Seen, Subject};
use super::proof::Proof;
use super::sets::Sets;
use super::stamp::Stamp;
use crate::region::format::inputs_head::VERSION;

/// The sets as bytes.
pub(crate) fn encode(sets: &Sets) -> Vec<u8> {
    let mut out = Writer(VERSION.to_le_bytes().to_vec());
    out.digest(sets.keyed_by);
    out.number(sets.inputs.len() as u64);
    let mut before: &[u8] = &[];
    for input in &sets.inputs {
        before = out.subject(&input.subject, before);
        out.seen(&input.seen);
    }
    out.number(sets.sets.len() as u64);
    for set in &sets.sets {
        out.number(set.len() as u64);
        let mut last = 0;
        for input in set {
            out.number(u64::from(*input - last));
            last = *input;
        }
    }
    out.number(u64::from(sets.whole));
    out.number(u64::from(sets.common));
    out.units(
        sets.entries
            .iter()
            .map(|(unit, set)| (*unit, u64::from(*set))),
    );
    out.units(sets.idle.iter().copied());
    out.0
}

/// The sets that `section` holds, if it is well-formed. It may come from anywhere: memory and time
/// are bounded by its length.
pub(crate) fn decode(section: &[u8]) -> Result<Sets, &'static str> {
    let mut from = Reader(section);
    if from.bytes(4)? != VERSION.to_le_bytes() {
        return Err("its version is unknown");
    }
    let keyed_by = from.digest()?;
    let mut inputs: Vec<Arc<Input>> = Vec::new();
    for _ in 0..from.number()? {
        let input = Arc::new(from.input(inputs.last().map(|last| &**last))?);
        if inputs.last().is_some_and(|last| *last >= input) {
            return Err("its inputs are not sorted");
        }
        inputs.push(input);
    }
    let mut sets = Vec::new();
    for _ in 0..from.number()? {
        sets.push(from.set(inputs.len())?);
    }
    let set = |from: &mut Reader<'_>| match from.number()? {
        set if set < sets.len() as u64 => Ok(set as u32),
        _ => Err("it names a set that is not there"),
    };
    let decoded = Sets {
        whole: set(&mut from)?,
        common: set(&mut from)?,
        entries: from.units(set)?,
        idle: from.units(Reader::number)?,
        inputs,
        sets,
        keyed_by,
    };
    if from.0.is_empty() {
        Ok(decoded)
    } else {
        Err("it has bytes behind its end")
    }
}

struct Writer(Vec<u8>);

impl Writer {
    fn number(&mut self, mut number: u64) {
        while number > 0x7f {
            self.0.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.0.push(number as u8);
    }

    fn text(&mut self, text: &[u8]) {
        self.number(text.len() as u64);
        self.0.extend_from_slice(text);
    }

    fn digest(&mut self, digest: u128) {
        self.0.extend_from_slice(&digest.to_le_bytes());
    }

    /// Writes a subject behind another with the name `before`; returns its name.
    fn subject<'a>(&mut self, subject: &'a Subject, before: &[u8]) -> &'a [u8] {
        let kind = match subject {
            Subject::Path(_) => 0,
            Subject::Environment(_) => 1,
            Subject::Value(_) => 2,
        };
        let name = subject.name().as_bytes();
        let equal = name
            .iter()
            .zip(before)
            .take_while(|(one, other)| one == other);
        // One byte bounds how much longer names get when they are read.
        let shared = equal.count().min(usize::from(u8::MAX));
        self.0.extend_from_slice(&[kind, shared as u8]);
        self.text(&name[shared..]);
        name
    }

    fn seen(&mut self, seen: &Seen) {
        match seen {
            Seen::Absent => self.0.push(0),
            Seen::Present => self.0.push(1),
            Seen::Metadata { stamp, digest } => {
                self.0.push(2);
                self.stamp(stamp);
                self.digest(*digest);
            }
            Seen::Content {
                stamp,
                proof,
                length,
                digest,
            } => {
                self.0.push(3);
                self.stamp(stamp);
                self.proof(*proof);
                self.number(*length);
                self.digest(*digest);
            }
            Seen::Listing {
                stamp,
                proof,
                filter,
                names,
            } => {
                self.0.push(4);
                self.stamp(stamp);
                self.proof(*proof);
                self.filter(filter.as_deref());
                self.text(names);
            }
            Seen::Digest(digest) => {
                self.0.push(5);
                self.digest(*digest);
            }
            Seen::TooLarge { stamp, most } => {
                self.0.push(6);
                self.stamp(stamp);
                self.number(*most);
            }
            Seen::Failed { attempt, failure } => {
                self.0.push(7);
                self.attempt(attempt);
                self.number(u64::from(*failure));
            }
        }
    }

    fn proof(&mut self, proof: Proof) {
        match proof {
            Proof::Nothing => self.0.push(0),
            Proof::Equal => self.0.push(1),
            Proof::SameMount(mount) => {
                self.0.push(2);
                self.0.extend_from_slice(&mount.to_le_bytes());
            }
        }
    }

    fn attempt(&mut self, attempt: &Attempt) {
        match attempt {
            Attempt::Find => self.0.push(0),
            Attempt::Read => self.0.push(1),
            Attempt::List(filter) => {
                self.0.push(2);
                self.filter(filter.as_deref());
            }
        }
    }

    fn filter(&mut self, filter: Option<&str>) {
        self.0.push(u8::from(filter.is_some()));
        if let Some(filter) = filter {
            self.text(filter.as_bytes());
        }
    }

    fn stamp(&mut self, stamp: &Stamp) {
        self.number(stamp.device);
        self.number(stamp.inode);
        self.number(stamp.size);
        self.0.extend_from_slice(&stamp.modified.to_le_bytes());
        self.0.extend_from_slice(&stamp.changed.to_le_bytes());
    }

    fn units(&mut self, units: impl ExactSizeIterator<Item = (u32, u64)>) {
        self.number(units.len() as u64);
        let mut last = 0;
        for (unit, number) in units {
            self.number(u64::from(unit - last));
            self.number(number);
            last = unit;
        }
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn bytes(&mut self, length: usize) -> Result<&'a [u8], &'static str> {
        let (bytes, rest) = self.0.split_at_checked(length).ok_or("it is cut short")?;
        self.0 = rest;
        Ok(bytes)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], &'static str> {
        self.bytes(N)?.try_into().map_err(|_| "it is cut short")
    }

    fn byte(&mut self) -> Result<u8, &'static str> {
        Ok(self.array::<1>()?[0])
    }

    fn flag(&mut self) -> Result<bool, &'static str> {
        match self.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err("a flag is neither 0 nor 1"),
        }
    }

    fn number(&mut self) -> Result<u64, &'static str> {
        let mut number = 0;
        for shift in (0..u64::BITS).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if (bits << shift) >> shift != bits {
                break;
            }
            number |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err("a number has more than 64 bits")
    }

    fn digest(&mut self) -> Result<u128, &'static str> {
        Ok(u128::from_le_bytes(self.array()?))
    }

    fn text(&mut self) -> Result<&'a [u8], &'static str> {
        let length = self.number()?;
        self.bytes(usize::try_from(length).unwrap_or(usize::MAX))
    }

    fn input(&mut self, before: Option<&Input>) -> Result<Input, &'static str> {
        let kind = self.byte()?;
        let shared = usize::from(self.byte()?);
        let before = before.map_or(&[][..], |input| input.subject.name().as_bytes());
        let shared = before
            .get(..shared)
            .ok_or("a name shares more than there is")?;
        let name = [shared, self.text()?].concat();
        let subject = match kind {
            0 => Subject::Path(OsString::from_vec(name)),
            1 => Subject::Environment(OsString::from_vec(name)),
            2 => Subject::Value(String::from_utf8(name).map_err(|_| "a name is not UTF-8")?),
            _ => return Err("an input is of an unknown kind"),
        };
        let seen = self.seen()?;
        Ok(Input { subject, seen })
    }

    fn seen(&mut self) -> Result<Seen, &'static str> {
        Ok(match self.byte()? {
            0 => Seen::Absent,
            1 => Seen::Present,
            2 => Seen::Metadata {
                stamp: self.stamp()?,
                digest: self.digest()?,
            },
            3 => Seen::Content {
                stamp: self.stamp()?,
                proof: self.proof()?,
                length: self.number()?,
                digest: self.digest()?,
            },
            4 => Seen::Listing {
                stamp: self.stamp()?,
                proof: self.proof()?,
                filter: self.filter()?,
                names: self.text()?.to_vec(),
            },
            5 => Seen::Digest(self.digest()?),
            6 => Seen::TooLarge {
                stamp: self.stamp()?,
                most: self.number()?,
            },
            7 => Seen::Failed {
                attempt: self.attempt()?,
                failure: u32::try_from(self.number()?)
                    .map_err(|_| "the number of a failure has more than 32 bits")?,
            },
            _ => return Err("what was seen of an input is of an unknown kind"),
        })
    }

    fn proof(&mut self) -> Result<Proof, &'static str> {
        match self.byte()? {
            0 => Ok(Proof::Nothing),
            1 => Ok(Proof::Equal),
            2 => Ok(Proof::SameMount(u64::from_le_bytes(self.array()?))),
            _ => Err("what a stamp proves is unknown"),
        }
    }

    fn attempt(&mut self) -> Result<Attempt, &'static str> {
        match self.byte()? {
            0 => Ok(Attempt::Find),
            1 => Ok(Attempt::Read),
            2 => Ok(Attempt::List(self.filter()?)),
            _ => Err("what failed is unknown"),
        }
    }

    fn filter(&mut self) -> Result<Option<String>, &'static str> {
        if !self.flag()? {
            return Ok(None);
        }
        let text = String::from_utf8(self.text()?.to_vec());
        text.map(Some).map_err(|_| "a filter is not UTF-8")
    }

    fn stamp(&mut self) -> Result<Stamp, &'static str> {
        Ok(Stamp {
            device: self.number()?,
            inode: self.number()?,
            size: self.number()?,
            modified: i64::from_le_bytes(self.array()?),
            changed: i64::from_le_bytes(self.array()?),
        })
    }

    fn set(&mut self, inputs: usize) -> Result<Vec<u32>, &'static str> {
        let mut set: Vec<u32> = Vec::new();
        for _ in 0..self.number()? {
            let distance = self.number()?;
            let input = match set.last() {
                None => Some(distance),
                Some(_) if distance == 0 => return Err("a set is not sorted"),
                Some(last) => u64::from(*last).checked_add(distance),
            };
            match input {
                Some(input) if input < inputs as u64 => set.push(input as u32),
                _ => return Err("a set names an input that is not there"),
            }
        }
        Ok(set)
    }

    fn units<T>(
        &mut self,
        mut value: impl FnMut(&mut Self) -> Result<T, &'static str>,
    ) -> Result<Vec<(u32, T)>, &'static str> {
        let mut units: Vec<(u32, T)> = Vec::new();
        for _ in 0..self.number()? {
            let distance = self.number()?;
            let unit = match units.last() {
                None => Some(distance),
                Some(_) if distance == 0 => return Err("its units are not sorted"),
                Some((last, _)) => u64::from(*last).checked_add(distance),
            };
            let unit = unit.and_then(|unit| u32::try_from(unit).ok());
            units.push((unit.ok_or("a unit has more than 32 bits")?, value(self)?));
        }
        Ok(units)
    }
}
