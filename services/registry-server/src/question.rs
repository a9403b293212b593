//! What is asked of the population register, as SOAP and REST say it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use http::request::Parts;
use http::{Method, Request};
use id_registry::{Detail, Image, ImageKind, PersonalNumber, Purpose, Theme};
use serde::Deserialize;
use transport::Body;
use xroad_id::ClientId;
use xroad_message::soap::{Expect, SoapLimits, SoapMessage};

use crate::acts::Entered;
use crate::answer::header;
use crate::own::{Own, OwnQuestion};
use crate::record::Record;
use crate::registers::{LARGEST_REQUEST, POPULATION_NAMESPACE, Refusal, value};
use crate::soap::Envelope;

/// Content type of portraits and signature images.
pub(crate) const IMAGE_TYPE: &str = "image/jpeg";

/// Who asks, as the exchange says.
#[derive(Debug)]
pub(crate) struct Asker {
    /// The X-Road client, as a path.
    pub(crate) client: String,
    /// Which of its people.
    pub(crate) user: String,
    /// The matter for which it asks (`issue`).
    pub(crate) issue: String,
    /// The message's id.
    pub(crate) query_id: String,
}

/// What is asked.
#[derive(Debug)]
pub(crate) enum Question {
    /// What is known of a person.
    Person(PersonalNumber),
    /// Whether data are right.
    Verify(Given),
    /// Relatives.
    Relations(PersonalNumber),
    /// Addresses.
    Address(PersonalNumber),
    /// The portrait or signature image.
    Image(PersonalNumber, ImageKind),
    /// Whether somebody may act for somebody else.
    MayAct {
        /// For whom.
        person: PersonalNumber,
        /// Who.
        actor: PersonalNumber,
        /// In what.
        theme: Theme,
    },
    /// Whose records changed after an act.
    Changes(u64),
    /// Numbers that were given up after a notice.
    Notices(u64),
    /// What an office enters.
    Act(Box<Entered>),
    /// Who may have two numbers, one of them this.
    Doubles(PersonalNumber),
    /// The work list of such people, after an act.
    WorkList(u64),
    /// What a person asks about the own record.
    Own(OwnQuestion),
}

/// What is answered.
#[derive(Debug)]
pub(crate) enum Answer {
    /// Values with names.
    Record(Record),
    /// A picture of somebody.
    Image(PersonalNumber, Image),
}

/// Data that somebody gave and that are to be compared.
#[derive(Debug)]
pub(crate) struct Given {
    pub(crate) number: PersonalNumber,
    pub(crate) family_name: String,
    pub(crate) given_name: String,
    pub(crate) born_on: Option<String>,
    pub(crate) document: Option<String>,
}

/// How the given data are called. What is called otherwise is refused: left out of the comparison, it would be called right.
const GIVEN: [&str; 5] = [
    "number",
    "familyName",
    "givenName",
    "bornOn",
    "documentNumber",
];

/// The given data as REST says them, under the names of [`GIVEN`].
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ToldGiven {
    number: Option<String>,
    family_name: Option<String>,
    given_name: Option<String>,
    born_on: Option<String>,
    document_number: Option<String>,
}

impl Question {
    /// The word under which a look-up is kept.
    pub(crate) const fn service(&self) -> &'static str {
        match self {
            Self::Person(_) => "personByNumber",
            Self::Verify(_) => "verifyPerson",
            Self::Relations(_) => "relations",
            Self::Address(_) => "address",
            Self::Image(_, ImageKind::Portrait) => "portrait",
            Self::Image(_, ImageKind::Signature) => "signatureImage",
            Self::MayAct { .. } => "mayAct",
            Self::Changes(_) => "changesSince",
            Self::Notices(_) => "noticesSince",
            Self::Act(_) => "enterAct",
            Self::Doubles(_) => "doublesByNumber",
            Self::WorkList(_) => "doublesSince",
            Self::Own(_) => "own",
        }
    }

    /// The SOAP operation.
    pub(crate) const fn operation(&self) -> &'static str {
        match self {
            Self::Relations(_) => "relationsByNumber",
            Self::Address(_) => "addressByNumber",
            Self::Image(_, ImageKind::Portrait) => "portraitByNumber",
            Self::Image(_, ImageKind::Signature) => "signatureImageByNumber",
            _ => self.service(),
        }
    }

    /// Whom it is about.
    pub(crate) const fn subject(&self) -> Option<PersonalNumber> {
        match self {
            Self::Person(number)
            | Self::Relations(number)
            | Self::Address(number)
            | Self::Image(number, _)
            | Self::Doubles(number)
            | Self::MayAct { person: number, .. } => Some(*number),
            Self::Verify(given) => Some(given.number),
            Self::Changes(_)
            | Self::Notices(_)
            | Self::Act(_)
            | Self::WorkList(_)
            | Self::Own(_) => None,
        }
    }
}

