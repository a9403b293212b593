//! Writing of shared and private parameters in versions 2 to 6. The order of
//! elements is that of the schemas; ids are `id0`, `id1`, ... as X-Road's own
//! generator numbers them.

use std::collections::HashMap;

use xroad_id::ClientId;

use crate::anchor;
use crate::parameters::{
    ApprovedCaDescription, CaDescription, CsrFormat, FormatVersion, MemberClass, PrivateParameters,
    SharedParameters,
};
use crate::xml::Writer;

/// Why parameters cannot be written. The fault is the caller's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// A server's owner or client is not among the members.
    #[error(
        "security server {server} refers to {client}, which is not a member or subsystem of the instance"
    )]
    UnknownClient {
        /// The server.
        server: Box<xroad_id::SecurityServerId>,
        /// The member or subsystem that is missing.
        client: Box<ClientId>,
    },
    /// From version 3 at least one source is mandatory.
    #[error("version {0} of shared parameters needs at least one source")]
    NoSource(FormatVersion),
}

impl SharedParameters {
    /// Writes `shared-params.xml` in the given version. What the version does not
    /// know is left out; the digests of certificates are written as they are, so
    /// they must be made with [`FormatVersion::authentication_certificate_hash`].
    ///
    /// # Errors
    /// See [`EncodeError`].
    pub fn encode(&self, version: FormatVersion) -> Result<Vec<u8>, EncodeError> {
        let number = version.number();
        if number >= 3 && self.sources.is_empty() {
            return Err(EncodeError::NoSource(version));
        }
        let mut xml = Writer::new("conf", 4096 + 400 * self.members.len());
        xml.text("instanceIdentifier", &self.instance);
        if number >= 3 {
            for source in &self.sources {
                xml.start("source", None);
                xml.text("address", &source.address);
                for certificate in &source.internal_verification_certificates {
                    xml.binary("internalVerificationCert", certificate);
                }
                for certificate in &source.external_verification_certificates {
                    xml.binary("externalVerificationCert", certificate);
                }
                xml.end();
            }
        }
        for ca in &self.approved_cas {
            approved_ca(&mut xml, ca, number);
        }
        for tsa in &self.approved_tsas {
            xml.start("approvedTSA", None);
            xml.text("name", &tsa.name);
            xml.text("url", &tsa.url);
            xml.binary("cert", &tsa.certificate);
            if number >= 6 {
                xml.optional("costType", tsa.cost.map(|c| c.name()));
            }
            xml.end();
        }
        let mut ids: HashMap<ClientId, String> = HashMap::new();
        for member in &self.members {
            let id = format!("id{}", ids.len());
            xml.start("member", Some(("id", &id)));
            ids.insert(member.id.clone(), id);
            member_class(&mut xml, &member.id.member_class, &member.class_description);
            xml.text("memberCode", &member.id.member_code);
            xml.text("name", &member.name);
            for subsystem in &member.subsystems {
                let id = format!("id{}", ids.len());
                xml.start("subsystem", Some(("id", &id)));
                ids.insert(
                    ClientId {
                        subsystem_code: Some(subsystem.code.clone()),
                        ..member.id.clone()
                    },
                    id,
                );
                xml.text("subsystemCode", &subsystem.code);
                if number >= 5 {
                    xml.optional("subsystemName", subsystem.name.as_deref());
                }
                xml.end();
            }
            xml.end();
        }
        for server in &self.security_servers {
            let reference = |client: &ClientId| {
                ids.get(client).ok_or_else(|| EncodeError::UnknownClient {
                    server: Box::new(server.id.clone()),
                    client: Box::new(client.clone()),
                })
            };
            xml.start("securityServer", None);
            xml.text("owner", reference(&server.id.owner())?);
            xml.text("serverCode", &server.id.server_code);
            xml.optional("address", server.address.as_deref());
            for hash in &server.authentication_certificate_hashes {
                xml.binary("authCertHash", hash);
            }
            for client in &server.clients {
                xml.text("client", reference(client)?);
            }
            if let Some(maintenance) = &server.maintenance
                && number >= 5
            {
                xml.start("inMaintenanceMode", None);
                xml.optional("message", maintenance.message.as_deref());
                xml.end();
            }
            xml.end();
        }
        for group in &self.global_groups {
            xml.start("globalGroup", None);
            xml.text("groupCode", &group.id.group_code);
            xml.text("description", &group.description);
            for member in &group.members {
                client_id(&mut xml, "groupMember", member);
            }
            xml.end();
        }
        xml.start("globalSettings", None);
        for MemberClass { code, description } in &self.member_classes {
            member_class(&mut xml, code, description);
        }
        let freshness = self
            .ocsp_freshness_seconds
            .unwrap_or(crate::DEFAULT_OCSP_FRESHNESS_SECONDS);
        xml.text("ocspFreshnessSeconds", &freshness.to_string());
        xml.end();
        Ok(xml.finish().into_bytes())
    }
}

