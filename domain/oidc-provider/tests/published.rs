//! What `docs/identity-provider.md` publishes is what the program decides by.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeSet;

use oidc_provider::{
    AccountId, ClientId, Event, EventKind, Factor, GrantId, Level, MandateId, OPERATIONS, Proofing,
    Recovery, SCOPES, SessionId, TABLE, level_of,
};
use serde::Serialize;
use time::OffsetDateTime;

const PAGE: &str = include_str!("../../../docs/identity-provider.md");
const EVENTS: &str = include_str!("../../../docs/events.md");

fn name(value: impl Serialize) -> String {
    serde_json::to_string(&value)
        .unwrap()
        .trim_matches('"')
        .to_owned()
}

/// The rows of the table of a page under a heading line.
fn rows(page: &str, heading: &str) -> Vec<Vec<String>> {
    page.lines()
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
    let published = rows(PAGE, "| level | proofing | signs in with | recovery |");
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
    let published = rows(PAGE, "| operation | level | waits a day after a recovery |");
    let decided: Vec<Vec<String>> = OPERATIONS
        .iter()
        .map(|(operation, level, waits)| {
            let waits = if *waits { "yes" } else { "no" };
            vec![name(operation), level.to_string(), waits.to_owned()]
        })
        .collect();
    assert_eq!(published, decided);
}

/// What stands between backquotes.
fn quoted(text: &str) -> Vec<String> {
    let words = text.split('`').skip(1).step_by(2);
    words.map(str::to_owned).collect()
}

#[test]
fn every_event_and_scope_is_published() {
    let names: Vec<String> = rows(EVENTS, "| the identity provider's events | |")
        .iter()
        .flat_map(|row| quoted(&row[0]))
        .collect();
    let all: Vec<&str> = EventKind::ALL.iter().map(|kind| kind.name()).collect();
    assert_eq!(names, all);
    for kind in EventKind::ALL {
        assert_eq!(name(kind), kind.name());
    }
    for (scope, _) in SCOPES {
        assert!(PAGE.contains(&format!("`{scope}`")), "{scope}");
    }
}

#[test]
fn the_fields_of_an_event_are_the_published_ones() {
    // Every field there is: without one of them this is no event.
    let event = Event {
        at: OffsetDateTime::UNIX_EPOCH,
        event: EventKind::EventsRead,
        account: Some(AccountId::new("account")),
        actor: Some(AccountId::new("actor")),
        office: Some("office".to_owned()),
        client: Some(ClientId::new("client")),
        session: Some(SessionId::new("session")),
        grant: Some(GrantId::new("grant")),
        mandate: Some(MandateId::new("mandate")),
        factor: Some(Factor::Card),
        level: Some(Level::High),
        network: Some("192.0.2.0/24".to_owned()),
        reason: Some("court".to_owned()),
        reference: Some("15".to_owned()),
    };
    let value = serde_json::to_value(&event).unwrap();
    let fields: BTreeSet<String> = value.as_object().unwrap().keys().cloned().collect();
    let published: Vec<String> = rows(EVENTS, "| field | what it holds | in whose events |")
        .iter()
        .filter(|row| row[2].contains("identity provider") || row[2] == "all")
        .flat_map(|row| quoted(&row[0]))
        .collect();
    assert_eq!(published.len(), fields.len());
    assert_eq!(BTreeSet::from_iter(published), fields);
    // What is empty is left out, and what was written is read again.
    let bare = r#"{"at":"1970-01-01T00:00:00Z","event":"signin.failed"}"#;
    let read: Event = serde_json::from_str(bare).unwrap();
    assert_eq!(serde_json::to_string(&read).unwrap(), bare);
    assert_eq!(serde_json::from_value::<Event>(value).unwrap(), event);
}