/// The part of a record that a picture is.
pub(crate) const fn detail_of(kind: ImageKind) -> Detail {
    match kind {
        ImageKind::Portrait => Detail::Portrait,
        ImageKind::Signature => Detail::SignatureImage,
    }
}

/// A picture inside a SOAP answer.
pub(crate) fn image_record(number: PersonalNumber, image: &Image) -> Record {
    Record::default()
        .text("number", number.as_str())
        .text("contentType", IMAGE_TYPE)
        .text("image", BASE64.encode(image.bytes()))
}

/// A theme by its name in descriptions.
fn theme(name: &str) -> Result<Theme, Refusal> {
    serde_json::from_value(name.into()).map_err(|_| Refusal::Value("theme"))
}

/// The question of a SOAP request, and who asks it.
pub(crate) fn of_soap(envelope: &Envelope<'_>) -> Result<(Asker, Question), Refusal> {
    let number_in = |name| Ok::<PersonalNumber, Refusal>(value(envelope, name)?.parse()?);
    let number = || number_in("number");
    let after = || {
        let text = value(envelope, "after")?;
        text.parse().map_err(|_| Refusal::Missing("after"))
    };
    let given = |name: &str| {
        let value = envelope.value(name).filter(|value| !value.is_empty());
        value.map(str::to_owned)
    };
    let question = match envelope.operation() {
        (POPULATION_NAMESPACE, "personByNumber") => Question::Person(number()?),
        (POPULATION_NAMESPACE, "relationsByNumber") => Question::Relations(number()?),
        (POPULATION_NAMESPACE, "addressByNumber") => Question::Address(number()?),
        (POPULATION_NAMESPACE, "portraitByNumber") => {
            Question::Image(number()?, ImageKind::Portrait)
        }
        (POPULATION_NAMESPACE, "signatureImageByNumber") => {
            Question::Image(number()?, ImageKind::Signature)
        }
        (POPULATION_NAMESPACE, "mayAct") => Question::MayAct {
            person: number()?,
            actor: number_in("actor")?,
            theme: theme(value(envelope, "theme")?)?,
        },
        (POPULATION_NAMESPACE, "changesSince") => Question::Changes(after()?),
        (POPULATION_NAMESPACE, "noticesSince") => Question::Notices(after()?),
        (POPULATION_NAMESPACE, "verifyPerson") if !envelope.has_only(&GIVEN) => {
            return Err(Refusal::Unreadable(format!(
                "data are verified by {}, each once at most",
                GIVEN.join(", ")
            )));
        }
        (POPULATION_NAMESPACE, "verifyPerson") => Question::Verify(Given {
            number: number()?,
            family_name: value(envelope, "familyName")?.to_owned(),
            given_name: value(envelope, "givenName")?.to_owned(),
            born_on: given("bornOn"),
            document: given("documentNumber"),
        }),
        (namespace, operation) => {
            return Err(Refusal::Operation(namespace.into(), operation.into()));
        }
    };
    Ok((Asker::of_soap(envelope)?, question))
}

impl Asker {
    /// Who asks, by the header of a SOAP request. It is read by the code of the Security Server, which judged whether
    /// this client may ask: a header that one reads so and the other otherwise would let one client ask as another.
    fn of_soap(envelope: &Envelope<'_>) -> Result<Self, Refusal> {
        let bytes = Bytes::copy_from_slice(envelope.bytes());
        let message = SoapMessage::decode(&bytes, &SoapLimits::default(), Expect::Request)
            .map_err(|error| Refusal::Unreadable(error.to_string()))?;
        Ok(Self {
            client: message.client.path(),
            user: message.user_id.unwrap_or_default(),
            issue: message.issue.unwrap_or_default(),
            query_id: message.id,
        })
    }

