//! Names as people write them (RFC 4514): `CN=bank,O=Bank\, Ltd.,C=KG`, the last part of the encoding first.

use crate::der::{self, Writer};
use crate::name::{AttributeType, MAX_ATTRIBUTES, Name, write_attribute};

/// Why a text is not a name. The fault is the writer's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a name as RFC 4514 writes it, like CN=bank,O=Bank,C=KG")]
pub struct NotAName;

enum Value {
    Text(String),
    Der(Vec<u8>),
}

type Part = Vec<(AttributeType, Value)>;

impl Name {
    /// Reads the text form. Types are the short names that [`AttributeType`] knows, in any case, or dotted identifiers;
    /// blanks around the separators are passed over, as RFC 2253 wants it.
    ///
    /// # Errors
    /// [`NotAName`], also for an empty name and an empty value: they would name nobody.
    pub fn from_rfc4514(text: &str) -> Result<Self, NotAName> {
        let mut rest = text;
        let mut parts: Vec<Part> = vec![Vec::new()];
        let mut count = 0;
        loop {
            let (kind, value) = rest.split_once('=').ok_or(NotAName)?;
            let kind = AttributeType::from_short_name(kind.trim_matches(' ')).ok_or(NotAName)?;
            let value = value.trim_start_matches(' ');
            let (value, after) = match value.strip_prefix('#') {
                Some(digits) => hexadecimal(digits)?,
                None => string(value)?,
            };
            count += 1;
            if count > MAX_ATTRIBUTES {
                return Err(NotAName);
            }
            if let Some(part) = parts.last_mut() {
                part.push((kind, value));
            }
            let mut after = after.chars();
            match after.next() {
                None => break,
                Some(',') => parts.push(Vec::new()),
                Some(_) => {}
            }
            rest = after.as_str();
        }
        let der = Writer::sequence_of(|writer| {
            for part in parts.iter().rev() {
                let mut members: Vec<Vec<u8>> = part.iter().map(encoded).collect();
                // DER sorts the members of a set.
                members.sort();
                writer.constructed(der::SET, |writer| writer.raw(&members.concat()));
            }
        });
        Self::decode(&der).map_err(|_| NotAName)
    }
}

fn encoded((kind, value): &(AttributeType, Value)) -> Vec<u8> {
    let mut writer = Writer::new();
    match value {
        Value::Text(text) => write_attribute(&mut writer, kind, text),
        Value::Der(der) => writer.sequence(|writer| {
            writer.oid(&kind.oid());
            writer.raw(der);
        }),
    }
    writer.into_bytes()
}

/// A value in hexadecimal digits of its DER, and what follows it: nothing, or a separator.
fn hexadecimal(text: &str) -> Result<(Value, &str), NotAName> {
    let (digits, after) = text.split_at(text.find([',', '+']).unwrap_or(text.len()));
    let der = digits.trim_end_matches(' ').as_bytes();
    let (pairs, left) = der.as_chunks::<2>();
    if pairs.is_empty() || !left.is_empty() {
        return Err(NotAName);
    }
    let octets: Option<Vec<u8>> = pairs.iter().map(|[high, low]| octet(*high, *low)).collect();
    Ok((Value::Der(octets.ok_or(NotAName)?), after))
}

fn octet(high: u8, low: u8) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    u8::try_from(digit(high)? << 4 | digit(low)?).ok()
}

