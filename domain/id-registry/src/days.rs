//! Dates in stored acts: `2026-11-25`.

use serde::{Deserialize, Deserializer, Serializer};
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;
use time::{Date, OffsetDateTime, UtcOffset};

const DAY: &[BorrowedFormatItem<'static>] = format_description!("[year]-[month]-[day]");

/// Kyrgyzstan is six hours ahead of UTC, without summer time.
const KYRGYZ_TIME: (i8, i8, i8) = (6, 0, 0);

/// The date in Kyrgyzstan at a moment.
#[must_use]
pub fn day_of(moment: OffsetDateTime) -> Date {
    let (hours, minutes, seconds) = KYRGYZ_TIME;
    let offset = UtcOffset::from_hms(hours, minutes, seconds).unwrap_or(UtcOffset::UTC);
    moment.to_offset(offset).date()
}

/// Full years from `born` to `day`; negative before birth.
#[must_use]
pub fn age_on(born: Date, day: Date) -> i32 {
    let had_birthday = (day.month() as u8, day.day()) >= (born.month() as u8, born.day());
    day.year() - born.year() - i32::from(!had_birthday)
}

pub(crate) fn serialize<S: Serializer>(day: &Date, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(day)
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Date, D::Error> {
    let text = <std::borrow::Cow<'de, str>>::deserialize(from)?;
    Date::parse(&text, DAY).map_err(serde::de::Error::custom)
}

/// The same for dates that may be missing.
pub(crate) mod option {
    use super::{Date, Deserializer, Serializer};
    use serde::{Deserialize, Serialize};

    #[derive(Serialize, Deserialize)]
    struct Day(#[serde(with = "super")] Date);

    pub(crate) fn serialize<S: Serializer>(day: &Option<Date>, to: S) -> Result<S::Ok, S::Error> {
        day.map(Day).serialize(to)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Date>, D::Error> {
        Ok(Option::<Day>::deserialize(from)?.map(|day| day.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::{date, datetime};

    #[test]
    fn the_day_begins_six_hours_before_that_of_utc() {
        assert_eq!(
            day_of(datetime!(2026-11-24 18:00 UTC)),
            date!(2026 - 11 - 25)
        );
        assert_eq!(
            day_of(datetime!(2026-11-24 17:59 UTC)),
            date!(2026 - 11 - 24)
        );
    }

    #[test]
    fn ages() {
        let born = date!(2012 - 02 - 29);
        for (day, age) in [
            (date!(2026 - 02 - 28), 13),
            (date!(2026 - 03 - 01), 14),
            (date!(2012 - 02 - 28), -1),
            (date!(2012 - 02 - 29), 0),
        ] {
            assert_eq!(age_on(born, day), age, "{day}");
        }
    }
}
