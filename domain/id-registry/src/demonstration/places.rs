//! Oblasts, districts and streets for addresses.

use crate::territory::{Territory, Unit, UnitCode};

/// A district with its oblast and the place the address names, in Kyrgyz.
#[derive(Clone, Copy)]
pub(crate) struct District {
    pub(crate) oblast: &'static str,
    pub(crate) district: &'static str,
    pub(crate) locality: &'static str,
}

const fn d(oblast: &'static str, district: &'static str, locality: &'static str) -> District {
    District {
        oblast,
        district,
        locality,
    }
}

const CHUI: &str = "Чүй облусу";
const OSH: &str = "Ош облусу";
const JALAL_ABAD: &str = "Жалал-Абад облусу";
const BATKEN: &str = "Баткен облусу";
const NARYN: &str = "Нарын облусу";
const TALAS: &str = "Талас облусу";
const ISSYK_KUL: &str = "Ысык-Көл облусу";
const BISHKEK: &str = "Бишкек шаары";

/// The districts that residents live in.
pub(crate) const DISTRICTS: &[District] = &[
    d(BISHKEK, "Биринчи Май району", "Бишкек"),
    d(BISHKEK, "Ленин району", "Бишкек"),
    d(BISHKEK, "Октябрь району", "Бишкек"),
    d(BISHKEK, "Свердлов району", "Бишкек"),
    d("Ош шаары", "Ош шаары", "Ош"),
    d(CHUI, "Аламүдүн району", "Лебединовка"),
    d(CHUI, "Жайыл району", "Кара-Балта"),
    d(CHUI, "Кемин району", "Кемин"),
    d(CHUI, "Москва району", "Беловодское"),
    d(CHUI, "Панфилов району", "Каинды"),
    d(CHUI, "Сокулук району", "Сокулук"),
    d(CHUI, "Чүй району", "Токмок"),
    d(CHUI, "Ысык-Ата району", "Кант"),
    d(OSH, "Алай району", "Гүлчө"),
    d(OSH, "Араван району", "Араван"),
    d(OSH, "Кара-Кулжа району", "Кара-Кулжа"),
    d(OSH, "Кара-Суу району", "Кара-Суу"),
    d(OSH, "Ноокат району", "Ноокат"),
    d(OSH, "Өзгөн району", "Өзгөн"),
    d(OSH, "Чоң-Алай району", "Дароот-Коргон"),
    d(JALAL_ABAD, "Аксы району", "Кербен"),
    d(JALAL_ABAD, "Ала-Бука району", "Ала-Бука"),
    d(JALAL_ABAD, "Базар-Коргон району", "Базар-Коргон"),
    d(JALAL_ABAD, "Ноокен району", "Масы"),
    d(JALAL_ABAD, "Сузак району", "Сузак"),
    d(JALAL_ABAD, "Тогуз-Торо району", "Казарман"),
    d(JALAL_ABAD, "Токтогул району", "Токтогул"),
    d(JALAL_ABAD, "Чаткал району", "Каныш-Кыя"),
    d(BATKEN, "Баткен району", "Баткен"),
    d(BATKEN, "Кадамжай району", "Пүлгөн"),
    d(BATKEN, "Лейлек району", "Раззаков"),
    d(NARYN, "Ак-Талаа району", "Баетов"),
    d(NARYN, "Ат-Башы району", "Ат-Башы"),
    d(NARYN, "Жумгал району", "Чаек"),
    d(NARYN, "Кочкор району", "Кочкор"),
    d(NARYN, "Нарын району", "Нарын"),
    d(TALAS, "Айтматов району", "Кызыл-Адыр"),
    d(TALAS, "Бакай-Ата району", "Бакай-Ата"),
    d(TALAS, "Манас району", "Покровка"),
    d(TALAS, "Талас району", "Талас"),
    d(ISSYK_KUL, "Ак-Суу району", "Каракол"),
    d(ISSYK_KUL, "Жети-Өгүз району", "Кызыл-Суу"),
    d(ISSYK_KUL, "Тоң району", "Бөкөнбаев"),
    d(ISSYK_KUL, "Түп району", "Түп"),
    d(ISSYK_KUL, "Ысык-Көл району", "Чолпон-Ата"),
];

/// ISO 3166-2 codes of the oblasts and cities of republican standing.
const OBLASTS: &[(&str, &str)] = &[
    (BATKEN, "KG-B"),
    (CHUI, "KG-C"),
    (BISHKEK, "KG-GB"),
    ("Ош шаары", "KG-GO"),
    (JALAL_ABAD, "KG-J"),
    (NARYN, "KG-N"),
    (OSH, "KG-O"),
    (TALAS, "KG-T"),
    (ISSYK_KUL, "KG-Y"),
];

/// The code of the district at a place in [`DISTRICTS`], counted within its oblast; none past the end.
fn district_code(place: usize) -> Option<String> {
    let district = DISTRICTS.get(place)?;
    let (_, oblast) = OBLASTS.iter().find(|(name, _)| *name == district.oblast)?;
    let before = DISTRICTS[..place]
        .iter()
        .filter(|other| other.oblast == district.oblast)
        .count();
    Some(format!("{oblast}-{:02}", before + 1))
}

/// The code of the town or village of a district at a place in [`DISTRICTS`].
pub(crate) fn locality_of(place: usize) -> UnitCode {
    UnitCode::computed(format!("{}-01", district_code(place).unwrap_or_default()))
}

/// The administrative tree that the residents' addresses refer to.
#[must_use]
pub fn territory() -> Territory {
    let unit = |code: &str, name: &str| {
        code.parse().ok().map(|code| Unit {
            code,
            name: name.to_owned(),
        })
    };
    let oblasts = OBLASTS.iter().filter_map(|(name, code)| unit(code, name));
    let below = DISTRICTS.iter().enumerate().flat_map(|(place, district)| {
        let code = district_code(place).unwrap_or_default();
        [
            unit(&code, district.district),
            unit(&format!("{code}-01"), district.locality),
        ]
    });
    Territory::new(oblasts.chain(below.flatten())).unwrap_or_default()
}

/// Street names that every place may have.
pub(crate) const STREETS: &[&str] = &[
    "Абдрахманов",
    "Айтматов",
    "Ахунбаев",
    "Байтик Баатыр",
    "Достук",
    "Жаштык",
    "Жибек Жолу",
    "Ибраимов",
    "Исанов",
    "Курманжан Датка",
    "Манас",
    "Медеров",
    "Мир",
    "Осмонкул",
    "Панфилов",
    "Раззаков",
    "Сыдыгалиев",
    "Токтогул",
    "Тыныстанов",
    "Чүй",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_district_is_in_the_tree() {
        let tree = territory();
        for (place, district) in DISTRICTS.iter().enumerate() {
            let path: Vec<&str> = tree
                .path(&locality_of(place))
                .iter()
                .map(|unit| unit.name.as_str())
                .collect();
            assert_eq!(
                path,
                [district.oblast, district.district, district.locality]
            );
        }
    }
}
