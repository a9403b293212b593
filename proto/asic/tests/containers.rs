//! Containers: X-Road's vectors open or do not, and what is written here is read here.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::disallowed_types
)]

#[path = "../../../testkit/vectors.rs"]
mod vectors;

use asic::container::{
    BatchTimeStamp, Container, ContainerLimits, ContainerParts, ContainerWriter, MEDIA_TYPE,
};
use asic::{Content, cover_available};
use pki::{Certificate, DigestAlgorithm};
use std::io::{Cursor, Write};
use time::OffsetDateTime;
use xmldsig::{Signature, SignatureError, SignaturePolicyRule};

fn open(bytes: Vec<u8>) -> Result<Container<Cursor<Vec<u8>>>, asic::container::ContainerError> {
    Container::open(Cursor::new(bytes), &ContainerLimits::default())
}

/// The code of the first thing wrong with the signature or its coverage; absent parts are named.
fn judge(bytes: Vec<u8>) -> Result<Vec<String>, SignatureError> {
    let container = open(bytes).unwrap();
    let signature = Signature::decode(container.signature())?;
    let certificate = Certificate::decode(signature.certificate_der()).unwrap();
    let value = signature.verify_value(&certificate, SignaturePolicyRule::STRICT)?;
    let coverage = cover_available(
        &value,
        &container.parts(),
        &container,
        container.signature_chain(),
    )?;
    Ok(coverage.absent().to_vec())
}

