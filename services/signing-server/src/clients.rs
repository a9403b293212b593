//! The systems that may call: each proves who it is by its key, and may do what it is registered for.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use id_registry::PersonalNumber;
use jose::JwkSet;
use time::OffsetDateTime;
use web_ui::Language;

/// What a client may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Duty {
    /// Ask people for signatures: portals, banks, agencies.
    Sign,
    /// Say that somebody's account is frozen or was recovered: the identity provider.
    Freeze,
}

/// A system that may call.
#[derive(Debug, Clone)]
pub struct Client {
    /// Its identifier.
    pub id: String,
    /// What people know it as, by the code of the language.
    pub names: BTreeMap<String, String>,
    /// Its public keys.
    pub keys: JwkSet,
    /// Where its browsers come back to, character for character.
    pub redirect_uris: BTreeSet<String>,
    /// What it may do.
    pub duties: BTreeSet<Duty>,
}

impl Client {
    /// What a person is told that it is called.
    #[must_use]
    pub fn name(&self, language: Language) -> &str {
        self.names
            .get(language.code())
            .or_else(|| self.names.values().next())
            .map_or(self.id.as_str(), String::as_str)
    }
}

/// Most people whom one client may look up in an hour at one node. More looks like trying all numbers.
pub const MOST_PEOPLE_AN_HOUR: usize = 2000;
const HOUR: i64 = 3600;

/// The people whom a client looked up in an hour, by digests of their numbers.
#[derive(Debug, Default)]
struct LookedUp {
    hour: i64,
    people: BTreeSet<[u8; 32]>,
}

/// The clients by their identifiers, and whom they looked up.
#[derive(Debug, Default)]
pub struct Clients {
    known: BTreeMap<String, Client>,
    looked_up: Mutex<BTreeMap<String, LookedUp>>,
}

impl Clients {
    /// These clients.
    #[must_use]
    pub fn new(clients: Vec<Client>) -> Self {
        Self {
            known: clients
                .into_iter()
                .map(|client| (client.id.clone(), client))
                .collect(),
            looked_up: Mutex::default(),
        }
    }

    /// A client.
    #[must_use]
    pub fn find(&self, id: &str) -> Option<&Client> {
        self.known.get(id)
    }

    /// Whether a client may look somebody up now. The same person may be looked up as often as it likes.
    pub(crate) fn may_look_up(
        &self,
        client: &Client,
        number: PersonalNumber,
        now: OffsetDateTime,
    ) -> bool {
        let hour = now.unix_timestamp().div_euclid(HOUR);
        let person = jose::sha256(number.as_str().as_bytes());
        let mut all = self
            .looked_up
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let looked_up = all.entry(client.id.clone()).or_default();
        if looked_up.hour != hour {
            *looked_up = LookedUp {
                hour,
                people: BTreeSet::new(),
            };
        }
        if looked_up.people.contains(&person) {
            return true;
        }
        looked_up.people.len() < MOST_PEOPLE_AN_HOUR && looked_up.people.insert(person)
    }
}
