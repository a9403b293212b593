//! Reading and writing ASN.1 DER (X.690 section 10).
//!
//! A signature covers bytes, not values, so the reader hands out slices of what
//! was received and never builds a tree: [`Element::whole`] is what a signature
//! was made over. It is total: any input gives a value or an error, lengths are
//! checked against what is there, and nothing recurses except [`to_definite`],
//! which is bounded by [`MAX_DEPTH`].

use time::{Date, Month, OffsetDateTime, PrimitiveDateTime, Time};

/// Deepest nesting that [`to_definite`] follows. A time-stamp token has 11 levels.
pub const MAX_DEPTH: usize = 32;

/// BOOLEAN.
pub const BOOLEAN: u8 = 0x01;
/// INTEGER.
pub const INTEGER: u8 = 0x02;
/// BIT STRING, primitive.
pub const BIT_STRING: u8 = 0x03;
/// OCTET STRING, primitive.
pub const OCTET_STRING: u8 = 0x04;
/// NULL.
pub const NULL: u8 = 0x05;
/// OBJECT IDENTIFIER.
pub const OID: u8 = 0x06;
/// ENUMERATED.
pub const ENUMERATED: u8 = 0x0a;
/// UTF8String.
pub const UTF8_STRING: u8 = 0x0c;
/// PrintableString.
pub const PRINTABLE_STRING: u8 = 0x13;
/// TeletexString (T61String).
pub const TELETEX_STRING: u8 = 0x14;
/// IA5String.
pub const IA5_STRING: u8 = 0x16;
/// UTCTime.
pub const UTC_TIME: u8 = 0x17;
/// GeneralizedTime.
pub const GENERALIZED_TIME: u8 = 0x18;
/// UniversalString.
pub const UNIVERSAL_STRING: u8 = 0x1c;
/// BMPString.
pub const BMP_STRING: u8 = 0x1e;
/// SEQUENCE, constructed.
pub const SEQUENCE: u8 = 0x30;
/// SET, constructed.
pub const SET: u8 = 0x31;

/// The tag of a constructed context-specific element, `[number] EXPLICIT` or a constructed implicit one.
pub const fn context(number: u8) -> u8 {
    0xa0 | number
}

/// The tag of a primitive context-specific element, `[number] IMPLICIT` of a primitive type.
pub const fn context_primitive(number: u8) -> u8 {
    0x80 | number
}

/// Why bytes are not the DER that was expected. The fault is the writer's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DerError {
    /// The input ends within an element.
    #[error("the ASN.1 data ends too early")]
    Truncated,
    /// Bytes follow where the structure has ended.
    #[error("there is data behind the end of an ASN.1 structure")]
    TrailingData,
    /// Another type of element was expected here.
    #[error("ASN.1 element of tag {found:#04x} where {expected:#04x} is expected")]
    UnexpectedTag {
        /// Tag that the structure has at this place.
        expected: u8,
        /// Tag that was found.
        found: u8,
    },
    /// A length is indefinite, longer than four bytes or not the shortest form.
    #[error("an ASN.1 length is not in its distinguished form")]
    Length,
    /// The contents of an element do not fit its type.
    #[error("the contents of an ASN.1 element do not fit its type")]
    Contents,
    /// The nesting is deeper than [`MAX_DEPTH`].
    #[error("ASN.1 data is nested deeper than {MAX_DEPTH} levels")]
    Depth,
}

/// One element: its tag, its contents, and all its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Element<'a> {
    /// Identifier octet; only tag numbers below 31 exist in our structures.
    pub tag: u8,
    /// The contents octets.
    pub contents: &'a [u8],
    /// Identifier, length and contents octets as received.
    pub whole: &'a [u8],
}

impl<'a> Element<'a> {
    /// A reader over the contents, for constructed elements.
    pub fn reader(&self) -> Reader<'a> {
        Reader::new(self.contents)
    }
}

