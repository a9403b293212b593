//! The residents.

use time::macros::date;
use time::{Date, Month};

use super::names::{FAMILIES, MEN, WOMEN};
use super::places::{DISTRICTS, STREETS, locality_of};
use super::scatter::{Permutation, Stream};
use crate::act::{Entry, Event, Officer, TakenOver};
use crate::number::{PersonalNumber, Sex};
use crate::person::{
    Address, Citizenship, CivilStatus, Document, DocumentKind, Name, Names, NewPerson,
};

/// The seed of the demonstration country.
pub const DEFAULT_SEED: u64 = 0x4B47_2026;

/// The largest population: one resident for each of the five last digits.
pub const LARGEST_POPULATION: u32 = 100_000;

/// Members of a household.
pub const HOUSEHOLD: u32 = 4;
/// The day on which the register took the residents over; all of them were born before it.
const TAKEN_OVER_ON: Date = date!(2026 - 01 - 01);

const PURPOSE_HOUSEHOLD: u64 = 1;
const PURPOSE_PERSON: u64 = 2;
const PURPOSE_DOCUMENT: u64 = 3;

/// A register of synthetic residents, numbered from 0.
///
/// Every four neighbours form a household: a father, a mother and two
/// children, at one address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Population {
    seed: u64,
    size: u32,
}

/// Why a register cannot be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PopulationError {
    /// More residents than five digits can tell apart.
    #[error("a population has at most 100,000 residents, {0} were asked for")]
    TooLarge(u32),
}

/// A resident.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resident {
    /// Place in the register, from 0.
    pub index: u32,
    /// Personal number.
    pub number: PersonalNumber,
    /// Sex, as in the number.
    pub sex: Sex,
    /// Date of birth, as in the number.
    pub born_on: Date,
    /// Family name.
    pub family_name: Name,
    /// Given name.
    pub given_name: Name,
    /// Patronymic.
    pub patronymic: Name,
    /// District of birth, in Kyrgyz.
    pub birth_place: String,
    /// Registered address.
    pub address: Address,
    /// Marital status.
    pub civil_status: CivilStatus,
    /// Identity card; none before the sixteenth birthday.
    pub document: Option<Document>,
}

/// What the members of one household share.
struct Household {
    family: &'static str,
    mothers_family: &'static str,
    father: &'static str,
    grandfathers: [&'static str; 2],
    father_born: i32,
    mother_born: i32,
    together: CivilStatus,
    district: &'static str,
    address: Address,
}

impl Population {
    /// The register of `size` residents in the world of `seed`.
    ///
    /// # Errors
    /// [`PopulationError::TooLarge`] above [`LARGEST_POPULATION`].
    pub const fn new(seed: u64, size: u32) -> Result<Self, PopulationError> {
        if size > LARGEST_POPULATION {
            return Err(PopulationError::TooLarge(size));
        }
        Ok(Self { seed, size })
    }

    /// The demonstration country: [`LARGEST_POPULATION`] residents of
    /// [`DEFAULT_SEED`].
    #[must_use]
    pub const fn demonstration() -> Self {
        Self {
            seed: DEFAULT_SEED,
            size: LARGEST_POPULATION,
        }
    }

    /// How many residents there are.
    #[must_use]
    pub const fn size(&self) -> u32 {
        self.size
    }

    pub(crate) const fn seed(&self) -> u64 {
        self.seed
    }

    /// The resident at a place in the register, from 0.
    #[must_use]
    pub fn person(&self, index: u32) -> Option<Resident> {
        (index < self.size).then(|| self.compute(index))
    }

    /// The resident who holds a number, or none if nobody does.
    #[must_use]
    pub fn find(&self, number: &PersonalNumber) -> Option<Resident> {
        let index = self.serials().invert(number.serial());
        self.person(index).filter(|person| person.number == *number)
    }