    /// Who asks, by the headers of a REST request.
    pub(crate) fn of_rest(request: &Request<Body>) -> Result<Self, Refusal> {
        let client = ClientId::from_path(header(request, "x-road-client"))
            .map_err(|error| Refusal::Unreadable(format!("the header X-Road-Client: {error}")))?;
        Ok(Self {
            client: client.path(),
            user: header(request, "x-road-userid").to_owned(),
            issue: header(request, "x-road-issue").to_owned(),
            query_id: header(request, "x-road-id").to_owned(),
        })
    }
}

/// The question of a REST request; none for a path that is not here.
pub(crate) async fn of_rest(
    request: Request<Body>,
    path: &str,
) -> Result<Option<Question>, Refusal> {
    let (head, body) = request.into_parts();
    let parts: Vec<&str> = path.split('/').collect();
    let parameter = |name: &'static str| {
        let query = head.uri.query().unwrap_or_default();
        let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        let found = pairs.find(|(known, _)| *known == name);
        found.map(|(_, value)| value).ok_or(Refusal::Missing(name))
    };
    let after = || {
        let after = parameter("after")?;
        after.parse().map_err(|_| Refusal::Missing("after"))
    };
    let get = head.method == Method::GET;
    Ok(Some(match parts.as_slice() {
        ["persons", number] if get => Question::Person(number.parse()?),
        ["persons", number, "relations"] if get => Question::Relations(number.parse()?),
        ["persons", number, "address"] if get => Question::Address(number.parse()?),
        ["persons", number, "portrait"] if get => {
            Question::Image(number.parse()?, ImageKind::Portrait)
        }
        ["persons", number, "signature-image"] if get => {
            Question::Image(number.parse()?, ImageKind::Signature)
        }
        ["persons", number, "represented-by", actor] if get => Question::MayAct {
            person: number.parse()?,
            actor: actor.parse()?,
            theme: theme(parameter("theme")?)?,
        },
        ["persons", number, "doubles"] if get => Question::Doubles(number.parse()?),
        ["doubles"] if get => Question::WorkList(after()?),
        ["own", number] if get => own(&head, number, Own::Record)?,
        ["own", number, "look-ups"] if get => own(&head, number, Own::LookUps)?,
        ["own", number, "portrait"] if get => own(&head, number, Own::Image(ImageKind::Portrait))?,
        ["own", number, "signature-image"] if get => {
            own(&head, number, Own::Image(ImageKind::Signature))?
        }
        ["own", number, "locks", purpose] if head.method == Method::PUT => {
            own(&head, number, Own::Lock(lock_for(purpose)?, true))?
        }
        ["own", number, "locks", purpose] if head.method == Method::DELETE => {
            own(&head, number, Own::Lock(lock_for(purpose)?, false))?
        }
        ["acts"] if head.method == Method::POST => {
            let bytes = read(body).await?;
            Question::Act(Box::new(Entered::decode(&bytes)?))
        }
        ["changes"] if get => Question::Changes(after()?),
        ["notices"] if get => Question::Notices(after()?),
        ["verifications"] if head.method == Method::POST => Question::Verify(given(body).await?),
        _ => return Ok(None),
    }))
}

fn lock_for(purpose: &str) -> Result<Purpose, Refusal> {
    purpose.parse().map_err(|_| Refusal::Value("purpose"))
}

/// What a person asks, with what the identity provider says, which came as a bearer token (RFC 6750 section 2.1).
fn own(head: &Parts, about: &str, what: Own) -> Result<Question, Refusal> {
    let value = head.headers.get(http::header::AUTHORIZATION);
    let token = value
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| token.trim().to_owned())
        .ok_or(Refusal::Token)?;
    Ok(Question::Own(OwnQuestion {
        token,
        about: about.parse()?,
        what,
    }))
}

async fn read(body: Body) -> Result<Vec<u8>, Refusal> {
    let bytes = body.collect(LARGEST_REQUEST).await;
    let bytes = bytes.map_err(|error| Refusal::Unreadable(error.to_string()))?;
    Ok(bytes.to_vec())
}

async fn given(body: Body) -> Result<Given, Refusal> {
    let bytes = read(body).await?;
    let told: ToldGiven =
        serde_json::from_slice(&bytes).map_err(|error| Refusal::Unreadable(error.to_string()))?;
    let needed = |value: Option<String>, name| value.ok_or(Refusal::Missing(name));
    Ok(Given {
        number: needed(told.number, "number")?.parse()?,
        family_name: needed(told.family_name, "familyName")?,
        given_name: needed(told.given_name, "givenName")?,
        born_on: told.born_on,
        document: told.document_number,
    })
}
