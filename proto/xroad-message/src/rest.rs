//! REST messages of PR-REST: the request and response parts that stand for the head
//! of an HTTP message (T25 to T30) and how they come from HTTP (R1 to R12).

mod response;

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;
use pki::DigestAlgorithm;
use xroad_id::{ClientId, IdError, SecurityServerId, ServiceId};

pub use response::{RestField, RestResponse};

use crate::fault::code;
use crate::path::{PathError, access_path};
use crate::soap::RepresentedParty;

/// Beginning of the paths of REST requests.
pub const PATH_PREFIX: &str = "/r1/";
/// Header with the client.
pub const HEADER_CLIENT: &str = "X-Road-Client";
/// Header with the id of the message.
pub const HEADER_ID: &str = "x-road-id";
/// Header with the id of the exchange.
pub const HEADER_REQUEST_ID: &str = "x-road-request-id";
/// Header with the code of an error.
pub const HEADER_ERROR: &str = "X-Road-Error";
/// Header of responses with the service.
pub const HEADER_SERVICE: &str = "x-road-service";
/// Header of responses with the hash of the request.
pub const HEADER_REQUEST_HASH: &str = "x-road-request-hash";

/// Verbs of PR-REST (R2).
pub const VERBS: [&str; 8] = [
    "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE",
];

/// Headers of one message that are read.
const MAX_HEADERS: usize = 256;

/// Headers that belong to one connection or to the server, never to the message (R10).
const NOT_CARRIED: [&str; 13] = [
    "transfer-encoding",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "te",
    "trailer",
    "upgrade",
    "connection",
    "user-agent",
    "host",
    "content-length",
    "server",
    "expect",
];

/// Whether a header is carried between Security Servers (R10).
///
/// ```
/// assert!(xroad_message::rest::is_carried("Accept"));
/// assert!(!xroad_message::rest::is_carried("HOST"));
/// ```
pub fn is_carried(name: &str) -> bool {
    !NOT_CARRIED
        .iter()
        .any(|other| other.eq_ignore_ascii_case(name))
}

/// Why an HTTP request or a part is not a REST message. The fault is the client's if
/// it comes from HTTP, the peer's if it comes from a part.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RestError {
    /// Not one of [`VERBS`].
    #[error("the HTTP method is not one of X-Road's")]
    Verb,
    /// The path does not name a service.
    #[error("the path does not name a service: {0}")]
    Service(IdError),
    /// The path does not begin with `/r1/` or has a character that is not allowed.
    #[error("the path is malformed")]
    Path,
    /// The path behind the service cannot be matched without doubt.
    #[error(transparent)]
    ServicePath(#[from] PathError),
    /// The client is not named.
    #[error("the header X-Road-Client is missing")]
    MissingClient,
    /// The client's identifier cannot be read.
    #[error("the header X-Road-Client is not an identifier: {0}")]
    Client(IdError),
    /// The header with this name cannot be read.
    #[error("the header {0} is malformed")]
    Header(&'static str),
    /// A header that belongs to a connection stands in a part (T27).
    #[error("a header that belongs to the connection is in the message")]
    NotCarried,
    /// Too many headers.
    #[error("the message has more than {MAX_HEADERS} headers")]
    TooManyHeaders,
    /// The part is not one line per item with CRLF ends (T25, T30).
    #[error("the part is malformed")]
    Part,
    /// The part has no `x-road-id` (T28).
    #[error("the part has no x-road-id")]
    MissingId,
    /// The response part has no `x-road-request-hash` (T29), or lacks client,
    /// service or status.
    #[error("the response part has no {0}")]
    MissingInResponse(&'static str),
}

impl RestError {
    /// The leaf of the fault code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Verb => code::INVALID_HTTP_METHOD,
            Self::Service(_) | Self::Path | Self::Header(_) => code::BAD_REQUEST,
            Self::ServicePath(error) => error.code(),
            Self::MissingClient => code::MISSING_HEADER_FIELD,
            Self::Client(_) => code::INVALID_CLIENT_IDENTIFIER,
            Self::NotCarried | Self::TooManyHeaders | Self::Part => code::INVALID_MESSAGE,
            Self::MissingId | Self::MissingInResponse(_) => code::INTERNAL_ERROR,
        }
    }
}

