//! A source such as an earlier register leaves behind, for tests and measurements of the import: invented households
//! with the faults that real ones have. The same seed gives the same source everywhere.

use std::fmt::Write as _;

use time::Date;

use super::names::{MEN, WOMEN};
use super::places::{DISTRICTS, STREETS, locality_of};
use super::population::HOUSEHOLD;
use super::scatter::{Permutation, Stream};
use crate::number::{PersonalNumber, Sex};

const PURPOSE_HOUSEHOLD: u64 = 11;
const PURPOSE_PERSON: u64 = 12;
/// Serials of one sex and birthday.
const SERIALS: u32 = 100_000;
/// A year's days are dealt to so many blocks of [`SERIALS`] people, so that no number comes twice.
const BLOCKS: u32 = 73;

/// Before the middle of a family name.
const FIRST: &[&str] = &[
    "",
    "Ак",
    "Кара",
    "Кызыл",
    "Бай",
    "Бек",
    "Жаңы",
    "Эр",
    "Таш",
    "Темир",
    "Кут",
    "Нур",
    "Ай",
    "Алтын",
    "Жол",
    "Кош",
    "Сары",
    "Өмүр",
    "Чоң",
    "Дөөлөт",
];
/// Before the end of a family name.
const LAST: &[&str] = &[
    "",
    "бек",
    "бай",
    "кул",
    "мат",
    "алы",
    "тур",
    "жан",
    "кожо",
    "хан",
    "гелди",
    "берди",
    "дин",
    "мырза",
    "казы",
    "нур",
];
/// Endings of given names that are made of two.
const ADDED: &[&str] = &[
    "",
    "бек",
    "нур",
    "жан",
    "ай",
    "кан",
    "зат",
    "гүл",
    "султан",
    "бай",
];

/// How many rows carry a fault of a kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Planted {
    /// All rows.
    pub rows: u64,
    /// Rows that cannot be read: a value too many.
    pub broken: u64,
    /// Numbers with a digit missing.
    pub short_number: u64,
    /// Sex and number contradict each other.
    pub sex_contradicts: u64,
    /// Date of birth and number contradict each other.
    pub birth_contradicts: u64,
    /// A Latin letter within a Cyrillic name.
    pub mixed_script: u64,
    /// No given name.
    pub no_given_name: u64,
    /// A citizenship in words.
    pub citizenship_in_words: u64,
    /// Rows that repeat the one before.
    pub repeated: u64,
    /// Rows with a number that the row before has with another name.
    pub number_taken: u64,
    /// Second numbers of people whose name is spelled in Russian there.
    pub double_in_russian: u64,
    /// Second numbers of people whose family name has a slip of the pen there.
    pub double_with_slip: u64,
    /// Addresses in a unit that does not exist.
    pub unknown_unit: u64,
    /// Addresses without a house.
    pub no_house: u64,
}

impl Planted {
    /// Rows that cannot come in by themselves.
    #[must_use]
    pub const fn kept_out(&self) -> u64 {
        self.broken
            + self.short_number
            + self.sex_contradicts
            + self.birth_contradicts
            + self.mixed_script
            + self.no_given_name
            + self.citizenship_in_words
            // Both rows: nobody but an officer can tell which is right.
            + 2 * self.number_taken
    }
}

/// A source with faults.
#[derive(Debug, Clone, Copy)]
pub struct DirtySource {
    seed: u64,
    people: u32,
}

struct Row {
    number: String,
    sex: &'static str,
    born: String,
    family: String,
    given: String,
    patronymic: String,
    birth_place: &'static str,
    citizenship: &'static str,
    civil_status: &'static str,
    spouse: String,
    mother: String,
    father: String,
    unit: String,
    street: &'static str,
    house: String,
    document: [String; 4],
    more: &'static str,
}

impl DirtySource {
    /// Most people whom a source tells of.
    pub const MOST: u32 = SERIALS * BLOCKS;
    /// The line with the columns.
    pub const HEADER: &str = "number,sex,birth_date,family_name,given_name,patronymic,birth_place,citizenship,\
         civil_status,spouse,mother,father,unit,street,house,document_kind,document_number,document_issued,\
         document_authority\n";

    /// A source of so many people, at most [`DirtySource::MOST`], in the world of `seed`.
    #[must_use]
    pub fn new(seed: u64, people: u32) -> Self {
        Self {
            seed,
            people: people.min(Self::MOST),
        }
    }

    /// How many households there are.
    #[must_use]
    pub const fn households(&self) -> u32 {
        self.people.div_ceil(HOUSEHOLD)
    }

    /// The name that somebody of the source bears, faults aside: for searches.
    #[must_use]
    pub fn names(&self, person: u32) -> (String, String) {
        let row = self.row(person);
        (row.family, row.given)
    }

