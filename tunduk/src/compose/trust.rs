//! Certificates from the trust services' directory.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use globalconf::CertificateProfile;
use globalconf::certificate_profile::SubjectOf;
use pki::{AttributeType, Certificate, Name, PublicKey};
use trust_server::{NewTrustStore, TrustStore};
use xroad_id::{ClientId, SecurityServerId};

use crate::instance::{Instance, owner_of};

/// Short name of the certificate profile of the demo.
pub(super) const PROFILE: &str = "Ejbca";

/// The trust services, opened to issue.
pub(super) struct Trust {
    store: TrustStore,
    profile: CertificateProfile,
    names: Vec<(ClientId, String)>,
}

impl Trust {
    /// Opens the directory, or makes it.
    pub(super) fn open(folder: &Path, instance: &Instance) -> Result<Self, String> {
        let ocsp_url = Some(super::ocsp_url(instance));
        let store = if folder.exists() {
            TrustStore::open(folder)
        } else {
            NewTrustStore::for_instance(
                &instance.instance,
                super::token::key_type(instance.key_type),
            )
            .and_then(|new| {
                let ocsp_url = ocsp_url.clone();
                TrustStore::create(folder, &NewTrustStore { ocsp_url, ..new })
            })
        };
        let store = store.map_err(|error| error.to_string())?;
        if store.tsa_certificate().ocsp_url() != ocsp_url.as_deref() {
            return Err(format!(
                "certificates in {} name no OCSP responder, or one at another address; begin with a new state directory",
                folder.display()
            ));
        }
        let profile = CertificateProfile::from_class(&CertificateProfile::class_name(PROFILE));
        Ok(Self {
            store,
            profile: profile.map_err(|error| error.to_string())?,
            names: instance
                .members
                .iter()
                .map(|member| {
                    (
                        member.id.clone(),
                        member
                            .name
                            .clone()
                            .unwrap_or_else(|| member.id.member_code.clone()),
                    )
                })
                .collect(),
        })
    }

    pub(super) fn authority(&self) -> &Certificate {
        self.store.ca_certificate()
    }

    pub(super) fn responder(&self) -> &Certificate {
        self.store.ocsp_certificate()
    }

    pub(super) fn time_stamping(&self) -> &Certificate {
        self.store.tsa_certificate()
    }

    pub(super) fn authority_file(&self) -> PathBuf {
        self.store.path().join("ca.pem")
    }

    pub(super) fn responder_file(&self) -> PathBuf {
        self.store.path().join("ocsp.pem")
    }

    pub(super) fn responder_key_file(&self) -> PathBuf {
        self.store.path().join("ocsp.key")
    }

    pub(super) fn time_stamping_file(&self) -> PathBuf {
        self.store.path().join("tsa.pem")
    }

    /// Issues a server's authentication certificate.
    pub(super) fn authentication(
        &self,
        server: &SecurityServerId,
        address: &str,
        key: &PublicKey,
    ) -> Result<Certificate, String> {
        let owner = owner_of(server);
        let subject = self
            .profile
            .new_authentication_subject(&self.subject_of(server, &owner, address));
        self.store
            .issue_auth(name(&subject)?, key)
            .map_err(|error| error.to_string())
    }

    /// Issues the certificate of a site, for these names and addresses.
    pub(super) fn tls_server(
        &self,
        subject: Name,
        key: &PublicKey,
        names: Vec<String>,
        addresses: Vec<IpAddr>,
    ) -> Result<Certificate, String> {
        self.store
            .issue_tls_server(subject, key, names, addresses)
            .map_err(|error| error.to_string())
    }

    /// Takes orders of people's certificates that this key signs.
    pub(super) fn admit(&self, name: &str, key: &PublicKey) -> Result<(), String> {
        self.store
            .admit(name, key)
            .map_err(|error| error.to_string())
    }

    /// Issues a member's signing certificate.
    pub(super) fn signing(
        &self,
        server: &SecurityServerId,
        member: &ClientId,
        key: &PublicKey,
    ) -> Result<Certificate, String> {
        let subject = self
            .profile
            .new_signing_subject(&self.subject_of(server, member, ""));
        self.store
            .issue_sign(name(&subject)?, key)
            .map_err(|error| error.to_string())
    }

    fn subject_of<'a>(
        &'a self,
        server: &'a SecurityServerId,
        member: &'a ClientId,
        address: &'a str,
    ) -> SubjectOf<'a> {
        let known = self.names.iter().find(|(id, _)| id.is_same_member(member));
        SubjectOf {
            member,
            server,
            member_name: known.map_or(member.member_code.as_str(), |(_, name)| name),
            dns_name: address,
            country: "KG",
        }
    }
}

fn name(attributes: &[(String, String)]) -> Result<Name, String> {
    let mut builder = Name::builder();
    for (kind, value) in attributes {
        let kind = AttributeType::from_short_name(kind)
            .ok_or_else(|| format!("{kind} is not an attribute of a name"))?;
        builder = builder.push(kind, value.as_str());
    }
    builder.build().map_err(|error| error.to_string())
}