/// The head of a REST request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestRequest {
    /// One of [`VERBS`].
    pub verb: &'static str,
    /// Path and query as the client wrote them, beginning with `/r1/`.
    pub path: String,
    /// The headers that are carried, in order, among them those of X-Road.
    pub headers: Vec<(String, Vec<u8>)>,
    /// Who asks.
    pub client: ClientId,
    /// What is asked for.
    pub service: ServiceId,
    /// Id of the message; the consumer's Security Server makes one if the client gave none.
    pub id: Option<String>,
    /// Person on whose behalf the client asks.
    pub user_id: Option<String>,
    /// Case or document in question.
    pub issue: Option<String>,
    /// The Security Server that is to answer.
    pub security_server: Option<SecurityServerId>,
    /// The party that is represented.
    pub represented_party: Option<RepresentedParty>,
    /// Id of the exchange, made by the consumer's Security Server.
    pub request_id: Option<String>,
    /// Where in `path` the service's own path begins and ends.
    service_path: (usize, usize),
}

impl RestRequest {
    /// Reads a client's HTTP request: the method, the request target (path and
    /// query, raw) and the headers. Headers that belong to the connection are left
    /// out, so is an `X-Road-Request-Id` (R5); of a repeated header of X-Road the
    /// last counts (R3).
    ///
    /// # Errors
    /// The request is not one of PR-REST.
    pub fn from_http<'a>(
        method: &str,
        target: &str,
        headers: impl IntoIterator<Item = (&'a str, &'a [u8])>,
    ) -> Result<Self, RestError> {
        let mut kept: Vec<(String, Vec<u8>)> = Vec::with_capacity(16);
        for (name, value) in headers {
            if !is_carried(name) || name.eq_ignore_ascii_case(HEADER_REQUEST_ID) {
                continue;
            }
            if kept.len() == MAX_HEADERS {
                return Err(RestError::TooManyHeaders);
            }
            if value.iter().any(|b| matches!(b, 0..=8 | 10..=31 | 127)) || !is_name(name.as_bytes())
            {
                return Err(RestError::Header("of the request"));
            }
            if is_field(name) {
                kept.retain(|(other, _)| !other.eq_ignore_ascii_case(name));
            }
            kept.push((name.to_owned(), value.to_vec()));
        }
        Self::assemble(method, target.to_owned(), kept)
    }

    /// Reads a request part (T25).
    ///
    /// # Errors
    /// The part is malformed, holds a header that belongs to a connection (T27), or
    /// lacks the id of the message (T28).
    pub fn decode(part: &[u8]) -> Result<Self, RestError> {
        let (verb, path, headers) = decode_part(part)?;
        let request = Self::assemble(verb, path.to_owned(), headers)?;
        if request.id.is_none() {
            return Err(RestError::MissingId);
        }
        Ok(request)
    }

    fn assemble(
        verb: &str,
        path: String,
        headers: Vec<(String, Vec<u8>)>,
    ) -> Result<Self, RestError> {
        let verb = VERBS
            .into_iter()
            .find(|known| *known == verb)
            .ok_or(RestError::Verb)?;
        let (service, service_path) = split_path(&path)?;
        let mut fields = Fields::default();
        for (name, value) in &headers {
            fields.take(name, value)?;
        }
        Ok(Self {
            verb,
            path,
            client: fields.client.ok_or(RestError::MissingClient)?,
            service,
            id: fields.id,
            user_id: fields.user_id,
            issue: fields.issue,
            security_server: fields.security_server,
            represented_party: fields.represented_party,
            request_id: fields.request_id,
            headers,
            service_path,
        })
    }

    /// Gives the request the id of the exchange and, if the client gave none, the id
    /// of the message. Both headers are written in lower case; the client's own
    /// spelling of `X-Road-Id` stays (T26, T-TR-5).
    pub fn set_ids(&mut self, request_id: &str, message_id: impl FnOnce() -> String) {
        self.headers
            .retain(|(name, _)| !name.eq_ignore_ascii_case(HEADER_REQUEST_ID));
        self.headers
            .push((HEADER_REQUEST_ID.to_owned(), request_id.as_bytes().to_vec()));
        self.request_id = Some(request_id.to_owned());
        if self.id.is_none() {
            let id = message_id();
            self.headers
                .push((HEADER_ID.to_owned(), id.as_bytes().to_vec()));
            self.id = Some(id);
        }
    }

    /// The request part (T25); its bytes are signed and hashed.
    pub fn encode(&self) -> Vec<u8> {
        encode_part(self.verb, &self.path, &self.headers)
    }

    /// The path behind the service code as the client wrote it, without query;
    /// empty or beginning with a slash. It is appended to the service's URL (R11).
    pub fn service_path(&self) -> &str {
        self.path
            .get(self.service_path.0..self.service_path.1)
            .unwrap_or("")
    }

    /// The query as the client wrote it, without question mark.
    pub fn query(&self) -> Option<&str> {
        self.path.get(self.service_path.1..)?.strip_prefix('?')
    }

    /// The path by which access rights are matched.
    ///
    /// # Errors
    /// The path cannot be matched without doubt and is refused (T-RE-2 to T-RE-4).
    pub fn access_path(&self) -> Result<String, PathError> {
        access_path(self.service_path())
    }

    /// The first value of a header.
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        find(&self.headers, name)
    }
}

