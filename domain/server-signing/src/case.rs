//! Cases of the desk: an officer prepares somebody's enrolment or recovery, or somebody without a key of their own is to
//! sign. A short code carries a case from one device to another: from the officer to the person's phone, from the
//! client's page to the officer.

use id_registry::PersonalNumber;
use pki::DigestAlgorithm;
use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};

use crate::authenticator::Form;
use crate::people::Enrolment;
use crate::port::{Changes, Item, Kind as ItemKind, Loaded, load};
use crate::random::Seed;
use crate::refusal::{Failure, Refusal};
use crate::signing::{Asked, Signing, retried};
use crate::statement::{Desk, Document, Kind};

/// How long a code is good.
pub const CASE_LASTS: Duration = Duration::minutes(30);
/// Letters of a code: 50 bits, good for half an hour.
pub const CASE_CODE_LENGTH: usize = 10;
/// The client in statements that are made at a desk.
pub const DESK_CLIENT: &str = "desk";

/// What a case is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum CaseMatter {
    /// Somebody gets their first keys.
    #[serde(rename_all = "camelCase")]
    Enrol {
        /// Surname.
        surname: String,
        /// Given name.
        given_name: String,
        /// Which kinds of signatures.
        kinds: Vec<Kind>,
    },
    /// Somebody gets other authenticators; two officers.
    Replace {},
    /// Somebody without a key of their own is to sign.
    Sign {
        /// The client that asks.
        client: String,
        /// The credential.
        credential: String,
        /// What is to be signed.
        documents: Vec<Document>,
    },
}

/// A case, as it is stored.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Case {
    id: String,
    holder: PersonalNumber,
    matter: CaseMatter,
    officers: Vec<String>,
    reference: String,
    authorisation: Option<String>,
    #[serde(with = "time::serde::rfc3339")]
    expires_at: OffsetDateTime,
}

impl Item for Case {
    type Kind = ItemKind;

    const KIND: ItemKind = ItemKind::Invitation;

    fn key(&self) -> String {
        self.id.clone()
    }

    fn expires(&self) -> Option<OffsetDateTime> {
        Some(self.expires_at)
    }
}

/// A case, as officers and people see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaseView {
    /// Names it; does not open it.
    pub id: String,
    /// Whom it concerns.
    pub holder: PersonalNumber,
    /// What it is about.
    pub matter: CaseMatter,
    /// The officers so far, by their ids.
    pub officers: Vec<String>,
    /// The authorisation, once somebody was asked to confirm.
    pub authorisation: Option<String>,
    /// When it ends.
    pub expires_at: OffsetDateTime,
}

/// A case that was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenedCase {
    /// Its name.
    pub id: String,
    /// The code, shown once.
    pub code: String,
}

/// The name of the case that a code opens: so the database does not hold the code.
fn id_of(code: &str) -> String {
    let code: String = code
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|letter| letter.to_ascii_uppercase())
        .collect();
    let named = DigestAlgorithm::Sha256.digest(format!("tunduk case 1 {code}").as_bytes());
    hex::encode(&named.as_ref()[..16])
}

impl From<Case> for CaseView {
    fn from(case: Case) -> Self {
        Self {
            id: case.id,
            holder: case.holder,
            matter: case.matter,
            officers: case.officers,
            authorisation: case.authorisation,
            expires_at: case.expires_at,
        }
    }
}

impl Signing {
    /// An officer who found out who somebody is opens a case for them.
    ///
    /// # Errors
    /// See [`Failure`].
    pub fn open_case(
        &self,
        officer: &str,
        reference: &str,
        holder: PersonalNumber,
        matter: CaseMatter,
        seed: &Seed,
        now: OffsetDateTime,
    ) -> Result<OpenedCase, Failure> {
        let desk = Desk {
            officers: vec![officer.to_owned()],
            reference: reference.to_owned(),
        };
        self.officers(holder, &desk, 1)?;
        let known = self.is_enrolled(holder)?;
        match &matter {
            CaseMatter::Enrol { .. } if known => return Err(Refusal::Enrolled.into()),
            CaseMatter::Replace {} if !known => return Err(Refusal::UnknownHolder.into()),
            CaseMatter::Sign { .. } => {
                return Err(Refusal::Desk("what is to be signed comes from a client").into());
            }
            _ => {}
        }
        self.open(matter, holder, desk, seed, now)
    }

    /// A client asks for the signature of somebody who confirms at a desk: an officer takes the case up by its code.
    ///
    /// # Errors
    /// [`Refusal::Desk`] if the person has a key of their own; see [`Failure`].
    pub fn ask_to_sign_at_desk(
        &self,
        client: &str,
        credential: &str,
        documents: Vec<Document>,
        seed: &Seed,
        now: OffsetDateTime,
    ) -> Result<OpenedCase, Failure> {
        let view = self.loaded_credential(credential)?.value;
        let holder = self.holder(view.holder)?;
        if !holder.value.forms().contains(&Form::Desk) {
            return Err(Refusal::Desk("this person confirms with their own key").into());
        }
        let matter = CaseMatter::Sign {
            client: client.to_owned(),
            credential: credential.to_owned(),
            documents,
        };
        let desk = Desk {
            officers: Vec::new(),
            reference: String::new(),
        };
        self.open(matter, view.holder, desk, seed, now)
    }