fn member_class(xml: &mut Writer, code: &str, description: &str) {
    xml.start("memberClass", None);
    xml.text("code", code);
    xml.text("description", description);
    xml.end();
}

fn approved_ca(xml: &mut Writer, ca: &ApprovedCaDescription, number: u8) {
    xml.start("approvedCA", None);
    xml.text("name", &ca.name);
    xml.text(
        "authenticationOnly",
        if ca.authentication_only {
            "true"
        } else {
            "false"
        },
    );
    authority(xml, "topCA", &ca.top, number);
    for intermediate in &ca.intermediates {
        authority(xml, "intermediateCA", intermediate, number);
    }
    xml.text("certificateProfileInfo", &ca.certificate_profile);
    if number >= 6 {
        xml.optional(
            "defaultCsrFormat",
            ca.default_csr_format.map(|format| match format {
                CsrFormat::Pem => "PEM",
                CsrFormat::Der => "DER",
            }),
        );
    }
    if let Some(acme) = &ca.acme
        && number >= 3
    {
        xml.start("acmeServer", None);
        xml.text("directoryURL", &acme.directory_url);
        xml.optional("ipAddress", acme.ip_address.as_deref());
        if number >= 4 {
            xml.optional(
                "authenticationCertificateProfileId",
                acme.authentication_certificate_profile.as_deref(),
            );
            xml.optional(
                "signingCertificateProfileId",
                acme.signing_certificate_profile.as_deref(),
            );
        }
        xml.end();
    }
    xml.end();
}

fn authority(xml: &mut Writer, name: &'static str, ca: &CaDescription, number: u8) {
    xml.start(name, None);
    xml.binary("cert", &ca.certificate);
    for ocsp in &ca.ocsp {
        xml.start("ocsp", None);
        xml.text("url", &ocsp.url);
        if let Some(certificate) = &ocsp.certificate {
            xml.binary("cert", certificate);
        }
        if number >= 6 {
            xml.optional("costType", ocsp.cost.map(|c| c.name()));
        }
        xml.end();
    }
    xml.end();
}

/// Writes an element with the identifier of a member or subsystem.
pub(crate) fn client_id(xml: &mut Writer, name: &'static str, id: &ClientId) {
    xml.start(name, Some(("ns2:objectType", id.object_type())));
    xml.text("ns2:xRoadInstance", &id.instance);
    xml.text("ns2:memberClass", &id.member_class);
    xml.text("ns2:memberCode", &id.member_code);
    xml.optional("ns2:subsystemCode", id.subsystem_code.as_deref());
    xml.end();
}

impl PrivateParameters {
    /// Writes `private-params.xml`. The versions from 2 to 6 do not differ.
    pub fn encode(&self) -> Vec<u8> {
        let mut xml = Writer::new("conf", 8192);
        xml.text("instanceIdentifier", &self.instance);
        for anchor in &self.federation {
            xml.start("configurationAnchor", None);
            anchor::write(&mut xml, anchor);
            xml.end();
        }
        xml.start("managementService", None);
        let service = &self.management_service;
        xml.text("authCertRegServiceAddress", &service.registration_address);
        if let Some(certificate) = &service.registration_certificate {
            xml.binary("authCertRegServiceCert", certificate);
        }
        client_id(
            &mut xml,
            "managementRequestServiceProviderId",
            &service.provider,
        );
        xml.end();
        xml.text(
            "timeStampingIntervalSeconds",
            &self.timestamping_interval_seconds.to_string(),
        );
        xml.finish().into_bytes()
    }
}
