//! The population register, the register of driving licences and the bank.

use http::{Method, Request, Response, StatusCode};
use id_registry::{
    CustomerRegister, ImageError, LicenceRegister, NumberError, PersonalNumber, Population,
    Purpose, StoreError,
};
use transport::Body;

use crate::answer::{XML, answer, header, json, refusal, refuse_without_xroad};
use crate::licence_document;
use crate::multipart;
use crate::population::PopulationRegister;
use crate::question::{self, Answer, Asker, Question};
use crate::record::{Record, customer, licence};
use crate::soap::{Envelope, element, fault};

/// Namespace of the population register's SOAP messages.
pub const POPULATION_NAMESPACE: &str = "http://population-register.kg.example/v1";
/// Namespace of the licence register's SOAP messages.
pub const LICENCES_NAMESPACE: &str = "http://driving-licences.kg.example/v1";

/// Largest request that a register reads.
pub(crate) const LARGEST_REQUEST: usize = 1 << 20;

/// Why a register has no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("{0}.")]
    Number(#[from] NumberError),
    #[error("Nobody in the population register holds the number {0}.")]
    NobodyHolds(PersonalNumber),
    #[error("The holder of the number {0} has no driving licence, or nobody holds it.")]
    NoLicence(PersonalNumber),
    #[error("The register has no such picture of the holder of the number {0}.")]
    NoImage(PersonalNumber),
    #[error("The value {0} is missing.")]
    Missing(&'static str),
    #[error("The value {0} is not one of those that the description lists.")]
    Value(&'static str),
    #[error("There is no operation {1} in the namespace {0:?} here.")]
    Operation(String, String),
    #[error("The request has no X-Road header {0}; this service is called through X-Road.")]
    NotXRoad(String),
    #[error("{0}.")]
    Unreadable(String),
    #[error(
        "The client {0} has no access to this in the population register; the register's owner grants it."
    )]
    NotAllowed(String),
    #[error("The holder locked the number for the purpose {}; only the holder can open it.", .0.as_str())]
    Locked(Purpose),
    #[error("The act is refused: {0}.")]
    Act(id_registry::Refusal),
    #[error("The picture is refused: {0}.")]
    Image(#[from] ImageError),
    #[error(
        "The office entered something else under the reference {0:?}; an act has a number of its own."
    )]
    ReferenceUsed(String),
    #[error(
        "The sign-in of the person is not one that the register accepts; let the person sign in again."
    )]
    Token,
    #[error("This needs a sign-in at the level {0}; let the person sign in again.")]
    Level(&'static str),
    #[error("The register cannot answer now; ask again later.")]
    Unavailable(#[from] StoreError),
}

impl Refusal {
    const fn status(&self) -> StatusCode {
        match self {
            Self::NobodyHolds(_) | Self::NoLicence(_) | Self::NoImage(_) => StatusCode::NOT_FOUND,
            Self::NotAllowed(_) | Self::Level(_) => StatusCode::FORBIDDEN,
            Self::Token => StatusCode::UNAUTHORIZED,
            Self::Act(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Locked(_) | Self::ReferenceUsed(_) => StatusCode::CONFLICT,
            Self::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::BAD_REQUEST,
        }
    }

    const fn code(&self) -> &'static str {
        match self {
            Self::Number(_) => "InvalidNumber",
            Self::NobodyHolds(_) => "PersonNotFound",
            Self::NoLicence(_) => "LicenceNotFound",
            Self::NoImage(_) => "ImageNotFound",
            Self::Missing(_) => "MissingValue",
            Self::Value(_) => "InvalidValue",
            Self::Operation(..) => "UnknownOperation",
            Self::NotXRoad(_) => "NotXRoad",
            Self::Unreadable(_) => "UnreadableRequest",
            Self::NotAllowed(_) => "NotAllowed",
            Self::Locked(_) => "NumberLocked",
            Self::Act(_) => "ActRefused",
            Self::Image(_) => "ImageRefused",
            Self::ReferenceUsed(_) => "ReferenceUsed",
            Self::Token => "SignInNotAccepted",
            Self::Level(_) => "LevelTooLow",
            Self::Unavailable(_) => "Unavailable",
        }
    }

    fn to_fault(&self) -> Response<Body> {
        self.log();
        let side = match self {
            Self::Unavailable(_) => "Server",
            _ => "Client",
        };
        let fault = fault(&format!("{side}.{}", self.code()), &self.to_string());
        answer(StatusCode::INTERNAL_SERVER_ERROR, XML, fault)
    }

    /// What is our own fault is told to our own people.
    fn log(&self) {
        if let Self::Unavailable(error) = self {
            tracing::error!(%error, "the population register has no answer");
        }
    }

    fn to_rest(&self) -> Response<Body> {
        self.log();
        refusal(self.status(), self.code(), &self.to_string())
    }
}

/// What a SOAP operation answers: the content of the body and perhaps a file.
struct SoapAnswer {
    content: String,
    attachment: Option<(&'static str, Vec<u8>)>,
}

impl SoapAnswer {
    fn of(namespace: &str, operation: &str, content: &str) -> Self {
        Self {
            content: format!(
                "<r:{operation}Response xmlns:r=\"{namespace}\">{content}</r:{operation}Response>"
            ),
            attachment: None,
        }
    }
}

/// All registers of the demonstration country.
#[derive(Debug, Clone)]
pub struct Registers {
    population: PopulationRegister,
    licences: LicenceRegister,
    customers: CustomerRegister,
}

impl Registers {
    /// The registers: that of the population, and licences and customers among the invented `residents`.
    #[must_use]
    pub fn new(population: PopulationRegister, residents: Population) -> Self {
        Self {
            population,
            licences: LicenceRegister::new(residents),
            customers: CustomerRegister::new(residents),
        }
    }

    /// The population register; `path` is what follows `/population/`.
    pub(crate) async fn population(&self, request: Request<Body>, path: &str) -> Response<Body> {
        if path == "soap" {
            let population = &self.population;
            let answer = |(asker, question): (Asker, Question)| async {
                let operation = question.operation();
                let group = matches!(question, Question::Person(_));
                let content = match population.ask(asker, question).await? {
                    Answer::Record(found) if group => Record::default().group("person", found),
                    Answer::Record(found) => found,
                    Answer::Image(number, image) => question::image_record(number, &image),
                };
                Ok(SoapAnswer::of(
                    POPULATION_NAMESPACE,
                    operation,
                    &content.to_xml(),
                ))
            };
            return soap(request, question::of_soap, answer).await;
        }
        if let Some(refused) = refuse_without_xroad(&request) {
            return refused;
        }
        let asked = match Asker::of_rest(&request) {
            Ok(asker) => question::of_rest(request, path)
                .await
                .map(|question| (asker, question)),
            Err(refused) => Err(refused),
        };
        let (asker, question) = match asked {
            Ok((asker, Some(question))) => (asker, question),
            Ok((_, None)) => return not_here(),
            Err(refused) => return refused.to_rest(),
        };
        match self.population.ask(asker, question).await {
            Ok(Answer::Record(found)) => json(StatusCode::OK, &found),
            Ok(Answer::Image(_, image)) => {
                answer(StatusCode::OK, question::IMAGE_TYPE, Vec::from(image))
            }
            Err(refused) => refused.to_rest(),
        }
    }

    /// The register of driving licences; `path` is what follows `/licences/`.
    pub(crate) async fn licences(&self, request: Request<Body>, path: &str) -> Response<Body> {
        if path == "soap" {
            let read = |envelope: &Envelope<'_>| self.licence_operation(envelope);
            return soap(request, read, |answer| std::future::ready(Ok(answer))).await;
        }
        if let Some(refused) = refuse_without_xroad(&request) {
            return refused;
        }
        let document = match (request.method(), path) {
            (&Method::POST, "licences") => false,
            (&Method::POST, "licences/document") => true,
            _ => return not_here(),
        };
        let asked = question::number(request.into_body()).await;
        match asked.and_then(|number| self.licence(number)) {
            Ok(found) if document => {
                let picture = licence_document::draw(&found).into_bytes();
                answer(StatusCode::OK, licence_document::CONTENT_TYPE, picture)
            }
            Ok(found) => json(StatusCode::OK, &licence(&found)),
            Err(refused) => refused.to_rest(),
        }
    }

    /// The bank; `path` is what follows `/bank/`.
    pub(crate) async fn bank(&self, request: Request<Body>, path: &str) -> Response<Body> {
        if let Some(refused) = refuse_without_xroad(&request) {
            return refused;
        }
        if (request.method(), path) != (&Method::POST, "customers") {
            return not_here();
        }
        match question::number(request.into_body()).await {
            Err(refused) => refused.to_rest(),
            Ok(number) => {
                let record = self.customers.find(&number).map_or_else(
                    || {
                        Record::default()
                            .text("number", number.as_str())
                            .truth("customer", false)
                    },
                    |found| customer(&found),
                );
                json(StatusCode::OK, &record)
            }
        }
    }

    fn licence(&self, number: PersonalNumber) -> Result<id_registry::Licence, Refusal> {
        self.licences
            .of_person(&number)
            .ok_or(Refusal::NoLicence(number))
    }

    fn licence_operation(&self, envelope: &Envelope<'_>) -> Result<SoapAnswer, Refusal> {
        match envelope.operation() {
            (LICENCES_NAMESPACE, operation @ "licenceByNumber") => {
                let found = self.licence(value(envelope, "number")?.parse()?)?;
                let content = Record::default().group("licence", licence(&found)).to_xml();
                Ok(SoapAnswer::of(LICENCES_NAMESPACE, operation, &content))
            }
            (LICENCES_NAMESPACE, operation @ "licenceDocument") => {
                let found = self.licence(value(envelope, "number")?.parse()?)?;
                let name = element("fileName", Some(&licence_document::file_name(&found)));
                let kind = element("contentType", Some(licence_document::CONTENT_TYPE));
                let content = format!("{name}{kind}<document href=\"cid:document\"/>");
                let mut answer = SoapAnswer::of(LICENCES_NAMESPACE, operation, &content);
                answer.attachment = Some((
                    licence_document::CONTENT_TYPE,
                    licence_document::draw(&found).into_bytes(),
                ));
                Ok(answer)
            }
            (namespace, operation) => Err(Refusal::Operation(namespace.into(), operation.into())),
        }
    }
}

fn not_here() -> Response<Body> {
    refusal(
        StatusCode::NOT_FOUND,
        "UnknownOperation",
        "There is no such path and method here.",
    )
}

/// The text of an element that must be there.
pub(crate) fn value<'e>(
    envelope: &'e Envelope<'_>,
    name: &'static str,
) -> Result<&'e str, Refusal> {
    envelope
        .value(name)
        .filter(|value| !value.is_empty())
        .ok_or(Refusal::Missing(name))
}

