//! The different names of a register, and those that are like a misspelt one.
//!
//! There are few different names and many people, so a server keeps all names in memory, and every one of them is looked
//! at in a search: none that is like enough is missed. Most are passed over by their letters alone.

use crate::spelling::distance;

/// Bits of a name's letters: for each of 32 classes of letters, whether it has one, and whether it has two or more.
type Letters = u64;

/// Names with the identifiers that a database gave them, which grow.
#[derive(Debug, Clone, Default)]
pub struct Vocabulary {
    /// The letters of all names, one name after the other.
    text: Vec<char>,
    words: Vec<Word>,
    letters: Vec<Letters>,
}

#[derive(Debug, Clone, Copy)]
struct Word {
    id: i64,
    /// Where it ends in the text; it begins where the one before ends.
    end: usize,
}

/// A name that may be meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Meant {
    /// Its identifier.
    pub id: i64,
    /// How like it is, of 100.
    pub likeness: u32,
}

impl Vocabulary {
    /// The newest name's identifier; 0 if there is none.
    #[must_use]
    pub fn newest(&self) -> i64 {
        self.words.last().map_or(0, |word| word.id)
    }

    /// Adds a name's skeleton. One that is not newer than the newest is there already and is passed over.
    pub fn add(&mut self, id: i64, skeleton: &str) {
        if id <= self.newest() {
            return;
        }
        let begin = self.text.len();
        self.text.extend(skeleton.chars());
        let name = self.text.get(begin..).unwrap_or_default();
        self.letters.push(letters(name));
        self.words.push(Word {
            id,
            end: self.text.len(),
        });
    }

    /// The names that are likest to a skeleton, up to so many, none less like than `least`; the likest first, and the
    /// older of two that are equally like.
    #[must_use]
    pub fn meant(&self, skeleton: &str, least: u32, most: usize) -> Vec<Meant> {
        let asked: Vec<char> = skeleton.chars().collect();
        let asked_letters = letters(&asked);
        // First by what a name can be like at best, which its letters and length tell.
        let mut at_best: Vec<Vec<usize>> = vec![Vec::new(); 101];
        let mut begin = 0;
        for (place, (word, letters)) in self.words.iter().zip(&self.letters).enumerate() {
            let length = word.end - begin;
            begin = word.end;
            let (ours, theirs) = (asked_letters & !letters, letters & !asked_letters);
            let differ = ours.count_ones().max(theirs.count_ones()) as usize;
            let differ = differ.max(asked.len().abs_diff(length));
            let best = likeness(differ, asked.len().max(length));
            if best >= least
                && let Some(places) = at_best.get_mut(best as usize)
            {
                places.push(place);
            }
        }
        let mut found: Vec<Meant> = Vec::new();
        let mut likest: Vec<usize> = vec![0; 101];
        for (best, places) in at_best.iter().enumerate().rev() {
            let likelier: usize = likest.iter().skip(best + 1).sum();
            if likelier >= most {
                break;
            }
            for place in places {
                let Some((id, name)) = self.word(*place) else {
                    continue;
                };
                let like = likeness(distance(&asked, name), asked.len().max(name.len()));
                if like >= least {
                    likest[like as usize] += 1;
                    found.push(Meant { id, likeness: like });
                }
            }
        }
        found.sort_by_key(|meant| (std::cmp::Reverse(meant.likeness), meant.id));
        found.truncate(most);
        found
    }

    fn word(&self, place: usize) -> Option<(i64, &[char])> {
        let begin = place
            .checked_sub(1)
            .and_then(|before| self.words.get(before))
            .map_or(0, |before| before.end);
        let word = self.words.get(place)?;
        Some((word.id, self.text.get(begin..word.end)?))
    }
}

/// As [`crate::likeness`] counts it.
fn likeness(distance: usize, longest: usize) -> u32 {
    if longest == 0 {
        return 100;
    }
    u32::try_from(100_usize.saturating_sub((distance * 100).div_ceil(longest))).unwrap_or(0)
}

/// One insertion, removal or replacement changes at most one bit that the one name has and the other has not, in each
/// direction; two letters that swap places change none. So names are at least as far apart as such bits are many.
fn letters(name: &[char]) -> Letters {
    name.iter().fold(0, |seen, letter| {
        let once = 1 << ((u32::from(*letter) % 32) * 2);
        seen | if seen & once == 0 { once } else { once << 1 }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spelling;

    /// Names of a few letters, so that many are alike, from numbers without pattern.
    fn names(count: u64) -> Vec<String> {
        (1..=count)
            .map(|seed| {
                let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
                let length = 1 + (state >> 60) as usize;
                (0..length)
                    .map(|_| {
                        state = state
                            .wrapping_mul(6_364_136_223_846_793_005)
                            .wrapping_add(1_442_695_040_888_963_407);
                        ['a', 'b', 'e', 'n', 'o', 'ш', 'И', 'z'][(state >> 61) as usize]
                    })
                    .collect()
            })
            .collect()
    }

    #[test]
    fn finds_what_looking_at_every_name_finds() {
        let names = names(3000);
        let mut vocabulary = Vocabulary::default();
        for (id, name) in (1..).zip(&names) {
            vocabulary.add(id, name);
        }
        for asked in names.iter().step_by(97).chain([&String::new()]) {
            for (least, most) in [(60, 20), (0, 5), (80, 1000), (100, 3)] {
                let mut expected: Vec<Meant> = (1..)
                    .zip(&names)
                    .map(|(id, name)| Meant {
                        id,
                        likeness: spelling::likeness(asked, name),
                    })
                    .filter(|meant| meant.likeness >= least)
                    .collect();
                expected.sort_by_key(|meant| (std::cmp::Reverse(meant.likeness), meant.id));
                expected.truncate(most);
                assert_eq!(vocabulary.meant(asked, least, most), expected, "{asked}");
            }
        }
    }

    #[test]
    fn a_name_is_added_once() {
        let mut vocabulary = Vocabulary::default();
        assert_eq!(vocabulary.newest(), 0);
        assert_eq!(vocabulary.meant("asanov", 0, 10), []);
        vocabulary.add(3, "asanov");
        vocabulary.add(3, "asanov");
        vocabulary.add(7, "usonov");
        assert_eq!(vocabulary.newest(), 7);
        let meant = vocabulary.meant("asnaov", 60, 10);
        assert_eq!(
            meant,
            [Meant {
                id: 3,
                likeness: 83
            }]
        );
    }
}