fn find<'a>(headers: &'a [(String, Vec<u8>)], name: &str) -> Option<&'a [u8]> {
    headers
        .iter()
        .find(|(other, _)| other.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.as_slice())
}

/// The headers of X-Road, of which the last counts.
fn is_field(name: &str) -> bool {
    [
        "x-road-client",
        "x-road-id",
        "x-road-userid",
        "x-road-issue",
        "x-road-security-server",
        "x-road-represented-party",
    ]
    .iter()
    .any(|field| field.eq_ignore_ascii_case(name))
}

#[derive(Default)]
struct Fields {
    client: Option<ClientId>,
    service: Option<ServiceId>,
    id: Option<String>,
    user_id: Option<String>,
    issue: Option<String>,
    security_server: Option<SecurityServerId>,
    represented_party: Option<RepresentedParty>,
    request_id: Option<String>,
    request_hash: Option<String>,
}

impl Fields {
    fn take(&mut self, name: &str, value: &[u8]) -> Result<(), RestError> {
        if !name
            .get(..7)
            .is_some_and(|start| start.eq_ignore_ascii_case("x-road-"))
        {
            return Ok(());
        }
        let is = |field: &str| name[7..].eq_ignore_ascii_case(field);
        let text = |field| std::str::from_utf8(value).map_err(|_| RestError::Header(field));
        // identifiers are percent-encoded: a blank means that the part is malformed (T25)
        let path_text = |field| {
            let text = text(field)?;
            if text.bytes().all(|b| matches!(b, 0x21..=0x7e)) {
                Ok(text)
            } else {
                Err(RestError::Header(field))
            }
        };
        if is("client") {
            let text = std::str::from_utf8(value)
                .ok()
                .filter(|text| !text.contains([' ', '\t']))
                .ok_or(RestError::Header("X-Road-Client"))?;
            self.client = Some(ClientId::from_path(text).map_err(RestError::Client)?);
        } else if is("id") {
            self.id = Some(text("X-Road-Id")?.to_owned());
        } else if is("userid") {
            self.user_id = Some(text("X-Road-UserId")?.to_owned());
        } else if is("issue") {
            self.issue = Some(text("X-Road-Issue")?.to_owned());
        } else if is("security-server") {
            let name = "X-Road-Security-Server";
            let id = SecurityServerId::from_path(path_text(name)?);
            self.security_server = Some(id.map_err(|_| RestError::Header(name))?);
        } else if is("represented-party") {
            self.represented_party =
                Some(represented_party(path_text("X-Road-Represented-Party")?)?);
        } else if is("request-id") {
            self.request_id = Some(text("x-road-request-id")?.to_owned());
        } else if is("request-hash") {
            self.request_hash = Some(text("x-road-request-hash")?.to_owned());
        } else if is("service") {
            let id = ServiceId::from_path(path_text("x-road-service")?);
            self.service = Some(id.map_err(RestError::Service)?);
        }
        Ok(())
    }
}

fn represented_party(text: &str) -> Result<RepresentedParty, RestError> {
    const NAME: &str = "X-Road-Represented-Party";
    let decode = |part: &str| {
        let part = percent_decode_str(part)
            .decode_utf8()
            .map_err(|_| RestError::Header(NAME))?;
        if part.is_empty() || part.chars().any(char::is_control) {
            return Err(RestError::Header(NAME));
        }
        Ok(part.into_owned())
    };
    match text.split_once('/') {
        Some((class, code)) if !code.contains('/') => Ok(RepresentedParty {
            class: Some(decode(class)?),
            code: decode(code)?,
        }),
        None => Ok(RepresentedParty {
            class: None,
            code: decode(text)?,
        }),
        Some(_) => Err(RestError::Header(NAME)),
    }
}

