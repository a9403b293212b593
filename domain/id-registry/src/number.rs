//! The personal number.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use time::{Date, Month};

/// The sex digit of a personal number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Sex {
    /// Digit 1.
    #[serde(rename = "F")]
    Female,
    /// Digit 2.
    #[serde(rename = "M")]
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
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "std::borrow::Cow<'_, str>", into = "String")]
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
    /// The last five digits are not among those that the rule gives out.
    #[error("the last five digits of this personal number are not issued by the rule in force")]
    Tail,
    /// The first digit of an organisation's number is not 0.
    #[error("the first digit of an organisation's number is 0")]
    OrganisationDigit,
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
        let digits = fourteen_digits(text)?;
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

impl TryFrom<std::borrow::Cow<'_, str>> for PersonalNumber {
    type Error = NumberError;

    fn try_from(text: std::borrow::Cow<'_, str>) -> Result<Self, NumberError> {
        text.parse()
    }
}

impl From<PersonalNumber> for String {
    fn from(number: PersonalNumber) -> Self {
        number.as_str().to_owned()
    }
}

/// How a country fills the last five digits. The rest of a number - sex and date of birth - is the same everywhere;
/// whether the tail is opaque or carries a check digit is not told by the law, so it can be replaced.
pub trait NumberRule: Send + Sync {
    /// How many people of one sex and birthday get a number; serials run from 0 up to but without it.
    fn room(&self) -> u32;

    /// The number with a serial below [`NumberRule::room`].
    fn number(&self, sex: Sex, born: Date, serial: u32) -> PersonalNumber;

    /// The serial of a number, or none if this rule never issues it.
    fn serial(&self, number: &PersonalNumber) -> Option<u32>;

    /// Reads a number that this rule issues.
    ///
    /// # Errors
    /// See [`NumberError`].
    fn read(&self, text: &str) -> Result<PersonalNumber, NumberError> {
        let number: PersonalNumber = text.parse()?;
        self.serial(&number)
            .map(|_| number)
            .ok_or(NumberError::Tail)
    }
}

/// The rule in force: the last five digits are an opaque serial.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OpaqueSerial;

impl NumberRule for OpaqueSerial {
    fn room(&self) -> u32 {
        100_000
    }

    fn number(&self, sex: Sex, born: Date, serial: u32) -> PersonalNumber {
        PersonalNumber::compose(sex, born, serial)
    }

    fn serial(&self, number: &PersonalNumber) -> Option<u32> {
        Some(number.serial())
    }
}

/// Every number of this birthday and sex is issued: the rule has no room left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "every personal number of this sex and day of birth is issued; the rule of numbers must be widened"
)]
pub struct NoNumberLeft;

/// The next number to issue for a sex and birthday: the first one at or after a random place that is not `taken`. So
/// numbers do not tell in which order they were issued, and one cannot be guessed from its neighbour.
///
/// # Errors
/// [`NoNumberLeft`].
pub fn next_number(
    rule: &dyn NumberRule,
    sex: Sex,
    born: Date,
    random: u32,
    taken: impl Fn(&PersonalNumber) -> bool,
) -> Result<PersonalNumber, NoNumberLeft> {
    let room = rule.room();
    (0..room)
        .map(|step| (u64::from(random) + u64::from(step)) % u64::from(room))
        .filter_map(|serial| u32::try_from(serial).ok())
        .map(|serial| rule.number(sex, born, serial))
        .find(|number| !taken(number))
        .ok_or(NoNumberLeft)
}

/// The number of a legal entity: 0, the date of registration as `DDMMYYYY`, five digits. It shares the length of a
/// personal number and is never one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "std::borrow::Cow<'_, str>", into = "String")]
pub struct OrganisationNumber([u8; 14]);

impl OrganisationNumber {
    /// The 14 digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// The date of registration.
    #[must_use]
    pub fn registered_on(&self) -> Option<Date> {
        birth_date(&self.0)
    }
}

impl FromStr for OrganisationNumber {
    type Err = NumberError;

