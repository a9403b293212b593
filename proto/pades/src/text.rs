//! Dates and text strings (ISO 32000-2 sections 7.9.2 and 7.9.4).

use time::{Date, Month, OffsetDateTime, PrimitiveDateTime, Time, UtcOffset};

/// `D:20261125080000Z`.
pub(crate) fn date(time: OffsetDateTime) -> String {
    let time = time.to_offset(UtcOffset::UTC);
    format!(
        "D:{:04}{:02}{:02}{:02}{:02}{:02}Z",
        time.year(),
        u8::from(time.month()),
        time.day(),
        time.hour(),
        time.minute(),
        time.second()
    )
}

/// Reads a date; missing parts are the first of their kind, a missing zone is UTC.
pub(crate) fn read_date(text: &[u8]) -> Option<OffsetDateTime> {
    let text = text.strip_prefix(b"D:").unwrap_or(text);
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let number = |from: usize, length: usize, default: u16| {
        if from >= digits {
            return Some(default);
        }
        let part = text[..digits].get(from..from + length)?;
        std::str::from_utf8(part).ok()?.parse::<u16>().ok()
    };
    if digits < 4 {
        return None;
    }
    let small = |value: Option<u16>| value.and_then(|value| u8::try_from(value).ok());
    let month = Month::try_from(small(number(4, 2, 1))?).ok()?;
    let date =
        Date::from_calendar_date(i32::from(number(0, 4, 0)?), month, small(number(6, 2, 1))?)
            .ok()?;
    let time = Time::from_hms(
        small(number(8, 2, 0))?,
        small(number(10, 2, 0))?,
        small(number(12, 2, 0))?,
    )
    .ok()?;
    let zone = &text[digits..];
    let offset = match zone.first() {
        None | Some(b'Z') => UtcOffset::UTC,
        Some(sign @ (b'+' | b'-')) => {
            let pair = |at: usize| {
                let part = zone.get(at..at + 2)?;
                std::str::from_utf8(part).ok()?.parse::<i8>().ok()
            };
            let sign = if *sign == b'-' { -1 } else { 1 };
            UtcOffset::from_hms(sign * pair(1)?, sign * pair(4).unwrap_or(0), 0).ok()?
        }
        Some(_) => return None,
    };
    Some(PrimitiveDateTime::new(date, time).assume_offset(offset))
}

/// A text string for a file: UTF-16, which every reader knows.
pub(crate) fn encode(text: &str) -> Vec<u8> {
    if text.bytes().all(|byte| (0x20..0x7f).contains(&byte)) {
        return text.as_bytes().to_vec();
    }
    let mut bytes = vec![0xfe, 0xff];
    bytes.extend(text.encode_utf16().flat_map(u16::to_be_bytes));
    bytes
}

/// Reads a text string; control characters are replaced.
pub(crate) fn decode(bytes: &[u8]) -> String {
    let text = match bytes {
        [0xfe, 0xff, rest @ ..] => {
            let units: Vec<u16> = rest
                .chunks_exact(2)
                .map(|pair| u16::from_be_bytes([pair[0], pair[1]]))
                .collect();
            String::from_utf16_lossy(&units)
        }
        [0xef, 0xbb, 0xbf, rest @ ..] => String::from_utf8_lossy(rest).into_owned(),
        // PDFDocEncoding, which is nearly Latin 1.
        latin => latin.iter().map(|byte| char::from(*byte)).collect(),
    };
    text.chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    #[test]
    fn dates_and_texts_survive_a_round_trip() {
        let moment = datetime!(2026-11-25 08:09:10 UTC);
        assert_eq!(read_date(date(moment).as_bytes()), Some(moment));
        assert_eq!(
            read_date(b"D:20261125140910+06'00'"),
            Some(datetime!(2026-11-25 14:09:10 +6))
        );
        assert_eq!(read_date(b"D:2026"), Some(datetime!(2026-01-01 0:00 UTC)));
        for wrong in ["", "D:", "D:202", "D:20261", "D:20261301", "D:20261125x"] {
            assert_eq!(read_date(wrong.as_bytes()), None, "{wrong}");
        }
        for text in ["plain", "Өткөрүп берүү келишими", ""] {
            assert_eq!(decode(&encode(text)), text);
        }
    }
}
