//! The personal number.

use std::fmt;
use std::str::FromStr;

use time::{Date, Month};

/// The sex digit of a personal number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sex {
    /// Digit 1.
    Female,
    /// Digit 2.
    Male,
}

impl Sex {
    /// `F` or `M`, as passports print it.
    #[must_use]
    pub const fn letter(self) -> &'static str {
        match self {
            Self::Female => "F",
            Self::Male => "M",
        }
    }

    const fn digit(self) -> u8 {
        match self {
            Self::Female => b'1',
            Self::Male => b'2',
        }
    }
}

/// A personal number: 14 digits, namely one for the sex (1 female, 2 male),
/// eight for the date of birth as `DDMMYYYY` and five that tell people of one
/// birthday apart.
///
/// A value of this type has the right shape and a real date; it says nothing
/// about whether anybody holds the number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PersonalNumber([u8; 14]);

/// Why a text is not a personal number. The fault is the asker's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NumberError {
    /// Not 14 characters.
    #[error("a personal number has 14 digits, this one has {0} characters")]
    Length(usize),
    /// A character that is not a digit.
    #[error("a personal number has digits only")]
    NotDigits,
    /// The first digit is neither 1 nor 2.
    #[error("the first digit of a personal number is 1 or 2")]
    SexDigit,
    /// Digits 2 to 9 are not a date.
    #[error("digits 2 to 9 of a personal number are a date, day first; these are none")]
    BirthDate,
}

impl PersonalNumber {
    /// Composes a number. Only the last five digits of `serial` are used.
    #[must_use]
    pub fn compose(sex: Sex, born: Date, serial: u32) -> Self {
        let mut digits = [b'0'; 14];
        digits[0] = sex.digit();
        let year = u32::try_from(born.year()).unwrap_or(0);
        write_digits(&mut digits[1..3], u32::from(born.day()));
        write_digits(&mut digits[3..5], u32::from(u8::from(born.month())));
        write_digits(&mut digits[5..9], year);
        write_digits(&mut digits[9..14], serial);
        Self(digits)
    }

    /// The 14 digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // Made of ASCII digits only, by both constructors.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// The sex that the first digit names.
    #[must_use]
    pub const fn sex(&self) -> Sex {
        if self.0[0] == b'1' {
            Sex::Female
        } else {
            Sex::Male
        }
    }

    /// The last five digits as a number.
    #[must_use]
    pub fn serial(&self) -> u32 {
        read_digits(&self.0[9..14])
    }

    /// The date of birth, or none for a number that cannot exist.
    #[must_use]
    pub fn birth_date(&self) -> Option<Date> {
        birth_date(&self.0)
    }
}

impl FromStr for PersonalNumber {
    type Err = NumberError;

    fn from_str(text: &str) -> Result<Self, NumberError> {
        let digits: [u8; 14] = text
            .as_bytes()
            .try_into()
            .map_err(|_| NumberError::Length(text.chars().count()))?;
        if !digits.iter().all(u8::is_ascii_digit) {
            return Err(NumberError::NotDigits);
        }
        if !matches!(digits[0], b'1' | b'2') {
            return Err(NumberError::SexDigit);
        }
        birth_date(&digits).ok_or(NumberError::BirthDate)?;
        Ok(Self(digits))
    }
}

impl fmt::Display for PersonalNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for PersonalNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PersonalNumber({self})")
    }
}

fn birth_date(digits: &[u8; 14]) -> Option<Date> {
    let day = u8::try_from(read_digits(&digits[1..3])).ok()?;
    let month = Month::try_from(u8::try_from(read_digits(&digits[3..5])).ok()?).ok()?;
    let year = i32::try_from(read_digits(&digits[5..9])).ok()?;
    Date::from_calendar_date(year, month, day).ok()
}

fn read_digits(digits: &[u8]) -> u32 {
    digits
        .iter()
        .fold(0, |value, digit| value * 10 + u32::from(digit - b'0'))
}

fn write_digits(place: &mut [u8], value: u32) {
    let mut rest = value;
    for digit in place.iter_mut().rev() {
        *digit = b'0' + u8::try_from(rest % 10).unwrap_or(0);
        rest /= 10;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::date;

    #[test]
    fn composed_numbers_read_back() {
        let number = PersonalNumber::compose(Sex::Male, date!(1987 - 03 - 09), 412);
        assert_eq!(number.as_str(), "20903198700412");
        assert_eq!(number.to_string().parse(), Ok(number));
        assert_eq!(number.birth_date(), Some(date!(1987 - 03 - 09)));
        assert_eq!((number.sex(), number.serial()), (Sex::Male, 412));
    }

    #[test]
    fn every_other_shape_is_refused_with_its_reason() {
        for (text, error) in [
            ("", NumberError::Length(0)),
            ("2090319870041", NumberError::Length(13)),
            ("209031987004123", NumberError::Length(15)),
            ("2090319870041x", NumberError::NotDigits),
            ("30903198700412", NumberError::SexDigit),
            ("23102198700412", NumberError::BirthDate),
            ("20900198700412", NumberError::BirthDate),
            ("ы0903198700412", NumberError::Length(14)),
        ] {
            assert_eq!(text.parse::<PersonalNumber>(), Err(error), "{text}");
        }
    }
}
