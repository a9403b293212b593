//! The customers of the demonstration bank.

use time::Date;

use crate::demonstration::population::{Population, any_day};
use crate::demonstration::scatter::Stream;
use crate::number::PersonalNumber;

const PURPOSE_CUSTOMER: u64 = 20;

/// A customer of the bank.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Customer {
    /// Personal number.
    pub number: PersonalNumber,
    /// Day on which the first account was opened.
    pub since: Date,
    /// How many accounts there are, from 1.
    pub accounts: u32,
}

/// The bank's customers: a third of all adults.
#[derive(Debug, Clone, Copy)]
pub struct CustomerRegister {
    population: Population,
}

impl CustomerRegister {
    /// The register over a population.
    #[must_use]
    pub const fn new(population: Population) -> Self {
        Self { population }
    }

    /// The customer with a personal number, or none.
    #[must_use]
    pub fn find(&self, number: &PersonalNumber) -> Option<Customer> {
        let person = self.population.find(number)?;
        let mut stream = Stream::new(
            self.population.seed(),
            PURPOSE_CUSTOMER,
            u64::from(person.index),
        );
        let first_year = (person.born_on.year() + 18).max(2005);
        if first_year > 2025 || !stream.chance(33) {
            return None;
        }
        Some(Customer {
            number: person.number,
            since: any_day(stream.between(first_year, 2025), &mut stream),
            accounts: stream.below(3) + 1,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_are_customers_and_some_are_not() {
        let population = Population::demonstration();
        let register = CustomerRegister::new(population);
        let customers = (0..400)
            .filter_map(|index| population.person(index))
            .filter_map(|person| register.find(&person.number))
            .count();
        assert!((50..200).contains(&customers), "{customers}");
    }
}
