//! The administrative tree: oblasts, districts, towns and villages.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Deepest level of the tree: oblast, district, local council, village and one to spare.
const DEEPEST: usize = 5;

/// The code of a unit: an ISO 3166-2 code for an oblast or a city of republican standing, and for what is below it
/// its parent's code, a hyphen and two digits (`KG-C-07-01`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct UnitCode(String);

/// A text that is not the code of a unit, or a tree that is none. The fault is that of whoever wrote it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TerritoryError {
    /// Not a code.
    #[error("{0:?} is not the code of an administrative unit, such as KG-C-07-01")]
    Code(String),
    /// A unit whose parent is missing.
    #[error("the administrative unit {0} has no parent in the tree")]
    NoParent(UnitCode),
    /// A unit that is there twice.
    #[error("the administrative unit {0} is there twice")]
    Twice(UnitCode),
}

impl UnitCode {
    /// The code as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A code that this crate made itself.
    pub(crate) const fn computed(code: String) -> Self {
        Self(code)
    }

    /// The code of the unit above; none for an oblast.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        let (above, _) = self.0.rsplit_once('-')?;
        above.contains('-').then(|| Self(above.to_owned()))
    }
}

impl FromStr for UnitCode {
    type Err = TerritoryError;

    fn from_str(text: &str) -> Result<Self, TerritoryError> {
        let mut parts = text.split('-');
        let country = parts.next().unwrap_or_default();
        let oblast = parts.next().unwrap_or_default();
        let below: Vec<&str> = parts.collect();
        let letters = |text: &str| text.bytes().all(|byte| byte.is_ascii_uppercase());
        let fine = country.len() == 2
            && letters(country)
            && matches!(oblast.len(), 1..=3)
            && letters(oblast)
            && below.len() < DEEPEST
            && below
                .iter()
                .all(|part| part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit()));
        if fine {
            Ok(Self(text.to_owned()))
        } else {
            Err(TerritoryError::Code(text.chars().take(40).collect()))
        }
    }
}

impl TryFrom<String> for UnitCode {
    type Error = TerritoryError;

    fn try_from(text: String) -> Result<Self, TerritoryError> {
        text.parse()
    }
}

impl From<UnitCode> for String {
    fn from(code: UnitCode) -> Self {
        code.0
    }
}

impl fmt::Display for UnitCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A unit of the tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit {
    /// Its code.
    pub code: UnitCode,
    /// Its name in Kyrgyz.
    pub name: String,
}

/// The whole tree.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Territory(BTreeMap<UnitCode, Unit>);

impl Territory {
    /// A tree of units, in any order.
    ///
    /// # Errors
    /// [`TerritoryError::NoParent`] and [`TerritoryError::Twice`].
    pub fn new(units: impl IntoIterator<Item = Unit>) -> Result<Self, TerritoryError> {
        let mut tree = BTreeMap::new();
        for unit in units {
            if let Some(before) = tree.insert(unit.code.clone(), unit) {
                return Err(TerritoryError::Twice(before.code));
            }
        }
        let orphan = tree.keys().find(|code| {
            code.parent()
                .is_some_and(|above| !tree.contains_key(&above))
        });
        match orphan {
            Some(code) => Err(TerritoryError::NoParent(code.clone())),
            None => Ok(Self(tree)),
        }
    }

    /// A unit by its code.
    #[must_use]
    pub fn unit(&self, code: &UnitCode) -> Option<&Unit> {
        self.0.get(code)
    }

    /// A unit and all above it, from the oblast down; empty for an unknown code.
    #[must_use]
    pub fn path(&self, code: &UnitCode) -> Vec<&Unit> {
        let mut path = Vec::new();
        let mut next = Some(code.clone());
        while let Some(unit) = next.and_then(|code| self.0.get(&code)) {
            path.push(unit);
            next = unit.code.parent();
        }
        path.reverse();
        path
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(code: &str) -> Unit {
        Unit {
            code: code.parse().expect("a code"),
            name: code.to_lowercase(),
        }
    }

    #[test]
    fn paths_go_down_from_the_oblast() {
        let tree =
            Territory::new([unit("KG-C-07-01"), unit("KG-C"), unit("KG-C-07")]).expect("a tree");
        let path: Vec<&str> = tree
            .path(&unit("KG-C-07-01").code)
            .iter()
            .map(|unit| unit.name.as_str())
            .collect();
        assert_eq!(path, ["kg-c", "kg-c-07", "kg-c-07-01"]);
        assert!(tree.path(&unit("KG-C-08").code).is_empty());
    }

    #[test]
    fn broken_trees_and_codes_are_refused() {
        let orphan = unit("KG-C-07");
        assert_eq!(
            Territory::new([orphan.clone()]),
            Err(TerritoryError::NoParent(orphan.code.clone()))
        );
        assert_eq!(
            Territory::new([unit("KG-C"), unit("KG-C")]),
            Err(TerritoryError::Twice(unit("KG-C").code))
        );
        for text in [
            "",
            "KG",
            "KG-",
            "kg-C",
            "KG-C-7",
            "KG-C-07-",
            "KG-CHUI",
            "KG-C-01-01-01-01-01",
        ] {
            assert!(text.parse::<UnitCode>().is_err(), "{text}");
        }
    }
}