    /// The members of a household, numbered from 0, as an earlier register would hand them over; none past the last.
    #[must_use]
    pub fn household_entry(&self, household: u32) -> Option<Entry> {
        let first = household.checked_mul(HOUSEHOLD)?;
        let members: Vec<Resident> = (first..first.saturating_add(HOUSEHOLD))
            .filter_map(|index| self.person(index))
            .collect();
        let number = |place: usize| members.get(place).map(|member: &Resident| member.number);
        let people: Vec<TakenOver> = members
            .iter()
            .enumerate()
            .map(|(place, member)| {
                let married = member.civil_status == CivilStatus::Married;
                let is_child = place > 1;
                TakenOver {
                    person: NewPerson {
                        number: member.number,
                        names: Names {
                            family: member.family_name.clone(),
                            given: member.given_name.clone(),
                            patronymic: Some(member.patronymic.clone()),
                        },
                        sex: member.sex,
                        born_on: member.born_on,
                        birth_place: member.birth_place.clone(),
                        citizenship: Citizenship::Of("KGZ".to_owned()),
                    },
                    civil_status: member.civil_status,
                    spouse: if married && !is_child {
                        number(1 - place)
                    } else {
                        None
                    },
                    father: if is_child { number(0) } else { None },
                    mother: if is_child { number(1) } else { None },
                    address: Some(member.address.clone()),
                    documents: member.document.clone().into_iter().collect(),
                    died_on: None,
                }
            })
            .collect();
        (!people.is_empty()).then(|| Entry {
            event: Event::TakenOver { people },
            effective: TAKEN_OVER_ON,
            reference: format!("demonstration household {household}"),
            officer: Officer {
                office: "demonstration".to_owned(),
                name: "seed".to_owned(),
            },
        })
    }

    fn serials(&self) -> Permutation {
        Permutation::new(self.seed, LARGEST_POPULATION)
    }

    fn compute(&self, index: u32) -> Resident {
        let household = self.household(index / HOUSEHOLD);
        let mut stream = Stream::new(self.seed, PURPOSE_PERSON, u64::from(index));
        let place = index % HOUSEHOLD;
        let (sex, year) = match place {
            0 => (Sex::Male, household.father_born),
            1 => (Sex::Female, household.mother_born),
            _ => {
                let sex = if stream.chance(49) {
                    Sex::Female
                } else {
                    Sex::Male
                };
                let after = household.mother_born + 20 + stream.between(0, 16);
                (sex, after.min(2025))
            }
        };
        let born_on = any_day(year, &mut stream);
        let given = match (place, sex) {
            (0, _) => household.father,
            (_, Sex::Male) => stream.pick(MEN).unwrap_or_default(),
            (_, Sex::Female) => stream.pick(WOMEN).unwrap_or_default(),
        };
        let (family, fathers_name) = match place {
            0 => (household.family, household.grandfathers[0]),
            1 => (household.mothers_family, household.grandfathers[1]),
            _ => (household.family, household.father),
        };
        let civil_status = match place {
            0 | 1 => household.together,
            _ => CivilStatus::Single,
        };
        let birth_place = if place < 2 || stream.chance(30) {
            stream
                .pick(DISTRICTS)
                .map(|d| d.district)
                .unwrap_or_default()
                .to_owned()
        } else {
            household.district.to_owned()
        };
        let number = PersonalNumber::compose(sex, born_on, self.serials().apply(index));
        Resident {
            index,
            number,
            sex,
            born_on,
            family_name: Name::of(&family_name(family, sex)),
            given_name: Name::of(given),
            patronymic: Name::of(&patronymic(fathers_name, sex)),
            birth_place,
            address: household.address,
            civil_status,
            document: self.document(index, born_on),
        }
    }

    fn household(&self, number: u32) -> Household {
        let mut stream = Stream::new(self.seed, PURPOSE_HOUSEHOLD, u64::from(number));
        let family = stream.pick(FAMILIES).unwrap_or_default();
        let maiden = stream.pick(FAMILIES).unwrap_or_default();
        let father_born = stream.between(1944, 1996);
        let mother_born = father_born + stream.between(-3, 6);
        let together = match stream.below(100) {
            0..84 => CivilStatus::Married,
            84..95 => CivilStatus::Divorced,
            _ => CivilStatus::Widowed,
        };
        let mothers_family = if stream.chance(65) { family } else { maiden };
        let name = |stream: &mut Stream| stream.pick(MEN).unwrap_or_default();
        let (father, grandfathers) = (name(&mut stream), [name(&mut stream), name(&mut stream)]);
        let district = stream.below(u32::try_from(DISTRICTS.len()).unwrap_or(1)) as usize;
        let address = Address {
            unit: locality_of(district),
            street: stream.pick(STREETS).unwrap_or_default().to_owned(),
            house: (stream.below(180) + 1).to_string(),
            flat: stream
                .chance(40)
                .then(|| (stream.below(96) + 1).to_string()),
        };
        Household {
            family,
            mothers_family,
            father,
            grandfathers,
            father_born,
            mother_born,
            together,
            district: DISTRICTS
                .get(district)
                .map(|d| d.district)
                .unwrap_or_default(),
            address,
        }
    }