/// A value as a string, and what follows it: nothing, or a separator.
fn string(text: &str) -> Result<(Value, &str), NotAName> {
    let bytes = text.as_bytes();
    let mut value: Vec<u8> = Vec::new();
    // How much of it stays whatever follows: blanks at the end do not, unless they are escaped.
    let mut kept = 0;
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b',' | b'+' => break,
            b'"' | b';' | b'<' | b'>' | 0 => return Err(NotAName),
            b'\\' => {
                let next = *bytes.get(at + 1).ok_or(NotAName)?;
                let pair = bytes.get(at + 2).and_then(|low| octet(next, *low));
                value.push(match pair {
                    Some(octet) => {
                        at += 1;
                        octet
                    }
                    None if b" \"#+,;<=>\\".contains(&next) => next,
                    None => return Err(NotAName),
                });
                at += 1;
                kept = value.len();
            }
            other => {
                value.push(*other);
                if *other != b' ' {
                    kept = value.len();
                }
            }
        }
        at += 1;
    }
    value.truncate(kept);
    let value = String::from_utf8(value).map_err(|_| NotAName)?;
    if value.is_empty() {
        return Err(NotAName);
    }
    Ok((Value::Text(value), text.get(at..).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(pairs: &[(AttributeType, &str)]) -> Name {
        let mut builder = Name::builder();
        for (kind, value) in pairs {
            builder = builder.push(kind.clone(), *value);
        }
        builder.build().unwrap()
    }

    // RFC 4514 section 4.
    #[test]
    fn the_examples_of_the_standard() {
        use AttributeType::{CommonName, DomainComponent, OrganizationalUnit, UserId};
        let read = |text: &str| Name::from_rfc4514(text).unwrap();
        let domain = [(DomainComponent, "net"), (DomainComponent, "example")];
        let with = |more: &[(AttributeType, &str)]| name(&[&domain, more].concat());
        assert_eq!(
            read("UID=jsmith,DC=example,DC=net"),
            with(&[(UserId, "jsmith")])
        );
        let pair = read("OU=Sales+CN=J.  Smith,DC=example,DC=net");
        let attributes: Vec<_> = pair
            .attributes()
            .iter()
            .map(|attribute| (attribute.rdn, attribute.value.as_str()))
            .collect();
        assert_eq!(
            attributes,
            [(0, "net"), (1, "example"), (2, "Sales"), (2, "J.  Smith")]
        );
        assert!(pair.matches(&read("cn=j. smith + ou=sales, dc=EXAMPLE, dc=net")));
        assert!(!pair.matches(&with(&[
            (OrganizationalUnit, "Sales"),
            (CommonName, "J.  Smith")
        ])));
        assert_eq!(
            read("CN=James \\\"Jim\\\" Smith\\, III,DC=example,DC=net"),
            with(&[(CommonName, "James \"Jim\" Smith, III")])
        );
        assert_eq!(
            read("CN=Before\\0dAfter,DC=example,DC=net"),
            with(&[(CommonName, "Before\rAfter")])
        );
        let numbers = read("1.3.6.1.4.1.1466.0=#04024869");
        assert_eq!(numbers.attributes()[0].value, "");
        assert_eq!(
            read("CN=Lu\\C4\\8Di\\C4\\87"),
            name(&[(CommonName, "Lučić")])
        );
    }

    #[test]
    fn what_is_written_is_read_again() {
        let name = name(&[
            (AttributeType::Country, "KG"),
            (AttributeType::Organization, "Элдик, банк"),
            (AttributeType::SerialNumber, "KG/ss1/GOV"),
            (AttributeType::EmailAddress, "aaa@bbb.ccc"),
            (AttributeType::CommonName, " a=#b\\ + "),
        ]);
        assert_eq!(Name::from_rfc4514(&name.rfc2253()).unwrap(), name);
    }

    #[test]
    fn what_is_no_name_is_refused() {
        for text in [
            "",
            " ",
            "CN",
            "CN=",
            "CN= ,C=KG",
            "CN=a,",
            "CN=a,,C=KG",
            "CN=a+",
            "=a",
            "XY=a",
            "1.x=a",
            "CN=\"a\"",
            "CN=a;C=KG",
            "CN=a<b",
            "CN=a\\",
            "CN=a\\x",
            "CN=\\ff",
            "CN=a\0",
            "CN=#",
            "CN=#0",
            "CN=#zz",
            "CN=#0c",
            "CN=#0c0161ff",
        ] {
            assert_eq!(Name::from_rfc4514(text), Err(NotAName), "{text:?}");
        }
        let many = vec!["CN=a"; MAX_ATTRIBUTES + 1].join(",");
        assert_eq!(Name::from_rfc4514(&many), Err(NotAName));
    }
}
