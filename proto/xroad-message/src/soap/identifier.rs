//! Identifiers as XML elements (identifiers.xsd): `id:objectType` says the type, the
//! children hold the parts.

use xroad_id::{ClientId, GlobalGroupId, IdError, LocalGroupId, SecurityServerId, ServiceId};

use crate::NS_IDENTIFIERS;
use crate::fault::code;
use crate::xml::{Event, Scanner, XmlError, escape, unescape};

/// Longest document with one identifier that is read, in bytes.
const MAX_LENGTH: usize = 64 * 1024;

/// Why an element is not an identifier. The fault is the writer's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdentifierError {
    /// Not well-formed.
    #[error(transparent)]
    Xml(#[from] XmlError),
    /// `id:objectType` is missing, unknown, or not of the type that is expected.
    #[error("the object type is missing or not the one expected")]
    ObjectType,
    /// A part that the type demands is missing.
    #[error("the part {0} is missing")]
    MissingPart(&'static str),
    /// A part that the type does not have.
    #[error("the part {0} does not belong to an identifier of this type")]
    UnexpectedPart(&'static str),
    /// A part twice.
    #[error("the part {0} is there twice")]
    DuplicatePart(&'static str),
    /// A part that no identifier may have.
    #[error(transparent)]
    Part(#[from] IdError),
    /// The document holds something else.
    #[error("the document is not one identifier")]
    Document,
}

impl IdentifierError {
    /// The leaf of the fault code.
    pub fn code(&self) -> &'static str {
        code::INVALID_XML
    }
}

/// An identifier of any type.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Identifier {
    /// `MEMBER` or `SUBSYSTEM`.
    Client(ClientId),
    /// `SERVICE`.
    Service(ServiceId),
    /// `SERVER`.
    Server(SecurityServerId),
    /// `GLOBALGROUP`.
    GlobalGroup(GlobalGroupId),
    /// `LOCALGROUP`.
    LocalGroup(LocalGroupId),
}

const INSTANCE: usize = 0;
const CLASS: usize = 1;
const MEMBER: usize = 2;
const SUBSYSTEM: usize = 3;
const SERVICE: usize = 4;
const VERSION: usize = 5;
const SERVER: usize = 6;
const GROUP: usize = 7;
const PARTS: [&str; 8] = [
    "xRoadInstance",
    "memberClass",
    "memberCode",
    "subsystemCode",
    "serviceCode",
    "serviceVersion",
    "serverCode",
    "groupCode",
];

struct Parts<'a>([Option<std::borrow::Cow<'a, str>>; 8]);

impl Parts<'_> {
    fn optional(&self, part: usize) -> Option<&str> {
        self.0[part].as_deref()
    }

    fn required(&self, part: usize) -> Result<&str, IdentifierError> {
        self.optional(part)
            .ok_or(IdentifierError::MissingPart(PARTS[part]))
    }

    fn only(&self, allowed: &[usize]) -> Result<(), IdentifierError> {
        for (part, value) in self.0.iter().enumerate() {
            if value.is_some() && !allowed.contains(&part) {
                return Err(IdentifierError::UnexpectedPart(PARTS[part]));
            }
        }
        Ok(())
    }

    fn member(&self) -> Result<ClientId, IdentifierError> {
        Ok(ClientId::member(
            self.required(INSTANCE)?,
            self.required(CLASS)?,
            self.required(MEMBER)?,
        )?)
    }

    fn client(&self) -> Result<ClientId, IdentifierError> {
        let mut client = self.member()?;
        if let Some(subsystem) = self.optional(SUBSYSTEM) {
            client = client.with_subsystem(subsystem)?;
        }
        Ok(client)
    }
}