/// A cursor over a run of DER elements.
#[derive(Debug, Clone, Copy)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// A reader over the elements of `input`.
    pub fn new(input: &'a [u8]) -> Self {
        Reader { rest: input }
    }

    /// Whether every element has been read.
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The bytes that were not read yet.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The tag of the next element, if there is one.
    pub fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    /// Refuses bytes that were not read.
    pub fn finish(self) -> Result<(), DerError> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(DerError::TrailingData)
        }
    }

    /// The next element, of whatever type.
    pub fn element(&mut self) -> Result<Element<'a>, DerError> {
        let input = self.rest;
        let tag = *input.first().ok_or(DerError::Truncated)?;
        if tag & 0x1f == 0x1f {
            return Err(DerError::Contents);
        }
        let first = *input.get(1).ok_or(DerError::Truncated)?;
        let (length, header) = if first < 0x80 {
            (usize::from(first), 2)
        } else {
            let count = usize::from(first & 0x7f);
            if count == 0 || count > 4 {
                return Err(DerError::Length);
            }
            let octets = input.get(2..2 + count).ok_or(DerError::Truncated)?;
            let length = octets
                .iter()
                .fold(0usize, |length, octet| length << 8 | usize::from(*octet));
            if octets[0] == 0 || length < 0x80 {
                return Err(DerError::Length);
            }
            (length, 2 + count)
        };
        let end = header.checked_add(length).ok_or(DerError::Length)?;
        let whole = input.get(..end).ok_or(DerError::Truncated)?;
        self.rest = &input[end..];
        Ok(Element {
            tag,
            contents: &whole[header..],
            whole,
        })
    }

    /// The next element, which must have this tag.
    pub fn expect(&mut self, tag: u8) -> Result<Element<'a>, DerError> {
        match self.peek() {
            Some(found) if found == tag => self.element(),
            Some(found) => Err(DerError::UnexpectedTag {
                expected: tag,
                found,
            }),
            None => Err(DerError::Truncated),
        }
    }

    /// The next element if it has this tag.
    pub fn optional(&mut self, tag: u8) -> Result<Option<Element<'a>>, DerError> {
        if self.peek() == Some(tag) {
            self.element().map(Some)
        } else {
            Ok(None)
        }
    }

    /// A reader over the contents of the next element, a SEQUENCE.
    pub fn sequence(&mut self) -> Result<Reader<'a>, DerError> {
        Ok(self.expect(SEQUENCE)?.reader())
    }

    /// The contents of the next element, an OBJECT IDENTIFIER.
    pub fn oid(&mut self) -> Result<&'a [u8], DerError> {
        let contents = self.expect(OID)?.contents;
        if contents.is_empty() || contents[contents.len() - 1] & 0x80 != 0 {
            return Err(DerError::Contents);
        }
        Ok(contents)
    }

    /// The contents of the next element, an INTEGER: two's complement, shortest form.
    pub fn integer(&mut self) -> Result<&'a [u8], DerError> {
        let contents = self.expect(INTEGER)?.contents;
        match contents {
            [] => Err(DerError::Contents),
            [0x00, next, ..] if next & 0x80 == 0 => Err(DerError::Contents),
            [0xff, next, ..] if next & 0x80 != 0 => Err(DerError::Contents),
            _ => Ok(contents),
        }
    }

    /// The next element, an INTEGER that is not negative and fits 63 bits.
    pub fn small_integer(&mut self) -> Result<u64, DerError> {
        let contents = self.integer()?;
        if contents.len() > 8 || contents[0] & 0x80 != 0 {
            return Err(DerError::Contents);
        }
        Ok(contents
            .iter()
            .fold(0u64, |value, octet| value << 8 | u64::from(*octet)))
    }

    /// The next element, a BOOLEAN.
    pub fn boolean(&mut self) -> Result<bool, DerError> {
        boolean(self.expect(BOOLEAN)?.contents)
    }

    /// The contents of the next element, an OCTET STRING.
    pub fn octet_string(&mut self) -> Result<&'a [u8], DerError> {
        Ok(self.expect(OCTET_STRING)?.contents)
    }

    /// The next element, a BIT STRING of whole octets.
    pub fn bit_string(&mut self) -> Result<&'a [u8], DerError> {
        match self.expect(BIT_STRING)?.contents {
            [0, octets @ ..] => Ok(octets),
            _ => Err(DerError::Contents),
        }
    }

    /// The next element, a UTCTime or GeneralizedTime in UTC.
    pub fn time(&mut self) -> Result<OffsetDateTime, DerError> {
        let element = self.element()?;
        match element.tag {
            UTC_TIME => utc_time(element.contents),
            GENERALIZED_TIME => generalized_time(element.contents),
            found => Err(DerError::UnexpectedTag {
                expected: UTC_TIME,
                found,
            }),
        }
    }

    /// The next element, a GeneralizedTime in UTC.
    pub fn generalized_time(&mut self) -> Result<OffsetDateTime, DerError> {
        generalized_time(self.expect(GENERALIZED_TIME)?.contents)
    }
}

