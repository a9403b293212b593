//! The register of driving licences.

use time::Date;

use crate::demonstration::population::{Population, Resident, any_day};
use crate::demonstration::scatter::{Permutation, Stream};
use crate::number::PersonalNumber;

const PURPOSE_LICENCE: u64 = 10;

/// A category of vehicles (Vienna Convention on Road Traffic, annex 6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Category {
    /// Motorcycles.
    A,
    /// Cars.
    B,
    /// Lorries.
    C,
    /// Buses.
    D,
}

impl Category {
    /// The letter of the category.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::A => "A",
            Self::B => "B",
            Self::C => "C",
            Self::D => "D",
        }
    }
}

/// Whether a licence may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LicenceStatus {
    /// In force, up to its last day.
    Valid,
    /// Suspended by a court.
    Suspended,
}

impl LicenceStatus {
    /// The word used in answers: `valid` or `suspended`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::Suspended => "suspended",
        }
    }
}

/// A driving licence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Licence {
    /// `KG` and seven digits.
    pub number: String,
    /// Who holds it.
    pub holder: Resident,
    /// What it allows, in the order of the letters.
    pub categories: Vec<Category>,
    /// First day of validity.
    pub issued_on: Date,
    /// Last day of validity, ten years later.
    pub expires_on: Date,
    /// Status.
    pub status: LicenceStatus,
}

/// The licences of a population: three adults of five hold one.
#[derive(Debug, Clone, Copy)]
pub struct LicenceRegister {
    population: Population,
}

impl LicenceRegister {
    /// The register over a population.
    #[must_use]
    pub const fn new(population: Population) -> Self {
        Self { population }
    }

    /// The licence of the holder of a personal number; none if there is no
    /// such resident or he or she does not drive.
    #[must_use]
    pub fn of_person(&self, number: &PersonalNumber) -> Option<Licence> {
        self.population
            .find(number)
            .and_then(|person| self.of(person))
    }

    /// The first licence at or after a place in the population register.
    /// For stories and tests that need somebody who drives.
    #[must_use]
    pub fn first_from(&self, index: u32) -> Option<Licence> {
        (index..self.population.size())
            .filter_map(|index| self.population.person(index))
            .find_map(|person| self.of(person))
    }

    fn of(&self, holder: Resident) -> Option<Licence> {
        let seed = self.population.seed();
        let mut stream = Stream::new(seed, PURPOSE_LICENCE, u64::from(holder.index));
        let first_year = (holder.born_on.year() + 18).max(2016);
        if first_year > 2025 || !stream.chance(60) {
            return None;
        }
        let issued_on = any_day(stream.between(first_year, 2025), &mut stream);
        let mut categories = vec![Category::B];
        if stream.chance(15) {
            categories.insert(0, Category::A);
        }
        if stream.chance(25) {
            categories.push(Category::C);
            if stream.chance(30) {
                categories.push(Category::D);
            }
        }
        let status = if stream.chance(3) {
            LicenceStatus::Suspended
        } else {
            LicenceStatus::Valid
        };
        let digits = Permutation::new(
            seed.rotate_left(17),
            crate::demonstration::LARGEST_POPULATION,
        )
        .apply(holder.index);
        Some(Licence {
            number: format!("KG{:07}", 3_000_000 + digits),
            categories,
            issued_on,
            expires_on: issued_on
                .replace_year(issued_on.year() + 10)
                .unwrap_or(issued_on),
            status,
            holder,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holders_are_adults_and_are_found_again() {
        let register = LicenceRegister::new(Population::demonstration());
        let mut place = 0;
        for _ in 0..200 {
            let licence = register.first_from(place).expect("somebody drives");
            assert!(licence.issued_on.year() >= licence.holder.born_on.year() + 18);
            assert!(licence.issued_on < licence.expires_on);
            place = licence.holder.index + 1;
            assert_eq!(register.of_person(&licence.holder.number), Some(licence));
        }
        assert!(
            place < 800,
            "about every third resident drives, got {place}"
        );
    }
}
