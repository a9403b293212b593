//! What a source is like.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::row::Reason;
use crate::source::{Cells, Column, Fnv};

/// Smallest digests that are kept of a column: up to here distinct values are counted, beyond they are estimated.
const KEPT: usize = 4096;

/// What a source is like. It holds counts only, nothing about anybody.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Profile {
    /// Rows, without the header.
    pub rows: u64,
    /// Rows that tell of a person.
    pub people: u64,
    /// What is wrong, by its code: how many rows are kept out for it (a row may have several reasons).
    pub kept_out: BTreeMap<&'static str, u64>,
    /// What is wrong, by its code: how often a value is left out of a person for it.
    pub left_out: BTreeMap<&'static str, u64>,
    /// Each column.
    pub columns: BTreeMap<&'static str, ColumnProfile>,
    /// Where rows contradict themselves or one another.
    pub contradictions: Contradictions,
}

/// What a column is like.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct ColumnProfile {
    /// Rows that have a value.
    pub filled: u64,
    /// Different values.
    pub distinct: u64,
    /// Whether `distinct` is an estimate (standard error below 2 %).
    pub distinct_is_estimated: bool,
    /// Values that cannot be what the column says.
    pub malformed: u64,
    #[serde(skip)]
    smallest: BTreeSet<u64>,
}

/// Where rows contradict themselves or one another.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Contradictions {
    /// Sex and the number's first digit.
    pub sex_and_number: u64,
    /// Date of birth and the number's.
    pub birth_and_number: u64,
    /// Rows that repeat an earlier one value by value.
    pub rows_repeated: u64,
    /// Rows that share a number with another row that differs.
    pub rows_sharing_a_number: u64,
    /// Pairs of numbers with equal names and birthday, in the same spelling.
    pub pairs_same_name: u64,
    /// Pairs of numbers with the same birthday and names that are equal across scripts and transliterations.
    pub pairs_same_name_across_scripts: u64,
    /// Pairs of numbers with the same birthday and names that differ by slips of the pen.
    pub pairs_alike_name: u64,
    /// Pairs of numbers with equal names and birthdays whose day and month are swapped.
    pub pairs_birthday_swapped: u64,
    /// Pairs of numbers with the same document.
    pub pairs_same_document: u64,
}

impl Profile {
    pub(crate) fn new() -> Self {
        let columns = Column::ALL.map(|column| (column.name(), ColumnProfile::default()));
        Self {
            columns: columns.into(),
            ..Self::default()
        }
    }

    pub(crate) fn see(&mut self, cells: &Cells<'_>) {
        for column in Column::ALL {
            let Some(value) = cells.filled(column) else {
                continue;
            };
            let Some(profile) = self.columns.get_mut(column.name()) else {
                continue;
            };
            profile.filled += 1;
            profile.distinguish(value);
        }
    }

    pub(crate) fn wrong(&mut self, column: Option<Column>, reason: &Reason, keeps_out: bool) {
        let counts = if keeps_out {
            &mut self.kept_out
        } else {
            &mut self.left_out
        };
        *counts.entry(reason.code()).or_default() += 1;
        match reason {
            Reason::SexContradicts => self.contradictions.sex_and_number += 1,
            Reason::BirthContradicts => self.contradictions.birth_and_number += 1,
            Reason::Number(_)
            | Reason::NotByRule
            | Reason::Sex
            | Reason::Date
            | Reason::Name(_)
            | Reason::Text
            | Reason::Unprintable
            | Reason::Citizenship
            | Reason::CivilStatus
            | Reason::Unit
            | Reason::DocumentKind => {
                let profile = column.and_then(|column| self.columns.get_mut(column.name()));
                if let Some(profile) = profile {
                    profile.malformed += 1;
                }
            }
            _ => {}
        }
    }

    pub(crate) fn finish(&mut self) {
        for profile in self.columns.values_mut() {
            profile.count();
        }
    }
}

impl ColumnProfile {
    fn distinguish(&mut self, value: &str) {
        let mut digest = Fnv::new();
        digest.write(value.as_bytes());
        let digest = spread(digest.0);
        if self.smallest.len() >= KEPT && self.smallest.last().is_some_and(|last| digest >= *last) {
            return;
        }
        if self.smallest.insert(digest) && self.smallest.len() > KEPT {
            self.smallest.pop_last();
        }
    }

    /// How many values there are, from how densely the smallest digests lie (Bar-Yossef et al., "Counting distinct
    /// elements in a data stream", 2002, algorithm 1).
    fn count(&mut self) {
        self.distinct_is_estimated = self.smallest.len() >= KEPT;
        self.distinct = match self.smallest.last() {
            Some(last) if self.distinct_is_estimated => {
                let all = (KEPT as u128 - 1) << 64;
                u64::try_from(all / (u128::from(*last) + 1)).unwrap_or(u64::MAX)
            }
            _ => self.smallest.len() as u64,
        };
        self.smallest.clear();
    }
}

/// FNV's high bits change little with the last letters of a value.
pub(crate) const fn spread(digest: u64) -> u64 {
    let mut z = digest;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distinct_values_are_counted_and_then_estimated() {
        for (values, exact) in [(0_u64, true), (1, true), (4000, true), (500_000, false)] {
            let mut profile = ColumnProfile::default();
            for value in 0..values * 2 {
                profile.distinguish(&format!("Асанов {}", value % values));
            }
            profile.count();
            assert_eq!(profile.distinct_is_estimated, !exact);
            let off = profile.distinct.abs_diff(values);
            assert!(off * 20 <= if exact { 0 } else { values }, "{profile:?}");
        }
    }
}