/// The value of the contents of a BOOLEAN.
pub fn boolean(contents: &[u8]) -> Result<bool, DerError> {
    match contents {
        [0x00] => Ok(false),
        [0xff] => Ok(true),
        _ => Err(DerError::Contents),
    }
}

fn two_digits(text: &[u8]) -> Result<u8, DerError> {
    match text {
        [tens @ b'0'..=b'9', ones @ b'0'..=b'9', ..] => Ok((tens - b'0') * 10 + (ones - b'0')),
        _ => Err(DerError::Contents),
    }
}

/// `MMDDHHMMSS`, then a fraction, in `year`.
fn point_in_time(year: i32, text: &[u8], nanosecond: u32) -> Result<OffsetDateTime, DerError> {
    if text.len() != 10 {
        return Err(DerError::Contents);
    }
    let month = Month::try_from(two_digits(text)?).map_err(|_| DerError::Contents)?;
    let date = Date::from_calendar_date(year, month, two_digits(&text[2..])?)
        .map_err(|_| DerError::Contents)?;
    let time = Time::from_hms_nano(
        two_digits(&text[4..])?,
        two_digits(&text[6..])?,
        two_digits(&text[8..])?,
        nanosecond,
    )
    .map_err(|_| DerError::Contents)?;
    Ok(PrimitiveDateTime::new(date, time).assume_utc())
}

/// `YYMMDDHHMMSSZ`, years 1950 to 2049 (RFC 5280 section 4.1.2.5.1).
fn utc_time(contents: &[u8]) -> Result<OffsetDateTime, DerError> {
    match contents {
        [text @ .., b'Z'] if text.len() == 12 => {
            let year = i32::from(two_digits(text)?);
            let century = if year < 50 { 2000 } else { 1900 };
            point_in_time(century + year, &text[2..], 0)
        }
        _ => Err(DerError::Contents),
    }
}

/// `YYYYMMDDHHMMSS[.fraction]Z` (RFC 5280 section 4.1.2.5.2, RFC 3161 section 2.4.2).
fn generalized_time(contents: &[u8]) -> Result<OffsetDateTime, DerError> {
    let text = match contents {
        [text @ .., b'Z'] if text.len() >= 14 => text,
        _ => return Err(DerError::Contents),
    };
    let (text, fraction) = text.split_at(14);
    let nanosecond = match fraction {
        [] => 0,
        [b'.', digits @ ..] if !digits.is_empty() && digits.len() <= 9 => {
            let mut value = 0u32;
            for position in 0..9 {
                let digit = match digits.get(position) {
                    Some(digit @ b'0'..=b'9') => u32::from(digit - b'0'),
                    None => 0,
                    Some(_) => return Err(DerError::Contents),
                };
                value = value * 10 + digit;
            }
            value
        }
        _ => return Err(DerError::Contents),
    };
    let year = i32::from(two_digits(text)?) * 100 + i32::from(two_digits(&text[2..])?);
    point_in_time(year, &text[4..], nanosecond)
}

/// Rewrites BER with indefinite lengths and split octet strings, which the CMS
/// writers of some time-stamping authorities send, with definite lengths. What
/// is already definite is copied as it is, so DER comes out byte for byte.
pub fn to_definite(ber: &[u8]) -> Result<Vec<u8>, DerError> {
    let mut output = Vec::with_capacity(ber.len());
    let rest = rewrite(ber, &mut output, 0)?;
    if rest.is_empty() {
        Ok(output)
    } else {
        Err(DerError::TrailingData)
    }
}