    /// The number of somebody of the source, faults aside.
    #[must_use]
    pub fn number(&self, person: u32) -> PersonalNumber {
        let (sex, born) = self.birth(person);
        let serial = Permutation::new(self.seed, SERIALS).apply(person % SERIALS);
        PersonalNumber::compose(sex, born, serial)
    }

    /// Writes the rows of a household.
    pub fn write_household(&self, household: u32, to: &mut String, planted: &mut Planted) {
        let first = household.saturating_mul(HOUSEHOLD);
        for person in first..first.saturating_add(HOUSEHOLD).min(self.people) {
            self.write_person(person, to, planted);
        }
    }

    fn birth(&self, person: u32) -> (Sex, Date) {
        let mut home = Stream::new(self.seed, PURPOSE_HOUSEHOLD, u64::from(person / HOUSEHOLD));
        let father_born = home.between(1944, 1994);
        let mother_born = father_born + home.between(-3, 6);
        let mut stream = Stream::new(self.seed, PURPOSE_PERSON, u64::from(person));
        let (sex, year) = match person % HOUSEHOLD {
            0 => (Sex::Male, father_born),
            1 => (Sex::Female, mother_born),
            _ => {
                let sex = if stream.chance(49) {
                    Sex::Female
                } else {
                    Sex::Male
                };
                (sex, (mother_born + 20 + stream.between(0, 16)).min(2025))
            }
        };
        let day = person / SERIALS + 1 + BLOCKS * stream.below(5);
        let day = u16::try_from(day).unwrap_or(1);
        (sex, Date::from_ordinal_date(year, day).unwrap_or(Date::MIN))
    }

    fn row(&self, person: u32) -> Row {
        let household = person / HOUSEHOLD;
        let place = person % HOUSEHOLD;
        let (sex, born) = self.birth(person);
        let mut home = Stream::new(self.seed, PURPOSE_HOUSEHOLD + 10, u64::from(household));
        let mut pick = |from: &[&'static str]| home.pick(from).unwrap_or_default();
        let (first, middle, last) = (pick(FIRST), pick(MEN), pick(LAST));
        let family = if first.is_empty() {
            format!("{middle}{last}ов")
        } else {
            format!("{first}{}{last}ов", middle.to_lowercase())
        };
        let father = pick(MEN);
        let street = pick(STREETS);
        let married = home.chance(85) && household * HOUSEHOLD + 1 < self.people;
        let district = home.below(u32::try_from(DISTRICTS.len()).unwrap_or(1)) as usize;
        let house = (home.below(180) + 1).to_string();
        let mut own = Stream::new(self.seed, PURPOSE_PERSON + 10, u64::from(person));
        let given = match (place, sex) {
            (0, _) => father.to_owned(),
            (_, Sex::Male) => {
                own.pick(MEN).unwrap_or_default().to_owned() + own.pick(ADDED).unwrap_or_default()
            }
            (_, Sex::Female) => {
                own.pick(WOMEN).unwrap_or_default().to_owned() + own.pick(ADDED).unwrap_or_default()
            }
        };
        let fathers_name = if place < 2 {
            own.pick(MEN).unwrap_or_default()
        } else {
            father
        };
        let relative = |place: u32| self.number(household * HOUSEHOLD + place).to_string();
        let child = place > 1;
        let card = born.year() <= 2009;
        let document = if card {
            [
                "identityCard".to_owned(),
                format!("ID{person:08}"),
                format!(
                    "{}-0{}-1{}",
                    2017 + own.below(8),
                    own.below(9) + 1,
                    own.below(9)
                ),
                format!("211{:03}", own.below(99) + 1),
            ]
        } else {
            Default::default()
        };
        Row {
            number: self.number(person).to_string(),
            sex: sex.letter(),
            born: born.to_string(),
            family: match sex {
                Sex::Male => family,
                Sex::Female => family + "а",
            },
            given,
            patronymic: match sex {
                Sex::Male => format!("{fathers_name} уулу"),
                Sex::Female => format!("{fathers_name} кызы"),
            },
            birth_place: DISTRICTS
                .get(district)
                .map(|d| d.district)
                .unwrap_or_default(),
            citizenship: "KGZ",
            civil_status: if married && !child {
                "married"
            } else {
                "single"
            },
            spouse: if married && !child {
                relative(1 - place)
            } else {
                String::new()
            },
            mother: if child { relative(1) } else { String::new() },
            father: if child { relative(0) } else { String::new() },
            unit: locality_of(district).to_string(),
            street,
            house,
            document,
            more: "",
        }
    }

    fn write_person(&self, person: u32, to: &mut String, planted: &mut Planted) {
        let mut row = self.row(person);
        let mut stream = Stream::new(self.seed, PURPOSE_PERSON + 20, u64::from(person));
        let fault = stream.below(10_000);
        match fault {
            0..20 => {
                row.number.pop();
                planted.short_number += 1;
            }
            20..40 => {
                row.sex = if row.sex == "F" { "M" } else { "F" };
                planted.sex_contradicts += 1;
            }
            40..60 => {
                let year = if row.born.starts_with("19") {
                    "18"
                } else {
                    "19"
                };
                row.born.replace_range(..2, year);
                planted.birth_contradicts += 1;
            }
            60..80 => {
                row.family.push('a');
                planted.mixed_script += 1;
            }
            80..95 => {
                row.given.clear();
                planted.no_given_name += 1;
            }
            95..110 => {
                row.citizenship = "Кыргызстан";
                planted.citizenship_in_words += 1;
            }
            110..125 => {
                row.more = ",";
                planted.broken += 1;
            }
            125..165 => {
                row.unit = "KG-C-99".to_owned();
                planted.unknown_unit += 1;
            }
            165..205 => {
                row.house.clear();
                planted.no_house += 1;
            }
            // Other spellings of what is right.
            205..405 => {
                let (year, day, month) = (&row.born[..4], &row.born[8..], &row.born[5..7]);
                row.born = format!("{day}.{month}.{year}");
                row.given = format!("  {} ", row.given);
            }
            _ => {}
        }
        row.write(to);
        planted.rows += 1;
        match fault {
            405..430 => planted.repeated += 1,
            430..445 => {
                row.given = "Башка".to_owned();
                planted.number_taken += 1;
            }
            445..475 => {
                row.be_double();
                row.family = in_russian(&row.family);
                row.given = in_russian(&row.given);
                planted.double_in_russian += 1;
            }
            475..500 => {
                row.be_double();
                row.family = with_slip(&row.family);
                planted.double_with_slip += 1;
            }
            _ => return,
        }
        row.write(to);
        planted.rows += 1;
    }
}

impl Row {
    /// The same person with another number, as an office enters somebody who is there already.
    fn be_double(&mut self) {
        let serial: u32 = self.number[9..].parse().unwrap_or_default();
        let other = (serial + SERIALS / 2) % SERIALS;
        self.number.replace_range(9.., &format!("{other:05}"));
        self.spouse.clear();
        self.civil_status = "single";
        self.document = Default::default();
    }

