//! By what name in its certificate a relying party is known.

use std::net::IpAddr;

use pki::{AlternativeName, Certificate, Name};
use serde::{Deserialize, Serialize};

/// Longest name, in bytes.
const LONGEST: usize = 500;

/// The one name that a relying party registered for `tls_client_auth` (RFC 8705 section 2.1.2): a certificate of a known
/// authority that holds it is this relying party's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CertificateName {
    /// `tls_client_auth_subject_dn`: the subject, as RFC 4514 writes it.
    SubjectDn(String),
    /// `tls_client_auth_san_dns`: a dNSName of subjectAltName.
    SanDns(String),
    /// `tls_client_auth_san_uri`: a uniformResourceIdentifier.
    SanUri(String),
    /// `tls_client_auth_san_ip`: an iPAddress.
    SanIp(IpAddr),
    /// `tls_client_auth_san_email`: an rfc822Name.
    SanEmail(String),
}

impl CertificateName {
    /// The kinds of names, as RFC 8705 names them after `tls_client_auth_`.
    pub const KINDS: [&str; 5] = ["subject_dn", "san_dns", "san_uri", "san_ip", "san_email"];

    /// A name of a kind; none if there is no such kind, or no name of this kind looks so.
    #[must_use]
    pub fn new(kind: &str, name: &str) -> Option<Self> {
        let text = name.to_owned();
        let made = match kind {
            "subject_dn" => Self::SubjectDn(text),
            "san_dns" => Self::SanDns(text),
            "san_uri" => Self::SanUri(text),
            "san_ip" => Self::SanIp(name.parse().ok()?),
            "san_email" => Self::SanEmail(text),
            _ => return None,
        };
        made.is_name().then_some(made)
    }

    /// The kind, one of [`Self::KINDS`], and the name.
    #[must_use]
    pub fn parts(&self) -> (&'static str, String) {
        match self {
            Self::SubjectDn(name) => ("subject_dn", name.clone()),
            Self::SanDns(name) => ("san_dns", name.clone()),
            Self::SanUri(name) => ("san_uri", name.clone()),
            Self::SanIp(address) => ("san_ip", address.to_string()),
            Self::SanEmail(name) => ("san_email", name.clone()),
        }
    }

    /// Whether it can be the name of one relying party: of the form of its kind, and no pattern.
    pub(crate) fn is_name(&self) -> bool {
        let bounded = |name: &str| !name.is_empty() && name.len() <= LONGEST;
        let plain = |name: &str| bounded(name) && name.bytes().all(|byte| byte.is_ascii_graphic());
        match self {
            Self::SubjectDn(name) => bounded(name) && Name::from_rfc4514(name).is_ok(),
            Self::SanDns(name) => {
                let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
                bounded(name) && name.bytes().all(allowed)
            }
            Self::SanUri(name) => plain(name) && name.contains(':'),
            Self::SanIp(_) => true,
            Self::SanEmail(name) => {
                let parts = name.rsplit_once('@');
                plain(name) && parts.is_some_and(|(who, host)| !who.is_empty() && !host.is_empty())
            }
        }
    }

    /// Whether a certificate holds the name. Subjects and hosts are compared as names, whatever their spelling; everything
    /// else character for character.
    #[must_use]
    pub fn is_in(&self, certificate: &Certificate) -> bool {
        let mut names = certificate.alternative_names().iter();
        match self {
            Self::SubjectDn(text) => {
                Name::from_rfc4514(text).is_ok_and(|name| name.matches(certificate.subject()))
            }
            Self::SanDns(own) => names.any(
                |name| matches!(name, AlternativeName::Dns(name) if name.eq_ignore_ascii_case(own)),
            ),
            Self::SanUri(own) => {
                names.any(|name| matches!(name, AlternativeName::Uri(name) if name == own))
            }
            Self::SanIp(own) => {
                names.any(|name| matches!(name, AlternativeName::Address(name) if name == own))
            }
            Self::SanEmail(own) => names.any(
                |name| matches!(name, AlternativeName::Email(name) if same_mailbox(name, own)),
            ),
        }
    }
}

/// RFC 5280 section 7.5: the host in any case, the part before it as it is.
fn same_mailbox(one: &str, other: &str) -> bool {
    match (one.rsplit_once('@'), other.rsplit_once('@')) {
        (Some((who, host)), Some((whom, place))) => who == whom && host.eq_ignore_ascii_case(place),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_the_form_of_their_kind() {
        for (kind, good, bad) in [
            (
                "subject_dn",
                "CN=bank,C=KG",
                vec!["", "bank", "CN=\"bank\""],
            ),
            (
                "san_dns",
                "client.bank.example",
                vec!["", "*.bank.example", "a b"],
            ),
            (
                "san_uri",
                "https://bank.example/x",
                vec!["", "bank", "a: b"],
            ),
            ("san_ip", "2001:db8::1", vec!["", "192.0.2", "192.0.2.0/24"]),
            (
                "san_email",
                "a@bank.example",
                vec!["", "@bank.example", "a@", "a"],
            ),
        ] {
            let made = CertificateName::new(kind, good).unwrap();
            assert_eq!(made.parts(), (kind, good.to_owned()));
            let text = serde_json::to_string(&made).unwrap();
            assert_eq!(text, format!("{{\"{kind}\":\"{good}\"}}"));
            for bad in bad {
                assert_eq!(CertificateName::new(kind, bad), None, "{kind} {bad}");
            }
            assert!(CertificateName::KINDS.contains(&kind));
        }
        assert_eq!(CertificateName::new("san_other", "x"), None);
    }

    #[test]
    fn mailboxes_are_the_same_whatever_the_case_of_the_host() {
        assert!(same_mailbox("A@bank.example", "A@BANK.example"));
        assert!(!same_mailbox("a@bank.example", "A@bank.example"));
        assert!(!same_mailbox("bank.example", "bank.example"));
    }
}
