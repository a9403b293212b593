//! X-Road identifiers (PR-MESS section 2.1).
//!
//! Every part is compared exactly and with case (`XRoadId.equals`). Three
//! spellings exist and none is a substitute for another:
//!
//! * the **log form** `SUBSYSTEM:KG/GOV/70000001/population` (`XRoadId.toString`),
//!   which [`std::fmt::Display`] writes;
//! * the **path form** `KG/GOV/70000001/population`, each part percent-encoded
//!   (PR-REST section 4), which [`ClientId::path`] writes and [`ClientId::from_path`] reads;
//! * the XML form, which belongs to the document that holds it.
//!
//! Peers are known to send parts with blanks, `&` or Cyrillic letters, which
//! X-Road does not refuse; so reading accepts any part within [`MAX_PART_LENGTH`]
//! that has no control character, and [`is_safe_part`] is the stricter rule for
//! identifiers that we register ourselves.

use std::fmt;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// Longest part that is read, in bytes of UTF-8. X-Road refuses parts over 255
/// characters in management requests.
pub const MAX_PART_LENGTH: usize = 1020;

/// Characters that PR-REST leaves unescaped in a path segment (RFC 3986 `unreserved`).
const PATH_SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Why a text is not an X-Road identifier. The fault is the writer's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// The number of parts does not fit the type of identifier.
    #[error(
        "an identifier of this type has {expected} parts separated by '/', this one has {found}"
    )]
    PartCount {
        /// How many parts the type has.
        expected: &'static str,
        /// How many parts were found.
        found: usize,
    },
    /// A part is empty.
    #[error("part {0} of the identifier is empty")]
    EmptyPart(&'static str),
    /// A part is longer than [`MAX_PART_LENGTH`].
    #[error("part {0} of the identifier is longer than {MAX_PART_LENGTH} bytes")]
    PartTooLong(&'static str),
    /// A part has a control character or, once decoded, is not UTF-8.
    #[error("part {0} of the identifier has a character that is not allowed")]
    Character(&'static str),
}

/// Whether a part may be registered in an instance of ours: at most 255
/// characters and none of `: ; / \ %`, control characters, U+200B, U+FEFF
/// (`SpringValidationUtils`), and not `.` or `..`.
///
/// ```
/// assert!(xroad_id::is_safe_part("Элдик банк"));
/// assert!(!xroad_id::is_safe_part("a/b"));
/// ```
pub fn is_safe_part(part: &str) -> bool {
    !part.is_empty()
        && part != "."
        && part != ".."
        && part.chars().count() <= 255
        && !part.chars().any(|c| {
            c.is_control() || matches!(c, ':' | ';' | '/' | '\\' | '%' | '\u{200B}' | '\u{FEFF}')
        })
}

fn check(name: &'static str, part: &str) -> Result<(), IdError> {
    if part.is_empty() {
        return Err(IdError::EmptyPart(name));
    }
    if part.len() > MAX_PART_LENGTH {
        return Err(IdError::PartTooLong(name));
    }
    if part.chars().any(char::is_control) {
        return Err(IdError::Character(name));
    }
    Ok(())
}

fn decode_part(name: &'static str, raw: &str) -> Result<String, IdError> {
    let decoded = percent_decode_str(raw)
        .decode_utf8()
        .map_err(|_| IdError::Character(name))?;
    check(name, &decoded)?;
    Ok(decoded.into_owned())
}

fn write_path(out: &mut String, parts: &[&str]) {
    for part in parts {
        if !out.is_empty() {
            out.push('/');
        }
        out.extend(utf8_percent_encode(part, PATH_SEGMENT));
    }
}

/// A member, or a subsystem of a member: whoever uses or provides services
/// (`MEMBER` and `SUBSYSTEM` of identifiers.xsd).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClientId {
    /// Instance of X-Road, for example `KG`.
    pub instance: String,
    /// Class of the member, for example `GOV`.
    pub member_class: String,
    /// Code of the member, unique within its class.
    pub member_code: String,
    /// Code of the subsystem; `None` is the member itself.
    pub subsystem_code: Option<String>,
}

impl ClientId {
    /// The member `instance/class/code`.
    ///
    /// # Errors
    /// A part is empty, too long or has a control character.
    pub fn member(instance: &str, member_class: &str, member_code: &str) -> Result<Self, IdError> {
        check("instance", instance)?;
        check("member class", member_class)?;
        check("member code", member_code)?;
        Ok(Self {
            instance: instance.to_owned(),
            member_class: member_class.to_owned(),
            member_code: member_code.to_owned(),
            subsystem_code: None,
        })
    }

    /// The subsystem `code` of this identifier's member.
    ///
    /// # Errors
    /// The code is empty, too long or has a control character.
    pub fn with_subsystem(&self, code: &str) -> Result<Self, IdError> {
        check("subsystem code", code)?;
        Ok(Self {
            subsystem_code: Some(code.to_owned()),
            ..self.clone()
        })
    }

    /// The member that this identifier names or whose subsystem it names.
    pub fn to_member(&self) -> Self {
        Self {
            subsystem_code: None,
            ..self.clone()
        }
    }

    /// Whether both name the same member, the subsystem left aside: a signing
    /// certificate belongs to the member (`ClientId.memberEquals`).
    pub fn is_same_member(&self, other: &Self) -> bool {
        self.member_code == other.member_code
            && self.member_class == other.member_class
            && self.instance == other.instance
    }

    /// Reads the path form `INST/CLASS/CODE[/SUBSYSTEM]`, parts percent-encoded
    /// (PR-REST section 4.3, header `X-Road-Client`).
    ///
    /// # Errors
    /// Not three or four parts, or a part that is not allowed.
    pub fn from_path(text: &str) -> Result<Self, IdError> {
        let parts: Vec<&str> = text.split('/').collect();
        let (3 | 4) = parts.len() else {
            return Err(IdError::PartCount {
                expected: "3 or 4",
                found: parts.len(),
            });
        };
        Ok(Self {
            instance: decode_part("instance", parts[0])?,
            member_class: decode_part("member class", parts[1])?,
            member_code: decode_part("member code", parts[2])?,
            subsystem_code: parts
                .get(3)
                .map(|code| decode_part("subsystem code", code))
                .transpose()?,
        })
    }

    /// The path form, each part percent-encoded.
    pub fn path(&self) -> String {
        let mut out = String::new();
        write_path(&mut out, &self.parts());
        out
    }

    /// The parts in order: instance, class, code and, if there is one, subsystem.
    pub fn parts(&self) -> Vec<&str> {
        let mut parts = vec![
            self.instance.as_str(),
            self.member_class.as_str(),
            self.member_code.as_str(),
        ];
        parts.extend(self.subsystem_code.as_deref());
        parts
    }

    /// `MEMBER` or `SUBSYSTEM`, the value of `id:objectType`.
    pub fn object_type(&self) -> &'static str {
        if self.subsystem_code.is_some() {
            "SUBSYSTEM"
        } else {
            "MEMBER"
        }
    }
}

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.object_type(), self.parts().join("/"))
    }
}

