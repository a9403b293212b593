//! X-Road's own configurations: read, verified, written again.
#![allow(
    clippy::disallowed_macros,
    clippy::disallowed_methods,
    clippy::unwrap_used
)]

mod common;

use std::fs;
use std::path::Path;

use globalconf::{
    Anchor, DirectoryError, FormatVersion, NewDirectory, NewPart, PrivateParameters,
    SharedParameters, SignedDirectory, StoredDirectory,
};
use pki::{Certificate, PublicKey, SignError, SignatureAlgorithm, Signer};
use time::macros::datetime;
use xroad_id::{ClientId, GlobalGroupId, SecurityServerId};

const NOW: time::OffsetDateTime = datetime!(2026-11-24 00:00 UTC);

fn certificates<'a>(ders: impl IntoIterator<Item = &'a Vec<u8>>) -> Vec<Certificate> {
    ders.into_iter()
        .map(|der| Certificate::decode(der).unwrap())
        .collect()
}

fn anchor(vectors: &Path) -> Anchor {
    let file = vectors.join("dev-world/anchor/configuration_anchor_CS_internal.xml");
    Anchor::decode(&fs::read(file).unwrap()).unwrap()
}

fn anchor_certificates(anchor: &Anchor) -> Vec<Certificate> {
    certificates(
        anchor
            .sources
            .iter()
            .flat_map(|s| &s.verification_certificates),
    )
}

/// The part that an entry names, from the folder beside the directory.
fn part(folder: &Path, location: &str) -> Vec<u8> {
    let below = location.trim_start_matches('/').split_once('/').unwrap().1;
    fs::read(folder.join(below)).unwrap()
}

#[test]
fn dev_world_verifies_from_its_anchor() {
    let Some(vectors) = common::vectors() else {
        return;
    };
    let anchor = anchor(&vectors);
    assert_eq!(anchor.instance, "DEV");
    assert_eq!(anchor.sources[0].download_url, "http://cs/internalconf");
    assert_eq!(Anchor::decode(&anchor.encode()).unwrap(), anchor);
    let trusted = anchor_certificates(&anchor);

    for (version, number) in [("V3", 3), ("V5", 5), ("V6", 6)] {
        let folder = vectors.join("dev-world/directories").join(version);
        let bytes = fs::read(folder.join("internalconf")).unwrap();
        let directory = SignedDirectory::decode(&bytes).unwrap();
        assert_eq!(directory.version().number(), number);
        assert_eq!(directory.entries().len(), 2);
        let shared_entry = directory
            .entries()
            .iter()
            .find(|e| e.content_identifier == "SHARED-PARAMETERS")
            .unwrap();
        let shared = SharedParameters::decode(&part(&folder, &shared_entry.location)).unwrap();
        assert_eq!(shared.instance, shared_entry.instance);
        for entry in directory.entries() {
            let content = part(&folder, &entry.location);
            entry.verify(&content).unwrap();
            let mut changed = content;
            changed[100] ^= 1;
            assert_eq!(
                entry.verify(&changed).unwrap_err().code(),
                "global_conf_part_downloaded_file_integrity_failure"
            );
        }
        if number == 6 {
            let signed = directory.verify(&trusted).unwrap();
            assert!(signed.check_current("DEV", NOW).is_ok());
            let late = datetime!(2036-01-01 00:00 UTC);
            assert_eq!(
                DirectoryError::from(signed.check_current("DEV", late).unwrap_err()).code(),
                "global_conf_outdated"
            );
            // Every single changed byte of the signed extent is noticed.
            let start = bytes.windows(4).position(|w| w == b"Expi").unwrap();
            for offset in [start + 14, start + 200, start + 700] {
                let mut changed = bytes.clone();
                changed[offset] = if changed[offset] == b'4' { b'5' } else { b'4' };
                if let Ok(directory) = SignedDirectory::decode(&changed) {
                    assert!(directory.verify(&trusted).is_err());
                }
            }
        } else {
            assert_eq!(
                directory.verify(&trusted).unwrap_err().code(),
                "global_conf_missing_verification_cert"
            );
            // Their own parameters announce the key that signed them.
            let announced = certificates(
                shared
                    .sources
                    .iter()
                    .flat_map(|s| &s.internal_verification_certificates),
            );
            directory.verify(&announced).unwrap();
        }
        // Every prefix is refused and none makes the reader panic.
        for length in 0..bytes.len() - 2 {
            assert!(
                SignedDirectory::decode(&bytes[..length]).is_err(),
                "{length}"
            );
        }
    }
}

