//! Integers of any size.
#![forbid(unsafe_code)]

use std::fmt;

/// Largest numbers that are printed in decimal: more bytes take quadratic time.
const DECIMAL_LIMIT: usize = 2048;

/// An integer that an `i64` has no room for.
///
/// Its bytes are two's complement, little-endian, and as few as hold it: what Python's
/// `int.to_bytes(.., "little", signed=True)` gives for the least length.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct BigInt(Vec<u8>);

/// A whole number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Whole {
    Small(i64),
    Big(BigInt),
}

impl BigInt {
    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The number that bytes stand for, which need not be the fewest; in an `Err` the `i64` that
    /// has room for it.
    ///
    /// # Errors
    /// The number, where it is not big.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, i64> {
        let least = least(bytes);
        if least.len() > 8 {
            return Ok(Self(least.to_vec()));
        }
        let fill = if is_negative(least) { 0xff } else { 0 };
        let number = std::array::from_fn(|at| *least.get(at).unwrap_or(&fill));
        Err(i64::from_le_bytes(number))
    }

    /// Whether it is below zero.
    #[must_use]
    pub fn is_negative(&self) -> bool {
        is_negative(&self.0)
    }

    pub(crate) fn from_checked(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }
}

/// Whether bytes are the fewest that hold a number, and more than those of an `i64`.
pub(crate) fn is_big(bytes: &[u8]) -> bool {
    bytes.len() > 8 && least(bytes).len() == bytes.len()
}

fn is_negative(bytes: &[u8]) -> bool {
    bytes.last().is_some_and(|last| last & 0x80 != 0)
}

/// The bytes without those that only repeat the sign.
fn least(mut bytes: &[u8]) -> &[u8] {
    while let [rest @ .., before, last] = bytes {
        let sign = if before & 0x80 != 0 { 0xff } else { 0 };
        if *last != sign {
            break;
        }
        bytes = &bytes[..rest.len() + 1];
    }
    bytes
}

impl From<i128> for Whole {
    fn from(number: i128) -> Self {
        match BigInt::from_bytes(&number.to_le_bytes()) {
            Ok(big) => Self::Big(big),
            Err(small) => Self::Small(small),
        }
    }
}

impl From<u128> for Whole {
    fn from(number: u128) -> Self {
        let mut bytes = [0; 17];
        bytes[..16].copy_from_slice(&number.to_le_bytes());
        match BigInt::from_bytes(&bytes) {
            Ok(big) => Self::Big(big),
            Err(small) => Self::Small(small),
        }
    }
}

/// A float as the integer that it is equal to, if there is one.
pub(crate) fn whole(number: f64) -> Option<Whole> {
    /// 2^63: floats from there on have no fraction.
    const END: f64 = 9_223_372_036_854_775_808.0;
    if !number.is_finite() || number.fract() != 0.0 {
        return None;
    }
    if (-END..END).contains(&number) {
        return Some(Whole::Small(number as i64));
    }
    let bits = number.to_bits();
    let exponent = (bits >> 52 & 0x7ff) as usize - 1075;
    let mantissa = u128::from(bits & ((1 << 52) - 1) | 1 << 52) << (exponent % 8);
    let mut bytes = vec![0; exponent / 8];
    bytes.extend_from_slice(&mantissa.to_le_bytes());
    if number < 0.0 {
        negate(&mut bytes);
    }
    BigInt::from_bytes(&bytes).ok().map(Whole::Big)
}

/// Changes the sign of two's complement.
fn negate(bytes: &mut [u8]) {
    let mut carry = true;
    for byte in bytes {
        let (negated, carries) = (!*byte).overflowing_add(u8::from(carry));
        (*byte, carry) = (negated, carries);
    }
}

/// Decimal digits, or hexadecimal ones of very large numbers.
pub(crate) fn write_digits(bytes: &[u8], f: &mut impl fmt::Write) -> fmt::Result {
    let mut magnitude = bytes.to_vec();
    if is_negative(bytes) {
        // One more byte, for the least number of its length.
        magnitude.push(0xff);
        negate(&mut magnitude);
        f.write_char('-')?;
    }
    while magnitude.last() == Some(&0) {
        magnitude.pop();
    }
    if magnitude.len() > DECIMAL_LIMIT {
        f.write_str("0x")?;
        let mut digits = magnitude.iter().rev();
        digits
            .next()
            .map_or(Ok(()), |first| write!(f, "{first:x}"))?;
        return digits.try_for_each(|byte| write!(f, "{byte:02x}"));
    }
    let mut limbs: Vec<u32> = magnitude
        .chunks(4)
        .map(|chunk| {
            let byte = |at| u32::from(*chunk.get(at).unwrap_or(&0)) << (8 * at);
            byte(0) | byte(1) | byte(2) | byte(3)
        })
        .collect();
    let mut groups = Vec::new();
    while !limbs.is_empty() {
        let mut rest = 0_u64;
        for limb in limbs.iter_mut().rev() {
            let number = rest << 32 | u64::from(*limb);
            (*limb, rest) = ((number / 1_000_000_000) as u32, number % 1_000_000_000);
        }
        groups.push(rest);
        while limbs.last() == Some(&0) {
            limbs.pop();
        }
    }
    let mut groups = groups.iter().rev();
    write!(f, "{}", groups.next().unwrap_or(&0))?;
    groups.try_for_each(|group| write!(f, "{group:09}"))
}

/// Decimal digits; hexadecimal ones from 2,048 bytes on.
impl fmt::Display for BigInt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_digits(&self.0, f)
    }
}

impl fmt::Debug for BigInt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