/// A service of a client (`SERVICE` of identifiers.xsd).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServiceId {
    /// The client that provides the service.
    pub client: ClientId,
    /// Code of the service.
    pub service_code: String,
    /// Version of the service; REST services have none.
    pub service_version: Option<String>,
}

impl ServiceId {
    /// The service `code` of `client`.
    ///
    /// # Errors
    /// The code or version is empty, too long or has a control character.
    pub fn new(client: ClientId, code: &str, version: Option<&str>) -> Result<Self, IdError> {
        check("service code", code)?;
        if let Some(version) = version {
            check("service version", version)?;
        }
        Ok(Self {
            client,
            service_code: code.to_owned(),
            service_version: version.map(str::to_owned),
        })
    }

    /// Reads the path form of a REST service: exactly five percent-encoded parts
    /// `INST/CLASS/CODE/SUBSYSTEM/SERVICE` (X-Road's code wants the subsystem,
    /// though PR-REST calls it optional).
    ///
    /// # Errors
    /// Not five parts, or a part that is not allowed.
    pub fn from_path(text: &str) -> Result<Self, IdError> {
        let parts: Vec<&str> = text.split('/').collect();
        if parts.len() != 5 {
            return Err(IdError::PartCount {
                expected: "5",
                found: parts.len(),
            });
        }
        Ok(Self {
            client: ClientId {
                instance: decode_part("instance", parts[0])?,
                member_class: decode_part("member class", parts[1])?,
                member_code: decode_part("member code", parts[2])?,
                subsystem_code: Some(decode_part("subsystem code", parts[3])?),
            },
            service_code: decode_part("service code", parts[4])?,
            service_version: None,
        })
    }

    /// The path form, each part percent-encoded: the client's, the code and, if there is one, the version.
    pub fn path(&self) -> String {
        let mut out = self.client.path();
        write_path(&mut out, &[&self.service_code]);
        if let Some(version) = &self.service_version {
            write_path(&mut out, &[version]);
        }
        out
    }
}

