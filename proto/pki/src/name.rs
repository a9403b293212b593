//! Distinguished names (RFC 5280 section 4.1.2.4).

use std::sync::Arc;

use crate::der::{self, DerError, Reader, Writer};

/// Most attributes that a name may have.
pub const MAX_ATTRIBUTES: usize = 64;

macro_rules! attribute_types {
    ($($(#[$doc:meta])* $variant:ident, $short:literal, $oid:expr;)*) => {
        /// The type of an attribute of a name.
        #[derive(Debug, Clone, PartialEq, Eq, Hash)]
        pub enum AttributeType {
            $($(#[$doc])* $variant,)*
            /// Any other type, by its dotted OBJECT IDENTIFIER.
            Other(String),
        }

        impl AttributeType {
            /// The usual short name, or the dotted identifier of another type.
            pub fn short_name(&self) -> &str {
                match self {
                    $(AttributeType::$variant => $short,)*
                    AttributeType::Other(oid) => oid,
                }
            }

            /// The type of a short name (in any case) or of a dotted identifier.
            pub fn from_short_name(name: &str) -> Option<Self> {
                $(if name.eq_ignore_ascii_case($short) {
                    return Some(AttributeType::$variant);
                })*
                der::oid_from_text(name).map(|oid| AttributeType::from_oid(&oid))
            }

            fn from_oid(contents: &[u8]) -> Self {
                $(if contents == $oid {
                    return AttributeType::$variant;
                })*
                AttributeType::Other(der::oid_text(contents))
            }

            pub(crate) fn oid(&self) -> Vec<u8> {
                match self {
                    $(AttributeType::$variant => $oid.to_vec(),)*
                    AttributeType::Other(oid) => der::oid_from_text(oid).unwrap_or_default(),
                }
            }
        }
    };
}

attribute_types! {
    /// commonName.
    CommonName, "CN", [0x55, 0x04, 0x03];
    /// surname.
    Surname, "SN", [0x55, 0x04, 0x04];
    /// serialNumber (of the subject, not of the certificate).
    SerialNumber, "serialNumber", [0x55, 0x04, 0x05];
    /// countryName, two letters.
    Country, "C", [0x55, 0x04, 0x06];
    /// localityName.
    Locality, "L", [0x55, 0x04, 0x07];
    /// stateOrProvinceName.
    StateOrProvince, "ST", [0x55, 0x04, 0x08];
    /// streetAddress.
    Street, "STREET", [0x55, 0x04, 0x09];
    /// organizationName.
    Organization, "O", [0x55, 0x04, 0x0a];
    /// organizationalUnitName.
    OrganizationalUnit, "OU", [0x55, 0x04, 0x0b];
    /// title.
    Title, "title", [0x55, 0x04, 0x0c];
    /// description.
    Description, "description", [0x55, 0x04, 0x0d];
    /// businessCategory.
    BusinessCategory, "businessCategory", [0x55, 0x04, 0x0f];
    /// postalCode.
    PostalCode, "postalCode", [0x55, 0x04, 0x11];
    /// givenName.
    GivenName, "GN", [0x55, 0x04, 0x2a];
    /// dnQualifier.
    DnQualifier, "dnQualifier", [0x55, 0x04, 0x2e];
    /// organizationIdentifier (ETSI EN 319 412-3).
    OrganizationIdentifier, "organizationIdentifier", [0x55, 0x04, 0x61];
    /// emailAddress (PKCS#9).
    EmailAddress, "emailAddress", [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x01];
    /// userId (RFC 4519).
    UserId, "UID", [0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 0x01, 0x01];
    /// domainComponent (RFC 4519).
    DomainComponent, "DC", [0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 0x01, 0x19];
}

impl AttributeType {
    /// Whether RFC 2253 section 2.3 has a keyword for it; the others are written in numbers.
    fn has_rfc2253_keyword(&self) -> bool {
        use AttributeType::*;
        matches!(
            self,
            CommonName
                | Locality
                | StateOrProvince
                | Organization
                | OrganizationalUnit
                | Country
                | Street
                | DomainComponent
                | UserId
        )
    }
}

/// One attribute of a name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Attribute {
    /// Its type.
    pub kind: AttributeType,
    /// Its value; empty if it is not a character string.
    pub value: String,
    /// Which RelativeDistinguishedName it belongs to, counted from 0: two
    /// attributes with the same number form one multi-valued RDN.
    pub rdn: usize,
    // Tag and contents as received, for RFC 2253's `#` form.
    value_der: Box<[u8]>,
    is_string: bool,
}

/// A distinguished name: its bytes, and its attributes in the order of the encoding (outermost first).
#[derive(Clone)]
pub struct Name {
    der: Arc<[u8]>,
    attributes: Arc<[Attribute]>,
}

impl Name {
    /// Decodes a Name: the whole SEQUENCE.
    ///
    /// # Errors
    /// If it is not DER of a name, or has more than [`MAX_ATTRIBUTES`] attributes.
    pub fn decode(name: &[u8]) -> Result<Self, DerError> {
        let mut outer = Reader::new(name);
        let mut rdns = outer.sequence()?;
        outer.finish()?;
        let mut attributes = Vec::with_capacity(6);
        let mut rdn = 0;
        while !rdns.is_empty() {
            let mut set = rdns.expect(der::SET)?.reader();
            loop {
                let mut pair = set.sequence()?;
                let kind = AttributeType::from_oid(pair.oid()?);
                let value = pair.element()?;
                pair.finish()?;
                let text = string_value(value.tag, value.contents);
                attributes.push(Attribute {
                    kind,
                    is_string: text.is_some(),
                    value: text.unwrap_or_default(),
                    rdn,
                    value_der: value.whole.into(),
                });
                if attributes.len() > MAX_ATTRIBUTES {
                    return Err(DerError::Contents);
                }
                if set.is_empty() {
                    break;
                }
            }
            rdn += 1;
        }
        Ok(Name {
            der: name.into(),
            attributes: attributes.into(),
        })
    }

    /// A builder for a new name.
    pub fn builder() -> NameBuilder {
        NameBuilder::default()
    }

    /// The whole SEQUENCE.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The attributes in the order of the encoding.
    pub fn attributes(&self) -> &[Attribute] {
        &self.attributes
    }

    /// The value of the first attribute with this short name (`"CN"`, `"serialNumber"`) or dotted identifier.
    pub fn get(&self, short_name: &str) -> Option<&str> {
        self.get_all(short_name).next()
    }

    /// The values of all attributes with this short name or dotted identifier.
    pub fn get_all<'a>(&'a self, short_name: &str) -> impl Iterator<Item = &'a str> {
        let kind = AttributeType::from_short_name(short_name);
        self.attributes
            .iter()
            .filter(move |attribute| Some(&attribute.kind) == kind.as_ref())
            .map(|attribute| attribute.value.as_str())
    }

    /// Whether both are the same name in the sense of RFC 5280 section 7.1: equal
    /// RDNs in the same order, regardless of string type, letter case and
    /// repeated blanks. This is how issuer and subject are compared, as Java does.
    pub fn matches(&self, other: &Name) -> bool {
        self.der == other.der || self.pairs_up(other, |ours, theirs| ours.rdn == theirs.rdn)
    }

    /// Whether each attribute has one of the other name that is its like, in a place where it may be.
    fn pairs_up(&self, other: &Name, may: impl Fn(&Attribute, &Attribute) -> bool) -> bool {
        let mut unmatched: Vec<&Attribute> = other.attributes.iter().collect();
        self.attributes.len() == unmatched.len()
            && self.attributes.iter().all(|ours| {
                unmatched
                    .iter()
                    .position(|theirs| may(ours, theirs) && ours.matches(theirs))
                    .map(|position| unmatched.swap_remove(position))
                    .is_some()
            })
    }

    /// As [`Self::matches`], in whatever order the attributes stand. X-Road's own
    /// responders write their name into an OCSP response in reverse, and
    /// its verifier takes that.
    pub fn matches_in_any_order(&self, other: &Name) -> bool {
        self.matches(other) || self.pairs_up(other, |_, _| true)
    }

    /// The RFC 2253 form exactly as Java's `X500Principal.getName()` writes it,
    /// which X-Road puts into `X509IssuerName` (S6): last RDN first, types
    /// without a keyword in numbers with their value in hexadecimal DER.
    pub fn rfc2253(&self) -> String {
        let mut text = String::new();
        let rdn_count = self.attributes.last().map_or(0, |last| last.rdn + 1);
        for rdn in (0..rdn_count).rev() {
            if !text.is_empty() {
                text.push(',');
            }
            let mut first = true;
            for attribute in self.attributes.iter().filter(|a| a.rdn == rdn) {
                if !first {
                    text.push('+');
                }
                first = false;
                attribute.write_rfc2253(&mut text);
            }
        }
        text
    }
}

impl Attribute {
    /// Equal type, and a value that differs at most in string type, letter case and repeated blanks.
    fn matches(&self, other: &Attribute) -> bool {
        if self.kind != other.kind {
            return false;
        }
        if self.value_der == other.value_der {
            return true;
        }
        let words = |text: &str| -> Vec<String> {
            text.split_whitespace().map(str::to_lowercase).collect()
        };
        self.is_string && other.is_string && words(&self.value) == words(&other.value)
    }

    fn write_rfc2253(&self, text: &mut String) {
        if !self.kind.has_rfc2253_keyword() || !self.is_string {
            let oid = match &self.kind {
                _ if self.kind.has_rfc2253_keyword() => self.kind.short_name().to_owned(),
                AttributeType::Other(oid) => oid.clone(),
                known => der::oid_text(&known.oid()),
            };
            text.push_str(&oid);
            text.push_str("=#");
            for byte in &self.value_der {
                text.push_str(&format!("{byte:02x}"));
            }
            return;
        }
        text.push_str(self.kind.short_name());
        text.push('=');
        let value = self.value.as_str();
        let leading = value.len() - value.trim_start_matches(' ').len();
        let trailing = value.trim_end_matches(' ').len();
        for (position, character) in value.char_indices() {
            match character {
                // Java escapes '=' and '#' too, and so do we, for equal bytes.
                ',' | '=' | '+' | '<' | '>' | '#' | ';' | '"' | '\\' => {
                    text.push('\\');
                    text.push(character);
                }
                ' ' if position < leading || position >= trailing => text.push_str("\\ "),
                '\0' => text.push_str("\\00"),
                _ => text.push(character),
            }
        }
    }
}

/// Equality of the encodings; see [`Name::matches`] for equality of meaning.
impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        self.der == other.der
    }
}