fn rewrite<'a>(input: &'a [u8], output: &mut Vec<u8>, depth: usize) -> Result<&'a [u8], DerError> {
    if depth > MAX_DEPTH {
        return Err(DerError::Depth);
    }
    let tag = *input.first().ok_or(DerError::Truncated)?;
    if tag & 0x1f == 0x1f {
        return Err(DerError::Contents);
    }
    let first = *input.get(1).ok_or(DerError::Truncated)?;
    let constructed = tag & 0x20 != 0;
    if first == 0x80 {
        if !constructed {
            return Err(DerError::Length);
        }
        let mut contents = Vec::new();
        let mut rest = &input[2..];
        loop {
            if let [0, 0, behind @ ..] = rest {
                write_rewritten(tag, &contents, output)?;
                return Ok(behind);
            }
            rest = rewrite(rest, &mut contents, depth + 1)?;
        }
    }
    let (length, header) = if first < 0x80 {
        (usize::from(first), 2)
    } else {
        let count = usize::from(first & 0x7f);
        if count > 4 {
            return Err(DerError::Length);
        }
        let octets = input.get(2..2 + count).ok_or(DerError::Truncated)?;
        let length = octets
            .iter()
            .fold(0usize, |length, octet| length << 8 | usize::from(*octet));
        (length, 2 + count)
    };
    let end = header.checked_add(length).ok_or(DerError::Length)?;
    let mut contents = input.get(header..end).ok_or(DerError::Truncated)?;
    if constructed {
        let mut inner = Vec::with_capacity(contents.len());
        while !contents.is_empty() {
            contents = rewrite(contents, &mut inner, depth + 1)?;
        }
        write_rewritten(tag, &inner, output)?;
    } else {
        write_element(output, tag, contents);
    }
    Ok(&input[end..])
}

fn write_rewritten(tag: u8, contents: &[u8], output: &mut Vec<u8>) -> Result<(), DerError> {
    if tag != OCTET_STRING | 0x20 {
        write_element(output, tag, contents);
        return Ok(());
    }
    let mut pieces = Reader::new(contents);
    let mut joined = Vec::with_capacity(contents.len());
    while !pieces.is_empty() {
        joined.extend_from_slice(pieces.octet_string()?);
    }
    write_element(output, OCTET_STRING, &joined);
    Ok(())
}

fn write_length(output: &mut Vec<u8>, length: usize) {
    if length < 0x80 {
        output.push(length as u8);
        return;
    }
    let octets = length.to_be_bytes();
    let skip = octets.iter().take_while(|octet| **octet == 0).count();
    output.push(0x80 | (octets.len() - skip) as u8);
    output.extend_from_slice(&octets[skip..]);
}

/// Appends one element.
pub fn write_element(output: &mut Vec<u8>, tag: u8, contents: &[u8]) {
    output.push(tag);
    write_length(output, contents.len());
    output.extend_from_slice(contents);
}

