//! X-Road's containers with the verdicts of its own verifier.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::disallowed_types
)]

mod common;

use evidence::{Options, PartState, Report, Verdict, verify_container};
use globalconf::{GlobalConfiguration, StoredDirectory};
use std::io::Cursor;

fn configuration(folder: &str) -> Option<GlobalConfiguration> {
    let folder = common::vectors()?.join(folder);
    let files = common::stored_configuration(&folder);
    Some(StoredDirectory::decode(files).unwrap().load().unwrap())
}

fn report(name: &str, configuration: Option<&GlobalConfiguration>) -> Report {
    let bytes = std::fs::read(common::vectors().unwrap().join(name)).unwrap();
    verify_container(Cursor::new(bytes), configuration, &Options::default()).unwrap()
}

#[test]
fn containers_of_x_road() {
    let Some(configuration) = configuration("globalconf/globalconf_good2_v3") else {
        return;
    };
    for (name, signer) in [
        ("valid-signed-message", "DEV/COM/4321"),
        ("valid-batch-ts", "DEV/COM/4321"),
        ("valid-non-batch-rest", "DEV/COM/1234"),
    ] {
        let report = report(&format!("asic/{name}.asice"), Some(&configuration));
        assert_eq!(report.verdict, Verdict::Valid, "{name}\n{report}");
        let found = report.signer.as_ref().unwrap();
        assert!(found.verified);
        assert_eq!(found.member, signer, "{name}");
        assert_eq!(
            report.time_stamp.as_ref().unwrap().batch,
            name != "valid-signed-message"
        );
        assert!(report.to_string().ends_with("verdict:    valid"));
    }
    // X-Road's verifier calls this one valid, for it does not look for attachments that are not
    // in the container. Here the signature, its chain, the signer and the time stamp are found
    // valid just so; that a signed part is absent is said apart, since nobody can tell from the
    // container what the whole message was.
    let absent = report("asic/valid-signed-hashchain.asice", Some(&configuration));
    assert!(
        matches!(&absent.verdict, Verdict::Incomplete { missing, .. } if missing == &["attachment1"]),
        "{absent}"
    );
    let signer = absent.signer.as_ref().unwrap();
    assert!(signer.verified);
    assert_eq!(signer.member, "DEV/COM/4321");
    assert!(absent.time_stamp.is_some());
    let state = |name: &str| {
        absent
            .parts
            .iter()
            .find(|part| part.name == name)
            .unwrap()
            .state
    };
    assert_eq!(state("message.xml"), PartState::Signed);
    assert_eq!(state("attachment1"), PartState::Absent);
    assert_eq!(absent.parts.len(), 2);
    for (name, expected) in [
        ("wrong-message", "invalid_signature_value"),
        ("invalid-digest", "invalid_signature_value"),
        (
            "invalid-signed-hashchain",
            "malformed_signature.invalid_hash_chain_ref",
        ),
        ("core-no-mimetype", "asic_mime_type_not_found"),
        ("core-not-asic", "asic_mime_type_not_found"),
        ("core-no-message", "asic_message_not_found"),
        ("core-no-signature", "asic_signature_not_found"),
    ] {
        let report = report(&format!("asic/{name}.asice"), Some(&configuration));
        assert!(
            matches!(&report.verdict, Verdict::Invalid { code, .. } if code == expected),
            "{name}: {report}"
        );
    }
    let without = report("asic/valid-signed-message.asice", None);
    assert!(
        matches!(&without.verdict, Verdict::Incomplete { missing, .. } if missing.is_empty()),
        "{without}"
    );
}

#[test]
fn made_containers() {
    let Some(configuration) = configuration("made/globalconf") else {
        return;
    };
    for name in [
        "soap-ok",
        "rest-ok",
        "rest-body-chain",
        "soap-att2-chain",
        "batch",
        "pss",
        "rsa-sha256",
        "no-manifest",
    ] {
        let report = report(&format!("made/{name}.asice"), Some(&configuration));
        assert_eq!(report.verdict, Verdict::Valid, "{name}\n{report}");
    }
    for (name, expected) in [
        ("no-timestamp", "malformed_signature"),
        ("ts-over-element", "malformed_signature"),
        ("no-ocsp", "malformed_signature"),
        ("auth-key-signs", "malformed_signature"),
        ("only-signedprops", "malformed_signature"),
        ("ocsp-revoked", "invalid_cert_path.cert_validation"),
        ("wrong-signer", "incorrect_certificate"),
    ] {
        let report = report(&format!("made/{name}.asice"), Some(&configuration));
        assert!(
            matches!(&report.verdict, Verdict::Invalid { code, .. } if code == expected),
            "{name}: {report}"
        );
    }
}