/// Answers a SOAP request of at most [`LARGEST_REQUEST`] bytes: `read` takes the question out of it, `answer` answers.
/// Attachments of the request are not looked at.
async fn soap<Q, F: Future<Output = Result<SoapAnswer, Refusal>>>(
    request: Request<Body>,
    read: impl FnOnce(&Envelope<'_>) -> Result<Q, Refusal>,
    answer: impl FnOnce(Q) -> F,
) -> Response<Body> {
    if request.method() != Method::POST {
        return refusal(
            StatusCode::METHOD_NOT_ALLOWED,
            "method",
            "SOAP requests are sent with POST.",
        );
    }
    let boundary = multipart::boundary(header(&request, "content-type")).map(str::to_owned);
    match answer_soap(request.into_body(), boundary.as_deref(), read, answer).await {
        Ok(response) => response,
        Err(refused) => refused.to_fault(),
    }
}

async fn answer_soap<Q, F: Future<Output = Result<SoapAnswer, Refusal>>>(
    body: Body,
    boundary: Option<&str>,
    read: impl FnOnce(&Envelope<'_>) -> Result<Q, Refusal>,
    answer_it: impl FnOnce(Q) -> F,
) -> Result<Response<Body>, Refusal> {
    let unreadable = |error: &dyn std::fmt::Display| Refusal::Unreadable(error.to_string());
    let bytes = body
        .collect(LARGEST_REQUEST)
        .await
        .map_err(|error| unreadable(&error))?;
    let part = match boundary {
        None => 0..bytes.len(),
        Some(boundary) => multipart::first_part(&bytes, boundary)
            .ok_or_else(|| Refusal::Unreadable("the first part is not whole".into()))?,
    };
    let envelope = Envelope::decode(&bytes[part]).map_err(|error| unreadable(&error))?;
    let missing = envelope.missing_headers();
    if !missing.is_empty() {
        return Err(Refusal::NotXRoad(missing.join(", ")));
    }
    let given = answer_it(read(&envelope)?).await?;
    let message = envelope.answer(&given.content);
    Ok(match given.attachment {
        None => answer(StatusCode::OK, XML, message),
        Some((content_type, file)) => {
            let (outer, body) = with_attachment(&message, content_type, &file);
            answer(StatusCode::OK, &outer, body)
        }
    })
}

/// Content type and bytes of a SOAP message with one attachment (SOAP with
/// Attachments, W3C note of 11 December 2000). The attachment's id is
/// `<document>`.
fn with_attachment(message: &[u8], content_type: &str, file: &[u8]) -> (String, Vec<u8>) {
    let mut boundary = String::from("part");
    while memchr::memmem::find(file, boundary.as_bytes()).is_some()
        || memchr::memmem::find(message, boundary.as_bytes()).is_some()
    {
        boundary.push('-');
    }
    let outer = format!(
        "multipart/related; type=\"text/xml\"; start=\"<message>\"; boundary=\"{boundary}\""
    );
    let mut body = format!("--{boundary}\r\nContent-Type: {XML}\r\nContent-ID: <message>\r\n\r\n")
        .into_bytes();
    body.extend_from_slice(message);
    body.extend_from_slice(
        format!(
            "\r\n--{boundary}\r\nContent-Type: {content_type}\r\nContent-ID: <document>\r\n\
             Content-Transfer-Encoding: binary\r\n\r\n"
        )
        .as_bytes(),
    );
    body.extend_from_slice(file);
    body.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
    (outer, body)
}