impl Eq for Name {}

impl std::hash::Hash for Name {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.der.hash(state);
    }
}

/// `C=KG, O=GOV, CN=70000001`: for people.
impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (position, attribute) in self.attributes.iter().enumerate() {
            let separator = match position {
                0 => "",
                _ if self.attributes[position - 1].rdn == attribute.rdn => " + ",
                _ => ", ",
            };
            let value: String = attribute
                .value
                .chars()
                .map(|c| if c.is_control() { '\u{fffd}' } else { c })
                .collect();
            write!(f, "{separator}{}={value}", attribute.kind.short_name())?;
        }
        Ok(())
    }
}

impl std::fmt::Debug for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Name({self})")
    }
}

/// The characters of a DirectoryString or IA5String; `None` for other types or damaged text.
fn string_value(tag: u8, contents: &[u8]) -> Option<String> {
    match tag {
        der::UTF8_STRING => String::from_utf8(contents.to_vec()).ok(),
        der::PRINTABLE_STRING | der::IA5_STRING => contents
            .is_ascii()
            .then(|| String::from_utf8(contents.to_vec()).ok())?,
        // T.61 is read as Latin-1, as everybody does.
        der::TELETEX_STRING => Some(contents.iter().map(|byte| char::from(*byte)).collect()),
        der::BMP_STRING if contents.len().is_multiple_of(2) => {
            let units = contents
                .chunks_exact(2)
                .map(|unit| u16::from_be_bytes([unit[0], unit[1]]));
            char::decode_utf16(units).collect::<Result<_, _>>().ok()
        }
        der::UNIVERSAL_STRING if contents.len().is_multiple_of(4) => contents
            .chunks_exact(4)
            .map(|unit| char::from_u32(u32::from_be_bytes([unit[0], unit[1], unit[2], unit[3]])))
            .collect(),
        _ => None,
    }
}