impl fmt::Display for ServiceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "SERVICE:{}/{}",
            self.client.parts().join("/"),
            self.service_code
        )?;
        match &self.service_version {
            Some(version) => write!(f, "/{version}"),
            None => Ok(()),
        }
    }
}

/// A Security Server of a member (`SERVER` of identifiers.xsd).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SecurityServerId {
    /// Instance of X-Road.
    pub instance: String,
    /// Class of the owner.
    pub member_class: String,
    /// Code of the owner.
    pub member_code: String,
    /// Code of the server, unique for its owner.
    pub server_code: String,
}

impl SecurityServerId {
    /// Reads the path form `INST/CLASS/CODE/SERVER` (header `X-Road-Security-Server`).
    ///
    /// # Errors
    /// Not four parts, or a part that is not allowed.
    pub fn from_path(text: &str) -> Result<Self, IdError> {
        let parts: Vec<&str> = text.split('/').collect();
        if parts.len() != 4 {
            return Err(IdError::PartCount {
                expected: "4",
                found: parts.len(),
            });
        }
        Ok(Self {
            instance: decode_part("instance", parts[0])?,
            member_class: decode_part("member class", parts[1])?,
            member_code: decode_part("member code", parts[2])?,
            server_code: decode_part("server code", parts[3])?,
        })
    }

    /// The path form, each part percent-encoded.
    pub fn path(&self) -> String {
        let mut out = String::new();
        write_path(
            &mut out,
            &[
                &self.instance,
                &self.member_class,
                &self.member_code,
                &self.server_code,
            ],
        );
        out
    }

    /// The member that owns the server.
    pub fn owner(&self) -> ClientId {
        ClientId {
            instance: self.instance.clone(),
            member_class: self.member_class.clone(),
            member_code: self.member_code.clone(),
            subsystem_code: None,
        }
    }
}

impl fmt::Display for SecurityServerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "SERVER:{}/{}/{}/{}",
            self.instance, self.member_class, self.member_code, self.server_code
        )
    }
}

/// A group of clients that the instance keeps (`GLOBALGROUP` of identifiers.xsd).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GlobalGroupId {
    /// Instance that keeps the group.
    pub instance: String,
    /// Code of the group.
    pub group_code: String,
}

impl fmt::Display for GlobalGroupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GLOBALGROUP:{}/{}", self.instance, self.group_code)
    }
}

/// A group of clients that a provider keeps on its own Security Server
/// (`LOCALGROUP` of identifiers.xsd).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LocalGroupId {
    /// Code of the group, unique for its provider.
    pub group_code: String,
}

impl fmt::Display for LocalGroupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LOCALGROUP:{}", self.group_code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn path_form_round_trips_with_odd_parts() {
        let id = ClientId::from_path("KG/GOV/7000%2F1/sub%20%D0%AF").unwrap();
        assert_eq!(id.member_code, "7000/1");
        assert_eq!(id.subsystem_code.as_deref(), Some("sub Я"));
        assert_eq!(ClientId::from_path(&id.path()).unwrap(), id);
        let service = ServiceId::from_path("KG/GOV/1/s/echo").unwrap();
        assert_eq!(service.path(), "KG/GOV/1/s/echo");
        assert_eq!(service.to_string(), "SERVICE:KG/GOV/1/s/echo");
    }

    #[test]
    fn wrong_numbers_of_parts_and_bad_parts_are_refused() {
        for bad in [
            "",
            "KG",
            "KG/GOV",
            "KG//1",
            "KG/GOV/1/",
            "KG/GOV/1/a/b",
            "KG/GOV/%00",
            "KG/GOV/%FF",
        ] {
            assert!(ClientId::from_path(bad).is_err(), "{bad:?} was read");
        }
        assert!(ServiceId::from_path("KG/GOV/1/echo").is_err());
        assert!(SecurityServerId::from_path("KG/GOV/1").is_err());
        assert!(
            ClientId::from_path(&format!("KG/GOV/{}", "x".repeat(MAX_PART_LENGTH + 1))).is_err()
        );
    }

    #[test]
    fn members_are_compared_without_subsystem() {
        let member = ClientId::member("KG", "GOV", "1").unwrap();
        let subsystem = member.with_subsystem("a").unwrap();
        assert!(member.is_same_member(&subsystem));
        assert_ne!(member, subsystem);
        assert_eq!(subsystem.to_member(), member);
        assert_eq!(member.to_string(), "MEMBER:KG/GOV/1");
        assert_eq!(subsystem.to_string(), "SUBSYSTEM:KG/GOV/1/a");
    }
}