/// Reads the identifier whose start tag was just read, up to its end tag.
pub(super) fn read(scanner: &mut Scanner<'_>) -> Result<Identifier, IdentifierError> {
    let object_type = scanner
        .attribute(NS_IDENTIFIERS, "objectType")
        .ok_or(IdentifierError::ObjectType)?;
    let base = scanner.depth();
    let mut parts = Parts(std::array::from_fn(|_| None));
    let mut current: Option<usize> = None;
    loop {
        match scanner.next()? {
            Event::Start(_) => {
                let (namespace, local) = scanner.resolved();
                if scanner.depth() == base + 1 && namespace == NS_IDENTIFIERS {
                    current = PARTS.iter().position(|part| *part == local);
                    if let Some(part) = current {
                        if parts.0[part].is_some() {
                            return Err(IdentifierError::DuplicatePart(PARTS[part]));
                        }
                        parts.0[part] = Some("".into());
                    }
                }
            }
            Event::End(_) => {
                if scanner.depth() < base {
                    break;
                }
                if scanner.depth() == base {
                    current = None;
                }
            }
            Event::Text(raw) => {
                if let (Some(part), true) = (current, scanner.depth() == base + 1) {
                    append(&mut parts.0[part], unescape(raw));
                }
            }
            Event::CData(text) => {
                if let (Some(part), true) = (current, scanner.depth() == base + 1) {
                    append(&mut parts.0[part], text.into());
                }
            }
            Event::Eof => return Err(IdentifierError::Document),
        }
    }
    const CLIENT: &[usize] = &[INSTANCE, CLASS, MEMBER, SUBSYSTEM];
    match object_type.as_ref() {
        "MEMBER" => {
            parts.only(&CLIENT[..3])?;
            Ok(Identifier::Client(parts.member()?))
        }
        "SUBSYSTEM" => {
            parts.only(CLIENT)?;
            parts.required(SUBSYSTEM)?;
            Ok(Identifier::Client(parts.client()?))
        }
        "SERVICE" => {
            parts.only(&[INSTANCE, CLASS, MEMBER, SUBSYSTEM, SERVICE, VERSION])?;
            let code = parts.required(SERVICE)?;
            Ok(Identifier::Service(ServiceId::new(
                parts.client()?,
                code,
                parts.optional(VERSION),
            )?))
        }
        "SERVER" => {
            parts.only(&[INSTANCE, CLASS, MEMBER, SERVER])?;
            let owner = parts.member()?;
            let server = owner.with_subsystem(parts.required(SERVER)?)?;
            Ok(Identifier::Server(SecurityServerId {
                instance: server.instance,
                member_class: server.member_class,
                member_code: server.member_code,
                server_code: server.subsystem_code.unwrap_or_default(),
            }))
        }
        "GLOBALGROUP" => {
            parts.only(&[INSTANCE, GROUP])?;
            let checked = ClientId::member(parts.required(INSTANCE)?, "-", parts.required(GROUP)?)?;
            Ok(Identifier::GlobalGroup(GlobalGroupId {
                instance: checked.instance,
                group_code: checked.member_code,
            }))
        }
        "LOCALGROUP" => {
            parts.only(&[GROUP])?;
            let checked = ClientId::member("-", "-", parts.required(GROUP)?)?;
            Ok(Identifier::LocalGroup(LocalGroupId {
                group_code: checked.member_code,
            }))
        }
        _ => Err(IdentifierError::ObjectType),
    }
}

pub(super) fn append<'a>(
    to: &mut Option<std::borrow::Cow<'a, str>>,
    text: std::borrow::Cow<'a, str>,
) {
    match to {
        Some(held) if !held.is_empty() => held.to_mut().push_str(&text),
        _ => *to = Some(text),
    }
}

/// Reads a document that is one identifier, whatever the name of its element.
///
/// # Errors
/// The document is longer than 64 KiB, not XML, or its element not an identifier.
pub fn decode_identifier(document: &[u8]) -> Result<Identifier, IdentifierError> {
    if document.len() > MAX_LENGTH {
        return Err(IdentifierError::Document);
    }
    let mut scanner = Scanner::new(document, 16)?;
    let Event::Start(_) = scanner.next()? else {
        return Err(IdentifierError::Document);
    };
    let identifier = read(&mut scanner)?;
    match scanner.next()? {
        Event::Eof => Ok(identifier),
        _ => Err(IdentifierError::Document),
    }
}

/// Appends an identifier as an element `name` (with prefix). The prefix `id` must be
/// bound to [`NS_IDENTIFIERS`] around it.
pub fn encode_identifier(name: &str, identifier: &Identifier, out: &mut String) {
    let mut parts: Vec<(usize, &str)> = Vec::with_capacity(6);
    let object_type = match identifier {
        Identifier::Client(client) => {
            push_client(&mut parts, client);
            client.object_type()
        }
        Identifier::Service(service) => {
            push_client(&mut parts, &service.client);
            parts.push((SERVICE, &service.service_code));
            parts.extend(service.service_version.as_deref().map(|v| (VERSION, v)));
            "SERVICE"
        }
        Identifier::Server(server) => {
            parts.extend([
                (INSTANCE, server.instance.as_str()),
                (CLASS, &server.member_class),
                (MEMBER, &server.member_code),
                (SERVER, &server.server_code),
            ]);
            "SERVER"
        }
        Identifier::GlobalGroup(group) => {
            parts.extend([
                (INSTANCE, group.instance.as_str()),
                (GROUP, &group.group_code),
            ]);
            "GLOBALGROUP"
        }
        Identifier::LocalGroup(group) => {
            parts.push((GROUP, &group.group_code));
            "LOCALGROUP"
        }
    };
    for piece in ["<", name, " id:objectType=\"", object_type, "\">"] {
        out.push_str(piece);
    }
    for (part, value) in parts {
        for piece in ["<id:", PARTS[part], ">"] {
            out.push_str(piece);
        }
        escape(value, out);
        for piece in ["</id:", PARTS[part], ">"] {
            out.push_str(piece);
        }
    }
    for piece in ["</", name, ">"] {
        out.push_str(piece);
    }
}

fn push_client<'a>(parts: &mut Vec<(usize, &'a str)>, client: &'a ClientId) {
    parts.extend([
        (INSTANCE, client.instance.as_str()),
        (CLASS, &client.member_class),
        (MEMBER, &client.member_code),
    ]);
    parts.extend(
        client
            .subsystem_code
            .as_deref()
            .map(|code| (SUBSYSTEM, code)),
    );
}
