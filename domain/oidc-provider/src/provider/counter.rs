//! Signing in without a phone, card or key: a code of the printed list, and a clerk who compares the portrait.
//!
//! The clerk admits, at the desk; the person signs in, at a screen of the counter. So the session is the person's browser's,
//! never the clerk's.

use id_registry::PersonalNumber;
use time::OffsetDateTime;

use super::desk::{Ticket, TicketFor, counter_ticket, give_ticket};
use super::officers::OnDuty;
use super::sign_in::proof;
use super::support::Duty;
use super::{Decision, Provider};
use crate::account::{LoginName, Tenant};
use crate::event::EventKind;
use crate::level::Factor;
use crate::port::Changes;
use crate::refusal::{Failure, Refusal};
use crate::secret::{Secret, Seed};
use crate::session::{Origin, SignedIn};
use crate::throttle::Counted;

impl Provider {
    /// A clerk compared the person with the portrait, and the person gave a code of the printed list: the code is spent,
    /// and a ticket for a screen of the counter comes of it, good for five minutes, once.
    ///
    /// # Errors
    /// [`Refusal::WrongCredentials`], [`Refusal::Frozen`], [`Refusal::TooManyAttempts`], [`Refusal::NotOnDuty`],
    /// [`Refusal::NoAccount`], [`Refusal::OwnCase`].
    pub fn admit(
        &self,
        by: &OnDuty,
        number: PersonalNumber,
        tenant: Tenant,
        code: &Secret,
        seed: &Seed,
    ) -> Result<Ticket, Failure> {
        by.has(Duty::Desk)?;
        let now = by.now();
        let typed: String = code
            .expose()
            .chars()
            .filter(|letter| letter.is_alphanumeric())
            .collect();
        let digest = Secret::new(typed.to_uppercase()).digest();
        let login = LoginName::Number(number, tenant).key();
        self.decide(|| {
            let mut account = self.person(number, tenant)?;
            by.not_about(&account.value.id)?;
            let mut changes = Changes::default();
            let failed = |why| {
                by.event(EventKind::SignInFailed)
                    .account(&account.value.id)
                    .factor(Factor::Clerk)
                    .because(why)
            };
            if !account.value.is_open() {
                changes.event(failed("frozen"));
                return Ok(Decision::no(changes, Refusal::Frozen));
            }
            // By officer: one who mistypes holds up nobody else, and the person elsewhere neither.
            let officer = by.officer().account.as_str();
            let counted = [Counted::LoginFromNetwork(&login, officer)];
            if let Err(until) = self.count(&mut changes, &counted, now)? {
                let refusal = Refusal::TooManyAttempts(until);
                return Ok(Decision::no(Changes::default(), refusal));
            }
            let codes = &account.value.printed_codes;
            let Some(place) = codes.iter().position(|kept| *kept == digest) else {
                changes.event(failed("code"));
                return Ok(Decision::no(changes, Refusal::WrongCredentials));
            };
            account.value.printed_codes.remove(place);
            changes.replace(&account)?;
            let (id, epoch) = (account.value.id.clone(), account.value.epoch);
            changes.event(
                by.event(EventKind::TicketIssued)
                    .account(&id)
                    .because("counter"),
            );
            let ticket = TicketFor::Counter;
            let ticket = give_ticket(&mut changes, id, ticket, epoch, None, now, seed)?;
            Ok(Decision::yes(changes, ticket))
        })
    }

    /// The person types the clerk's ticket at a screen of the counter and is signed in there, at substantial at most.
    ///
    /// # Errors
    /// [`Refusal::Over`], [`Refusal::Frozen`], [`Refusal::TooManyAttempts`] for wrong tickets.
    pub fn enter_at_counter(
        &self,
        ticket: &Secret,
        origin: &Origin,
        now: OffsetDateTime,
        seed: &Seed,
    ) -> Result<SignedIn, Failure> {
        self.decide(|| {
            let Some((ticket, mut account)) = counter_ticket(self, ticket, now)? else {
                return self.wrong_ticket(origin, now);
            };
            let mut changes = Changes::default();
            changes.remove(&ticket);
            let level = account.value.level(Factor::Clerk);
            let proof = proof(Factor::Clerk, level, None, now);
            self.enter(changes, &mut account, proof, origin, None, now, seed)
        })
    }
}
