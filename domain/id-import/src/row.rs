//! Whether a row tells of a person, and what of it can be taken over.

use std::fmt;

use id_registry::{
    Address, Citizenship, CivilStatus, Document, DocumentKind, LONGEST_TEXT, Name, NameError,
    Names, NewPerson, NumberError, PersonalNumber, Rules, Sex, TakenOver, UnitCode, is_printable,
};
use time::{Date, Month};

use crate::source::{Cells, Column, Unreadable};

/// What stands for a place of birth that the source does not name.
const NO_PLACE: &str = "-";

/// What is wrong with a row or a value of it. The code is stable; the sentence says what to do in the source.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "each says what it is in its sentence")]
pub enum Reason {
    TooLong,
    Encoding,
    Form,
    Empty,
    Number(NumberError),
    NotByRule,
    Sex,
    SexContradicts,
    Date,
    BirthContradicts,
    Future,
    Name(NameError),
    Text,
    Unprintable,
    Citizenship,
    CivilStatus,
    Unit,
    Incomplete,
    DocumentKind,
    Order,
    Same,
    OtherRow,
    NotThere,
    HeldBack,
    OneSided,
    Young,
    ParentSex,
    Circle,
    Differs,
    Issued,
    Refused(String),
}

impl Reason {
    /// A word for lists and counts.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::TooLong => "row_too_long",
            Self::Encoding => "not_utf8",
            Self::Form => "not_a_row",
            Self::Empty => "empty",
            Self::Number(_) => "not_a_number",
            Self::NotByRule => "number_not_by_rule",
            Self::Sex => "not_a_sex",
            Self::SexContradicts => "sex_contradicts_number",
            Self::Date => "not_a_date",
            Self::BirthContradicts => "birth_contradicts_number",
            Self::Future => "in_the_future",
            Self::Name(_) => "not_a_name",
            Self::Text => "text_too_long",
            Self::Unprintable => "unprintable",
            Self::Citizenship => "not_a_citizenship",
            Self::CivilStatus => "not_a_civil_status",
            Self::Unit => "unknown_unit",
            Self::Incomplete => "incomplete",
            Self::DocumentKind => "not_a_document_kind",
            Self::Order => "dates_in_wrong_order",
            Self::Same => "same_person",
            Self::OtherRow => "number_of_another_row",
            Self::NotThere => "relative_not_there",
            Self::HeldBack => "relative_held_back",
            Self::OneSided => "relation_one_sided",
            Self::Young => "parent_too_young",
            Self::ParentSex => "parent_of_other_sex",
            Self::Circle => "family_in_a_circle",
            Self::Differs => "differs_from_register",
            Self::Issued => "number_issued_otherwise",
            Self::Refused(_) => "refused",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLong => "the row is longer than 64 KiB",
            Self::Encoding => "the row is not UTF-8",
            Self::Form => "the row has not one value for each column",
            Self::Empty => "the value is missing",
            Self::Number(error) => return error.fmt(f),
            Self::NotByRule => "the rule in force does not issue this number",
            Self::Sex => "a sex is F or M",
            Self::SexContradicts => "sex and number contradict each other",
            Self::Date => "a date is YYYY-MM-DD or DD.MM.YYYY",
            Self::BirthContradicts => "date of birth and number contradict each other",
            Self::Future => "the date is in the future",
            Self::Name(error) => return error.fmt(f),
            Self::Text => "the text is longer than 100 characters",
            Self::Unprintable => "the text has characters that cannot be shown, or a letter in it was lost",
            Self::Citizenship => "a citizenship is three capital letters",
            Self::CivilStatus => "a civil status is single, married, divorced or widowed",
            Self::Unit => "the administrative tree has no such unit",
            Self::Incomplete => "a part of it is missing: an address needs unit and house, a document kind, number, day of issue and authority",
            Self::DocumentKind => "a document is an identityCard, passport, birthCertificate or residencePermit",
            Self::Order => "the dates are in the wrong order",
            Self::Same => "the relative is the person or the other parent",
            Self::OtherRow => "rows that differ have this number; keep the right one",
            Self::NotThere => "nobody in source or register holds the relative's number",
            Self::HeldBack => "the relative was kept out, or came in before",
            Self::OneSided => "the other row does not say the same, or one of the two is dead or not married",
            Self::Young => "the parent is not 12 years older",
            Self::ParentSex => "a mother's number begins with 1, a father's with 2",
            Self::Circle => "the person would be an ancestor of itself by marriages",
            Self::Differs => "the register has this number from a row that says otherwise; enter acts for what changed",
            Self::Issued => "the register has issued this number itself",
            Self::Refused(why) => return f.write_str(why),
        })
    }
}