#[test]
fn rotated_key_is_known_only_from_stored_parameters() {
    let Some(vectors) = common::vectors() else {
        return;
    };
    let trusted = anchor_certificates(&anchor(&vectors));
    let rotated = vectors.join("dev-world/rotated/V6");
    let directory =
        SignedDirectory::decode(&fs::read(rotated.join("internalconf")).unwrap()).unwrap();
    assert_eq!(
        directory.verify(&trusted).unwrap_err().code(),
        "global_conf_missing_verification_cert"
    );
    let stored = vectors.join("dev-world/directories/V6/20251110170000548026000/shared-params.xml");
    let shared = SharedParameters::decode(&fs::read(stored).unwrap()).unwrap();
    let internal = certificates(&shared.sources[0].internal_verification_certificates);
    let signed = directory.verify(trusted.iter().chain(&internal)).unwrap();
    for entry in signed.entries() {
        entry.verify(&part(&rotated, &entry.location)).unwrap();
    }
    let external = SignedDirectory::decode(&fs::read(rotated.join("externalconf")).unwrap());
    let external = external.unwrap();
    let known = certificates(
        shared
            .sources
            .iter()
            .flat_map(|s| &s.external_verification_certificates),
    );
    match external.verify(&known) {
        Ok(signed) => assert_eq!(signed.entries().len(), 1),
        // The rotated external key is announced by the rotated parameters.
        Err(_) => {
            let entry = &external.entries()[0];
            let shared = SharedParameters::decode(&part(&rotated, &entry.location)).unwrap();
            let known = certificates(&shared.sources[0].external_verification_certificates);
            external.verify(&known).unwrap();
        }
    }
}

/// Gives out a recorded signature.
struct Replay {
    key: PublicKey,
    algorithm: SignatureAlgorithm,
    expected: Vec<u8>,
    signature: Vec<u8>,
}

impl Signer for Replay {
    fn public_key(&self) -> &PublicKey {
        &self.key
    }
    fn algorithm(&self) -> SignatureAlgorithm {
        self.algorithm
    }
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        assert_eq!(message, self.expected);
        Ok(self.signature.clone())
    }
}

#[test]
fn a_directory_is_written_as_the_central_server_writes_it() {
    let Some(vectors) = common::vectors() else {
        return;
    };
    let folder = vectors.join("dev-world/directories/V6");
    let bytes = fs::read(folder.join("internalconf")).unwrap();
    let signed = SignedDirectory::decode(&bytes)
        .unwrap()
        .verify(&anchor_certificates(&anchor(&vectors)))
        .unwrap();
    let contents: Vec<Vec<u8>> = signed
        .entries()
        .iter()
        .map(|e| part(&folder, &e.location))
        .collect();
    let parts: Vec<NewPart> = signed
        .entries()
        .iter()
        .zip(&contents)
        .map(|(entry, content)| NewPart {
            content_identifier: &entry.content_identifier,
            location: &entry.location,
            content,
        })
        .collect();
    let signer = Replay {
        key: signed.certificate().public_key().clone(),
        algorithm: SignatureAlgorithm::from_uri(
            "http://www.w3.org/2001/04/xmldsig-more#rsa-sha512",
        )
        .unwrap(),
        expected: signed.signed_bytes().to_vec(),
        signature: signed.signature().to_vec(),
    };
    let written = NewDirectory {
        instance: "DEV",
        expires: signed.expires(),
        version: signed.version(),
        parts: &parts,
    }
    .sign(
        ["lmyAPTb9i7P4fQ7MmpnZ", "CNo5S3hBEIHbDGmANPgi"],
        &signer,
        signed.certificate(),
    )
    .unwrap();
    assert_eq!(
        String::from_utf8(written).unwrap(),
        String::from_utf8(bytes).unwrap()
    );
}

