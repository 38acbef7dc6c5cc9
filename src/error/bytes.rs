//! Byte counts for people.

use std::fmt;

/// Shows `count` bytes in the largest unit of which there is at least one: `512 B`, `1.5 KiB`,
/// `96.0 MiB`. Width and alignment of the format are honoured.
#[must_use]
pub fn bytes(count: u64) -> impl fmt::Display {
    fmt::from_fn(move |f| {
        let units = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
        if count < 1024 {
            return f.pad(&format!("{count} B"));
        }
        let power = count.ilog2() / 10;
        let scaled = count as f64 / (1_u64 << (10 * power)) as f64;
        f.pad(&format!("{scaled:.1} {}", units[power as usize - 1]))
    })
}

#[cfg(test)]
mod tests {
    use super::bytes;

    #[test]
    fn the_unit_fits_the_amount() {
        for (count, shown) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1536, "1.5 KiB"),
            (96 << 20, "96.0 MiB"),
            (3 << 29, "1.5 GiB"),
            (1 << 40, "1.0 TiB"),
            (u64::MAX, "16.0 EiB"),
        ] {
            assert_eq!(bytes(count).to_string(), shown);
        }
    }

    #[test]
    fn columns_line_up() {
        assert_eq!(format!("[{:>8}]", bytes(5)), "[     5 B]");
    }
}