/// Something that is wrong in a source. It names the row, not the person: it may be told to whoever mends the source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The row, from 1; the header is not counted.
    pub row: u64,
    /// The value, if it is about one.
    pub column: Option<Column>,
    /// What is wrong.
    pub reason: Reason,
    /// Whether the row is kept out for it; otherwise the person comes in without this value.
    pub keeps_out: bool,
}

/// A row that tells of a person.
pub(crate) struct Checked {
    /// The person. Relatives are as the row says.
    pub(crate) person: TakenOver,
    /// What is left out.
    pub(crate) left_out: Vec<(Column, Reason)>,
}

/// What is wrong with a row that cannot be read.
pub(crate) const fn unreadable(why: Unreadable) -> Reason {
    match why {
        Unreadable::Encoding => Reason::Encoding,
        Unreadable::Form => Reason::Form,
    }
}

/// Reads a row. Without number, sex, birth, names and citizenship nobody is told of, and every reason is given.
pub(crate) fn check(
    cells: &Cells<'_>,
    rules: Rules<'_>,
    today: Date,
) -> Result<Checked, Vec<(Column, Reason)>> {
    let mut wrong = Vec::new();
    let mut left_out = Vec::new();
    let number = keep(&mut wrong, Column::Number, number(cells, rules));
    let sex = keep(&mut wrong, Column::Sex, sex(cells));
    let born = keep(&mut wrong, Column::BirthDate, birth(cells, today));
    if let Some(number) = number {
        if sex.is_some_and(|sex| sex != number.sex()) {
            wrong.push((Column::Sex, Reason::SexContradicts));
        }
        if born.is_some() && born != number.birth_date() {
            wrong.push((Column::BirthDate, Reason::BirthContradicts));
        }
    }
    let family = name(cells, Column::FamilyName, Some(Column::FamilyNameLatin));
    let family = named(&mut wrong, family);
    let given = name(cells, Column::GivenName, Some(Column::GivenNameLatin));
    let given = named(&mut wrong, given);
    let patronymic = match cells.filled(Column::Patronymic) {
        None => None,
        Some(_) => named(&mut wrong, name(cells, Column::Patronymic, None)),
    };
    let citizenship = keep(&mut wrong, Column::Citizenship, citizenship(cells));
    let (Some(number), Some(sex), Some(born_on), Some(family), Some(given), Some(citizenship)) =
        (number, sex, born, family, given, citizenship)
    else {
        return Err(wrong);
    };
    if !wrong.is_empty() {
        return Err(wrong);
    }
    let birth_place = match keep(
        &mut left_out,
        Column::BirthPlace,
        text(cells, Column::BirthPlace),
    ) {
        Some(Some(place)) => place.to_owned(),
        _ => NO_PLACE.to_owned(),
    };
    let status = keep(&mut left_out, Column::CivilStatus, civil_status(cells));
    let relative = |left_out: &mut Vec<_>, column| {
        let text = cells.filled(column)?;
        let read = text.parse::<PersonalNumber>().map_err(Reason::Number);
        let read = read.and_then(|other| {
            if other == number {
                Err(Reason::Same)
            } else {
                Ok(other)
            }
        });
        keep(left_out, column, read)
    };
    let spouse = relative(&mut left_out, Column::Spouse);
    let mother = relative(&mut left_out, Column::Mother);
    let father = relative(&mut left_out, Column::Father);
    let address = keep(&mut left_out, Column::Unit, address(cells, rules)).flatten();
    let document = keep(&mut left_out, Column::DocumentNumber, document(cells)).flatten();
    let died_on = cells.filled(Column::DeathDate).and_then(|text| {
        let day = date(text).ok_or(Reason::Date).and_then(|day| {
            if day > today {
                Err(Reason::Future)
            } else if day < born_on {
                Err(Reason::Order)
            } else {
                Ok(day)
            }
        });
        keep(&mut wrong, Column::DeathDate, day)
    });
    // Whoever is said to be dead does not come in as living for a slip of the pen.
    if !wrong.is_empty() {
        return Err(wrong);
    }
    Ok(Checked {
        person: TakenOver {
            person: NewPerson {
                number,
                names: Names {
                    family,
                    given,
                    patronymic,
                },
                sex,
                born_on,
                birth_place,
                citizenship,
            },
            civil_status: status.unwrap_or(CivilStatus::Single),
            spouse,
            mother,
            father,
            address,
            documents: document.into_iter().collect(),
            died_on,
        },
        left_out,
    })
}

