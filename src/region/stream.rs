//! Regions out of streams: pipes, sockets, decompressors.
#![forbid(unsafe_code)]

use std::fs::File;
use std::io::{self, Read, Write};

use super::Region;
use super::file::{read_start, sealed_copy, write_failed};
use crate::error::{Error, HeaderError, Result};
use crate::region::format::Header;

/// Bytes that are read at a time.
const PIECE: usize = 64 << 10;

/// Copies one region out of a stream into a sealed memfd, and opens that as [`Region::open`] does.
/// What follows the region stays in the stream.
pub(crate) fn read(mut reader: impl Read) -> Result<Region> {
    let start = read_start(&mut reader).map_err(unreadable)?;
    let header = Header::decode(&start)?;
    header.check_one_file()?;
    sealed_copy(&header, |memory| {
        memory.write_all(&start).map_err(write_failed(&header))?;
        copy_rest(reader, memory, &header, start.len() as u64)
    })
}

/// Copies what follows the header, after which so many bytes are there. Memory is taken for bytes
/// that have arrived, whatever the header announces.
fn copy_rest(
    mut reader: impl Read,
    memory: &mut File,
    header: &Header,
    mut got: u64,
) -> Result<()> {
    let mut piece = vec![0; PIECE];
    while got < header.length {
        let most = (header.length - got).min(PIECE as u64) as usize;
        match reader.read(&mut piece[..most]) {
            Ok(0) => {
                let expected = header.length;
                return Err(Error::Header(HeaderError::Length { expected, got }));
            }
            Ok(count) => {
                memory
                    .write_all(&piece[..count])
                    .map_err(write_failed(header))?;
                got += count as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(unreadable(error)),
        }
    }
    Ok(())
}

fn unreadable(reason: io::Error) -> Error {
    Error::ReadStream { reason }
}
