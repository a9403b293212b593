//! Items change all together or not at all, and only as they were read.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use items::{
    By, Changes, Content, Event, EventPlace, Item, Kind, Memory, Store, StoreError, list, load,
    page_of_events,
};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::macros::datetime;

const NOON: OffsetDateTime = datetime!(2026-11-25 12:00 UTC);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Things {
    Box,
    Ball,
}

impl Kind for Things {
    fn number(self) -> i16 {
        self as i16 + 1
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Moved(String);

impl Event for Moved {
    fn at(&self) -> OffsetDateTime {
        NOON
    }

    fn people(&self) -> [Option<&str>; 2] {
        [Some(&self.0), None]
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Ball {
    name: String,
    holder: String,
}

impl Item for Ball {
    type Kind = Things;

    const KIND: Things = Things::Ball;

    fn key(&self) -> String {
        self.name.clone()
    }

    fn owner(&self) -> Option<String> {
        Some(self.holder.clone())
    }

    fn expires(&self) -> Option<OffsetDateTime> {
        Some(NOON)
    }
}

type Room = Memory<Things, Moved>;

fn ball(name: &str, holder: &str) -> Ball {
    Ball {
        name: name.to_owned(),
        holder: holder.to_owned(),
    }
}

fn with(names: &[&str]) -> Room {
    let room = Room::default();
    let mut changes = Changes::default();
    for name in names {
        changes.insert(&ball(name, "aida")).unwrap();
    }
    room.commit(&changes).unwrap();
    room
}

#[test]
fn all_or_nothing_and_only_as_it_was_read() {
    let room = with(&["red", "blue"]);
    let mut red = load::<Ball>(&room, "red").unwrap().unwrap();
    let blue = load::<Ball>(&room, "blue").unwrap().unwrap();
    let mut other = red.clone();
    other.value.holder = "emil".to_owned();
    let mut changes = Changes::default();
    changes.replace(&other).unwrap();
    room.commit(&changes).unwrap();

    red.value.holder = "asel".to_owned();
    let mut changes = Changes::default();
    changes.remove(&blue);
    changes.replace(&red).unwrap();
    changes.event(Moved("asel".to_owned()));
    assert_eq!(room.commit(&changes), Err(StoreError::Conflict));
    let found = load::<Ball>(&room, "red").unwrap().unwrap();
    assert_eq!(found.value.holder, "emil");
    assert!(load::<Ball>(&room, "blue").unwrap().is_some());
    assert_eq!(room.events_of("asel", None, 9).unwrap(), []);

    // What a decision rests on counts as much as what it changes.
    let mut changes = Changes::default();
    changes.rests_on(&red);
    changes.remove(&blue);
    assert_eq!(room.commit(&changes), Err(StoreError::Conflict));
    let mut changes = Changes::default();
    changes.insert(&ball("red", "asel")).unwrap();
    assert_eq!(room.commit(&changes), Err(StoreError::Conflict));
    let mut changes = Changes::default();
    changes.rests_on(&found);
    changes.remove(&blue);
    room.commit(&changes).unwrap();
    assert!(load::<Ball>(&room, "blue").unwrap().is_none());
}

#[test]
fn an_item_is_written_once_in_one_order_at_the_version_read_first() {
    let room = with(&["red", "blue"]);
    let mut red = load::<Ball>(&room, "red").unwrap().unwrap();
    let blue = load::<Ball>(&room, "blue").unwrap().unwrap();
    let mut changes: Changes<Things, Moved> = Changes::default();
    assert!(changes.is_empty());
    changes.rests_on(&red);
    red.value.holder = "asel".to_owned();
    changes.replace(&red).unwrap();
    changes.rests_on(&red);
    changes.remove(&blue);
    let keys: Vec<&str> = changes
        .writes()
        .iter()
        .map(|write| write.key.as_str())
        .collect();
    assert_eq!(keys, ["blue", "red"]);
    assert_eq!(changes.writes()[0].content, Content::Gone);
    assert!(matches!(changes.writes()[1].content, Content::Put { .. }));
    assert!(
        changes
            .writes()
            .iter()
            .all(|write| write.expected == Some(1))
    );
    room.commit(&changes).unwrap();
    let found = list::<Ball>(&room, By::Owner("asel"), 9).unwrap();
    assert_eq!(found.len(), 1);
    let others = list::<Ball>(&room, By::KeysAfter("red"), 9).unwrap();
    assert_eq!(others.len(), 0);
    // It changed: at the version read before, it is not taken again.
    assert_eq!(room.commit(&changes), Err(StoreError::Conflict));
}

#[test]
fn an_item_that_was_moved_under_another_key_is_not_read() {
    let room = with(&["red"]);
    room.tamper(Things::Ball, |body| body.replace("red", "blue"));
    let refused = load::<Ball>(&room, "red");
    assert!(
        matches!(refused, Err(StoreError::Unreadable(_))),
        "{refused:?}"
    );
    let refused = list::<Ball>(&room, By::Owner("aida"), 9);
    assert!(
        matches!(refused, Err(StoreError::Unreadable(_))),
        "{refused:?}"
    );
    assert_eq!(room.list(Things::Box, By::KeysAfter(""), 9).unwrap(), []);
}

#[test]
fn a_full_store_changes_nothing_and_a_stolen_copy_is_a_copy() {
    let room = with(&["red"]);
    let stolen = room.stolen();
    room.set_full(true);
    let mut changes = Changes::default();
    changes.insert(&ball("blue", "asel")).unwrap();
    assert!(matches!(
        room.commit(&changes),
        Err(StoreError::Unavailable(_))
    ));
    stolen.commit(&changes).unwrap();
    assert_eq!(room.bodies(Things::Ball).len(), 1);
    assert_eq!(stolen.bodies(Things::Ball).len(), 2);
    let gone = stolen
        .forget(NOON + time::Duration::SECOND, NOON, 1)
        .unwrap();
    assert_eq!((gone, stolen.bodies(Things::Ball).len()), (1, 1));
}

#[test]
fn a_page_says_where_earlier_events_are() {
    let events = |count: u64| -> Vec<(EventPlace, u64)> {
        let places = (1..=count).rev();
        places.map(|place| (EventPlace(place), place)).collect()
    };
    for (count, holds, kept, earlier) in [
        (0, 2, 0, None),
        (2, 2, 2, None),
        (3, 2, 2, Some(EventPlace(2))),
    ] {
        let mut found = events(count);
        assert_eq!(page_of_events(&mut found, holds), earlier);
        assert_eq!(found.len(), kept);
    }
}
