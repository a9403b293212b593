//! Accounts of an earlier identity provider. Its word makes nobody's account: until a person comes to the desk or shows a
//! card, such an account reaches low, tells no relying party who somebody is, and changes none of its ways in.

use id_registry::PersonalNumber;
use time::OffsetDateTime;

use super::codes::{PasswordCheck, email, phone};
use super::operator::OPERATOR;
use super::support::Subject;
use super::{Decision, Provider};
use crate::account::{Account, Channel, ChannelKind, Login, LoginName, PasswordHash, Tenant};
use crate::event::{Event, EventKind};
use crate::level::Proofing;
use crate::port::Changes;
use crate::refusal::{Failure, Refusal};
use crate::secret::{AccountId, Digest, Seed};

/// What an earlier provider knows of an account beside the number.
#[derive(Debug, Clone, Default)]
pub struct Earlier {
    /// By which subject the relying parties of a sector know the person: sector and subject.
    pub subjects: Vec<(String, String)>,
    /// The address that codes are sent to, and that hears of what happens.
    pub email: Option<String>,
    /// The same for text messages. With both, codes go to the phone.
    pub phone: Option<String>,
    /// The hash of the password.
    pub password: Option<PasswordHash>,
}

impl Provider {
    /// Takes an account over from an earlier provider. Again for the same person, it changes nothing; an account that
    /// has an address or a way in already keeps its own.
    ///
    /// # Errors
    /// [`Refusal::Bound`] if a subject is another account's, or the account has another one; [`Refusal::TooLong`] if an
    /// address is none.
    pub fn take_over(
        &self,
        number: PersonalNumber,
        tenant: Tenant,
        earlier: &Earlier,
        now: OffsetDateTime,
        seed: &Seed,
    ) -> Result<AccountId, Failure> {
        let login = LoginName::Number(number, tenant).key();
        let phone = earlier.phone.as_deref().map(phone).transpose()?;
        let email = earlier.email.as_deref().map(email).transpose()?;
        let channels: Vec<Channel> = [(ChannelKind::Phone, phone), (ChannelKind::Email, email)]
            .into_iter()
            .filter_map(|(kind, address)| {
                Some(Channel {
                    kind,
                    address: address?,
                    confirmed_at: now,
                })
            })
            .collect();
        let give = |account: &mut Account| {
            account.channels.clone_from(&channels);
            account.password.clone_from(&earlier.password);
        };
        self.decide(|| {
            let mut changes = Changes::default();
            let id = match self.account_of_login(&login)? {
                Some(mut account) => {
                    let is_bare = account.value.proofing == Proofing::TakenOver
                        && !account.value.has_a_way_in()
                        && account.value.channels.is_empty();
                    if is_bare && !(channels.is_empty() && earlier.password.is_none()) {
                        give(&mut account.value);
                        changes.replace(&account)?;
                    }
                    account.value.id
                }
                None => {
                    let mut account = Account::open(AccountId(seed.id("account")), tenant, now);
                    account.proofing = Proofing::TakenOver;
                    give(&mut account);
                    changes.insert(&account)?;
                    changes.insert(&Login {
                        key: login.clone(),
                        account: account.id.clone(),
                    })?;
                    let event = Event::new(EventKind::AccountTakenOver, now);
                    changes.event(event.because(OPERATOR).account(&account.id));
                    account.id
                }
            };
            for (sector, subject) in &earlier.subjects {
                let known = self.load::<Subject>(&Subject::key_of(sector, &id))?;
                if known
                    .as_ref()
                    .is_some_and(|found| found.value.subject == *subject)
                {
                    continue;
                }
                let parts = [b"subject", sector.as_bytes(), subject.as_bytes()];
                let place = format!("s{}", Digest::of(&parts).as_str());
                if known.is_some() || self.load::<Login>(&place)?.is_some() {
                    return Err(Refusal::Bound.into());
                }
                changes.insert(&Subject {
                    sector: sector.clone(),
                    account: id.clone(),
                    subject: subject.clone(),
                })?;
                changes.insert(&Login {
                    key: place,
                    account: id.clone(),
                })?;
            }
            Ok(Decision::yes(changes, id))
        })
    }

    /// Keeps a hash of our own making of the password that was just found right, in the place of an earlier provider's. If
    /// the password changed meanwhile, nothing happens.
    ///
    /// # Errors
    /// The database fails.
    pub fn renew_password(
        &self,
        check: &PasswordCheck,
        renewed: &PasswordHash,
    ) -> Result<(), Failure> {
        let Some(id) = &check.account else {
            return Ok(());
        };
        self.decide(|| {
            let mut account = self.account(id)?;
            let mut changes = Changes::default();
            if account.value.password == check.hash && check.hash.is_some() {
                account.value.password = Some(renewed.clone());
                changes.replace(&account)?;
            }
            Ok(Decision::yes(changes, ()))
        })
    }
}
