//! The population register, the register of driving licences and the bank.

use std::sync::Arc;

use http::{Method, Request, Response, StatusCode};
use id_registry::{
    CustomerRegister, LicenceRegister, Name, NumberError, PersonalNumber, Population, Resident,
    Territory,
};
use transport::Body;

use crate::answer::{XML, answer, header, json, refusal, refuse_without_xroad};
use crate::licence_document;
use crate::multipart;
use crate::record::{Record, customer, licence, person};
use crate::soap::{Envelope, element, fault};

/// Namespace of the population register's SOAP messages.
pub const POPULATION_NAMESPACE: &str = "http://population-register.kg.example/v1";
/// Namespace of the licence register's SOAP messages.
pub const LICENCES_NAMESPACE: &str = "http://driving-licences.kg.example/v1";

/// Largest request that a register reads.
const LARGEST_REQUEST: usize = 1 << 20;

/// Why a register has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
enum Refusal {
    #[error("{0}.")]
    Number(#[from] NumberError),
    #[error("Nobody in the population register holds the number {0}.")]
    NobodyHolds(PersonalNumber),
    #[error("The holder of the number {0} has no driving licence, or nobody holds it.")]
    NoLicence(PersonalNumber),
    #[error("The value {0} is missing.")]
    Missing(&'static str),
    #[error("There is no operation {1} in the namespace {0:?} here.")]
    Operation(String, String),
    #[error("The request has no X-Road header {0}; this service is called through X-Road.")]
    NotXRoad(String),
    #[error("{0}.")]
    Unreadable(String),
}

impl Refusal {
    const fn status(&self) -> StatusCode {
        match self {
            Self::NobodyHolds(_) | Self::NoLicence(_) => StatusCode::NOT_FOUND,
            _ => StatusCode::BAD_REQUEST,
        }
    }

    const fn code(&self) -> &'static str {
        match self {
            Self::Number(_) => "InvalidNumber",
            Self::NobodyHolds(_) => "PersonNotFound",
            Self::NoLicence(_) => "LicenceNotFound",
            Self::Missing(_) => "MissingValue",
            Self::Operation(..) => "UnknownOperation",
            Self::NotXRoad(_) => "NotXRoad",
            Self::Unreadable(_) => "UnreadableRequest",
        }
    }

    fn to_fault(&self) -> Response<Body> {
        let fault = fault(&format!("Client.{}", self.code()), &self.to_string());
        answer(StatusCode::INTERNAL_SERVER_ERROR, XML, fault)
    }

    fn to_rest(&self) -> Response<Body> {
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
    territory: Arc<Territory>,
    population: Population,
    licences: LicenceRegister,
    customers: CustomerRegister,
}

impl Registers {
    /// The registers over a population.
    #[must_use]
    pub fn new(population: Population) -> Self {
        Self {
            territory: Arc::new(id_registry::demonstration::territory()),
            population,
            licences: LicenceRegister::new(population),
            customers: CustomerRegister::new(population),
        }
    }

    /// The population register; `path` is what follows `/population/`.
    pub(crate) async fn population(&self, request: Request<Body>, path: &str) -> Response<Body> {
        if path == "soap" {
            return soap(request, |envelope| self.population_operation(envelope)).await;
        }
        if let Some(refused) = refuse_without_xroad(&request) {
            return refused;
        }
        match (request.method(), path.split_once('/')) {
            (&Method::GET, Some(("persons", number))) => match self.find(number) {
                Ok(found) => json(StatusCode::OK, &person(&found, &self.territory)),
                Err(refused) => refused.to_rest(),
            },
            (&Method::POST, None) if path == "verifications" => {
                self.verify_json(request.into_body()).await
            }
            _ => not_here(),
        }
    }

    /// The register of driving licences; `path` is what follows `/licences/`.
    pub(crate) async fn licences(&self, request: Request<Body>, path: &str) -> Response<Body> {
        if path == "soap" {
            return soap(request, |envelope| self.licence_operation(envelope)).await;
        }
        if let Some(refused) = refuse_without_xroad(&request) {
            return refused;
        }
        let parts: Vec<&str> = path.split('/').collect();
        match (request.method(), parts.as_slice()) {
            (&Method::GET, ["licences", number]) => match self.licence(number) {
                Ok(found) => json(StatusCode::OK, &licence(&found)),
                Err(refused) => refused.to_rest(),
            },
            (&Method::GET, ["licences", number, "document"]) => match self.licence(number) {
                Ok(found) => {
                    let picture = licence_document::draw(&found).into_bytes();
                    answer(StatusCode::OK, licence_document::CONTENT_TYPE, picture)
                }
                Err(refused) => refused.to_rest(),
            },
            _ => not_here(),
        }
    }

    /// The bank; `path` is what follows `/bank/`.
    pub(crate) fn bank(&self, request: &Request<Body>, path: &str) -> Response<Body> {
        if let Some(refused) = refuse_without_xroad(request) {
            return refused;
        }
        let (&Method::GET, Some(("customers", number))) = (request.method(), path.split_once('/'))
        else {
            return not_here();
        };
        match number.parse::<PersonalNumber>() {
            Err(error) => Refusal::from(error).to_rest(),
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

    fn find(&self, number: &str) -> Result<Resident, Refusal> {
        let number: PersonalNumber = number.parse()?;
        self.population
            .find(&number)
            .ok_or(Refusal::NobodyHolds(number))
    }

    fn licence(&self, number: &str) -> Result<id_registry::Licence, Refusal> {
        let number: PersonalNumber = number.parse()?;
        self.licences
            .of_person(&number)
            .ok_or(Refusal::NoLicence(number))
    }

    fn population_operation(&self, envelope: &Envelope<'_>) -> Result<SoapAnswer, Refusal> {
        match envelope.operation() {
            (POPULATION_NAMESPACE, operation @ "personByNumber") => {
                let found = self.find(value(envelope, "number")?)?;
                let content = Record::default()
                    .group("person", person(&found, &self.territory))
                    .to_xml();
                Ok(SoapAnswer::of(POPULATION_NAMESPACE, operation, &content))
            }
            (POPULATION_NAMESPACE, operation @ "verifyPerson") => {
                let matches = self.matches(
                    value(envelope, "number")?,
                    value(envelope, "familyName")?,
                    value(envelope, "givenName")?,
                )?;
                let content = Record::default().truth("matches", matches).to_xml();
                Ok(SoapAnswer::of(POPULATION_NAMESPACE, operation, &content))
            }
            (namespace, operation) => Err(Refusal::Operation(namespace.into(), operation.into())),
        }
    }

    fn licence_operation(&self, envelope: &Envelope<'_>) -> Result<SoapAnswer, Refusal> {
        match envelope.operation() {
            (LICENCES_NAMESPACE, operation @ "licenceByNumber") => {
                let found = self.licence(value(envelope, "number")?)?;
                let content = Record::default().group("licence", licence(&found)).to_xml();
                Ok(SoapAnswer::of(LICENCES_NAMESPACE, operation, &content))
            }
            (LICENCES_NAMESPACE, operation @ "licenceDocument") => {
                let found = self.licence(value(envelope, "number")?)?;
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

    fn matches(&self, number: &str, family: &str, given: &str) -> Result<bool, Refusal> {
        let number: PersonalNumber = number.parse()?;
        // Whether the number exists is not told: the answer is no in both cases.
        Ok(self.population.find(&number).is_some_and(|found| {
            is_name(&found.family_name, family) && is_name(&found.given_name, given)
        }))
    }

    async fn verify_json(&self, body: Body) -> Response<Body> {
        let bytes = match body.collect(LARGEST_REQUEST).await {
            Ok(bytes) => bytes,
            Err(error) => return Refusal::Unreadable(error.to_string()).to_rest(),
        };
        let read: serde_json::Value = match serde_json::from_slice(&bytes) {
            Ok(read) => read,
            Err(error) => return Refusal::Unreadable(error.to_string()).to_rest(),
        };
        let text = |name: &'static str| read[name].as_str().ok_or(Refusal::Missing(name));
        let verdict = text("number")
            .and_then(|number| self.matches(number, text("familyName")?, text("givenName")?));
        match verdict {
            Ok(matches) => json(StatusCode::OK, &Record::default().truth("matches", matches)),
            Err(refused) => refused.to_rest(),
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

fn is_name(name: &Name, given: &str) -> bool {
    let given = given.trim().to_lowercase();
    name.cyrillic.to_lowercase() == given || name.latin.to_lowercase() == given
}

fn value<'e>(envelope: &'e Envelope<'_>, name: &'static str) -> Result<&'e str, Refusal> {
    envelope
        .value(name)
        .filter(|value| !value.is_empty())
        .ok_or(Refusal::Missing(name))
}

/// Answers a SOAP request of at most [`LARGEST_REQUEST`] bytes; attachments of
/// the request are not looked at.
async fn soap(
    request: Request<Body>,
    operation: impl FnOnce(&Envelope<'_>) -> Result<SoapAnswer, Refusal>,
) -> Response<Body> {
    if request.method() != Method::POST {
        return refusal(
            StatusCode::METHOD_NOT_ALLOWED,
            "method",
            "SOAP requests are sent with POST.",
        );
    }
    let boundary = multipart::boundary(header(&request, "content-type")).map(str::to_owned);
    match answer_soap(request.into_body(), boundary.as_deref(), operation).await {
        Ok(response) => response,
        Err(refused) => refused.to_fault(),
    }
}

async fn answer_soap(
    body: Body,
    boundary: Option<&str>,
    operation: impl FnOnce(&Envelope<'_>) -> Result<SoapAnswer, Refusal>,
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
    let given = operation(&envelope)?;
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