/// The service that a path names, and where in the path the service's own path
/// stands: five segments behind `/r1/` (R1).
fn split_path(path: &str) -> Result<(ServiceId, (usize, usize)), RestError> {
    if !path.bytes().all(|b| matches!(b, 0x21..=0x7e)) || path.contains('#') {
        return Err(RestError::Path);
    }
    let end = path.find('?').unwrap_or(path.len());
    let rest = path[..end]
        .strip_prefix(PATH_PREFIX)
        .ok_or(RestError::Path)?;
    let service_end = rest
        .match_indices('/')
        .nth(4)
        .map_or(rest.len(), |(at, _)| at);
    let service = ServiceId::from_path(&rest[..service_end]).map_err(RestError::Service)?;
    Ok((service, (PATH_PREFIX.len() + service_end, end)))
}

fn is_name(name: &[u8]) -> bool {
    !name.is_empty()
        && name
            .iter()
            .all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(b))
}

type DecodedPart<'a> = (&'a str, &'a str, Vec<(String, Vec<u8>)>);

/// Two lines, then a line `Name:value` for each header; every line ends in CRLF.
fn decode_part(part: &[u8]) -> Result<DecodedPart<'_>, RestError> {
    let body = part.strip_suffix(b"\r\n").ok_or(RestError::Part)?;
    let mut lines = body.split(|b| *b == b'\n');
    let mut remaining = body.split(|b| *b == b'\n').count();
    let mut line = || -> Result<Option<&[u8]>, RestError> {
        let Some(line) = lines.next() else {
            return Ok(None);
        };
        remaining -= 1;
        let line = if remaining == 0 {
            line
        } else {
            line.strip_suffix(b"\r").ok_or(RestError::Part)?
        };
        if line.iter().any(|b| matches!(b, 0..=8 | 10..=31 | 127)) {
            return Err(RestError::Part);
        }
        Ok(Some(line))
    };
    let mut text = || -> Result<&str, RestError> {
        let line = line()?.ok_or(RestError::Part)?;
        std::str::from_utf8(line).map_err(|_| RestError::Part)
    };
    let first = text()?;
    let second = text()?;
    let mut headers = Vec::with_capacity(16);
    while let Some(line) = line()? {
        let colon = memchr::memchr(b':', line).ok_or(RestError::Part)?;
        let (name, value) = (&line[..colon], &line[colon + 1..]);
        if !is_name(name) {
            return Err(RestError::Part);
        }
        let name = String::from_utf8_lossy(name).into_owned();
        if !is_carried(&name) {
            return Err(RestError::NotCarried);
        }
        if headers.len() == MAX_HEADERS + 8 {
            return Err(RestError::TooManyHeaders);
        }
        headers.push((name, value.to_vec()));
    }
    Ok((first, second, headers))
}

fn encode_part(first: &str, second: &str, headers: &[(String, Vec<u8>)]) -> Vec<u8> {
    let length: usize = headers.iter().map(|(n, v)| n.len() + v.len() + 3).sum();
    let mut out = Vec::with_capacity(first.len() + second.len() + 4 + length);
    for line in [first, second] {
        out.extend_from_slice(line.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    for (name, value) in headers {
        out.extend_from_slice(name.as_bytes());
        out.push(b':');
        out.extend_from_slice(value);
        out.extend_from_slice(b"\r\n");
    }
    out
}

/// The hash of a request (R7) in base64, from the SHA-512 of its part and, if it has
/// a body, of the body.
pub fn request_hash(head: &[u8], body: Option<&[u8]>) -> String {
    let Some(body) = body else {
        return STANDARD.encode(head);
    };
    let mut hasher = DigestAlgorithm::Sha512.hasher();
    hasher.update(head);
    hasher.update(body);
    STANDARD.encode(hasher.finish())
}

/// An id for a message whose client gave none, as X-Road makes it: the instance and
/// a UUID of the given random bytes (R4).
pub fn generated_id(instance: &str, random: [u8; 16]) -> String {
    let mut out = String::with_capacity(instance.len() + 37);
    out.push_str(instance);
    out.push('-');
    push_uuid(random, &mut out);
    out
}

/// A random UUID (RFC 9562, version 4) of the given random bytes.
pub fn uuid(random: [u8; 16]) -> String {
    let mut out = String::with_capacity(36);
    push_uuid(random, &mut out);
    out
}

fn push_uuid(mut bytes: [u8; 16], out: &mut String) {
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    for (index, byte) in bytes.iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            out.push('-');
        }
        // writing to a String cannot fail
        let _ = write!(out, "{byte:02x}");
    }
}
