//! Who is in front of the site, by a random cookie. In memory: after a restart people sign in again.

use std::collections::HashMap;
use std::sync::Mutex;

use document_signature::PreparedDocument;
use oauth2::LogoutToken;
use time::{Duration, OffsetDateTime};

use crate::identity::{Asked, Person};
use crate::random::{NoRandomness, random_text};
use crate::signing;

/// How long a visit lasts without a request.
const IDLE: Duration = Duration::minutes(30);
/// How long a visit lasts at most.
const LONGEST: Duration = Duration::hours(8);
/// Most visits at a time; the one that was idle longest gives way.
const MOST: usize = 20_000;
/// How long a logout token is remembered, so that it is taken once.
const TOKEN_REMEMBERED: Duration = Duration::minutes(15);

/// What a person wants to sign, sent away to be confirmed.
#[derive(Clone)]
pub struct Confirming {
    /// The contract.
    pub contract: String,
    /// The deed without its signature's value.
    pub prepared: PreparedDocument,
    /// The request.
    pub asked: signing::Asked,
}

/// One browser's visit.
#[derive(Clone, Default)]
pub struct Visit {
    /// Who it is, once signed in.
    pub person: Option<Person>,
    /// A sign-in under way.
    pub asked: Option<Asked>,
    /// Which contract is to be signed after it.
    pub then_sign: Option<String>,
    /// A signature under way.
    pub confirming: Option<Confirming>,
}

struct Kept {
    visit: Visit,
    began: OffsetDateTime,
    used: OffsetDateTime,
}

#[derive(Default)]
struct Inner {
    /// By the digest of the cookie, so that looking one up tells nothing by its time.
    visits: HashMap<String, Kept>,
    /// Logout tokens that were taken, with when they can be forgotten.
    tokens: HashMap<String, OffsetDateTime>,
}

/// All visits.
#[derive(Default)]
pub struct Visits(Mutex<Inner>);

impl std::fmt::Debug for Visits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Visits")
    }
}

fn digest(cookie: &str) -> String {
    jose::sha256_base64url(cookie.as_bytes())
}

impl Visits {
    fn inner(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// The visit of a cookie.
    #[must_use]
    pub fn find(&self, cookie: &str, now: OffsetDateTime) -> Option<Visit> {
        let mut inner = self.inner();
        let key = digest(cookie);
        let kept = inner.visits.get_mut(&key)?;
        if kept.used + IDLE < now || kept.began + LONGEST < now {
            inner.visits.remove(&key);
            return None;
        }
        kept.used = now;
        Some(kept.visit.clone())
    }

    /// Keeps a visit under a new cookie and ends the one it had: whoever knew the old cookie knows nothing any more.
    ///
    /// # Errors
    /// The system gives no randomness.
    pub fn renew(
        &self,
        old: Option<&str>,
        visit: Visit,
        now: OffsetDateTime,
    ) -> Result<String, NoRandomness> {
        let cookie = random_text()?;
        let mut inner = self.inner();
        if let Some(old) = old {
            inner.visits.remove(&digest(old));
        }
        if inner.visits.len() >= MOST {
            inner.visits.retain(|_, kept| kept.used + IDLE >= now);
        }
        if inner.visits.len() >= MOST
            && let Some(idlest) = inner
                .visits
                .iter()
                .min_by_key(|(_, kept)| kept.used)
                .map(|(key, _)| key.clone())
        {
            inner.visits.remove(&idlest);
        }
        let kept = Kept {
            visit,
            began: now,
            used: now,
        };
        inner.visits.insert(digest(&cookie), kept);
        Ok(cookie)
    }

    /// Takes what a browser was sent away with to sign in: it answers once.
    #[must_use]
    pub fn take_asked(&self, cookie: &str) -> Option<Asked> {
        let mut inner = self.inner();
        inner.visits.get_mut(&digest(cookie))?.visit.asked.take()
    }

    /// Takes what a browser was sent away with to sign a deed: it answers once.
    #[must_use]
    pub fn take_confirming(&self, cookie: &str) -> Option<Confirming> {
        let mut inner = self.inner();
        let kept = inner.visits.get_mut(&digest(cookie))?;
        kept.visit.confirming.take()
    }

    /// Ends a visit.
    pub fn end(&self, cookie: &str) {
        self.inner().visits.remove(&digest(cookie));
    }

    /// Ends the visits that a logout token is about. False: the token was taken before.
    pub fn log_out(&self, token: &LogoutToken, now: OffsetDateTime) -> bool {
        let mut inner = self.inner();
        inner.tokens.retain(|_, until| *until > now);
        let until = now + TOKEN_REMEMBERED;
        if inner.tokens.insert(token.id().to_owned(), until).is_some() {
            return false;
        }
        inner.visits.retain(|_, kept| {
            let person = kept.visit.person.as_ref();
            !person.is_some_and(|person| person.ends_with(token))
        });
        true
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    const NOW: OffsetDateTime = datetime!(2026-11-25 12:00 UTC);

    #[test]
    fn a_visit_ends_when_it_is_idle_old_or_renewed() {
        let visits = Visits::default();
        let cookie = visits.renew(None, Visit::default(), NOW).expect("a visit");
        assert!(visits.find(&cookie, NOW + Duration::minutes(29)).is_some());
        assert!(visits.find(&cookie, NOW + Duration::minutes(58)).is_some());
        assert!(visits.find(&cookie, NOW + Duration::minutes(89)).is_none());
        assert!(visits.find(&cookie, NOW).is_none(), "it does not come back");

        let cookie = visits.renew(None, Visit::default(), NOW).expect("a visit");
        let mut at = NOW;
        while at < NOW + LONGEST {
            assert!(visits.find(&cookie, at).is_some());
            at += Duration::minutes(20);
        }
        assert!(visits.find(&cookie, at + Duration::minutes(20)).is_none());

        let old = visits.renew(None, Visit::default(), NOW).expect("a visit");
        let new = visits
            .renew(Some(&old), Visit::default(), NOW)
            .expect("another");
        assert_ne!(old, new);
        assert!(visits.find(&old, NOW).is_none());
        assert!(visits.find(&new, NOW).is_some());
        visits.end(&new);
        assert!(visits.find(&new, NOW).is_none());
    }
}
