//! Tickets: values that this service hands out and takes back unchanged, so that any of its nodes can read them without a
//! database. They are authentic, not secret.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use pki::DigestAlgorithm;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::port::{Changes, StoreError, load};
use crate::record::UsedOnce;
use crate::refusal::{Failure, Refusal};
use crate::signing::Signing;

/// Longest ticket, in characters: more is refused before it is decoded.
pub const LONGEST_TICKET: usize = 8 * 1024;

/// Where tickets are noted that ended before their time.
const WITHDRAWN: &str = "withdrawn";

/// What a ticket is for. One made for one purpose is none for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Purpose {
    /// A client may call the service.
    Service,
    /// A client may have the signatures of one authorisation.
    Credential,
    /// A client asked, and a browser brings it.
    Request,
    /// What a browser holds of a request that waits for its person.
    Browser,
    /// A code for a client, brought by a browser.
    Code,
    /// A challenge for whoever signs in.
    Challenge,
    /// Somebody is signed in.
    Session,
    /// A browser's own forms.
    Form,
}

#[derive(Serialize, Deserialize)]
struct Contents<T> {
    purpose: Purpose,
    until: i64,
    value: T,
}

impl Signing {
    /// A ticket with a value, good until a moment.
    ///
    /// # Errors
    /// The value cannot be written.
    pub fn ticket<T: Serialize>(
        &self,
        purpose: Purpose,
        value: &T,
        until: OffsetDateTime,
    ) -> Result<String, Failure> {
        let contents = Contents {
            purpose,
            until: until.unix_timestamp(),
            value,
        };
        let json = serde_json::to_vec(&contents)
            .map_err(|error| StoreError::Unreadable(error.to_string()))?;
        let text = URL_SAFE_NO_PAD.encode(json);
        let tag = URL_SAFE_NO_PAD.encode(self.tag_of(&text));
        Ok(format!("{text}.{tag}"))
    }

    /// The value of a ticket of ours for a purpose, if its time is not over.
    ///
    /// # Errors
    /// [`Refusal::Ticket`].
    pub fn opened<T: DeserializeOwned>(
        &self,
        purpose: Purpose,
        ticket: &str,
        now: OffsetDateTime,
    ) -> Result<T, Failure> {
        let open = || {
            if ticket.len() > LONGEST_TICKET {
                return None;
            }
            let (text, tag) = ticket.split_once('.')?;
            let tag = URL_SAFE_NO_PAD.decode(tag).ok()?;
            verify_slices_are_equal(&tag, &self.tag_of(text)).ok()?;
            let json = URL_SAFE_NO_PAD.decode(text).ok()?;
            let contents: Contents<T> = serde_json::from_slice(&json).ok()?;
            let holds = contents.purpose == purpose && now.unix_timestamp() < contents.until;
            holds.then_some(contents.value)
        };
        open().ok_or(Refusal::Ticket.into())
    }

    fn tag_of(&self, text: &str) -> [u8; 32] {
        self.vault.tag(format!("tunduk ticket 1 {text}").as_bytes())
    }

    /// Ends a ticket before its time, at every node: [`Signing::is_withdrawn`] says so until a moment, which must not be
    /// before the ticket's own. Again changes nothing.
    ///
    /// # Errors
    /// See [`Failure`].
    pub fn withdraw(&self, ticket: &str, until: OffsetDateTime) -> Result<(), Failure> {
        match self.use_once(WITHDRAWN, ticket, until) {
            Err(Failure::Refused(Refusal::Replay)) => Ok(()),
            done => done,
        }
    }

    /// Whether a ticket was ended before its time.
    ///
    /// # Errors
    /// See [`Failure`].
    pub fn is_withdrawn(&self, ticket: &str) -> Result<bool, Failure> {
        let found = load::<UsedOnce>(&*self.store, &used_once(WITHDRAWN, ticket))?;
        Ok(found.is_some())
    }

    /// Takes something that is taken once: it is remembered until a moment.
    ///
    /// # Errors
    /// [`Refusal::Replay`] if it was taken before; see [`Failure`].
    pub fn use_once(&self, space: &str, id: &str, until: OffsetDateTime) -> Result<(), Failure> {
        let mut changes = Changes::default();
        changes.insert(&UsedOnce {
            id: used_once(space, id),
            expires_at: until,
        })?;
        match self.store.commit(&changes) {
            Err(StoreError::Conflict) => Err(Refusal::Replay.into()),
            done => Ok(done?),
        }
    }
}

/// Under what something that is taken once is kept.
fn used_once(space: &str, id: &str) -> String {
    let digest = DigestAlgorithm::Sha256.digest(format!("{space}\n{id}").as_bytes());
    URL_SAFE_NO_PAD.encode(digest.as_ref())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use time::Duration;
    use time::macros::datetime;
    use zeroize::Zeroizing;

    use super::*;
    use crate::{Memory, Place, SoftwareVault};

    const NOW: OffsetDateTime = datetime!(2026-11-25 09:00 UTC);

    fn signing(tagging: u8) -> Signing {
        let place = Place {
            relying_party: "sign.example.kg".into(),
            origins: Vec::new(),
            card_issuers: Vec::new(),
        };
        let vault = SoftwareVault::new(Zeroizing::new([1; 32]), &[tagging; 32]);
        Signing::new(Arc::new(Memory::default()), Arc::new(vault), place)
    }

    #[test]
    fn a_ticket_is_good_for_its_purpose_and_time_and_from_this_service() {
        let ours = signing(2);
        let later = NOW + Duration::MINUTE;
        let ticket = ours.ticket(Purpose::Code, &"value", later).unwrap();
        let open = |signing: &Signing, purpose, ticket: &str, now| {
            signing.opened::<String>(purpose, ticket, now).ok()
        };
        assert_eq!(
            open(&ours, Purpose::Code, &ticket, NOW).as_deref(),
            Some("value")
        );
        assert_eq!(open(&ours, Purpose::Session, &ticket, NOW), None);
        assert_eq!(open(&ours, Purpose::Code, &ticket, later), None);
        assert_eq!(open(&signing(3), Purpose::Code, &ticket, NOW), None);
        for place in 0..ticket.len() {
            let mut changed = ticket.clone().into_bytes();
            changed[place] = if changed[place] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            assert_eq!(open(&ours, Purpose::Code, &changed, NOW), None, "{place}");
            assert_eq!(open(&ours, Purpose::Code, &ticket[..place], NOW), None);
        }
    }

    #[test]
    fn what_is_taken_once_is_not_taken_again() {
        let signing = signing(2);
        signing.use_once("assertion bank", "1", NOW).unwrap();
        signing.use_once("assertion other", "1", NOW).unwrap();
        assert_eq!(
            signing.use_once("assertion bank", "1", NOW),
            Err(Failure::Refused(Refusal::Replay))
        );
    }
}