    fn write(&self, to: &mut String) {
        let [kind, number, issued, authority] = &self.document;
        let _ = writeln!(
            to,
            "{},{},{},{},{},{},{},{},{},{},{},{},{},\"{}\",{},{kind},{number},{issued},{authority}{}",
            self.number,
            self.sex,
            self.born,
            self.family,
            self.given,
            self.patronymic,
            self.birth_place,
            self.citizenship,
            self.civil_status,
            self.spouse,
            self.mother,
            self.father,
            self.unit,
            self.street,
            self.house,
            self.more,
        );
    }
}

/// A Kyrgyz name as Russian documents write it.
fn in_russian(name: &str) -> String {
    let mut russian = String::with_capacity(name.len());
    for letter in name.chars() {
        match letter {
            'ң' => russian.push_str("нг"),
            'Ө' => russian.push('О'),
            'ө' => russian.push('о'),
            'Ү' => russian.push('У'),
            'ү' => russian.push('у'),
            other => russian.push(other),
        }
    }
    russian
}

/// The last two consonants before the ending swapped: `Асанбеков`, `Асанбкеов`.
fn with_slip(name: &str) -> String {
    let mut letters: Vec<char> = name.chars().collect();
    let at = letters.len().saturating_sub(4);
    if at + 1 < letters.len() {
        letters.swap(at, at + 1);
    }
    letters.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn numbers_come_once_and_the_same_seed_gives_the_same_source() {
        let source = DirtySource::new(5, DirtySource::MOST);
        let sample = (0..200_000).chain(7_200_000..7_300_000);
        let numbers: HashSet<PersonalNumber> = sample.clone().map(|it| source.number(it)).collect();
        assert_eq!(numbers.len(), sample.count());
        let write = |seed| {
            let (mut text, mut planted) = (String::new(), Planted::default());
            for household in 0..1000 {
                DirtySource::new(seed, 4000).write_household(household, &mut text, &mut planted);
            }
            (text, planted)
        };
        assert_eq!(write(1), write(1));
        assert_ne!(write(1).0, write(2).0);
        let (text, planted) = write(1);
        assert_eq!(text.lines().count() as u64, planted.rows);
        assert!(
            planted.kept_out() > 0 && planted.repeated > 0,
            "{planted:?}"
        );
        assert_eq!(in_russian("Жеңиш Өмүр"), "Женгиш Омур");
        assert_eq!(with_slip("Асанбеков"), "Асанбкеов");
    }
}
