//! What a person confirms, as one text; its digest is the challenge.
//!
//! The text is what is stored and what is hashed, byte for byte, so there is no second encoding that could say something
//! else. Whoever sees the text on a second device can compute the challenge with `sha256sum`.

use id_registry::PersonalNumber;
use pki::DigestAlgorithm;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::authenticator::Form;
use crate::refusal::Refusal;

/// Most documents under one authorisation.
pub const MOST_DOCUMENTS: usize = 50;
/// Longest name of a document, in characters.
pub const LONGEST_DOCUMENT_NAME: usize = 200;
/// Longest reference to a proof on record, in characters.
pub const LONGEST_REFERENCE: usize = 200;
/// Bytes of a hash that is signed: SHA-256.
pub const HASH_LENGTH: usize = 32;

const FIRST_LINE: &str = "tunduk signing statement 1\n";

/// A hash to be signed with the name under which it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Document {
    /// What the person is shown.
    pub name: String,
    /// SHA-256 of what is signed, in lower-case hexadecimal, as `sha256sum` writes it.
    pub hash: String,
}

impl Document {
    /// A document of a name and a hash.
    ///
    /// # Errors
    /// [`Refusal::Document`]: the name is empty, too long or holds characters that are not seen or turn the reading
    /// direction; the hash is not SHA-256.
    pub fn new(name: &str, hash: &[u8]) -> Result<Self, Refusal> {
        if hash.len() != HASH_LENGTH {
            return Err(Refusal::Document("a hash is not one of SHA-256"));
        }
        check_text(name, LONGEST_DOCUMENT_NAME).map_err(Refusal::Document)?;
        Ok(Self {
            name: name.to_owned(),
            hash: hex::encode(hash),
        })
    }
}

/// Whether a text can be shown for what it is: not empty, not too long, without control characters and without those
/// that are not seen or turn the reading direction.
pub(crate) fn check_text(text: &str, longest: usize) -> Result<(), &'static str> {
    let deceives = |character: char| {
        character.is_control()
            || matches!(character,
                '\u{061c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
                | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
    };
    if text.trim().is_empty() {
        Err("a name is empty")
    } else if text.chars().count() > longest {
        Err("a name is too long")
    } else if text.chars().any(deceives) {
        Err("a name holds characters that are not seen")
    } else {
        Ok(())
    }
}

/// The kinds of signatures, in the form of messages and of the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Kind {
    /// See [`ca::SignatureKind::Simple`].
    Simple,
    /// See [`ca::SignatureKind::Qualified`].
    Qualified,
}

impl From<Kind> for ca::SignatureKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Simple => Self::Simple,
            Kind::Qualified => Self::Qualified,
        }
    }
}

/// What is to be done once it is confirmed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum Matter {
    /// Signing exactly these hashes, in this order, with the key of a credential.
    Sign {
        /// The credential.
        credential: String,
        /// The kind of its signatures, so that it is seen what one signs with.
        kind: Kind,
        /// What is signed.
        documents: Vec<Document>,
    },
    /// A person's first keys and certificates.
    Enrol {
        /// Surname, for the certificate.
        surname: String,
        /// Given name, for the certificate.
        given_name: String,
        /// Which kinds of signatures.
        kinds: Vec<Kind>,
        /// With what the person confirms from now on.
        authenticators: Vec<Form>,
    },
    /// A new key and certificate in place of a credential's.
    Renew {
        /// The credential.
        credential: String,
    },
    /// The certificate of a credential is revoked, for ever.
    Revoke {
        /// The credential.
        credential: String,
    },
    /// The person confirms with other authenticators from now on: recovery.
    Replace {
        /// With what.
        authenticators: Vec<Form>,
    },
    /// A freeze is lifted.
    Lift {},
}

/// A counter at which somebody is served, with the proof of who it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Desk {
    /// The officers, by their ids here.
    pub officers: Vec<String>,
    /// Where the proof of the person's identity is on record: the number of the comparison of the portrait.
    pub reference: String,
}

/// What a person, or an officer for them, confirms.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Statement {
    /// What is to be done.
    pub matter: Matter,
    /// Whom it concerns.
    pub holder: PersonalNumber,
    /// Which client asks for it.
    pub client: String,
    /// The counter, if it is done at one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub desk: Option<Desk>,
    /// Random: no two statements are the same.
    pub nonce: String,
    /// After this moment it is worth nothing.
    #[serde(with = "time::serde::rfc3339")]
    pub expires_at: OffsetDateTime,
}

impl Statement {
    /// The text that is confirmed.
    #[must_use]
    pub fn text(&self) -> String {
        // Nothing in it fails to be written.
        let json = serde_json::to_string(self).unwrap_or_default();
        format!("{FIRST_LINE}{json}")
    }

    /// Reads a text again.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(text: &str) -> Result<Self, String> {
        let json = text
            .strip_prefix(FIRST_LINE)
            .ok_or("its first line is another")?;
        serde_json::from_str(json).map_err(|error| error.to_string())
    }
}

/// The challenge of a statement's text: its SHA-256.
#[must_use]
pub fn challenge(text: &str) -> [u8; 32] {
    let mut challenge = [0; 32];
    challenge.copy_from_slice(DigestAlgorithm::Sha256.digest(text.as_bytes()).as_ref());
    challenge
}

/// What is compared on a second device: the challenge's first eight bytes, as five digits four times.
#[must_use]
pub fn comparison(challenge: &[u8; 32]) -> String {
    challenge[..8]
        .chunks_exact(2)
        .map(|pair| format!("{:05}", u16::from_be_bytes([pair[0], pair[1]])))
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    fn statement() -> Statement {
        Statement {
            matter: Matter::Sign {
                credential: "c".into(),
                kind: Kind::Qualified,
                documents: vec![Document::new("Келишим.pdf", &[7; 32]).unwrap()],
            },
            holder: "20101199000011".parse().unwrap(),
            client: "bank".into(),
            desk: None,
            nonce: "n".into(),
            expires_at: datetime!(2026-11-25 10:00 UTC),
        }
    }

    #[test]
    fn a_text_is_read_as_it_was_written_and_any_change_changes_the_challenge() {
        let statement = statement();
        let text = statement.text();
        assert_eq!(Statement::read(&text).unwrap(), statement);
        let mut other = statement.clone();
        other.client = "other".into();
        assert_ne!(challenge(&text), challenge(&other.text()));
        let mut later = statement;
        later.expires_at += time::Duration::SECOND;
        assert_ne!(challenge(&text), challenge(&later.text()));
        for end in 0..text.len() {
            if let Some(cut) = text.get(..end) {
                assert!(Statement::read(cut).is_err());
            }
        }
    }

    #[test]
    fn names_that_deceive_are_refused() {
        for name in [
            "",
            "  ",
            "a\nb",
            "fdp.\u{202e}exe",
            "a\u{200b}b",
            "a\u{2066}b",
            &"x".repeat(LONGEST_DOCUMENT_NAME + 1),
        ] {
            assert!(Document::new(name, &[0; 32]).is_err(), "{name:?}");
        }
        assert!(Document::new("Договор № 5 – өзгөртүү.pdf", &[0; 32]).is_ok());
        assert!(Document::new("a", &[0; 31]).is_err());
    }

    #[test]
    fn the_comparison_is_twenty_digits() {
        assert_eq!(comparison(&[0xff; 32]), "65535 65535 65535 65535");
        assert_eq!(comparison(&[0; 32]), "00000 00000 00000 00000");
    }
}