    fn document(&self, index: u32, born_on: Date) -> Option<Document> {
        let mut stream = Stream::new(self.seed, PURPOSE_DOCUMENT, u64::from(index));
        let first_year = (born_on.year() + 16).max(2017);
        if first_year > 2025 {
            return None;
        }
        let issued_on = any_day(stream.between(first_year, 2025), &mut stream);
        let expires_on = issued_on
            .replace_year(issued_on.year() + 10)
            .unwrap_or(issued_on);
        Some(Document {
            kind: DocumentKind::IdentityCard,
            number: format!(
                "ID{:07}",
                1_000_000 + Permutation::new(!self.seed, LARGEST_POPULATION).apply(index)
            ),
            issued_on,
            expires_on: Some(expires_on),
            authority: format!("211{:03}", stream.between(1, 99)),
        })
    }
}

/// A day of the year; never 29 February, which not every year has.
pub(crate) fn any_day(year: i32, stream: &mut Stream) -> Date {
    let month =
        Month::try_from(u8::try_from(stream.between(1, 12)).unwrap_or(1)).unwrap_or(Month::January);
    let last = if month == Month::February {
        28
    } else {
        i32::from(month.length(year))
    };
    let day = u8::try_from(stream.between(1, last)).unwrap_or(1);
    Date::from_calendar_date(year, month, day).unwrap_or(Date::MIN)
}

fn family_name(family: &str, sex: Sex) -> String {
    match sex {
        Sex::Male => family.to_owned(),
        Sex::Female => format!("{family}а"),
    }
}

fn patronymic(father: &str, sex: Sex) -> String {
    match sex {
        Sex::Male => format!("{father} уулу"),
        Sex::Female => format!("{father} кызы"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Nobody, OpaqueSerial, Rules, decide};

    #[test]
    fn every_resident_is_found_by_number_and_numbers_differ() {
        let population = Population::demonstration();
        let mut serials = vec![false; LARGEST_POPULATION as usize];
        for index in 0..population.size() {
            let person = population.person(index).expect("within the register");
            assert_eq!(person.number.to_string().parse(), Ok(person.number));
            assert_eq!(person.number.birth_date(), Some(person.born_on));
            assert_eq!(person.number.sex(), person.sex);
            assert!(!std::mem::replace(
                &mut serials[person.number.serial() as usize],
                true
            ));
            if index % 997 == 0 {
                assert_eq!(population.find(&person.number), Some(person));
            }
        }
    }

    #[test]
    fn nobody_is_found_by_a_number_that_differs_in_one_digit() {
        let population = Population::demonstration();
        let person = population.person(17).expect("within the register");
        let (sex, born_on) = (person.sex, person.born_on);
        let other = PersonalNumber::compose(sex, born_on, person.number.serial() ^ 1);
        assert_eq!(population.find(&other), None);
        assert_eq!(population.person(LARGEST_POPULATION), None);
    }

    #[test]
    fn the_same_seed_gives_the_same_country_and_another_seed_another() {
        let one = Population::new(5, 1000).expect("small").person(10);
        assert_eq!(one, Population::new(5, 1000).expect("small").person(10));
        assert_ne!(one, Population::new(6, 1000).expect("small").person(10));
        assert_eq!(
            Population::new(5, 100_001),
            Err(PopulationError::TooLarge(100_001))
        );
    }

    /// Pins the demonstration country: stories and documents name this person.
    #[test]
    fn the_first_resident_is_known() {
        let person = Population::demonstration().person(0).expect("the first");
        assert_eq!(person.number.as_str().len(), 14);
        assert_eq!(person.sex, Sex::Male);
        assert!(person.patronymic.cyrillic.ends_with("уулу"));
        assert!(person.family_name.latin.is_ascii());
    }

    /// What the demonstration loads passes the same decision as any other entry.
    #[test]
    fn every_household_may_be_entered() {
        let territory = super::super::territory();
        let rules = Rules {
            numbers: &OpaqueSerial,
            territory: &territory,
            cooling_off: time::Duration::ZERO,
        };
        let at = time::macros::datetime!(2026-01-02 0:00 UTC);
        let population = Population::new(DEFAULT_SEED, 40_001).expect("small");
        for household in 0..10_001 {
            let entry = population.household_entry(household).expect("somebody");
            let decided = decide(entry, at, rules, &Nobody);
            assert!(decided.is_ok(), "{household}: {decided:?}");
        }
        assert_eq!(population.household_entry(10_001), None);
    }

    #[test]
    fn households_share_an_address_and_children_are_younger() {
        let population = Population::demonstration();
        for household in 0..500 {
            let members: Vec<Resident> = (0..4)
                .filter_map(|n| population.person(household * 4 + n))
                .collect();
            assert!(members.iter().all(|m| m.address == members[0].address));
            assert!(
                members[2].born_on.year() >= members[1].born_on.year() + 20,
                "{members:?}"
            );
        }
    }
}
