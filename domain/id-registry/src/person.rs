//! What the register knows about a person: the values of its fields.

use serde::{Deserialize, Serialize};
use time::Date;

use crate::number::{PersonalNumber, Sex};
use crate::spelling::romanise;
use crate::territory::UnitCode;

/// Longest name, street or other free text, in characters.
pub const LONGEST_TEXT: usize = 100;

/// Whether a text has only characters that every channel can hold and that show what they are: none that steer a terminal
/// or the direction of writing, none that XML cannot hold, and no sign of a letter that was lost.
#[must_use]
pub fn is_printable(text: &str) -> bool {
    let steers = |c: char| {
        c.is_control()
            || matches!(c, '\u{200E}' | '\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
            || matches!(c, '\u{FEFF}' | '\u{FFF9}'..='\u{FFFF}')
    };
    !text.contains(steers)
}

/// A part of a person's name, in the scripts in which the state writes it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Name {
    /// In Cyrillic letters, as the person's act writes it: Kyrgyz, or Russian for a Russian name.
    #[serde(rename = "c")]
    pub cyrillic: String,
    /// The Russian spelling where the state's Russian documents write another one (`Женгиш` for `Жеңиш`).
    #[serde(rename = "r", default, skip_serializing_if = "Option::is_none")]
    pub russian: Option<String>,
    /// In Latin letters, as in the passport.
    #[serde(rename = "l")]
    pub latin: String,
}

/// What is wrong with a text that should be a name. The fault is the sender's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing, or more than [`LONGEST_TEXT`] characters.
    #[error("a name has 1 to {LONGEST_TEXT} characters")]
    Length,
    /// Other characters than letters of the script, space, hyphen, apostrophe and full stop.
    #[error("a name has letters of one script, spaces, hyphens, apostrophes and full stops only")]
    Letters,
}

impl Name {
    /// A name whose Latin spelling follows from the Cyrillic one.
    ///
    /// # Errors
    /// See [`NameError`].
    pub fn new(cyrillic: &str) -> Result<Self, NameError> {
        let name = Self::of(cyrillic);
        name.check().map(|()| name)
    }

    pub(crate) fn of(cyrillic: &str) -> Self {
        Self {
            latin: romanise(cyrillic),
            cyrillic: cyrillic.to_owned(),
            russian: None,
        }
    }

    /// Whether every spelling may stand in an act.
    ///
    /// # Errors
    /// See [`NameError`].
    pub fn check(&self) -> Result<(), NameError> {
        is_spelled(&self.cyrillic, is_cyrillic)?;
        is_spelled(&self.latin, is_latin)?;
        match &self.russian {
            None => Ok(()),
            Some(russian) => is_spelled(russian, is_cyrillic),
        }
    }

    /// Every spelling there is.
    pub fn spellings(&self) -> impl Iterator<Item = &str> {
        [
            Some(&self.cyrillic),
            self.russian.as_ref(),
            Some(&self.latin),
        ]
        .into_iter()
        .flatten()
        .map(String::as_str)
    }

    /// Whether a text is one of the spellings, whatever its case and the space around it.
    #[must_use]
    pub fn is(&self, text: &str) -> bool {
        let text = text.trim().to_lowercase();
        self.spellings()
            .any(|spelling| spelling.to_lowercase() == text)
    }
}

fn is_spelled(text: &str, letter: fn(char) -> bool) -> Result<(), NameError> {
    let length = text.chars().count();
    if length == 0 || length > LONGEST_TEXT || text.trim() != text {
        return Err(NameError::Length);
    }
    let fine = |c: char| letter(c) || matches!(c, ' ' | '-' | '\'' | '’' | '.');
    if text.chars().all(fine) && text.chars().any(letter) {
        Ok(())
    } else {
        Err(NameError::Letters)
    }
}

const fn is_cyrillic(c: char) -> bool {
    matches!(c, '\u{400}'..='\u{52F}')
}

fn is_latin(c: char) -> bool {
    c.is_ascii_alphabetic() || (c.is_alphabetic() && matches!(c, '\u{C0}'..='\u{24F}'))
}

/// The whole name of a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Names {
    /// Family name.
    pub family: Name,
    /// Given name.
    pub given: Name,
    /// Patronymic, which not everybody has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patronymic: Option<Name>,
}

impl Names {
    /// Whether every part may stand in an act.
    ///
    /// # Errors
    /// See [`NameError`].
    pub fn check(&self) -> Result<(), NameError> {
        self.family.check()?;
        self.given.check()?;
        self.patronymic.as_ref().map_or(Ok(()), Name::check)
    }
}