#[test]
fn vectors_of_x_road() {
    let Some(folder) = vectors::vectors() else {
        return;
    };
    let read = |name: &str| std::fs::read(folder.join(name)).unwrap();
    for (name, code) in [
        ("asic/core-no-mimetype.asice", "asic_mime_type_not_found"),
        ("asic/core-not-asic.asice", "asic_mime_type_not_found"),
        ("asic/core-no-message.asice", "asic_message_not_found"),
        ("asic/core-no-signature.asice", "asic_signature_not_found"),
    ] {
        assert_eq!(open(read(name)).err().unwrap().code(), code, "{name}");
    }
    let with_attachments = open(read(
        "asic/core-valid-signed-message-with-attachments.asice",
    ))
    .unwrap();
    assert_eq!(
        with_attachments.parts(),
        ["/message.xml", "/attachment1", "/attachment2"]
    );

    for name in [
        "asic/valid-signed-message.asice",
        "asic/valid-batch-ts.asice",
        "asic/valid-non-batch-rest.asice",
        "made/soap-ok.asice",
        "made/rest-ok.asice",
        "made/rest-body-chain.asice",
        "made/soap-att2-chain.asice",
        "made/batch.asice",
        "made/pss.asice",
        "made/rsa-sha256.asice",
        "made/no-manifest.asice",
        // What is wrong with these is not in the signature itself.
        "made/no-timestamp.asice",
        "made/ts-over-element.asice",
        "made/auth-key-signs.asice",
        "made/ocsp-revoked.asice",
        "made/wrong-signer.asice",
    ] {
        let absent = judge(read(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(absent.is_empty(), "{name}");
    }
    assert_eq!(
        judge(read("asic/valid-signed-hashchain.asice")).unwrap(),
        ["/attachment1"]
    );
    for (name, code) in [
        ("asic/wrong-message.asice", "invalid_signature_value"),
        ("asic/invalid-digest.asice", "invalid_signature_value"),
        (
            "asic/invalid-signed-hashchain.asice",
            "malformed_signature.invalid_hash_chain_ref",
        ),
        ("made/no-ocsp.asice", "malformed_signature"),
        ("made/only-signedprops.asice", "malformed_signature"),
    ] {
        let error = judge(read(name)).unwrap_err();
        assert_eq!(error.code(), code, "{name}: {error}");
    }
}

fn written() -> Vec<u8> {
    let parts = ContainerParts {
        message: b"<message/>",
        signature: b"<signature/>",
        signature_chain: Some((b"<result/>", b"<chain/>")),
        batch_time_stamp: Some(BatchTimeStamp {
            result: b"<ts-result/>",
            chain: b"<ts-chain/>",
            token: b"token",
        }),
    };
    let time = OffsetDateTime::from_unix_timestamp(1_790_000_000).unwrap();
    let mut writer = ContainerWriter::new(Cursor::new(Vec::new()), &parts, time).unwrap();
    writer.start_attachment(3).unwrap();
    writer.write(b"on").unwrap();
    writer.write(b"e").unwrap();
    writer.start_attachment(3).unwrap();
    writer.write(b"two").unwrap();
    writer.finish().unwrap().into_inner()
}

#[test]
fn what_is_written_is_read() {
    let bytes = written();
    // The standard's place for the media type: the first entry, stored (ETSI TS 102 918 A.1).
    assert_eq!(&bytes[30..38], b"mimetype");
    assert_eq!(&bytes[38..38 + MEDIA_TYPE.len()], MEDIA_TYPE.as_bytes());
    let names: Vec<String> = zip::ZipArchive::new(Cursor::new(&bytes))
        .unwrap()
        .file_names()
        .map(|name| name.unwrap().into_owned())
        .collect();
    assert_eq!(
        names,
        [
            "mimetype",
            "message.xml",
            "META-INF/signatures.xml",
            "sig-hashchainresult.xml",
            "sig-hashchain.xml",
            "ts-hashchainresult.xml",
            "ts-hashchain.xml",
            "META-INF/manifest.xml",
            "META-INF/ASiCManifest.xml",
            "META-INF/timestamp.tst",
            "attachment1",
            "attachment2"
        ]
    );
    let container = open(bytes).unwrap();
    assert_eq!(container.message(), b"<message/>");
    assert_eq!(
        container.signature_chain(),
        Some((&b"<result/>"[..], &b"<chain/>"[..]))
    );
    assert_eq!(container.time_stamp(), Some(&b"token"[..]));
    assert!(container.unknown_entries().is_empty());
    let digest = DigestAlgorithm::Sha512.digest(b"two");
    for _ in 0..2 {
        assert_eq!(
            container.digest("/attachment2", DigestAlgorithm::Sha512),
            Some(digest)
        );
    }
    assert!(!container.contains("/attachment3"));
}

#[test]
fn a_container_cut_anywhere_is_refused() {
    let bytes = written();
    for length in 0..bytes.len() {
        assert!(open(bytes[..length].to_vec()).is_err(), "{length}");
    }
}

fn zip_of(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in entries {
        zip.start_file(*name, zip::write::SimpleFileOptions::default())
            .unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

#[test]
fn odd_containers() {
    let mime = ("mimetype", MEDIA_TYPE.as_bytes());
    let code = |entries: &[(&str, &[u8])]| open(zip_of(entries)).err().map(|error| error.code());
    assert_eq!(
        code(&[("mimetype", b"application/zip"), ("message.xml", b"")]),
        Some("asic_invalid_mime_type")
    );
    let good = [
        mime,
        ("message.xml", b"m"),
        ("META-INF/signatures.xml", b"s"),
    ];
    assert_eq!(code(&good), None);
    let mut half = good.to_vec();
    half.push(("sig-hashchain.xml", b"c"));
    assert_eq!(code(&half), Some("asic_hash_chain_result_not_found"));
    let mut odd = good.to_vec();
    odd.extend([
        ("attachment01", &b"x"[..]),
        ("attachment0", b"x"),
        ("readme.txt", b"x"),
    ]);
    let container = open(zip_of(&odd)).unwrap();
    assert_eq!(container.parts(), ["/message.xml"]);
    assert_eq!(container.unknown_entries().len(), 3);

    // Two entries of one name: the writer refuses, so the second name is patched in.
    let mut twice = good.to_vec();
    twice.push(("message.xmk", b"n"));
    let mut bytes = zip_of(&twice);
    for at in 0..bytes.len() - 11 {
        if &bytes[at..at + 11] == b"message.xmk" {
            bytes[at + 10] = b'l';
        }
    }
    assert_eq!(
        open(bytes).err().map(|error| error.code()),
        Some("malformed_signature")
    );

    let tight = ContainerLimits {
        message: 0,
        ..ContainerLimits::default()
    };
    assert!(Container::open(Cursor::new(zip_of(&good)), &tight).is_err());
}
