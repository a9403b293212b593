//! What `docs/identity-provider.md` publishes is what the program decides by.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use oidc_provider::{
    EventKind, Factor, Level, OPERATIONS, Proofing, Recovery, SCOPES, TABLE, level_of,
};
use serde::Serialize;

const PAGE: &str = include_str!("../../../docs/identity-provider.md");

fn name(value: impl Serialize) -> String {
    serde_json::to_string(&value)
        .unwrap()
        .trim_matches('"')
        .to_owned()
}

/// The rows of the table under a heading line.
fn rows(heading: &str) -> Vec<Vec<String>> {
    PAGE.lines()
        .skip_while(|line| *line != heading)
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .map(|line| {
            let cells = line.trim_matches('|').split('|');
            cells.map(|cell| cell.trim().to_owned()).collect()
        })
        .collect()
}

#[test]
fn the_table_of_levels_is_the_published_one() {
    let published = rows("| level | proofing | signs in with | recovery |");
    assert_eq!(published.len(), TABLE.len());
    let listed = |cell: &str, value: String| cell.split(", ").any(|word| word == value);
    for proofing in Proofing::ALL {
        for factor in Factor::ALL {
            for recovery in Recovery::ALL {
                let level = published
                    .iter()
                    .find(|row| {
                        listed(&row[1], name(proofing))
                            && listed(&row[2], name(factor))
                            && listed(&row[3], name(recovery))
                    })
                    .map(|row| row[0].clone());
                let decided = level_of(proofing, factor, recovery).to_string();
                assert_eq!(level, Some(decided), "{proofing:?} {factor:?} {recovery:?}");
            }
        }
    }
    for level in Level::ALL {
        let last = level.acr().rsplit('/').next().unwrap();
        assert_eq!(last, level.to_string());
    }
}

#[test]
fn the_table_of_operations_is_the_published_one() {
    let published = rows("| operation | level | waits a day after a recovery |");
    let decided: Vec<Vec<String>> = OPERATIONS
        .iter()
        .map(|(operation, level, waits)| {
            let waits = if *waits { "yes" } else { "no" };
            vec![name(operation), level.to_string(), waits.to_owned()]
        })
        .collect();
    assert_eq!(published, decided);
}

#[test]
fn every_event_and_scope_is_published() {
    let names: Vec<&str> = PAGE
        .split("\nNames: ")
        .nth(1)
        .unwrap()
        .split("\n\n")
        .next()
        .unwrap()
        .split('`')
        .skip(1)
        .step_by(2)
        .collect();
    let all: Vec<&str> = EventKind::ALL.iter().map(|kind| kind.name()).collect();
    assert_eq!(names, all);
    for (scope, _) in SCOPES {
        assert!(PAGE.contains(&format!("`{scope}`")), "{scope}");
    }
}
