//! Names across scripts: Cyrillic in Latin letters, and how alike two spellings are.

/// Writes a Kyrgyz name in Latin letters as machine-readable passports do
/// (ICAO Doc 9303 part 3, section 6, with `ң` as `ng`, `ө` as `o` and `ү` as
/// `u`). Characters that are not Cyrillic stay as they are.
#[must_use]
pub fn romanise(text: &str) -> String {
    let mut latin = String::with_capacity(text.len());
    for letter in text.chars() {
        let lower = letter.to_lowercase().next().unwrap_or(letter);
        let Some(letters) = latin_letters(lower) else {
            latin.push(letter);
            continue;
        };
        let mut letters = letters.chars();
        if letter.is_uppercase() {
            latin.extend(letters.next().map(|first| first.to_ascii_uppercase()));
        }
        latin.extend(letters);
    }
    latin
}

const fn latin_letters(letter: char) -> Option<&'static str> {
    Some(match letter {
        'а' => "a",
        'б' => "b",
        'в' => "v",
        'г' => "g",
        'д' => "d",
        'е' | 'э' => "e",
        'ё' => "io",
        'ж' => "zh",
        'з' => "z",
        'и' | 'й' => "i",
        'к' => "k",
        'л' => "l",
        'м' => "m",
        'н' => "n",
        'ң' => "ng",
        'о' | 'ө' => "o",
        'п' => "p",
        'р' => "r",
        'с' => "s",
        'т' => "t",
        'у' | 'ү' => "u",
        'ф' => "f",
        'х' => "kh",
        'ц' => "ts",
        'ч' => "ch",
        'ш' => "sh",
        'щ' => "shch",
        'ъ' => "ie",
        'ы' => "y",
        'ь' => "",
        'ю' => "iu",
        'я' => "ia",
        _ => return None,
    })
}

/// Spellings that different offices write for one sound, longest first, with what stands for all of them.
const SOUNDS: &[(&str, &str)] = &[
    ("shch", "s"),
    ("zh", "j"),
    ("dj", "j"),
    ("dzh", "j"),
    ("kh", "h"),
    ("sh", "s"),
    ("ch", "c"),
    ("ts", "c"),
    ("ngg", "n"),
    ("ng", "n"),
    ("iu", "u"),
    ("yu", "u"),
    ("ju", "u"),
    ("ia", "a"),
    ("ya", "a"),
    ("ja", "a"),
    ("io", "e"),
    ("yo", "e"),
    ("ie", "e"),
    ("ye", "e"),
    ("ck", "k"),
    ("q", "k"),
    ("w", "v"),
    ("y", "i"),
    ("ı", "i"),
    ("ö", "o"),
    ("ü", "u"),
    ("ş", "s"),
    ("ç", "c"),
    ("ñ", "n"),
    ("ğ", "g"),
];

/// What is left of a spelling when everything that offices and scripts write differently is taken out of it: `Жеңиш`,
/// `Женгиш`, `Zhengish`, `Jeñiş` and `JENGISH` all give `jenis`. Letters only, so words run together.
#[must_use]
pub fn skeleton(text: &str) -> String {
    let latin = romanise(&text.to_lowercase()).to_lowercase();
    let mut rest = latin.as_str();
    let mut bones = String::with_capacity(latin.len());
    while let Some(letter) = rest.chars().next() {
        let sound = SOUNDS
            .iter()
            .filter(|(spelled, _)| rest.starts_with(spelled))
            .max_by_key(|(spelled, _)| spelled.len());
        let (sound, taken) = match sound {
            // A `j` before a vowel is the Kyrgyz or Turkish one, not the German or Baltic `й`, except in these two.
            Some((spelled @ ("ja" | "ju"), _)) if bones.is_empty() => {
                (spelled.to_string(), spelled.len())
            }
            Some((spelled, sound)) => ((*sound).to_owned(), spelled.len()),
            None if letter.is_alphabetic() => (letter.to_string(), letter.len_utf8()),
            None => (String::new(), letter.len_utf8()),
        };
        // A doubled letter is one sound: `Жээнбеков`, `Jenbekov`.
        for letter in sound.chars() {
            if !bones.ends_with(letter) {
                bones.push(letter);
            }
        }
        rest = &rest[taken..];
    }
    bones
}

/// How alike two skeletons are, from 0 (nothing in common) to 100 (equal): 100 less the share of letters that must be
/// inserted, removed, replaced or swapped with a neighbour (optimal string alignment distance).
#[must_use]
pub fn likeness(one: &str, other: &str) -> u32 {
    let (one, other): (Vec<char>, Vec<char>) = (one.chars().collect(), other.chars().collect());
    let longest = one.len().max(other.len());
    if longest == 0 {
        return 100;
    }
    u32::try_from(100 - (distance(&one, &other) * 100).div_ceil(longest)).unwrap_or(0)
}

/// How many letters must be inserted, removed, replaced or swapped with a neighbour, each at most once.
pub(crate) fn distance(one: &[char], other: &[char]) -> usize {
    let width = other.len() + 1;
    let mut before_last = vec![0; width];
    let mut last: Vec<usize> = (0..width).collect();
    let mut current = vec![0; width];
    for row in 1..=one.len() {
        current[0] = row;
        for column in 1..width {
            let differs = usize::from(one[row - 1] != other[column - 1]);
            let mut least = (last[column] + 1)
                .min(current[column - 1] + 1)
                .min(last[column - 1] + differs);
            let swapped = row > 1
                && column > 1
                && one[row - 1] == other[column - 2]
                && one[row - 2] == other[column - 1];
            if swapped {
                least = least.min(before_last[column - 2] + 1);
            }
            current[column] = least;
        }
        std::mem::swap(&mut before_last, &mut last);
        std::mem::swap(&mut last, &mut current);
    }
    last[other.len()]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_as_in_passports() {
        assert_eq!(romanise("Жеңиш Өмүрбеков"), "Zhengish Omurbekov");
        assert_eq!(romanise("Чынгыз уулу"), "Chyngyz uulu");
        assert_eq!(romanise("Асель, 12-үй"), "Asel, 12-ui");
    }

    #[test]
    fn one_name_has_one_skeleton_in_all_spellings() {
        for spellings in [
            &["Жеңиш", "Женгиш", "Zhengish", "Jengish", "Jeñiş", "ЖЕҢИШ"][..],
            &["Жээнбеков", "Jeenbekov", "Zheenbekov", "Jenbekov"],
            &["Чыңгыз", "Chyngyz", "Chingiz", "Чингиз"],
            &["Үсөн", "Усон", "Uson", "Üsön"],
            &["Юсупов", "Yusupov", "Iusupov"],
            &["Токтогул уулу", "Toktogul-uulu", "toktogul  uulu"],
            &["Асель", "Asel", "Асел"],
        ] {
            let bones: BTreeSet<String> = spellings.iter().map(|name| skeleton(name)).collect();
            assert_eq!(bones.len(), 1, "{bones:?}");
        }
        assert_ne!(skeleton("Асан"), skeleton("Үсөн"));
        assert_eq!(skeleton("Жаныбек"), "janibek");
        assert_eq!(skeleton("12 -"), "");
    }

    #[test]
    fn likeness_counts_slips_of_the_pen() {
        assert_eq!(likeness("asanov", "asanov"), 100);
        assert_eq!(likeness("", ""), 100);
        assert_eq!(likeness("asanov", "asnaov"), 83);
        assert_eq!(likeness("asanov", "asano"), 83);
        assert_eq!(likeness("abc", "xyz"), 0);
        assert_eq!(likeness("", "abc"), 0);
    }
}