    fn from_str(text: &str) -> Result<Self, NumberError> {
        let digits = fourteen_digits(text)?;
        if digits[0] != b'0' {
            return Err(NumberError::OrganisationDigit);
        }
        birth_date(&digits).ok_or(NumberError::BirthDate)?;
        Ok(Self(digits))
    }
}

impl TryFrom<std::borrow::Cow<'_, str>> for OrganisationNumber {
    type Error = NumberError;

    fn try_from(text: std::borrow::Cow<'_, str>) -> Result<Self, NumberError> {
        text.parse()
    }
}

impl From<OrganisationNumber> for String {
    fn from(number: OrganisationNumber) -> Self {
        number.as_str().to_owned()
    }
}

impl fmt::Debug for OrganisationNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OrganisationNumber({})", self.as_str())
    }
}

fn fourteen_digits(text: &str) -> Result<[u8; 14], NumberError> {
    let digits: [u8; 14] = text
        .as_bytes()
        .try_into()
        .map_err(|_| NumberError::Length(text.chars().count()))?;
    if digits.iter().all(u8::is_ascii_digit) {
        Ok(digits)
    } else {
        Err(NumberError::NotDigits)
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

    #[test]
    fn an_organisation_has_a_number_of_its_own_kind() {
        let number: OrganisationNumber = "00101199410123".parse().expect("a number");
        assert_eq!(number.registered_on(), Some(date!(1994 - 01 - 01)));
        assert_eq!(
            "00101199410123".parse::<PersonalNumber>(),
            Err(NumberError::SexDigit)
        );
        for (text, error) in [
            ("10101199410123", NumberError::OrganisationDigit),
            ("03102199410123", NumberError::BirthDate),
            ("0310119941012", NumberError::Length(13)),
        ] {
            assert_eq!(text.parse::<OrganisationNumber>(), Err(error), "{text}");
        }
    }

    /// Four digits and a check digit: another country's rule.
    struct Checked;

    impl NumberRule for Checked {
        fn room(&self) -> u32 {
            10_000
        }

        fn number(&self, sex: Sex, born: Date, serial: u32) -> PersonalNumber {
            let check =
                (serial % 10 + serial / 10 % 10 * 3 + serial / 100 % 10 + serial / 1000 * 3) % 10;
            PersonalNumber::compose(sex, born, serial * 10 + check)
        }

        fn serial(&self, number: &PersonalNumber) -> Option<u32> {
            let serial = number.serial() / 10;
            let born = number.birth_date()?;
            (self.number(number.sex(), born, serial) == *number).then_some(serial)
        }
    }

    #[test]
    fn the_rule_of_the_tail_can_be_replaced() {
        let born = date!(1987 - 03 - 09);
        let number = Checked.number(Sex::Male, born, 412);
        assert_eq!(Checked.read(number.as_str()), Ok(number));
        assert_eq!(Checked.serial(&number), Some(412));
        let serial = number.serial();
        let slip =
            PersonalNumber::compose(Sex::Male, born, serial - serial % 10 + (serial + 1) % 10);
        assert_eq!(Checked.read(slip.as_str()), Err(NumberError::Tail));
        assert_eq!(OpaqueSerial.read(slip.as_str()), Ok(slip));
    }

    #[test]
    fn a_number_is_issued_once_and_the_room_is_used_up_to_the_last() {
        let born = date!(1987 - 03 - 09);
        let mut taken = std::collections::BTreeSet::new();
        for random in 0..10_000_u32 {
            let place = random.wrapping_mul(2_654_435_761);
            let number = next_number(&Checked, Sex::Female, born, place, |n| taken.contains(n))
                .expect("room");
            assert!(taken.insert(number));
        }
        assert_eq!(
            next_number(&Checked, Sex::Female, born, 3, |n| taken.contains(n)),
            Err(NoNumberLeft)
        );
        assert!(next_number(&Checked, Sex::Male, born, 3, |n| taken.contains(n)).is_ok());
    }
}