/// Builds a name of single-valued RDNs, outermost first.
#[derive(Debug, Clone, Default)]
pub struct NameBuilder {
    attributes: Vec<(AttributeType, String)>,
}

impl NameBuilder {
    /// Adds an attribute.
    #[must_use]
    pub fn push(mut self, kind: AttributeType, value: impl Into<String>) -> Self {
        self.attributes.push((kind, value.into()));
        self
    }

    /// The name. Country and serial number become PrintableString where they can,
    /// mail address and domain component IA5String, everything else UTF8String
    /// (RFC 5280 section 4.1.2.4 and appendix A.1).
    ///
    /// # Errors
    /// [`DerError::Contents`] if there are more than [`MAX_ATTRIBUTES`] attributes or a dotted type is not one.
    pub fn build(self) -> Result<Name, DerError> {
        let der = Writer::sequence_of(|writer| {
            for (kind, value) in &self.attributes {
                writer.constructed(der::SET, |writer| write_attribute(writer, kind, value));
            }
        });
        Name::decode(&der)
    }
}

/// An AttributeTypeAndValue, of the string type that [`NameBuilder::build`] says.
pub(crate) fn write_attribute(writer: &mut Writer, kind: &AttributeType, value: &str) {
    let printable = value
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b" '()+,-./:=?".contains(&byte));
    let tag = match kind {
        AttributeType::Country | AttributeType::SerialNumber | AttributeType::DnQualifier
            if printable =>
        {
            der::PRINTABLE_STRING
        }
        AttributeType::EmailAddress | AttributeType::DomainComponent if value.is_ascii() => {
            der::IA5_STRING
        }
        _ => der::UTF8_STRING,
    };
    writer.sequence(|writer| {
        writer.oid(&kind.oid());
        writer.primitive(tag, value.as_bytes());
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_built_read_and_written() {
        let name = Name::builder()
            .push(AttributeType::Country, "KG")
            .push(AttributeType::Organization, "Элдик, банк")
            .push(AttributeType::SerialNumber, "KG/ss1/GOV")
            .push(AttributeType::EmailAddress, "aaa@bbb.ccc")
            .push(AttributeType::CommonName, " a=#b ")
            .build()
            .unwrap();
        assert_eq!(name.get("c"), Some("KG"));
        assert_eq!(name.get("serialNumber"), Some("KG/ss1/GOV"));
        assert_eq!(name.get("2.5.4.10"), Some("Элдик, банк"));
        assert_eq!(name.get("OU"), None);
        assert_eq!(
            name.rfc2253(),
            "CN=\\ a\\=\\#b\\ ,1.2.840.113549.1.9.1=#160b616161406262622e636363,\
             2.5.4.5=#130a4b472f7373312f474f56,O=Элдик\\, банк,C=KG"
        );
        assert_eq!(Name::decode(name.der()).unwrap(), name);
        for cut in 0..name.der().len() {
            assert!(Name::decode(&name.der()[..cut]).is_err());
        }
    }

    #[test]
    fn names_match_by_meaning() {
        let name = |o: &str, cn: &str| {
            Name::builder()
                .push(AttributeType::Organization, o)
                .push(AttributeType::CommonName, cn)
                .build()
                .unwrap()
        };
        let reversed = Name::builder()
            .push(AttributeType::CommonName, "ca")
            .push(AttributeType::Organization, "Test  one ")
            .build()
            .unwrap();
        assert!(name("Test One", "CA").matches(&name("test  one", "ca")));
        assert!(!name("Test One", "CA").matches(&name("TestOne", "CA")));
        assert!(!name("Test One", "CA").matches(&reversed));
        assert!(name("Test One", "CA").matches_in_any_order(&reversed));
        assert!(!name("CA", "CA").matches_in_any_order(&reversed));
        assert_ne!(name("A", "b"), name("a", "b"));
    }

    #[test]
    fn an_empty_name_and_a_wrong_type_are_told_apart() {
        assert_eq!(Name::builder().build().unwrap().attributes(), []);
        assert!(
            Name::builder()
                .push(AttributeType::Other("nonsense".into()), "x")
                .build()
                .is_err()
        );
    }
}
