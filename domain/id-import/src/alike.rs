//! Rows that may be about one person: proposals for an officer, who decides.

use std::collections::HashMap;

use id_registry::{PersonalNumber, likeness, skeleton};
use serde::Serialize;
use time::Date;

/// Least likeness of both names, of 100, below which a common birthday is a coincidence (as in the register itself).
const ALIKE: u32 = 75;
/// Most people of one birthday and family name, or given name, who are compared with one another.
const LARGEST_GROUP: usize = 300;
/// Most pairs that are told, likeliest kinds first.
pub(crate) const MOST_PAIRS: usize = 1_000_000;

/// Why two numbers may be one person's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Likeness {
    /// The same document.
    SameDocument,
    /// The same birthday and names, letter by letter.
    SameName,
    /// The same birthday; the names are the same across scripts and transliterations.
    SameNameAcrossScripts,
    /// The same birthday; one name differs by slips of the pen.
    AlikeName,
    /// The same names; day and month of the birthdays are swapped.
    BirthdaySwapped,
}

/// Two numbers that may be one person's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alike {
    /// The two, in the order of the source.
    pub numbers: [PersonalNumber; 2],
    /// Their rows.
    pub rows: [u64; 2],
    /// Why.
    pub likeness: Likeness,
}

/// What is kept of a person for comparing: 24 bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Features {
    /// Julian day of birth.
    born: i32,
    family: u32,
    given: u32,
    /// Digest of both names in lower case: equal for the same spelling.
    spelling: u32,
    /// Digest of the document, 0 for none.
    document: u64,
}

/// The different names of a source, as skeletons. A spelling is taken apart once.
#[derive(Debug, Default)]
pub(crate) struct Vocabulary {
    by_spelling: HashMap<String, u32>,
    by_bones: HashMap<String, u32>,
    bones: Vec<String>,
}

impl Vocabulary {
    fn id(&mut self, spelling: &str) -> u32 {
        if let Some(id) = self.by_spelling.get(spelling) {
            return *id;
        }
        let bones = skeleton(spelling);
        let next = u32::try_from(self.bones.len()).unwrap_or(u32::MAX);
        let id = *self.by_bones.entry(bones.clone()).or_insert(next);
        if id == next {
            self.bones.push(bones);
        }
        self.by_spelling.insert(spelling.to_owned(), id);
        id
    }

    pub(crate) fn features(
        &mut self,
        born: Date,
        family: &str,
        given: &str,
        document: Option<&str>,
    ) -> Features {
        let digest = |texts: &[&str]| {
            let mut digest = crate::source::Fnv::new();
            for text in texts {
                digest.write(text.to_lowercase().as_bytes());
                digest.write(&[0]);
            }
            crate::profile::spread(digest.0)
        };
        Features {
            born: born.to_julian_day(),
            family: self.id(family),
            given: self.id(given),
            spelling: u32::try_from(digest(&[family, given]) >> 32).unwrap_or_default(),
            document: document.map_or(0, |document| digest(&[document]).max(1)),
        }
    }

    fn alike(&self, one: u32, other: u32) -> bool {
        let bones = |id: u32| self.bones.get(id as usize).map_or("", String::as_str);
        likeness(bones(one), bones(other)) >= ALIKE
    }
}

/// Pairs of places, each pair once, with the strongest reason.
pub(crate) fn pairs(
    people: &[(u32, Features)],
    names: &Vocabulary,
) -> HashMap<(u32, u32), Likeness> {
    let mut found = HashMap::new();
    let add = |found: &mut HashMap<(u32, u32), Likeness>, one: u32, other: u32, why: Likeness| {
        let pair = (one.min(other), one.max(other));
        if found.len() < MOST_PAIRS || found.contains_key(&pair) {
            let known = found.entry(pair).or_insert(why);
            *known = (*known).min(why);
        }
    };
    groups(
        people,
        |it| it.document,
        |it| it.document != 0,
        |one, other| {
            add(&mut found, one.0, other.0, Likeness::SameDocument);
        },
    );
    let birthday = |it: &Features| u64::from(it.born.cast_unsigned()) << 32;
    groups(
        people,
        |it| birthday(it) | u64::from(it.family),
        |_| true,
        |one, other| {
            let (first, second) = (one.1, other.1);
            if first.given == second.given {
                let why = if first.spelling == second.spelling {
                    Likeness::SameName
                } else {
                    Likeness::SameNameAcrossScripts
                };
                add(&mut found, one.0, other.0, why);
            } else if names.alike(first.given, second.given) {
                add(&mut found, one.0, other.0, Likeness::AlikeName);
            }
        },
    );
    groups(
        people,
        |it| birthday(it) | u64::from(it.given),
        |_| true,
        |one, other| {
            let (first, second) = (one.1, other.1);
            if first.family != second.family && names.alike(first.family, second.family) {
                add(&mut found, one.0, other.0, Likeness::AlikeName);
            }
        },
    );
    // Within people of the same names: the birthday, and the one with day and month swapped.
    let ordered = |it: &Features| {
        let date = Date::from_julian_day(it.born).unwrap_or(Date::MIN);
        let (day, month) = (u64::from(date.day()), u64::from(u8::from(date.month())));
        let year = u64::from(date.year().unsigned_abs());
        (year << 16) | (day.min(month) << 8) | day.max(month)
    };
    let named = |it: &Features| (u64::from(it.family) << 32) | u64::from(it.given);
    let key =
        |it: &Features| crate::profile::spread(named(it)) ^ crate::profile::spread(ordered(it));
    groups(
        people,
        key,
        |_| true,
        |one, other| {
            let (first, second) = (one.1, other.1);
            let same = named(&first) == named(&second) && ordered(&first) == ordered(&second);
            if same && first.born != second.born {
                add(&mut found, one.0, other.0, Likeness::BirthdaySwapped);
            }
        },
    );
    found
}

/// Calls `each` with every pair of people who have the same key.
fn groups(
    people: &[(u32, Features)],
    key: impl Fn(&Features) -> u64,
    wanted: impl Fn(&Features) -> bool,
    mut each: impl FnMut(&(u32, Features), &(u32, Features)),
) {
    let mut order: Vec<(u64, u32)> = (0..)
        .zip(people)
        .filter(|(_, (_, features))| wanted(features))
        .map(|(place, (_, features))| (key(features), place))
        .collect();
    order.sort_unstable();
    for group in order.chunk_by(|one, other| one.0 == other.0) {
        if group.len() > LARGEST_GROUP {
            continue;
        }
        for (at, (_, one)) in group.iter().enumerate() {
            for (_, other) in &group[at + 1..] {
                each(&people[*one as usize], &people[*other as usize]);
            }
        }
    }
}