/// Marital status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CivilStatus {
    /// Never married.
    Single,
    /// Married.
    Married,
    /// Divorced.
    Divorced,
    /// Widowed.
    Widowed,
}

impl CivilStatus {
    /// The word used in answers: `single`, `married`, `divorced`, `widowed`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Single => "single",
            Self::Married => "married",
            Self::Divorced => "divorced",
            Self::Widowed => "widowed",
        }
    }
}

/// Whose citizen somebody is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Citizenship {
    /// Of a country: three capital letters (ICAO Doc 9303 part 3, section 5; ISO 3166-1 alpha-3).
    Of(String),
    /// Of none.
    Stateless,
}

impl Citizenship {
    /// The code that travel documents print: the country's, or `XXA` for a stateless person.
    #[must_use]
    pub fn code(&self) -> &str {
        match self {
            Self::Of(code) => code,
            Self::Stateless => "XXA",
        }
    }

    pub(crate) fn is_well_formed(&self) -> bool {
        let code = self.code().as_bytes();
        code.len() == 3 && code.iter().all(u8::is_ascii_uppercase)
    }
}

/// A parent's place in a family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Parent {
    /// The mother.
    Mother,
    /// The father.
    Father,
}

/// What a parent may decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ParentalRights {
    /// All that the law gives a parent.
    Full,
    /// Limited by a court: the parent sees and decides nothing here.
    Limited,
    /// Taken by a court.
    Lost,
}

/// Where somebody lives: a unit of the administrative tree and the place in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address {
    /// Town or village.
    pub unit: UnitCode,
    /// Street, without the word for it; empty where a village has none.
    pub street: String,
    /// House number, with its letter.
    pub house: String,
    /// Flat, in a house that has flats.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flat: Option<String>,
}

/// The two addresses that a person has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Residence {
    /// Where the person is registered.
    Registered,
    /// Where the person in fact lives.
    Actual,
}

/// A kind of document that is issued to a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum DocumentKind {
    /// The identity card.
    IdentityCard,
    /// The passport for travel.
    Passport,
    /// The certificate of birth.
    BirthCertificate,
    /// A foreigner's permit.
    ResidencePermit,
}

impl DocumentKind {
    /// The word used in answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::IdentityCard => "identityCard",
            Self::Passport => "passport",
            Self::BirthCertificate => "birthCertificate",
            Self::ResidencePermit => "residencePermit",
        }
    }
}

/// A document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Document {
    /// What it is.
    pub kind: DocumentKind,
    /// Series and number.
    pub number: String,
    /// First day of validity.
    #[serde(with = "crate::days")]
    pub issued_on: Date,
    /// Last day of validity, if it ends.
    #[serde(
        with = "crate::days::option",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub expires_on: Option<Date>,
    /// Number of the issuing office.
    pub authority: String,
}

/// Why more than the usual is withheld about a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ProtectionKind {
    /// Address and whereabouts are hidden.
    HiddenWhereabouts,
    /// A victim of violence: whereabouts are hidden, and the one named by the court learns nothing at all.
    Violence,
    /// A protected witness: the register does not know such a person.
    Witness,
}

/// Who holds a number when it is first entered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewPerson {
    /// The number that is issued.
    pub number: PersonalNumber,
    /// Name.
    pub names: Names,
    /// Sex.
    pub sex: Sex,
    /// Date of birth.
    #[serde(with = "crate::days")]
    pub born_on: Date,
    /// Place of birth, as the act writes it.
    pub birth_place: String,
    /// Citizenship.
    pub citizenship: Citizenship,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked_in_every_script() {
        let name = Name::new("Өмүрбек уулу").expect("a name");
        assert_eq!(name.latin, "Omurbek uulu");
        assert!(name.is(" өмүрбек УУЛУ ") && name.is("omurbek uulu") && !name.is("omurbek"));
        for (text, error) in [
            ("", NameError::Length),
            (" Асан", NameError::Length),
            ("Asan", NameError::Letters),
            ("Асан1", NameError::Letters),
            ("-", NameError::Letters),
            ("Аcан", NameError::Letters),
        ] {
            assert_eq!(Name::new(text), Err(error), "{text}");
        }
        assert_eq!(Name::new(&"а".repeat(101)), Err(NameError::Length));
        let russian = Name {
            russian: Some("Женгиш".into()),
            ..Name::of("Жеңиш")
        };
        assert!(russian.check().is_ok() && russian.is("женгиш"));
    }
}