fn keep<T>(
    wrong: &mut Vec<(Column, Reason)>,
    column: Column,
    value: Result<T, Reason>,
) -> Option<T> {
    value.map_err(|reason| wrong.push((column, reason))).ok()
}

fn named(wrong: &mut Vec<(Column, Reason)>, value: Result<Name, (Column, Reason)>) -> Option<Name> {
    value.map_err(|reason| wrong.push(reason)).ok()
}

fn number(cells: &Cells<'_>, rules: Rules<'_>) -> Result<PersonalNumber, Reason> {
    let text = cells.filled(Column::Number).ok_or(Reason::Empty)?;
    rules.numbers.read(text).map_err(|error| match error {
        NumberError::Tail => Reason::NotByRule,
        other => Reason::Number(other),
    })
}

fn sex(cells: &Cells<'_>) -> Result<Sex, Reason> {
    match cells.get(Column::Sex) {
        "" => Err(Reason::Empty),
        "F" | "f" | "Ж" | "ж" | "1" => Ok(Sex::Female),
        // Latin and Cyrillic.
        "M" | "m" | "М" | "м" | "2" => Ok(Sex::Male),
        _ => Err(Reason::Sex),
    }
}

fn birth(cells: &Cells<'_>, today: Date) -> Result<Date, Reason> {
    let text = cells.filled(Column::BirthDate).ok_or(Reason::Empty)?;
    match date(text) {
        None => Err(Reason::Date),
        Some(day) if day > today => Err(Reason::Future),
        Some(day) => Ok(day),
    }
}

/// `YYYY-MM-DD` or `DD.MM.YYYY`.
pub(crate) fn date(text: &str) -> Option<Date> {
    let bytes = text.as_bytes();
    let digits = |from: usize, to: usize| {
        let part = bytes.get(from..to)?;
        part.iter().all(u8::is_ascii_digit).then(|| {
            part.iter()
                .fold(0_u16, |sum, digit| sum * 10 + u16::from(digit - b'0'))
        })
    };
    let (year, month, day) = match (bytes.len(), bytes.get(4), bytes.get(2)) {
        (10, Some(b'-'), _) if bytes[7] == b'-' => (digits(0, 4)?, digits(5, 7)?, digits(8, 10)?),
        (10, _, Some(b'.')) if bytes[5] == b'.' => (digits(6, 10)?, digits(3, 5)?, digits(0, 2)?),
        _ => return None,
    };
    let month = Month::try_from(u8::try_from(month).ok()?).ok()?;
    Date::from_calendar_date(i32::from(year), month, u8::try_from(day).ok()?).ok()
}

fn name(
    cells: &Cells<'_>,
    column: Column,
    latin: Option<Column>,
) -> Result<Name, (Column, Reason)> {
    let text = cells.filled(column).ok_or((column, Reason::Empty))?;
    let mut name = Name::new(text).map_err(|error| (column, Reason::Name(error)))?;
    if let Some(column) = latin
        && let Some(text) = cells.filled(column)
    {
        text.clone_into(&mut name.latin);
        name.check()
            .map_err(|error| (column, Reason::Name(error)))?;
    }
    Ok(name)
}