    fn open(
        &self,
        matter: CaseMatter,
        holder: PersonalNumber,
        desk: Desk,
        seed: &Seed,
        now: OffsetDateTime,
    ) -> Result<OpenedCase, Failure> {
        let code = seed.code("case", CASE_CODE_LENGTH);
        let case = Case {
            id: id_of(&code),
            holder,
            matter,
            officers: desk.officers,
            reference: desk.reference,
            authorisation: None,
            expires_at: now + CASE_LASTS,
        };
        let mut changes = Changes::default();
        changes.insert(&case)?;
        self.store.commit(&changes)?;
        Ok(OpenedCase { id: case.id, code })
    }

    fn open_now(&self, id: &str, now: OffsetDateTime) -> Result<Loaded<Case>, Failure> {
        load::<Case>(&*self.store, id)?
            .filter(|case| now < case.value.expires_at)
            .ok_or(Refusal::UnknownCase.into())
    }

    /// A case by its name.
    ///
    /// # Errors
    /// [`Refusal::UnknownCase`].
    pub fn case(&self, id: &str, now: OffsetDateTime) -> Result<CaseView, Failure> {
        Ok(self.open_now(id, now)?.value.into())
    }

    /// A case by its code.
    ///
    /// # Errors
    /// [`Refusal::UnknownCase`].
    pub fn case_of_code(&self, code: &str, now: OffsetDateTime) -> Result<CaseView, Failure> {
        self.case(&id_of(code), now)
    }

    /// Another officer takes part in a case by its code: the second of a recovery, or the one at whose desk somebody signs,
    /// who says where the proof of their identity is on record.
    ///
    /// # Errors
    /// See [`Failure`].
    pub fn join_case(
        &self,
        code: &str,
        officer: &str,
        reference: &str,
        seed: &Seed,
        now: OffsetDateTime,
    ) -> Result<CaseView, Failure> {
        retried(|| {
            let mut case = self.open_now(&id_of(code), now)?;
            let value = &mut case.value;
            let needed = match &value.matter {
                CaseMatter::Enrol { .. } => {
                    return Err(Refusal::Desk("one officer is enough for this").into());
                }
                CaseMatter::Replace {} => 2,
                CaseMatter::Sign { .. } => 1,
            };
            if value.officers.len() >= needed {
                return Err(Refusal::Desk("there are enough officers already").into());
            }
            value.officers.push(officer.to_owned());
            if value.reference.is_empty() {
                value.reference = reference.to_owned();
            }
            let desk = Desk {
                officers: value.officers.clone(),
                reference: value.reference.clone(),
            };
            self.officers(value.holder, &desk, needed)?;
            if let CaseMatter::Sign {
                client,
                credential,
                documents,
            } = &value.matter
            {
                let documents = documents.clone();
                let asked =
                    self.ask_to_sign(client, credential, documents, Some(desk), seed, now)?;
                value.authorisation = Some(asked.handle);
            }
            let view = value.clone().into();
            let mut changes = Changes::default();
            changes.replace(&case)?;
            self.store.commit(&changes)?;
            Ok(view)
        })
    }

    /// The person's device opens a case with its code and says with what the person confirms from now on. The statement
    /// that comes of it is confirmed there and by the officers.
    ///
    /// # Errors
    /// See [`Failure`].
    pub fn begin_case(
        &self,
        code: &str,
        authenticators: Vec<Form>,
        seed: &Seed,
        now: OffsetDateTime,
    ) -> Result<Asked, Failure> {
        retried(|| {
            let mut case = self.open_now(&id_of(code), now)?;
            let value = &case.value;
            if let Some(handle) = &value.authorisation
                && self.waiting(handle, now).is_ok()
            {
                return Err(Refusal::CaseBegun.into());
            }
            let desk = Desk {
                officers: value.officers.clone(),
                reference: value.reference.clone(),
            };
            let asked = match &value.matter {
                CaseMatter::Enrol {
                    surname,
                    given_name,
                    kinds,
                } => {
                    let enrolment = Enrolment {
                        surname: surname.clone(),
                        given_name: given_name.clone(),
                        kinds: kinds.clone(),
                        authenticators: authenticators.clone(),
                    };
                    self.ask_to_enrol(DESK_CLIENT, value.holder, enrolment, Some(desk), seed, now)?
                }
                CaseMatter::Replace {} => self.ask_to_replace(
                    DESK_CLIENT,
                    value.holder,
                    authenticators.clone(),
                    desk,
                    seed,
                    now,
                )?,
                CaseMatter::Sign { .. } => return Err(Refusal::UnknownCase.into()),
            };
            case.value.authorisation = Some(asked.handle.clone());
            let mut changes = Changes::default();
            changes.replace(&case)?;
            self.store.commit(&changes)?;
            Ok(asked)
        })
    }
}
