//! The bank's one product: a loan that is paid back in equal payments.

use std::str::FromStr;

use id_registry::PersonalNumber;
use serde::{Deserialize, Serialize};
use time::{OffsetDateTime, UtcOffset};
use web_ui::{Language, Texts};

use crate::deed::{Block, Deed};

/// Smallest and largest loan, in som.
pub const AMOUNTS: std::ops::RangeInclusive<u32> = 5_000..=200_000;
/// Shortest and longest time, in months.
pub const MONTHS: std::ops::RangeInclusive<u32> = 3..=36;
/// Interest a year, in hundredths of a percent.
const RATE: i64 = 2_400;
/// Tyiyn in a som.
const TYIYN: i64 = 100;

/// What somebody wants to borrow. Only [`Terms::new`] makes one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Asked", into = "Asked")]
pub struct Terms {
    amount: u32,
    months: u32,
}

/// An amount and a time, not looked at.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    amount: u32,
    months: u32,
}

impl TryFrom<Asked> for Terms {
    type Error = &'static str;

    fn try_from(asked: Asked) -> Result<Self, &'static str> {
        Self::new(asked.amount, asked.months)
            .ok_or("the bank lends no such amount, or not for so long")
    }
}

impl From<Terms> for Asked {
    fn from(terms: Terms) -> Self {
        Self {
            amount: terms.amount,
            months: terms.months,
        }
    }
}

impl Terms {
    /// Terms that the bank offers: the amount in som, and months.
    #[must_use]
    pub fn new(amount: u32, months: u32) -> Option<Self> {
        (AMOUNTS.contains(&amount) && MONTHS.contains(&months)).then_some(Self { amount, months })
    }

    /// Terms as somebody typed them; spaces within numbers are as people write them.
    #[must_use]
    pub fn read(amount: &str, months: &str) -> Option<Self> {
        let number = |text: &str| {
            let digits: String = text.chars().filter(|c| !c.is_whitespace()).collect();
            u32::from_str(&digits).ok()
        };
        Self::new(number(amount)?, number(months)?)
    }

    /// The amount, in tyiyn.
    #[must_use]
    pub fn amount(self) -> i64 {
        i64::from(self.amount) * TYIYN
    }

    /// How many months.
    #[must_use]
    pub const fn months(self) -> u32 {
        self.months
    }

    /// What a month's interest is on a debt, in tyiyn, to the nearest.
    const fn interest(debt: i64) -> i64 {
        (debt * RATE + 60_000) / 120_000
    }

    /// What is left of the debt after all payments of this height, in tyiyn.
    fn rest(self, payment: i64) -> i64 {
        (0..self.months).fold(self.amount(), |debt, _| {
            debt + Self::interest(debt) - payment
        })
    }

    /// The payment each month, in tyiyn: the smallest that pays everything back.
    #[must_use]
    pub fn payment(self) -> i64 {
        let (mut low, mut high) = (0, self.amount() + Self::interest(self.amount()));
        while low < high {
            let middle = (low + high) / 2;
            if self.rest(middle) <= 0 {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        low
    }

    /// What is paid back in all, in tyiyn. The last payment is smaller by what the others were too much.
    #[must_use]
    pub fn total(self) -> i64 {
        let payment = self.payment();
        payment * i64::from(self.months) + self.rest(payment)
    }
}

/// An amount of money as it is written in the country, with spaces that do not break.
#[must_use]
pub fn money(tyiyn: i64) -> String {
    let digits = (tyiyn / TYIYN).to_string();
    let mut som = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            som.push('\u{a0}');
        }
        som.push(digit);
    }
    format!("{som},{:02}\u{a0}сом", tyiyn % TYIYN)
}

/// A day as it is written in the country, in its time.
#[must_use]
pub fn day(at: OffsetDateTime) -> String {
    let at = at.to_offset(UtcOffset::from_hms(6, 0, 0).unwrap_or(UtcOffset::UTC));
    format!("{:02}.{:02}.{}", at.day(), u8::from(at.month()), at.year())
}

/// Who borrows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Borrower {
    /// Name, as the population register has it.
    pub name: String,
    /// Personal number.
    pub number: PersonalNumber,
}

/// The agreement that is signed, in a language.
#[must_use]
pub fn agreement(
    texts: &Texts,
    language: Language,
    number: &str,
    borrower: &Borrower,
    terms: Terms,
    at: OffsetDateTime,
) -> Deed {
    let say = |key: &str| texts.find(language, key, None).unwrap_or_default();
    let fact = |key: &str, value: String| Block::Fact(say(key), value);
    let months = texts.find(language, "months", Some(&terms.months.to_string()));
    let organisation = say("service-name");
    Deed {
        language: language.code(),
        title: say("deed-title"),
        number: number.to_owned(),
        blocks: vec![
            fact("deed-day", day(at)),
            Block::Heading(say("deed-parties")),
            fact("deed-lender", organisation.clone()),
            fact("deed-borrower", borrower.name.clone()),
            fact("deed-number", borrower.number.as_str().to_owned()),
            Block::Heading(say("deed-terms")),
            fact("deed-amount", money(terms.amount())),
            fact("deed-months", months.unwrap_or_default()),
            fact("deed-rate", format!("{}\u{a0}%", RATE / 100)),
            fact("deed-payment", money(terms.payment())),
            fact("deed-total", money(terms.total())),
            Block::Heading(say("deed-rules")),
            Block::Paragraph(say("deed-rule-paid-out")),
            Block::Paragraph(say("deed-rule-payments")),
            Block::Paragraph(say("deed-rule-earlier")),
            Block::Paragraph(say("deed-rule-withdraw")),
            Block::Heading(say("deed-signature")),
            Block::Paragraph(say("deed-rule-signature")),
        ],
        organisation,
        at,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payments_pay_everything_back_and_no_tyiyn_more() {
        for (amount, months) in [(5_000, 3), (50_000, 12), (199_999, 36), (200_000, 24)] {
            let terms = Terms::new(amount, months).expect("terms");
            let payment = terms.payment();
            assert!(terms.rest(payment) <= 0 && terms.rest(payment - 1) > 0);
            // Each payment is at most a tyiyn a month too much.
            assert!(
                -terms.rest(payment) <= i64::from(months) * 2,
                "{amount} {months}"
            );
            assert!(terms.total() > terms.amount());
            assert!(terms.total() <= payment * i64::from(months));
        }
        // 2 % a month over 12 months: the annuity factor is 0.09455960, and the smallest whole tyiyn above it pays.
        assert_eq!(Terms::new(100_000, 12).expect("terms").payment(), 945_597);
    }

    #[test]
    fn what_the_bank_does_not_offer_is_no_terms() {
        assert!(Terms::read("50 000", "12").is_some());
        assert!(Terms::read("50\u{a0}000", " 12 ").is_some());
        for (amount, months) in [
            ("4999", "12"),
            ("200001", "12"),
            ("50000", "2"),
            ("50000", "37"),
            ("-50000", "12"),
            ("5e4", "12"),
            ("", "12"),
            ("50000.5", "12"),
            ("99999999999", "12"),
        ] {
            assert!(Terms::read(amount, months).is_none(), "{amount} {months}");
        }
        assert!(serde_json::from_str::<Terms>("{\"amount\":1,\"months\":1}").is_err());
    }

    #[test]
    fn money_is_written_as_people_do() {
        assert_eq!(money(123_456_789), "1\u{a0}234\u{a0}567,89\u{a0}сом");
        assert_eq!(money(5), "0,05\u{a0}сом");
        assert_eq!(money(100_000), "1\u{a0}000,00\u{a0}сом");
    }
}
