//! Whom a verifier of documents trusts.

use std::path::Path;

use document_signature::{Authority, Trust, Weakened};
use pki::{Certificate, DigestAlgorithm};
use serde::Deserialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::{ConfigError, read, read_certificates};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    authority: Vec<AuthorityEntry>,
    #[serde(default)]
    time_stamping: Vec<TimeStampingEntry>,
    #[serde(default)]
    weakened: Vec<WeakenedEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AuthorityEntry {
    certificate: String,
    #[serde(default)]
    simple: Vec<String>,
    #[serde(default)]
    qualified: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TimeStampingEntry {
    certificate: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WeakenedEntry {
    digest: Option<String>,
    rsa_below: Option<usize>,
    curve_below: Option<usize>,
    from: String,
}

/// Reads a trust list: tables `[[authority]]` (a certification authority, and the certificate policies under which it
/// issues for simple and for qualified signatures), `[[time_stamping]]` (a time-stamping authority, or the
/// certification authority that issues for it) and `[[weakened]]` (an algorithm that cannot be relied on from a time
/// on). Certificates are PEM files, named relative to the list.
///
/// # Errors
/// A file cannot be read or is not of its form; a policy is not an object identifier, or stands for both classes; there
/// is no authority at all.
pub fn read_trust_list(path: &Path) -> Result<Trust, ConfigError> {
    let file: File = toml::from_str(&read(path)?).map_err(|source| ConfigError::Form {
        path: path.into(),
        source: Box::new(source),
    })?;
    let wrong = |message: String| ConfigError::Value {
        path: path.into(),
        message,
    };
    let certificate = |name: &str| {
        let place = path.parent().unwrap_or(Path::new("")).join(name);
        let ders = read_certificates(&place)?;
        let [der] = ders.as_slice() else {
            return Err(wrong(format!("{name} must hold one certificate")));
        };
        Certificate::decode(der).map_err(|error| wrong(format!("{name}: {error}")))
    };
    let mut trust = Trust::default();
    for entry in &file.authority {
        for policy in entry.simple.iter().chain(&entry.qualified) {
            if pki::der::oid_from_text(policy).is_none() {
                return Err(wrong(format!("{policy:?} is no object identifier")));
            }
        }
        if entry
            .simple
            .iter()
            .any(|policy| entry.qualified.contains(policy))
        {
            return Err(wrong(format!(
                "a policy of {} stands for simple and for qualified signatures",
                entry.certificate
            )));
        }
        trust.authorities.push(Authority {
            certificate: certificate(&entry.certificate)?,
            simple: entry.simple.clone(),
            qualified: entry.qualified.clone(),
        });
    }
    for entry in &file.time_stamping {
        trust.time_stampers.push(certificate(&entry.certificate)?);
    }
    for entry in &file.weakened {
        let from = OffsetDateTime::parse(&entry.from, &Rfc3339).map_err(|_| {
            wrong(format!(
                "{:?} is no time such as 2035-01-01T00:00:00Z",
                entry.from
            ))
        })?;
        let weakened = match (&entry.digest, entry.rsa_below, entry.curve_below) {
            (Some(name), None, None) => DigestAlgorithm::from_name(name)
                .map(|digest| Weakened::Digest(digest, from))
                .ok_or_else(|| wrong(format!("{name:?} is no digest algorithm such as SHA-256")))?,
            (None, Some(bits), None) => Weakened::RsaBelow(bits, from),
            (None, None, Some(bits)) => Weakened::CurveBelow(bits, from),
            _ => {
                return Err(wrong(
                    "[[weakened]] needs one of digest, rsa_below and curve_below".to_owned(),
                ));
            }
        };
        trust.weakened.push(weakened);
    }
    if trust.authorities.is_empty() {
        return Err(wrong("there is no [[authority]] to trust".to_owned()));
    }
    Ok(trust)
}

#[cfg(test)]
mod tests {
    use super::*;
    use pki::issue::{Profile, Template, self_signed};
    use pki::{AttributeType, KeyType, Name, Signer as _, SoftwareKey};
    use time::macros::datetime;

    fn read_text(text: &str) -> Result<Trust, ConfigError> {
        let folder = tempfile::tempdir().expect("a folder");
        let key = SoftwareKey::generate(KeyType::EcP256).expect("a key");
        let template = Template {
            subject: Name::builder()
                .push(AttributeType::CommonName, "Root")
                .build()
                .expect("a name"),
            public_key: key.public_key().clone(),
            serial: vec![1],
            not_before: datetime!(2026-01-01 0:00 UTC),
            not_after: datetime!(2036-01-01 0:00 UTC),
            profile: Profile::Authority,
            ocsp_url: None,
        };
        let root = self_signed(&template, &key).expect("a certificate");
        std::fs::write(folder.path().join("ca.pem"), root.to_pem()).expect("written");
        let list = folder.path().join("trust.toml");
        std::fs::write(&list, text).expect("written");
        read_trust_list(&list)
    }

    #[test]
    fn whom_to_trust_and_for_what() {
        let trust = read_text(
            "[[authority]]\ncertificate = \"ca.pem\"\nsimple = [\"1.2.3\"]\nqualified = [\"1.2.4\"]\n\
             [[time_stamping]]\ncertificate = \"ca.pem\"\n\
             [[weakened]]\ndigest = \"SHA-256\"\nfrom = \"2040-01-01T00:00:00Z\"\n\
             [[weakened]]\nrsa_below = 3072\nfrom = \"2031-01-01T00:00:00Z\"\n",
        )
        .expect("a list");
        assert_eq!(trust.authorities[0].qualified, ["1.2.4"]);
        assert_eq!(trust.time_stampers.len(), 1);
        assert_eq!(
            trust.weakened,
            [
                Weakened::Digest(DigestAlgorithm::Sha256, datetime!(2040-01-01 0:00 UTC)),
                Weakened::RsaBelow(3072, datetime!(2031-01-01 0:00 UTC)),
            ]
        );
    }

    #[test]
    fn mistakes_are_told() {
        let authority = "[[authority]]\ncertificate = \"ca.pem\"\n";
        for (text, reason) in [
            (String::new(), "no [[authority]]"),
            (
                "[[authority]]\ncertificate = \"x.pem\"\n".to_owned(),
                "x.pem",
            ),
            (
                format!("{authority}simple = [\"x\"]\n"),
                "object identifier",
            ),
            (
                format!("{authority}simple = [\"1.2\"]\nqualified = [\"1.2\"]\n"),
                "simple and for qualified",
            ),
            (
                format!("{authority}qualifed = [\"1.2\"]\n"),
                "unknown field",
            ),
            (
                format!("{authority}[[weakened]]\nfrom = \"2040-01-01T00:00:00Z\"\n"),
                "one of digest",
            ),
            (
                format!(
                    "{authority}[[weakened]]\ndigest = \"MD9\"\nfrom = \"2040-01-01T00:00:00Z\"\n"
                ),
                "MD9",
            ),
            (
                format!("{authority}[[weakened]]\ndigest = \"SHA-256\"\nfrom = \"soon\"\n"),
                "soon",
            ),
        ] {
            let error = read_text(&text).expect_err(&text).to_string();
            assert!(error.contains(reason), "{error}");
        }
    }
}
