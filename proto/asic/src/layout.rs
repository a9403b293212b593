//! Whether a zip archive says the same to those who read it from its start and to those who read it from its end.
//!
//! The directory at the end names the entries; each has a header of its own in front of its data (APPNOTE.TXT 4.3.6).
//! X-Road's tools and others go from header to header. So entries that the directory does not name, bytes between
//! entries, or a header that says something else than the directory would show two readers two documents.

use std::io::{Read, Seek, SeekFrom};

use zip::result::ZipError;
use zip::{CompressionMethod, ZipArchive};

/// Signature and fixed part of a local header.
const HEADER: u64 = 30;
/// Longest data descriptor behind an entry's data.
const DESCRIPTOR: u64 = 24;
/// The fixed part of the record at the end.
const END: u64 = 22;
/// The size is in the extra field.
const LARGE: u32 = u32::MAX;

/// An entry as the directory names it.
struct Named {
    start: u64,
    name: Vec<u8>,
    method: u16,
    size: u64,
    is_encrypted: bool,
    has_descriptor: bool,
}

/// Why an archive can be understood in two ways.
const NAMES: &str = "an entry has two names";
/// The same of the other fields of a header.
const HEADERS: &str = "an entry is described in two ways";
/// The same of what no entry is.
const GAPS: &str = "there are bytes that belong to no entry";

/// Checks an archive; `Err` in the result says how it can be understood in two ways. At most `most` entries are looked at,
/// for the caller refuses more.
///
/// # Errors
/// The archive cannot be read.
pub fn check<R: Read + Seek>(
    reader: &mut R,
    most: usize,
) -> Result<Result<(), &'static str>, ZipError> {
    let mut archive = ZipArchive::new(&mut *reader)?;
    let mut entries = Vec::new();
    for index in 0..archive.len().min(most) {
        let entry = archive.by_index_raw(index)?;
        entries.push(Named {
            start: entry.header_start(),
            name: entry.name_raw().to_vec(),
            method: match entry.compression() {
                CompressionMethod::Stored => 0,
                CompressionMethod::Deflated => 8,
                _ => {
                    return Ok(Err(
                        "an entry is compressed in a way that not everybody reads",
                    ));
                }
            },
            size: entry.compressed_size(),
            is_encrypted: entry.encrypted(),
            has_descriptor: entry.flags().is_using_data_descriptor(),
        });
    }
    let directory = archive.central_directory_start();
    let comment = archive.comment().len() as u64;
    drop(archive);
    entries.sort_by_key(|entry| entry.start);

    let mut at = 0;
    let mut slack = 0;
    for entry in &entries {
        // A gap is a data descriptor at most, in which no header has room.
        if entry.start < at || entry.start - at > slack {
            return Ok(Err(GAPS));
        }
        let behind = match header(reader, entry)? {
            Ok(length) => length.checked_add(entry.size),
            Err(differs) => return Ok(Err(differs)),
        };
        let Some(behind) = behind.and_then(|length| length.checked_add(entry.start)) else {
            return Ok(Err(GAPS));
        };
        at = behind;
        slack = if entry.has_descriptor { DESCRIPTOR } else { 0 };
    }
    let is_closed = directory >= at && directory - at <= slack;
    let length = reader.seek(SeekFrom::End(0))?;
    let mut end = [0; 4];
    if length >= END + comment {
        reader.seek(SeekFrom::Start(length - END - comment))?;
        reader.read_exact(&mut end)?;
    }
    Ok(if is_closed && end == *b"PK\x05\x06" {
        Ok(())
    } else {
        Err(GAPS)
    })
}

/// Compares an entry's own header with the directory; gives the header's length.
fn header<R: Read + Seek>(
    reader: &mut R,
    entry: &Named,
) -> Result<Result<u64, &'static str>, ZipError> {
    reader.seek(SeekFrom::Start(entry.start))?;
    let mut fixed = [0; HEADER as usize];
    reader.read_exact(&mut fixed)?;
    let short = |at: usize| u16::from_le_bytes([fixed[at], fixed[at + 1]]);
    let long =
        |at: usize| u32::from_le_bytes([fixed[at], fixed[at + 1], fixed[at + 2], fixed[at + 3]]);
    let mut name = vec![0; usize::from(short(26))];
    reader.read_exact(&mut name)?;
    let mut extra = vec![0; usize::from(short(28))];
    reader.read_exact(&mut extra)?;
    if !fixed.starts_with(b"PK\x03\x04") || name != entry.name {
        return Ok(Err(NAMES));
    }
    let (flags, size) = (short(6), long(18));
    let mut says_size = u64::from(size) == entry.size || (entry.has_descriptor && size == 0);
    let mut rest = extra.as_slice();
    while let [a, b, c, d, behind @ ..] = rest {
        let (kind, length) = (u16::from_le_bytes([*a, *b]), u16::from_le_bytes([*c, *d]));
        let Some((field, behind)) = behind.split_at_checked(usize::from(length)) else {
            break;
        };
        match kind {
            // Both sizes in eight bytes, the second the compressed one (4.5.3).
            1 if size == LARGE => {
                let size = field.get(8..16).and_then(|eight| eight.try_into().ok());
                let size = size.map(u64::from_le_bytes);
                says_size = size == Some(entry.size) || (entry.has_descriptor && size == Some(0));
            }
            // Another name in UTF-8, behind a version and a check sum (4.6.9).
            0x7075 if field.get(5..) != Some(&entry.name) => return Ok(Err(NAMES)),
            _ => {}
        }
        rest = behind;
    }
    let is_same = says_size
        && short(8) == entry.method
        && (flags & 1 != 0) == entry.is_encrypted
        && (flags & 8 != 0) == entry.has_descriptor;
    Ok(if is_same {
        Ok(HEADER + name.len() as u64 + extra.len() as u64)
    } else {
        Err(HEADERS)
    })
}