/// Writes DER from the inside of one buffer.
#[derive(Debug, Default, Clone)]
pub struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    /// An empty writer.
    pub fn new() -> Self {
        Writer::default()
    }

    /// What was written.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// Bytes of one SEQUENCE.
    pub fn sequence_of(contents: impl FnOnce(&mut Writer)) -> Vec<u8> {
        let mut writer = Writer::new();
        writer.constructed(SEQUENCE, contents);
        writer.into_bytes()
    }

    /// A constructed element whose contents the closure writes.
    pub fn constructed(&mut self, tag: u8, contents: impl FnOnce(&mut Writer)) {
        self.bytes.push(tag);
        let start = self.bytes.len();
        contents(self);
        let length = self.bytes.len() - start;
        let mut octets = Vec::with_capacity(5);
        write_length(&mut octets, length);
        self.bytes.splice(start..start, octets);
    }

    /// A SEQUENCE whose contents the closure writes.
    pub fn sequence(&mut self, contents: impl FnOnce(&mut Writer)) {
        self.constructed(SEQUENCE, contents);
    }

    /// A primitive element.
    pub fn primitive(&mut self, tag: u8, contents: &[u8]) {
        write_element(&mut self.bytes, tag, contents);
    }

    /// Elements that are encoded already.
    pub fn raw(&mut self, elements: &[u8]) {
        self.bytes.extend_from_slice(elements);
    }

    /// An OBJECT IDENTIFIER from its contents octets.
    pub fn oid(&mut self, contents: &[u8]) {
        self.primitive(OID, contents);
    }

    /// NULL.
    pub fn null(&mut self) {
        self.primitive(NULL, &[]);
    }

    /// A BOOLEAN.
    pub fn boolean(&mut self, value: bool) {
        self.primitive(BOOLEAN, &[if value { 0xff } else { 0x00 }]);
    }

    /// An OCTET STRING.
    pub fn octet_string(&mut self, octets: &[u8]) {
        self.primitive(OCTET_STRING, octets);
    }

    /// An OCTET STRING that holds the elements the closure writes.
    pub fn octet_string_of(&mut self, contents: impl FnOnce(&mut Writer)) {
        self.constructed(OCTET_STRING, contents);
    }

    /// A BIT STRING of whole octets.
    pub fn bit_string(&mut self, octets: &[u8]) {
        self.bytes.push(BIT_STRING);
        write_length(&mut self.bytes, octets.len() + 1);
        self.bytes.push(0);
        self.bytes.extend_from_slice(octets);
    }

    /// An INTEGER that is not negative, from big-endian octets of any length.
    pub fn unsigned(&mut self, octets: &[u8]) {
        let skip = octets.iter().take_while(|octet| **octet == 0).count();
        let octets = &octets[skip..];
        if octets.first().is_none_or(|octet| octet & 0x80 != 0) {
            self.bytes.push(INTEGER);
            write_length(&mut self.bytes, octets.len() + 1);
            self.bytes.push(0);
            self.bytes.extend_from_slice(octets);
        } else {
            self.primitive(INTEGER, octets);
        }
    }

    /// A small INTEGER that is not negative.
    pub fn small_integer(&mut self, value: u64) {
        self.unsigned(&value.to_be_bytes());
    }

    /// A validity time: UTCTime until 2049, GeneralizedTime after (RFC 5280 section 4.1.2.5).
    pub fn validity_time(&mut self, time: OffsetDateTime) {
        let time = time.to_offset(time::UtcOffset::UTC);
        if (1950..2050).contains(&time.year()) {
            let text = format!("{:02}{}Z", time.year() % 100, seconds_text(time));
            self.primitive(UTC_TIME, text.as_bytes());
        } else {
            self.generalized_time(time);
        }
    }

    /// A GeneralizedTime in whole seconds; the fraction is cut off.
    pub fn generalized_time(&mut self, time: OffsetDateTime) {
        let time = time.to_offset(time::UtcOffset::UTC);
        let text = format!("{:04}{}Z", time.year(), seconds_text(time));
        self.primitive(GENERALIZED_TIME, text.as_bytes());
    }

    /// A GeneralizedTime in milliseconds, without trailing zeros as DER demands (X.690 section 11.7).
    pub fn generalized_time_milliseconds(&mut self, time: OffsetDateTime) {
        let time = time.to_offset(time::UtcOffset::UTC);
        let mut text = format!(
            "{:04}{}.{:03}",
            time.year(),
            seconds_text(time),
            time.millisecond()
        );
        let kept = text.trim_end_matches('0').trim_end_matches('.').len();
        // The seconds themselves may end in zeros; the point marks where to stop.
        text.truncate(kept.max(14));
        text.push('Z');
        self.primitive(GENERALIZED_TIME, text.as_bytes());
    }
}

fn seconds_text(time: OffsetDateTime) -> String {
    format!(
        "{:02}{:02}{:02}{:02}{:02}",
        u8::from(time.month()),
        time.day(),
        time.hour(),
        time.minute(),
        time.second()
    )
}

/// The dotted form of an OBJECT IDENTIFIER's contents octets.
pub fn oid_text(contents: &[u8]) -> String {
    let mut text = String::new();
    let mut value = 0u64;
    let mut first = true;
    for octet in contents {
        value = value.saturating_mul(128) | u64::from(octet & 0x7f);
        if octet & 0x80 != 0 {
            continue;
        }
        if first {
            let arc = (value / 40).min(2);
            text.push_str(&format!("{arc}.{}", value - arc * 40));
            first = false;
        } else {
            text.push_str(&format!(".{value}"));
        }
        value = 0;
    }
    text
}