#[test]
fn directories_of_the_configuration_client_get_their_verdicts() {
    let Some(vectors) = common::vectors() else {
        return;
    };
    let read = |name: &str| fs::read_to_string(vectors.join("directories").join(name)).unwrap();
    let simple = SignedDirectory::decode(read("test-conf-simple.txt").as_bytes()).unwrap();
    assert_eq!(simple.version(), FormatVersion::OLDEST);
    assert_eq!(simple.expires(), datetime!(2026-05-20 17:42:55 UTC));
    let locations: Vec<&str> = simple
        .entries()
        .iter()
        .map(|e| e.location.as_str())
        .collect();
    assert_eq!(
        locations,
        ["/private-params.xml", "/shared-params.xml", "/foo.xml"]
    );
    assert_eq!(simple.entries()[2].stored_name(), "foo.xml");
    assert_eq!(simple.entries()[2].instance, "EE");

    for (name, code) in [
        (
            "test-conf-malformed.txt",
            "global_conf_missing_signed_data_expiration_date",
        ),
        (
            "test-conf-missing-date.txt",
            "global_conf_header_field_missing",
        ),
    ] {
        let error = SignedDirectory::decode(read(name).as_bytes()).unwrap_err();
        assert_eq!(error.code(), code, "{name}: {error}");
    }

    // The certificate that this directory names is not among the vectors: let it name
    // one that is, which the signature does not cover.
    let trusted = anchor_certificates(&anchor(&vectors));
    let invalid = read("test-conf-invalid-signature.txt");
    assert_eq!(
        SignedDirectory::decode(invalid.as_bytes())
            .unwrap()
            .verify(&trusted)
            .unwrap_err()
            .code(),
        "global_conf_missing_verification_cert"
    );
    let renamed = invalid.replace(
        "JcdLt1xfZxnM4XHtwDWwTLKLDHmGaXq6IgBjtMATMGft3psVltGCy/gtQzxRsiar7mz2PwoR5uLpnOHOo1L/sw==",
        "pc2fwlS1MpbN2rxno4qAi27zvPTNIWxvC5xeHRLIQsPj5RR2J7TuY+6VAH0rmbDecjtia9AjYDzGIj3i6K9T1w==",
    );
    assert_eq!(
        SignedDirectory::decode(renamed.as_bytes())
            .unwrap()
            .verify(&trusted)
            .unwrap_err()
            .code(),
        "global_conf_signature_verification_failure"
    );
}

#[test]
fn stored_configurations_load_and_survive_a_round_trip() {
    let Some(vectors) = common::vectors() else {
        return;
    };
    for (folder, version, instances) in [
        ("globalconf/globalconf_good_v2", 2, 3),
        ("globalconf/globalconf_good_v3", 3, 3),
        ("globalconf/globalconf_good_v4", 4, 4),
        ("globalconf/globalconf_good_v6", 6, 6),
        ("globalconf/globalconf_good2_v3", 3, 1),
        ("made/globalconf", 2, 1),
    ] {
        let stored = StoredDirectory::decode(common::files(&vectors.join(folder))).unwrap();
        let again = StoredDirectory::decode(stored.encode()).unwrap();
        assert_eq!(stored, again, "{folder}");
        assert_eq!(stored.identity(), again.identity());
        let configuration = stored.load().unwrap();
        assert_eq!(configuration.instances().count(), instances, "{folder}");
        assert_eq!(configuration.version().number(), version, "{folder}");
        let now = datetime!(2030-01-01 00:00 UTC);
        assert_eq!(
            configuration.is_current(now).unwrap().instance(),
            stored.instance
        );

        for part in &stored.parts {
            let path = format!("{folder}/{}", part.path());
            match part.file_name.as_str() {
                "shared-params.xml" => {
                    let shared = SharedParameters::decode(&part.content).unwrap();
                    if shared.sources.is_empty() && part.metadata.version.number() > 2 {
                        continue;
                    }
                    let written = shared.encode(part.metadata.version).unwrap();
                    let mut expected = shared.clone();
                    expected.ocsp_freshness_seconds.get_or_insert(3600);
                    assert_eq!(
                        SharedParameters::decode(&written).unwrap(),
                        expected,
                        "{path}"
                    );
                }
                "private-params.xml" => {
                    let private = PrivateParameters::decode(&part.content).unwrap();
                    assert_eq!(
                        PrivateParameters::decode(&private.encode()).unwrap(),
                        private
                    );
                }
                _ => {}
            }
        }
    }
}

#[test]
fn prefixes_of_parameters_are_refused() {
    let Some(vectors) = common::vectors() else {
        return;
    };
    let folder = vectors.join("dev-world/directories/V6/20251110170000548026000");
    let shared = fs::read(folder.join("shared-params.xml")).unwrap();
    let end = shared.iter().rposition(|&b| b == b'>').unwrap();
    for length in (0..=end).step_by(7) {
        assert!(
            SharedParameters::decode(&shared[..length]).is_err(),
            "{length}"
        );
    }
    let private = fs::read(folder.join("private-params.xml")).unwrap();
    let end = private.iter().rposition(|&b| b == b'>').unwrap();
    for length in 0..=end {
        assert!(
            PrivateParameters::decode(&private[..length]).is_err(),
            "{length}"
        );
    }
    let text = String::from_utf8(private).unwrap();
    let with_entity = text.replacen(
        "<ns3:conf",
        "<!DOCTYPE conf [<!ENTITY x \"y\">]><ns3:conf",
        1,
    );
    assert!(PrivateParameters::decode(with_entity.as_bytes()).is_err());
}