fn citizenship(cells: &Cells<'_>) -> Result<Citizenship, Reason> {
    match cells.get(Column::Citizenship) {
        "" => Err(Reason::Empty),
        "XXA" => Ok(Citizenship::Stateless),
        code if code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_uppercase()) => {
            Ok(Citizenship::Of(code.to_owned()))
        }
        _ => Err(Reason::Citizenship),
    }
}

pub(crate) fn civil_status(cells: &Cells<'_>) -> Result<CivilStatus, Reason> {
    match cells.get(Column::CivilStatus) {
        "" | "single" => Ok(CivilStatus::Single),
        "married" => Ok(CivilStatus::Married),
        "divorced" => Ok(CivilStatus::Divorced),
        "widowed" => Ok(CivilStatus::Widowed),
        _ => Err(Reason::CivilStatus),
    }
}

fn text<'c>(cells: &'c Cells<'_>, column: Column) -> Result<Option<&'c str>, Reason> {
    match cells.filled(column) {
        Some(text) if text.chars().count() > LONGEST_TEXT => Err(Reason::Text),
        Some(text) if !is_printable(text) => Err(Reason::Unprintable),
        text => Ok(text),
    }
}

fn address(cells: &Cells<'_>, rules: Rules<'_>) -> Result<Option<Address>, Reason> {
    let [unit, street, house, flat] = [
        text(cells, Column::Unit)?,
        text(cells, Column::Street)?,
        text(cells, Column::House)?,
        text(cells, Column::Flat)?,
    ];
    if [unit, street, house, flat].iter().all(Option::is_none) {
        return Ok(None);
    }
    let (Some(unit), Some(house)) = (unit, house) else {
        return Err(Reason::Incomplete);
    };
    let unit: UnitCode = unit.parse().map_err(|_| Reason::Unit)?;
    if rules.territory.unit(&unit).is_none() {
        return Err(Reason::Unit);
    }
    Ok(Some(Address {
        unit,
        street: street.unwrap_or_default().to_owned(),
        house: house.to_owned(),
        flat: flat.map(ToOwned::to_owned),
    }))
}

fn document(cells: &Cells<'_>) -> Result<Option<Document>, Reason> {
    let [kind, number, issued, expires, authority] = [
        text(cells, Column::DocumentKind)?,
        text(cells, Column::DocumentNumber)?,
        text(cells, Column::DocumentIssued)?,
        text(cells, Column::DocumentExpires)?,
        text(cells, Column::DocumentAuthority)?,
    ];
    if [kind, number, issued, expires, authority]
        .iter()
        .all(Option::is_none)
    {
        return Ok(None);
    }
    let (Some(kind), Some(number), Some(issued), Some(authority)) =
        (kind, number, issued, authority)
    else {
        return Err(Reason::Incomplete);
    };
    let kind = [
        DocumentKind::IdentityCard,
        DocumentKind::Passport,
        DocumentKind::BirthCertificate,
        DocumentKind::ResidencePermit,
    ]
    .into_iter()
    .find(|known| known.as_str() == kind)
    .ok_or(Reason::DocumentKind)?;
    let issued_on = date(issued).ok_or(Reason::Date)?;
    let expires_on = match expires {
        None => None,
        Some(text) => Some(date(text).ok_or(Reason::Date)?),
    };
    if expires_on.is_some_and(|day| day < issued_on) {
        return Err(Reason::Order);
    }
    Ok(Some(Document {
        kind,
        number: number.to_owned(),
        issued_on,
        expires_on,
        authority: authority.to_owned(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::date as day;

    #[test]
    fn dates_in_both_spellings() {
        assert_eq!(date("1985-05-12"), Some(day!(1985 - 05 - 12)));
        assert_eq!(date("12.05.1985"), Some(day!(1985 - 05 - 12)));
        for text in [
            "",
            "1985-5-12",
            "12/05/1985",
            "1985-02-30",
            "12.05.85",
            "1985-05-1x",
            "12051985",
        ] {
            assert_eq!(date(text), None, "{text}");
        }
    }
}