/// The contents octets of an OBJECT IDENTIFIER in dotted form, if it is one.
pub fn oid_from_text(text: &str) -> Option<Vec<u8>> {
    let mut arcs = text.split('.').map(|arc| arc.parse::<u64>().ok());
    let first = arcs.next()??;
    let second = arcs.next()??;
    if first > 2 || (first < 2 && second >= 40) {
        return None;
    }
    let mut contents = Vec::new();
    push_arc(&mut contents, first * 40 + second);
    for arc in arcs {
        push_arc(&mut contents, arc?);
    }
    Some(contents)
}

fn push_arc(contents: &mut Vec<u8>, value: u64) {
    let groups = (64 - value.max(1).leading_zeros()).div_ceil(7);
    for group in (0..groups).rev() {
        let octet = (value >> (7 * group)) as u8 & 0x7f;
        contents.push(if group == 0 { octet } else { octet | 0x80 });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    #[test]
    fn lengths_are_shortest_and_present() {
        assert_eq!(
            Reader::new(&[0x04, 0x81, 0x05]).element(),
            Err(DerError::Length)
        );
        assert_eq!(
            Reader::new(&[0x30, 0x80, 0, 0]).element(),
            Err(DerError::Length)
        );
        assert_eq!(
            Reader::new(&[0x04, 0x02, 0x00]).element(),
            Err(DerError::Truncated)
        );
        assert_eq!(
            Reader::new(&[0x04, 0x84, 0xff, 0xff, 0xff, 0xff]).element(),
            Err(DerError::Truncated)
        );
        for length in [0usize, 1, 127, 128, 255, 256, 65536] {
            let contents = vec![7u8; length];
            let mut bytes = Vec::new();
            write_element(&mut bytes, OCTET_STRING, &contents);
            let mut reader = Reader::new(&bytes);
            assert_eq!(reader.octet_string().unwrap(), contents);
            reader.finish().unwrap();
        }
    }

    #[test]
    fn indefinite_lengths_become_definite() {
        // ContentInfo-like: SEQUENCE (indefinite) { [0] (indefinite) { OCTET STRING in two pieces } }
        let ber = [
            0x30, 0x80, 0xa0, 0x80, 0x24, 0x80, 0x04, 0x02, 1, 2, 0x04, 0x01, 3, 0, 0, 0, 0, 0, 0,
        ];
        let der = [0x30, 0x07, 0xa0, 0x05, 0x04, 0x03, 1, 2, 3];
        assert_eq!(to_definite(&ber).unwrap(), der);
        assert_eq!(to_definite(&der).unwrap(), der);
        for cut in 0..ber.len() {
            assert!(to_definite(&ber[..cut]).is_err(), "cut at {cut}");
        }
        assert_eq!(to_definite(&[0x30, 0x80].repeat(100)), Err(DerError::Depth));
    }

    #[test]
    fn times_are_read_and_written() {
        let mut writer = Writer::new();
        writer.validity_time(datetime!(2026-11-24 23:30:05 UTC));
        writer.validity_time(datetime!(2050-01-01 0:00 UTC));
        writer.generalized_time_milliseconds(datetime!(2026-11-24 23:30:00.120 UTC));
        writer.generalized_time_milliseconds(datetime!(2026-11-24 23:30:00 UTC));
        let bytes = writer.into_bytes();
        assert!(bytes.windows(13).any(|w| w == b"261124233005Z"));
        assert!(bytes.windows(18).any(|w| w == b"20261124233000.12Z"));
        assert!(bytes.windows(15).any(|w| w == b"20261124233000Z"));
        let mut reader = Reader::new(&bytes);
        assert_eq!(reader.time().unwrap(), datetime!(2026-11-24 23:30:05 UTC));
        assert_eq!(reader.time().unwrap(), datetime!(2050-01-01 0:00 UTC));
        assert_eq!(
            reader.time().unwrap(),
            datetime!(2026-11-24 23:30:00.12 UTC)
        );
        assert_eq!(reader.time().unwrap(), datetime!(2026-11-24 23:30 UTC));
    }

    #[test]
    fn object_identifiers_have_two_forms() {
        for text in [
            "1.2.840.113549.1.9.1",
            "2.5.4.3",
            "1.3.6.1.4.1.3516.16.2",
            "2.999.0",
        ] {
            let contents = oid_from_text(text).unwrap();
            assert_eq!(oid_text(&contents), text);
        }
        assert_eq!(oid_from_text("3.1"), None);
        assert_eq!(oid_from_text("1"), None);
    }
}
