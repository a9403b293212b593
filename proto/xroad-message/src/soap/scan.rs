//! The single pass over an envelope.

use std::borrow::Cow;

use bytes::Bytes;
use xroad_id::{ClientId, SecurityServerId, ServiceId};

use super::identifier::{self, Identifier, IdentifierError, append};
use super::{
    Expect, Field, Positions, RepresentedParty, RequestHash, Soap, SoapError, SoapLimits,
    SoapMessage,
};
use crate::fault::{self, Fault};
use crate::xml::{Event, Scanner, XmlError, split, unescape};
use crate::{NS_REPRESENTATION, NS_SOAP, NS_XROAD};

/// Header fields as they are found.
#[derive(Default)]
struct Header {
    seen: bool,
    client: Option<ClientId>,
    service: Option<ServiceId>,
    id: Option<String>,
    user_id: Option<String>,
    issue: Option<String>,
    protocol_version: Option<String>,
    security_server: Option<SecurityServerId>,
    represented_party: Option<RepresentedParty>,
    request_hash: Option<RequestHash>,
    positions: Positions,
}

#[derive(Default)]
struct Body<'a> {
    seen: bool,
    child: Option<(&'a str, &'a str)>,
    fault: Option<Fault>,
}

pub(super) fn decode(
    bytes: &Bytes,
    limits: &SoapLimits,
    expect: Expect,
) -> Result<Soap, SoapError> {
    let mut scanner = Scanner::new(bytes, limits.depth)?;
    let Event::Start(_) = scanner.next()? else {
        return Err(SoapError::Envelope);
    };
    if scanner.resolved() != (NS_SOAP, "Envelope") {
        return Err(SoapError::Envelope);
    }
    let mut header = Header::default();
    let mut body = Body::default();
    loop {
        match scanner.next()? {
            Event::Start(_) => match scanner.resolved() {
                (NS_SOAP, "Header") => {
                    // a header after the body would be read by some and not by others
                    if header.seen || body.seen {
                        return Err(SoapError::DuplicateSection);
                    }
                    header.seen = true;
                    read_header(&mut scanner, &mut header)?;
                }
                (NS_SOAP, "Body") => {
                    if body.seen {
                        return Err(SoapError::DuplicateSection);
                    }
                    body.seen = true;
                    read_body(&mut scanner, &mut body)?;
                }
                _ => skip(&mut scanner)?,
            },
            Event::Eof => break,
            _ => {}
        }
    }
    if let Some(fault) = body.fault {
        return Ok(Soap::Fault(fault, bytes.clone()));
    }
    if !header.seen {
        return Err(SoapError::MissingHeader);
    }
    let missing = SoapError::MissingField;
    let protocol_version = header
        .protocol_version
        .ok_or(missing(Field::ProtocolVersion))?;
    let client = header.client.ok_or(missing(Field::Client))?;
    let id = header.id.ok_or(missing(Field::Id))?;
    let service = header.service.ok_or(missing(Field::Service))?;
    if !body.seen {
        return Err(SoapError::MissingBody);
    }
    let (body_namespace, body_name) = body.child.ok_or(SoapError::Body)?;
    if !body_name.starts_with(&service.service_code) {
        return Err(SoapError::Wrapper);
    }
    Ok(Soap::Message(Box::new(SoapMessage {
        client,
        service,
        id,
        user_id: header.user_id,
        issue: header.issue,
        protocol_version,
        security_server: header.security_server,
        represented_party: header.represented_party,
        // only answers have one (M2)
        request_hash: header.request_hash.filter(|_| expect == Expect::Response),
        body_namespace: body_namespace.to_owned(),
        body_name: body_name.to_owned(),
        bytes: bytes.clone(),
        positions: header.positions,
    })))
}

/// Skips the element whose start tag was just read.
fn skip(scanner: &mut Scanner<'_>) -> Result<(), XmlError> {
    let depth = scanner.depth();
    while scanner.depth() >= depth {
        scanner.next()?;
    }
    Ok(())
}

/// Reads the text of the element whose start tag was just read; text of elements
/// inside it does not count.
fn text<'a>(scanner: &mut Scanner<'a>) -> Result<Cow<'a, str>, XmlError> {
    let depth = scanner.depth();
    let mut value = None;
    while scanner.depth() >= depth {
        let event = scanner.next()?;
        if scanner.depth() == depth {
            match event {
                Event::Text(raw) => append(&mut value, unescape(raw)),
                Event::CData(text) => append(&mut value, text.into()),
                _ => {}
            }
        }
    }
    Ok(value.unwrap_or_default())
}

fn set<T>(to: &mut Option<T>, field: Field, value: T) -> Result<(), SoapError> {
    if to.is_some() {
        return Err(SoapError::DuplicateField(field));
    }
    *to = Some(value);
    Ok(())
}

