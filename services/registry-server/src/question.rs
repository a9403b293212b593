//! What is asked of the population register, as SOAP and REST say it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use http::request::Parts;
use http::{Method, Request};
use id_registry::{Detail, Image, ImageKind, PersonalNumber, Purpose, Theme};
use serde::Deserialize;
use serde::de::DeserializeOwned;
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

/// Longest question about somebody over REST, in bytes.
const LONGEST_QUESTION: usize = 4096;

/// Whom a question is about as REST says it: in the body, because information systems, proxies and monitoring keep paths.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ToldNumber {
    number: Option<String>,
}

/// Who would act for whom, in what.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ToldActing {
    number: Option<String>,
    actor: Option<String>,
    theme: Option<String>,
}

/// The lock of whom, for what.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ToldLock {
    number: Option<String>,
    purpose: Option<String>,
}

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
    let post = head.method == Method::POST;
    Ok(Some(match parts.as_slice() {
        ["persons"] if post => Question::Person(number(body).await?),
        ["persons", "relations"] if post => Question::Relations(number(body).await?),
        ["persons", "address"] if post => Question::Address(number(body).await?),
        ["persons", "portrait"] if post => {
            Question::Image(number(body).await?, ImageKind::Portrait)
        }
        ["persons", "signature-image"] if post => {
            Question::Image(number(body).await?, ImageKind::Signature)
        }
        ["persons", "represented-by"] if post => acting(body).await?,
        ["persons", "doubles"] if post => Question::Doubles(number(body).await?),
        ["doubles"] if get => Question::WorkList(after()?),
        ["own"] if post => own(&head, body, Own::Record).await?,
        ["own", "look-ups"] if post => own(&head, body, Own::LookUps).await?,
        ["own", "portrait"] if post => own(&head, body, Own::Image(ImageKind::Portrait)).await?,
        ["own", "signature-image"] if post => {
            own(&head, body, Own::Image(ImageKind::Signature)).await?
        }
        ["own", "locks", "set"] if post => own_lock(&head, body, true).await?,
        ["own", "locks", "lift"] if post => own_lock(&head, body, false).await?,
        ["acts"] if post => {
            let bytes = read(body, LARGEST_REQUEST).await?;
            Question::Act(Box::new(Entered::decode(&bytes)?))
        }
        ["changes"] if get => Question::Changes(after()?),
        ["notices"] if get => Question::Notices(after()?),
        ["verifications"] if post => Question::Verify(given(body).await?),
        _ => return Ok(None),
    }))
}

/// What a person asks about a record.
async fn own(head: &Parts, body: Body, what: Own) -> Result<Question, Refusal> {
    Ok(Question::Own(OwnQuestion {
        token: token(head)?,
        about: number(body).await?,
        what,
    }))
}

/// A person locks the own number, or lifts the lock.
async fn own_lock(head: &Parts, body: Body, locked: bool) -> Result<Question, Refusal> {
    let token = token(head)?;
    let told: ToldLock = told(body).await?;
    let about = needed(told.number, "number")?.parse()?;
    let purpose = needed(told.purpose, "purpose")?.parse();
    let purpose: Purpose = purpose.map_err(|_| Refusal::Value("purpose"))?;
    Ok(Question::Own(OwnQuestion {
        token,
        about,
        what: Own::Lock(purpose, locked),
    }))
}

/// What the identity provider says of who asks, which comes as a bearer token (RFC 6750 section 2.1).
fn token(head: &Parts) -> Result<String, Refusal> {
    let value = head.headers.get(http::header::AUTHORIZATION);
    value
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| token.trim().to_owned())
        .ok_or(Refusal::Token)
}

async fn read(body: Body, limit: usize) -> Result<Vec<u8>, Refusal> {
    let bytes = body.collect(limit).await;
    let bytes = bytes.map_err(|error| Refusal::Unreadable(error.to_string()))?;
    Ok(bytes.to_vec())
}

/// What is told as a JSON object of at most [`LONGEST_QUESTION`] bytes.
async fn told<T: DeserializeOwned>(body: Body) -> Result<T, Refusal> {
    let bytes = read(body, LONGEST_QUESTION).await?;
    // Members have names: the derived code would also take a list of values in the order of the fields.
    if !bytes.trim_ascii_start().starts_with(b"{") {
        return Err(Refusal::Unreadable("the body is no JSON object".to_owned()));
    }
    serde_json::from_slice(&bytes).map_err(|error| Refusal::Unreadable(error.to_string()))
}

fn needed(value: Option<String>, name: &'static str) -> Result<String, Refusal> {
    value.ok_or(Refusal::Missing(name))
}

/// Whom a REST request is about: `{"number": "…"}` and nothing else.
pub(crate) async fn number(body: Body) -> Result<PersonalNumber, Refusal> {
    let told: ToldNumber = told(body).await?;
    Ok(needed(told.number, "number")?.parse()?)
}

async fn acting(body: Body) -> Result<Question, Refusal> {
    let told: ToldActing = told(body).await?;
    Ok(Question::MayAct {
        person: needed(told.number, "number")?.parse()?,
        actor: needed(told.actor, "actor")?.parse()?,
        theme: theme(&needed(told.theme, "theme")?)?,
    })
}

async fn given(body: Body) -> Result<Given, Refusal> {
    let told: ToldGiven = told(body).await?;
    Ok(Given {
        number: needed(told.number, "number")?.parse()?,
        family_name: needed(told.family_name, "familyName")?,
        given_name: needed(told.given_name, "givenName")?,
        born_on: told.born_on,
        document: told.document_number,
    })
}
