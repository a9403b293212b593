//! Kyrgyz Cyrillic in Latin letters.

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

#[cfg(test)]
mod tests {
    use super::romanise;

    #[test]
    fn names_as_in_passports() {
        assert_eq!(romanise("Жеңиш Өмүрбеков"), "Zhengish Omurbekov");
        assert_eq!(romanise("Чынгыз уулу"), "Chyngyz uulu");
        assert_eq!(romanise("Асель, 12-үй"), "Asel, 12-ui");
    }
}