fn read_header(scanner: &mut Scanner<'_>, header: &mut Header) -> Result<(), SoapError> {
    let base = scanner.depth();
    loop {
        let name = match scanner.next()? {
            Event::Start(name) => name,
            Event::End(_) if scanner.depth() < base => return Ok(()),
            Event::Eof => return Ok(()),
            _ => continue,
        };
        let start = scanner.event_start();
        match scanner.resolved() {
            (NS_XROAD, "client") => match identifier(scanner, Field::Client)? {
                Identifier::Client(id) => set(&mut header.client, Field::Client, id)?,
                _ => return Err(wrong_type(Field::Client)),
            },
            (NS_XROAD, "service") => match identifier(scanner, Field::Service)? {
                Identifier::Service(id) => set(&mut header.service, Field::Service, id)?,
                _ => return Err(wrong_type(Field::Service)),
            },
            (NS_XROAD, "securityServer") => match identifier(scanner, Field::SecurityServer)? {
                Identifier::Server(id) => {
                    set(&mut header.security_server, Field::SecurityServer, id)?
                }
                _ => return Err(wrong_type(Field::SecurityServer)),
            },
            (NS_XROAD, "id") => {
                let value = text(scanner)?.into_owned();
                set(&mut header.id, Field::Id, value)?;
                let (prefix, _) = split(name);
                header.positions.id_end = scanner.position();
                header.positions.prefix.push_str(prefix);
                if !prefix.is_empty() {
                    header.positions.prefix.push(':');
                }
                // the prefix may have been bound by the element itself
                header.positions.is_bound = scanner.namespace(prefix) == Some(NS_XROAD);
            }
            (NS_XROAD, "userId") => {
                let value = text(scanner)?.into_owned();
                set(&mut header.user_id, Field::UserId, value)?;
            }
            (NS_XROAD, "issue") => {
                let value = text(scanner)?.into_owned();
                set(&mut header.issue, Field::Issue, value)?;
            }
            (NS_XROAD, "protocolVersion") => {
                let value = text(scanner)?.into_owned();
                if !value.starts_with("4.") {
                    return Err(SoapError::ProtocolVersion);
                }
                set(&mut header.protocol_version, Field::ProtocolVersion, value)?;
            }
            (NS_REPRESENTATION, "representedParty") => {
                let party = represented_party(scanner)?;
                set(
                    &mut header.represented_party,
                    Field::RepresentedParty,
                    party,
                )?;
            }
            (NS_XROAD, "requestHash") => {
                let algorithm = scanner
                    .attribute("", "algorithmId")
                    .unwrap_or_default()
                    .into_owned();
                let value = text(scanner)?.into_owned();
                let hash = RequestHash { algorithm, value };
                set(&mut header.request_hash, Field::RequestHash, hash)?;
                header.positions.request_hash = Some((start, scanner.position()));
            }
            _ => skip(scanner)?,
        }
    }
}

fn wrong_type(field: Field) -> SoapError {
    SoapError::Identifier(field, IdentifierError::ObjectType)
}

fn identifier(scanner: &mut Scanner<'_>, field: Field) -> Result<Identifier, SoapError> {
    identifier::read(scanner).map_err(|error| match error {
        IdentifierError::Xml(error) => SoapError::Xml(error),
        IdentifierError::DuplicatePart(_) => SoapError::DuplicateField(field),
        error => SoapError::Identifier(field, error),
    })
}

fn represented_party(scanner: &mut Scanner<'_>) -> Result<RepresentedParty, SoapError> {
    let base = scanner.depth();
    let mut class = None;
    let mut code = None;
    loop {
        match scanner.next()? {
            Event::Start(_) => match scanner.resolved() {
                (NS_REPRESENTATION, "partyClass") => {
                    let value = text(scanner)?.into_owned();
                    set(&mut class, Field::RepresentedParty, value)?;
                }
                (NS_REPRESENTATION, "partyCode") => {
                    let value = text(scanner)?.into_owned();
                    set(&mut code, Field::RepresentedParty, value)?;
                }
                _ => skip(scanner)?,
            },
            Event::End(_) if scanner.depth() < base => break,
            Event::Eof => break,
            _ => {}
        }
    }
    let code = code.ok_or(SoapError::Identifier(
        Field::RepresentedParty,
        IdentifierError::MissingPart("partyCode"),
    ))?;
    Ok(RepresentedParty { class, code })
}

fn read_body<'a>(scanner: &mut Scanner<'a>, body: &mut Body<'a>) -> Result<(), SoapError> {
    let base = scanner.depth();
    loop {
        match scanner.next()? {
            Event::Start(_) => {
                let (namespace, local) = scanner.resolved();
                if body.child.is_some() || body.fault.is_some() {
                    return Err(SoapError::Body);
                }
                if (namespace, local) == (NS_SOAP, "Fault") {
                    body.fault = Some(fault::read(scanner)?);
                } else {
                    body.child = Some((namespace, local));
                    skip(scanner)?;
                }
            }
            Event::End(_) if scanner.depth() < base => return Ok(()),
            Event::Eof => return Ok(()),
            _ => {}
        }
    }
}