#[test]
fn lookups_in_the_dev_world() {
    let Some(vectors) = common::vectors() else {
        return;
    };
    let folder = vectors.join("dev-world/directories/V6/20251110170000548026000");
    let files = [
        ("instance-identifier".to_owned(), b"DEV\n".to_vec()),
        (
            "DEV/shared-params.xml".to_owned(),
            fs::read(folder.join("shared-params.xml")).unwrap(),
        ),
        (
            "DEV/shared-params.xml.metadata".to_owned(),
            br#"{"configurationVersion":"6","expirationDate":"2035-11-11T03:07:40Z"}"#.to_vec(),
        ),
        (
            "DEV/private-params.xml".to_owned(),
            fs::read(folder.join("private-params.xml")).unwrap(),
        ),
        (
            "DEV/private-params.xml.metadata".to_owned(),
            br#"{"configurationVersion":"6","expirationDate":"2035-11-11T03:07:39Z"}"#.to_vec(),
        ),
    ];
    let configuration = StoredDirectory::decode(files).unwrap().load().unwrap();
    assert_eq!(configuration.problems().count(), 0);
    assert_eq!(configuration.timestamping_interval_seconds(), 60);
    assert_eq!(configuration.ocsp_freshness_seconds(), 3600);
    assert!(configuration.next_update_check());
    assert_eq!(
        configuration.expires(),
        Some(datetime!(2035-11-11 03:07:39 UTC))
    );
    assert!(configuration.is_current(NOW).is_ok());
    assert!(
        configuration
            .is_current(datetime!(2035-11-11 03:07:40 UTC))
            .is_err()
    );

    let owner = ClientId::member("DEV", "COM", "1234").unwrap();
    let service = owner.with_subsystem("TestService").unwrap();
    let client = ClientId::from_path("DEV/COM/4321/TestClient").unwrap();
    let ss0 = SecurityServerId::from_path("DEV/COM/1234/SS0").unwrap();
    let ss1 = SecurityServerId::from_path("DEV/COM/4321/SS1").unwrap();
    let servers = |id: &ClientId| -> Vec<String> {
        configuration
            .servers_of(id)
            .map(|s| s.id.server_code.clone())
            .collect()
    };
    assert_eq!(servers(&service), ["SS0"]);
    assert_eq!(servers(&client), ["SS0", "SS1"]);
    assert_eq!(servers(&owner), ["SS0"]);
    assert!(configuration.is_client_of_server(&owner, &ss0));
    assert!(!configuration.is_client_of_server(&service, &ss1));
    assert_eq!(
        configuration.server(&ss0).unwrap().address.as_deref(),
        Some("ss0")
    );
    assert_eq!(configuration.member_name(&client), Some("Test client"));
    assert_eq!(
        configuration.subsystem_name(&client),
        Some("Test client subsystem")
    );
    assert!(!configuration.member_exists(&owner.with_subsystem("nothing").unwrap()));
    let owners = GlobalGroupId {
        instance: "DEV".to_owned(),
        group_code: "security-server-owners".to_owned(),
    };
    assert!(configuration.in_global_group(&owner, &owners));
    assert!(!configuration.in_global_group(&service, &owners));
    assert_eq!(configuration.clients("DEV").unwrap().count(), 7);
    assert!(configuration.clients("XX").is_none());

    let read = |name: &str| {
        Certificate::from_pem(fs::read(vectors.join("dev-world/certificates").join(name)).unwrap())
            .unwrap()
    };
    let (ca, ocsp, tsa) = (
        read("ca.cert.pem"),
        read("ocsp.cert.pem"),
        read("tsa.cert.pem"),
    );
    let issuer = configuration.approved_ca_for("DEV", &ocsp).unwrap();
    assert_eq!(issuer.authority.certificate.der(), ca.der());
    assert!(!issuer.ca.authentication_only);
    assert!(issuer.ca.profile.is_ok());
    assert_eq!(issuer.authority.ocsp[0].url, "http://testca:8888");
    assert!(
        issuer
            .authority
            .responder_certificates()
            .any(|c| c.der() == ocsp.der())
    );
    assert!(
        configuration
            .tsa_certificates()
            .any(|c| c.der() == tsa.der())
    );
    assert!(configuration.server_by_auth_certificate(&ocsp).is_none());
}
